//! Rows of other programs, answers that are cut, and revocation beside rotation.

#![allow(clippy::unwrap_used, reason = "a test that finds something else fails, whatever it says")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::body::SdkBody;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::{Error, Session, Sessions};
use serde_json::json;
use support::script::Door;
use support::{Bed, bare_rocket, cookie, get as send, row, seed, sessions};

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    Ok(format!("{:?} {:?}", session.status(), session.get::<String>("secret")?))
}

#[get("/tell")]
fn tell(session: Result<Session, Error>) -> (Status, String) {
    match session {
        Ok(_) => (Status::Ok, "fine".into()),
        Err(error) => (Status::new(error.status()), format!("{error} {error:?}")),
    }
}

#[get("/cycle")]
fn cycle(session: Session) -> Result<(), Error> {
    session.cycle_id()
}

#[get("/out")]
fn out(session: Session) {
    session.invalidate();
}

#[get("/insert")]
fn insert(session: Session) -> Result<(), Error> {
    session.insert("a", 1)
}

fn all() -> Vec<Route> {
    let _ = Door::default();
    routes![read, tell, cycle, out, insert]
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Cuts the answers of the store in half while it is switched on.
#[derive(Clone, Debug, Default)]
struct Cut(Arc<AtomicBool>);

impl Intercept for Cut {
    fn name(&self) -> &'static str {
        "Cut"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.load(Ordering::SeqCst) {
            let body = context.response().body().bytes().unwrap_or_default().to_vec();
            *context.response_mut().body_mut() = SdkBody::from(body[..body.len() - 2].to_vec());
        }
        Ok(())
    }
}

#[rocket::async_test]
async fn an_answer_that_is_cut_puts_no_data_of_the_session_into_the_error() {
    let (bed, cut) = (Bed::new(), Cut::default());
    let client = Dynamo::from_conf(bed.dynamo.config().to_builder().interceptor(cut.clone()).build());
    let fairing = Sessions::fairing().client(client).config(bed.config()).clock(&bed.clock);
    let client = Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.unwrap();
    let id = seed(&client, Some("ann@example.org"), &[("secret", json!("hunter2"))]).await;
    cut.0.store(true, Ordering::SeqCst);
    let response = send(&client, "/tell", &id).await;
    assert_eq!(response.status(), Status::ServiceUnavailable);
    let said = response.into_string().await.unwrap();
    assert!(!said.contains("hunter2") && !said.contains("ann@example.org"), "{said}");
}

#[rocket::async_test]
async fn a_tombstone_with_an_odd_successor_is_an_end_and_no_503() {
    let long = "x".repeat(3000);
    for successor in ["", &long, "no such row", "sessions"] {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = seed(&client, Some("ann"), &[("secret", json!("x"))]).await;
        let key = sessions(&client).handle_of(&id).to_string();
        bed.put(row(&[
            ("id", text(&key)),
            ("ended", text("cycle")),
            ("successor", text(successor)),
            ("ttl", number(bed.now() + 100)),
        ]))
        .await;
        for path in ["/read", "/insert", "/out"] {
            let response = send(&client, path, &id).await;
            assert_eq!(response.status(), Status::Ok, "{path} with a successor of {} bytes", successor.len());
        }
    }
}

#[rocket::async_test]
async fn a_tombstone_that_leads_to_itself_costs_few_reads() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, Some("ann"), &[("secret", json!("x"))]).await;
    let key = sessions(&client).handle_of(&id).to_string();
    bed.put(row(&[
        ("id", text(&key)),
        ("ended", text("cycle")),
        ("successor", text(&key)),
        ("ttl", number(bed.now() + 100)),
    ]))
    .await;
    bed.faults.reset_counts();
    for path in ["/read", "/insert", "/out"] {
        let response = send(&client, path, &id).await;
        println!("{path}: {} after {} requests", response.status(), bed.faults.calls().len());
        assert_eq!(response.status(), Status::Ok, "{path}");
    }
    let revoked = sessions(&client).revoke(&sessions(&client).handle_of(&id)).await;
    println!("revoke: {revoked:?} after {} requests", bed.faults.calls().len());
}

#[rocket::async_test]
async fn a_successor_of_another_application_is_not_opened() {
    // Two applications on one table: a tombstone of the one cannot lead into the other.
    let bed = Bed::new();
    let one =
        bed.client_with(rocket_dynamodb_sessions::Config { key_prefix: "one:".into(), ..bed.config() }, all()).await;
    let two =
        bed.client_with(rocket_dynamodb_sessions::Config { key_prefix: "two:".into(), ..bed.config() }, all()).await;
    let id = seed(&one, Some("ann"), &[("secret", json!("x"))]).await;
    let other = seed(&two, Some("root"), &[("secret", json!("other's"))]).await;
    bed.put(row(&[
        ("id", text(&sessions(&one).handle_of(&id).to_string())),
        ("ended", text("cycle")),
        ("successor", text(&sessions(&two).handle_of(&other).to_string())),
        ("ttl", number(bed.now() + 100)),
    ]))
    .await;
    let body = send(&one, "/read", &id).await.into_string().await.unwrap();
    println!("led to another application's row: {body}");
}

#[rocket::async_test]
async fn rows_of_every_shape_are_no_500_and_no_panic() {
    let map = || AttributeValue::M([("a".to_owned(), text("b"))].into());
    let odd = || -> Vec<AttributeValue> {
        vec![
            text(""),
            text("x"),
            text("äöü"),
            text(&"A".repeat(11 * 3)),
            number("0"),
            number("-1"),
            number("1.5"),
            number("9e125"),
            number("-9e125"),
            number("9223372036854775807"),
            number("-9223372036854775808"),
            number("1e-130"),
            AttributeValue::Bool(true),
            AttributeValue::Null(true),
            AttributeValue::B(vec![255, 0, 1].into()),
            AttributeValue::Ss(vec!["a".into()]),
            AttributeValue::L(vec![]),
            map(),
        ]
    };
    let attributes = [
        "modified",
        "ttl",
        "data",
        "principal",
        "started",
        "lifetime",
        "remember",
        "cookie",
        "tokens",
        "handle",
        "codec",
        "ended",
        "successor",
        "ender",
        "format",
        "#x2",
        ":now",
        "seen",
        "a.b",
    ];
    let bed = Bed::new();
    for absolute in
        [None, Some(rocket_dynamodb_sessions::Lifetime::new(std::time::Duration::from_secs(60 * 86400)).unwrap())]
    {
        let config = rocket_dynamodb_sessions::Config { absolute_ttl: absolute, ..bed.config() };
        let client = bed.client_with(config, all()).await;
        let (count, bad) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
        for attribute in attributes {
            for value in odd().into_iter().map(Some).chain([None]) {
                for path in ["/read", "/insert", "/cycle", "/out"] {
                    let id = seed(&client, Some("ann"), &[("secret", json!("x"))]).await;
                    let mut row = bed.row(&client, &id).await.unwrap();
                    match value.clone() {
                        Some(value) => drop(row.0.insert(attribute.into(), value)),
                        None => drop(row.0.remove(attribute)),
                    }
                    bed.put(row).await;
                    bed.faults.reset_counts();
                    let response = send(&client, path, &id).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    let (status, calls) = (response.status(), bed.faults.calls().len());
                    let newer = attribute == "format" || attribute == "codec";
                    if status != Status::Ok && !(newer && status.code == 503) || calls > 22 {
                        bad.lock()
                            .unwrap()
                            .push(format!("{path} with {attribute} = {value:?}: {status}, {calls} requests"));
                    }
                }
            }
        }
        let bad = bad.into_inner().unwrap();
        println!("{} requests", count.into_inner());
        assert!(bad.is_empty(), "{} bad:\n{}", bad.len(), bad.join("\n"));
    }
}

#[rocket::async_test]
async fn a_session_that_cycles_during_the_scan_is_revoked_all_the_same() {
    let bed = Bed::new();
    let client = Arc::new(bed.client(all()).await);
    // More than one page of a scan: 1 MB.
    for _ in 0..8 {
        seed(&client, None, &[("large", json!("x".repeat(300_000)))]).await;
    }
    for attempt in 0..24 {
        let id = seed(&client, Some("ann"), &[("secret", json!("x"))]).await;
        let handle = sessions(&client).handle_of(&id);
        // A first rotation, whose tombstone is gone: the scan is what finds the session.
        let response = send(&client, "/cycle", &id).await;
        let second = support::new_id(&response);
        bed.delete(&client, &id).await;
        let (at, app) = (Arc::new(std::sync::Mutex::new(second)), client.clone());
        let cycled = at.clone();
        // Its owner goes on meanwhile.
        bed.faults.before(rocket_dynamodb_sessions::testing::On::operation("Scan").skip(1), move || async move {
            let id = *cycled.lock().unwrap();
            let response = app.get("/cycle").cookie(cookie(&id)).dispatch().await;
            *cycled.lock().unwrap() = support::new_id(&response);
        });
        bed.faults.reset_counts();
        let revoked = sessions(&client).revoke(&handle).await.unwrap();
        bed.faults.clear();
        let id = *at.lock().unwrap();
        let body = send(&client, "/read", &id).await.into_string().await.unwrap();
        let lives = body.starts_with("Live");
        assert!(
            revoked && !lives,
            "attempt {attempt}: revoke said {revoked} after {} scans, and then: {body}",
            bed.faults.count("Scan")
        );
    }
}
