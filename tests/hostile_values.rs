//! What is accepted is read back equal, or refused at once; and what costs too much.

#![allow(clippy::unwrap_used, reason = "a test that finds something else fails, whatever it says")]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::{Codec, Config, Error, Session};
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{Bed, cookie, get as send, seed, sessions};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Set {
    #[serde(with = "serde_dynamo::string_set")]
    tags: HashSet<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Listed {
    #[serde(with = "serde_dynamo::string_set")]
    tags: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Deep {
    End,
    More(Box<Deep>),
    List(Vec<Deep>),
    Named { below: Option<Box<Deep>> },
}

fn deep(levels: usize, kind: usize) -> Deep {
    (0..levels).fold(Deep::End, |below, _| match kind {
        0 => Deep::More(Box::new(below)),
        1 => Deep::List(vec![below]),
        _ => Deep::Named { below: Some(Box::new(below)) },
    })
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Big(u128),
    Float(f64),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, Either>,
}

/// Each value under its own key; what is refused is left out, and what is accepted must be read back.
macro_rules! values {
    ($($name:literal : $type:ty = $value:expr;)*) => {
        #[get("/store")]
        fn store(session: Session) -> String {
            let mut accepted = Vec::new();
            $({ let value: $type = $value; if session.insert($name, value).is_ok() { accepted.push($name); } })*
            accepted.join(" ")
        }

        /// One value alone.
        #[get("/one/<name>")]
        fn one(name: &str, session: Session) -> String {
            $(if name == $name { let value: $type = $value; return session.insert($name, value).is_ok().to_string(); })*
            unreachable!()
        }

        const NAMES: &[&str] = &[$($name),*];

        #[get("/check/<accepted>")]
        fn check(accepted: &str, session: Session) -> String {
            let accepted: Vec<&str> = accepted.split(' ').collect();
            let mut wrong = Vec::new();
            $(if accepted.contains(&$name) {
                let expected: $type = $value;
                match session.get::<$type>($name) {
                    Ok(Some(found)) if found == expected => {}
                    other => wrong.push(format!("{}: {other:.200?}", $name)),
                }
            })*
            wrong.join("; ")
        }
    };
}

values! {
    "empty-set": Set = Set::default();
    "set": Set = Set { tags: ["a", "b"].map(str::to_owned).into() };
    "empty-text-in-set": Set = Set { tags: [String::new()].into() };
    "twice-in-set": Listed = Listed { tags: vec!["a".into(), "a".into()] };
    "u128": u128 = u128::MAX;
    "i128": i128 = i128::MIN;
    "f64": f64 = 0.1 + 0.2;
    "f64-min": f64 = f64::MIN_POSITIVE;
    "f64-max": f64 = f64::MAX;
    "f32": f32 = 16_777_217.3;
    "empty-text": String = String::new();
    "nul": String = "a\u{0}b".into();
    "none": Option<u8> = None;
    "unit": () = ();
    "char": char = '\u{10FFFF}';
    "map-numbers": BTreeMap<i64, u8> = [(-1, 1), (i64::MAX, 2)].into();
    "map-bool": BTreeMap<bool, u8> = [(true, 1)].into();
    "map-char": BTreeMap<char, u8> = [('x', 1)].into();
    "map-empty-key": BTreeMap<String, u8> = [(String::new(), 1)].into();
    "map-u128": HashMap<u128, u8> = [(u128::MAX, 1)].into();
    "map-option": BTreeMap<Option<String>, u8> = [(Some("a".into()), 1)].into();
    "nested-option": Option<Option<u8>> = Some(Some(1));
    "either-float": Either = Either::Float(1e300);
    "flat": Flat = Flat { a: 1, rest: [("b".to_owned(), Either::Text("c".into())), ("d".to_owned(), Either::Number(i64::MIN))].into() };
    "deep-enum": Deep = deep(30, 0);
    "deeper-enum": Deep = deep(120, 0);
    "deepest-enum": Deep = deep(190, 0);
    "deep-list": Deep = deep(62, 1);
    "deep-list-95": Deep = deep(95, 1);
    "deep-named": Deep = deep(62, 2);
    "deep-named-99": Deep = deep(99, 2);
    "tuple": (u8, String, Option<f32>) = (1, "x".into(), Some(0.1));
    "array": [u64; 3] = [u64::MAX, 0, 1];
    "bytes": Vec<u8> = vec![0, 255];
    "value": serde_json::Value = json!({"a": [1, 2.5, null, {"": true}], "$serde_json::private::Number": "1"});
    "value-raw": serde_json::Value = json!({"$serde_json::private::RawValue": "}"});
    "value-raw-list": serde_json::Value = json!({"$serde_json::private::RawValue": "[1]"});
}

fn all() -> Vec<Route> {
    routes![store, one, check, one_key, heavy]
}

#[get("/key/<at>")]
fn one_key(at: usize, session: Session) -> String {
    session.insert(odd()[at].clone(), 1).is_ok().to_string()
}

fn odd() -> Vec<String> {
    let texts =
        ["", " ", "\"", "\\", "\n", "\u{0}", "ü", "\u{10FFFF}", "a.b", "$serde_json::private::RawValue", "id", "ttl"];
    texts.iter().map(|text| (*text).to_owned()).chain([format!("{}\"", "k".repeat(70_000))]).collect()
}

/// Many inserts of different keys, and as many updates of others.
#[get("/heavy/<each>")]
fn heavy(each: usize, session: Session) -> Result<(), Error> {
    for n in 0..each {
        session.insert(format!("i{n}"), n)?;
        session.update(format!("u{}", n % 7), |n: Option<u64>| n.unwrap_or(0) + 1)?;
    }
    session.clear();
    session.insert("k", 1)
}

/// Each value in a session of its own.
async fn read_back(codec: Codec) {
    let (bed, mut bad) = (Bed::new(), Vec::new());
    let client = bed.client_with(Config { codec, ..bed.config() }, all()).await;
    for name in NAMES {
        let response = client.get(format!("/one/{name}")).dispatch().await;
        let (status, told) = (response.status(), support::told(&response));
        let accepted = response.into_string().await;
        match (status, accepted.as_deref(), told) {
            (Status::Ok, Some("false"), _) => {}
            (Status::Ok, Some("true"), Some(told)) => {
                let id = rocket_dynamodb_sessions::Sessions::parse_id(told.value()).unwrap();
                let wrong = send(&client, &format!("/check/{name}"), &id).await.into_string().await.unwrap();
                if !wrong.is_empty() {
                    bad.push(wrong);
                }
            }
            (status, ..) => bad.push(format!("{name}: accepted, and then {status}")),
        }
    }
    assert!(bad.is_empty(), "{codec:?}:\n{}", bad.join("\n"));
}

#[rocket::async_test]
async fn what_json_accepts_is_read_back_equal() {
    read_back(Codec::Json).await;
}

#[rocket::async_test]
async fn what_cbor_accepts_is_read_back_equal() {
    read_back(Codec::Cbor).await;
}

#[rocket::async_test]
async fn what_native_accepts_is_read_back_equal() {
    read_back(Codec::Native).await;
}

#[rocket::async_test]
async fn a_key_is_stored_or_refused_at_once_in_every_codec() {
    let mut bad = Vec::new();
    for codec in [Codec::Json, Codec::Cbor, Codec::Native] {
        let bed = Bed::new();
        let client = bed.client_with(Config { codec, ..bed.config() }, all()).await;
        for (at, key) in odd().iter().enumerate() {
            let response = client.get(format!("/key/{at}")).dispatch().await;
            if response.status() != Status::Ok {
                bad.push(format!(
                    "{codec:?}, key {:?} of {} bytes: {}",
                    &key[..key.len().min(8)],
                    key.len(),
                    response.status()
                ));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[rocket::async_test]
async fn a_long_log_costs_no_square_of_its_length() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, None, &[("k", json!(1))]).await;
    let mut times = Vec::new();
    for each in [2_000, 16_000] {
        let start = Instant::now();
        let response = client.get(format!("/heavy/{each}")).cookie(cookie(&id)).dispatch().await;
        assert_eq!(response.status(), Status::Ok);
        times.push(start.elapsed());
    }
    println!("{times:?}");
    // Eight times as much; a square is 64 times.
    assert!(times[1] < times[0] * 40, "{times:?}");
}

#[rocket::async_test]
async fn a_row_with_many_attributes_of_another_program_can_be_signed_out() {
    let bed = Bed::new();
    let client = bed.client_with(bed.config(), routes![out]).await;
    let id = seed(&client, Some("ann"), &[("k", json!(1))]).await;
    let mut row = bed.row(&client, &id).await.unwrap();
    for n in 0..1200 {
        row.0.insert(format!("attribute-{n}"), AttributeValue::N(n.to_string()));
    }
    bed.put(row).await;
    let _ = sessions(&client);
    let response = send(&client, "/out", &id).await;
    assert_eq!(response.status(), Status::Ok);
}

#[get("/out")]
fn out(session: Session) {
    session.invalidate();
}
