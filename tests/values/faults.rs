//! What the first edition stored as something else than was given, with its neighbours.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rocket::http::Status;
use rocket_dynamodb_sessions::{Codec, Session};
use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::any::{Any, Bytes, most_levels, wrapped};
use crate::support::work::{CODECS, Office, chain};
use crate::support::{Jar, logs};

/// Inserts a value in one request, beside another; it is there in the next, or was refused for this reason.
async fn insert<T>(codec: Codec, value: T) -> Result<T, String>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let (office, jar) = (Office::new(codec).await, Jar::default());
    let taken = office.run(&jar, move |session| {
        session.insert("beside", "kept").expect("a text");
        session.insert("value", &value).map_err(|e| chain(&e))
    });
    let taken = taken.await;
    let read = office.run(&jar, |session| {
        assert_eq!(session.get::<String>("beside").expect("a text").as_deref(), Some("kept"));
        session.get::<T>("value").map_err(|e| chain(&e))
    });
    let read = read.await;
    match taken {
        Ok(()) => Ok(read.expect("what was taken can be read").expect("what was taken is there")),
        Err(told) => {
            assert!(matches!(read, Ok(None)), "what was refused is not there");
            let reason = told.strip_prefix("the value of `value` cannot be written or read: ");
            Err(reason.expect("the key is named").to_owned())
        }
    }
}

async fn comes_back<T>(value: T)
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + 'static,
{
    for codec in CODECS {
        comes_back_in(codec, value.clone()).await;
    }
}

#[track_caller]
fn comes_back_in<T>(codec: Codec, value: T) -> impl Future<Output = ()>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + 'static,
{
    let caller = std::panic::Location::caller();
    async move { assert_eq!(insert(codec, value.clone()).await, Ok(value), "{codec}, at {caller}") }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Statistics {
    mean: f64,
    samples: Vec<f64>,
}

fn no_number(codec: Codec) -> Result<(), String> {
    match codec {
        Codec::Cbor => Ok(()),
        codec => {
            Err(format!("the codec `{codec}` has no NaN and no infinity; take `codec = \"cbor\"`, or an `Option`"))
        }
    }
}

#[tokio::test]
async fn nan_and_infinity_are_kept_or_refused_wherever_they_stand() {
    for codec in CODECS {
        let expected = no_number(codec);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let same = |read: f64| assert!(read == number || read.is_nan() && number.is_nan());
            assert_eq!(insert(codec, number).await.map(same), expected);
            assert_eq!(insert(codec, number as f32).await.map(|read| same(read.into())), expected);
            assert_eq!(insert(codec, Some(number)).await.map(|read| same(read.expect("some"))), expected);
            assert_eq!(insert(codec, (1, number)).await.map(|(_, read)| same(read)), expected);
            let map = HashMap::from([("k".to_owned(), number)]);
            assert_eq!(insert(codec, map).await.map(|read| same(read["k"])), expected);
            let nested = Statistics { mean: 1.0, samples: vec![0.5, number] };
            assert_eq!(insert(codec, nested).await.map(|read| same(read.samples[1])), expected);
            let value = Any::Newtype(crate::any::Newtype(Box::new(Any::F64(crate::any::Double(number)))));
            assert_eq!(insert(codec, value.clone()).await.map(|read| assert_eq!(read, value)), expected);
        }
    }
}

#[tokio::test]
async fn a_function_that_answers_nan_is_refused_and_changes_nothing() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office.run(&jar, |session| session.insert("mean", 2.0).expect("a number")).await;
        let told = office.ask(&jar, |session: Session| async move {
            let told = |told: Result<f64, _>| told.map_err(|e| chain(&e)).map(drop);
            let update = session.update("mean", |mean: Option<f64>| mean.unwrap_or(0.0) / 0.0 * 0.0);
            let modify = session.modify("mean", |mean: &mut f64| std::mem::replace(mean, f64::NAN));
            let now = session.modify_now("mean", |mean: &mut f64| std::mem::replace(mean, f64::NAN)).await;
            [told(update), told(modify), told(now)]
        });
        let (status, told) = told.await;
        assert_eq!(status, Status::Ok);
        let expected =
            no_number(codec).map_err(|text| format!("the value of `mean` cannot be written or read: {text}"));
        assert_eq!(told.expect("the handler has run"), [expected.clone(), expected.clone(), expected.clone()]);
        let mean =
            office.run(&jar, |session| session.get::<f64>("mean").expect("a number").expect("it is there")).await;
        assert!(if expected.is_ok() { mean.is_nan() } else { mean == 2.0 }, "{codec}: {mean}");
    }
}

#[tokio::test]
async fn five_thousand_random_numbers_are_kept_to_the_last_bit() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut draw = |from: i32, to: i32| -> f64 {
        let (sign, mantissa) = (if random.bool() { 1.0 } else { -1.0 }, random.f64() + 1.0);
        sign * mantissa * 10_f64.powi(random.i32(from..to))
    };
    // Within DynamoDB's range; those beyond it the other codecs keep.
    let common: Vec<f64> = (0..5_000).map(|_| draw(-100, 100)).chain([31.245_270_191_439_438]).collect();
    let wide: Vec<f64> = (0..1_000).map(|_| draw(-300, 300)).collect();
    let mut random = fastrand::Rng::with_seed(8);
    let singles: Vec<f32> =
        std::iter::repeat_with(|| f32::from_bits(random.u32(..))).filter(|n| n.is_finite()).take(5_000).collect();
    comes_back(common.clone()).await;
    comes_back(singles).await;
    comes_back_in(Codec::Json, wide.clone()).await;
    comes_back_in(Codec::Cbor, wide).await;
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        for calls in [vec!["PutItem"], vec!["GetItem"]] {
            office.bed.faults.reset_counts();
            let numbers = common.clone();
            office.run(&jar, move |session| session.insert("numbers", &numbers).expect("numbers")).await;
            assert_eq!(office.bed.faults.calls(), calls, "{codec}: an equal value is no change");
        }
    }
}

#[tokio::test]
async fn a_zero_keeps_its_sign_where_the_codec_has_one() {
    for codec in CODECS {
        let zero: f64 = insert(codec, -0.0).await.expect("a number");
        assert_eq!((zero, zero.is_sign_negative()), (0.0, codec != Codec::Native));
        // DynamoDB answers another text than it was given.
        let (office, jar) = (Office::new(codec).await, Jar::default());
        for calls in [vec!["PutItem"], vec!["GetItem"]] {
            office.bed.faults.reset_counts();
            office.run(&jar, |session| session.insert("zeros", (-0.0, -0.0_f32, 1e100, 5.0)).expect("numbers")).await;
            assert_eq!(office.bed.faults.calls(), calls, "{codec}");
        }
    }
}

#[tokio::test]
async fn keys_are_in_alphabetical_order_in_the_session_and_in_the_row_whatever_the_order_of_inserts() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        let keys = ["m", "z", "ä", "B", "a", "aa", "\u{1f600}", "10", "9", " "];
        office.run(&jar, move |session| keys.map(|key| session.insert(key, key).expect("a text"))).await;
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        assert_eq!(office.run(&jar, Session::keys).await, sorted);
        if codec == Codec::Json {
            let pairs: Vec<String> = sorted.iter().map(|key| format!("\"{key}\":\"{key}\"")).collect();
            assert_eq!(office.row(&jar).await.text("data"), Some(&*format!("{{{}}}", pairs.join(","))));
        }
    }
}

#[tokio::test]
async fn a_value_keeps_its_own_order_where_it_is_kept_as_text_or_bytes() {
    // A struct's fields, and a JSON text's, are not sorted.
    #[derive(Serialize)]
    struct Fields {
        z: u8,
        a: u8,
    }
    let (office, jar) = (Office::new(Codec::Json).await, Jar::default());
    office.run(&jar, |session| session.insert("v", Fields { z: 1, a: 2 }).expect("a struct")).await;
    assert_eq!(office.row(&jar).await.text("data"), Some(r#"{"v":{"z":1,"a":2}}"#));
}

#[tokio::test]
async fn integers_of_all_widths_are_kept_or_refused() {
    comes_back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, u8::MAX, u16::MAX, u32::MAX, u64::MAX)).await;
    comes_back((i64::MAX, 10_000_000_000_000_000_000_u64, 9_007_199_254_740_993_i64, usize::MAX, isize::MIN)).await;
    for codec in [Codec::Json, Codec::Cbor] {
        comes_back_in(codec, (u128::MAX, i128::MAX, i128::MIN, -1_i128, u128::from(u64::MAX) + 1)).await;
    }
    let none = "the codec `native` has no integers of 128 bits; store a text instead, or take another codec";
    assert_eq!(insert(Codec::Native, u128::MAX).await, Err(none.into()));
    assert_eq!(insert(Codec::Native, vec![Some(1_i128)]).await, Err(none.into()));
    comes_back(BTreeMap::from([(1_u128, 1), (u128::MAX, 2)])).await;
}

#[tokio::test]
async fn maps_with_keys_that_are_no_texts_are_kept_or_refused() {
    fn refused(codec: Codec) -> String {
        format!("the codec `{codec}` has no maps with such keys; take `codec = \"cbor\"`, or a list of pairs")
    }
    comes_back(BTreeMap::from([(-1, 'a'), (2, 'b')])).await;
    comes_back(BTreeMap::from([(true, 1)])).await;
    comes_back(BTreeMap::from([('ä', 1)])).await;
    comes_back(BTreeMap::<(u8, u8), u8>::new()).await;
    let tuples = BTreeMap::from([((1, 2), "x".to_owned())]);
    let lists = BTreeMap::from([(vec![1_u8], 1)]);
    let options = BTreeMap::from([(None, 1), (Some(1), 2)]);
    let units = BTreeMap::from([((), 1)]);
    let maps = BTreeMap::from([(BTreeMap::from([(1, 2)]), 3)]);
    comes_back_in(Codec::Cbor, (tuples.clone(), lists.clone(), options.clone(), units.clone(), maps.clone())).await;
    for codec in [Codec::Json, Codec::Native] {
        assert_eq!(insert(codec, tuples.clone()).await, Err(refused(codec)));
        assert_eq!(insert(codec, vec![lists.clone()]).await, Err(refused(codec)));
        assert_eq!(insert(codec, options.clone()).await, Err(refused(codec)));
        assert_eq!(insert(codec, units.clone()).await, Err(refused(codec)));
        assert_eq!(insert(codec, maps.clone()).await, Err(refused(codec)));
    }
    // serde_dynamo panics at bytes for a key.
    struct ByBytes;
    impl Serialize for ByBytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry(&Bytes(vec![1]), &1)?;
            map.end()
        }
    }
    for codec in [Codec::Json, Codec::Native] {
        assert_eq!(refusal(codec, ByBytes).await, refused(codec));
    }
}

/// Why a value is refused.
async fn refusal(codec: Codec, value: impl Serialize + Send + 'static) -> String {
    let (office, jar) = (Office::new(codec).await, Jar::default());
    let told = office.run(&jar, move |session| session.insert("value", &value).map_err(|e| chain(&e)));
    let told = told.await.expect_err("it is refused");
    assert_eq!((jar.id(), office.bed.rows().await), (None, vec![]), "nothing is stored");
    told.strip_prefix("the value of `value` cannot be written or read: ").expect("the key is named").to_owned()
}

#[tokio::test]
async fn none_is_a_value_and_some_none_is_none() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office.run(&jar, |session| session.insert("ref", None::<String>).expect("none")).await;
        let read = office.run(&jar, |session| {
            assert!(session.contains_key("ref"));
            assert_eq!(session.get::<Option<String>>("ref").expect("an option"), Some(None));
            session.get::<String>("ref").map_err(|e| chain(&e))
        });
        let told = read.await.expect_err("no text is there");
        assert!(told.starts_with("the value of `ref` cannot be written or read: what is stored "), "{told}");
        assert_eq!(insert(codec, Some(None::<u8>)).await, Ok(None), "{codec}: as the docs say");
        assert_eq!(insert(codec, Some(())).await, Ok(None), "{codec}: as the docs say");
        assert_eq!(insert(codec, Some(Some(1))).await, Ok(Some(Some(1))));
    }
}

#[tokio::test]
async fn a_type_that_refuses_to_be_written_is_refused_for_that() {
    struct Refuses(&'static str);
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom(self.0))
        }
    }
    for codec in CODECS {
        // Its own text may hold a value; and it is no error of the codec's, whatever it says.
        for text in ["hunter2", "key must be a string", "float key must be finite", "recursion limit exceeded"] {
            assert_eq!(refusal(codec, Refuses(text)).await, "the type refused to be written");
            assert_eq!(refusal(codec, vec![Refuses(text)]).await, "the type refused to be written");
        }
    }
}

/// Says that it has so many parts, and has others.
struct Miscounts {
    said: usize,
    are: usize,
    shape: u8,
}

impl Serialize for Miscounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shape {
            0 => {
                let mut parts = serializer.serialize_seq(Some(self.said))?;
                (0..self.are).try_for_each(|_| parts.serialize_element(&7))?;
                parts.end()
            }
            1 => {
                let mut parts = serializer.serialize_map(Some(self.said))?;
                (0..self.are).try_for_each(|n| parts.serialize_entry(&n, &7))?;
                parts.end()
            }
            _ => {
                let mut parts = serializer.serialize_struct("Fields", self.said)?;
                ["a", "b", "c"].iter().take(self.are).try_for_each(|name| parts.serialize_field(name, &7))?;
                parts.end()
            }
        }
    }
}

#[tokio::test]
async fn a_type_that_miscounts_its_parts_breaks_no_row() {
    for codec in CODECS {
        for (shape, said, are) in
            [(0, 0, 2), (0, 1, 2), (0, 3, 2), (1, 0, 2), (1, 3, 1), (1, 1, 3), (2, 0, 2), (2, 3, 1)]
        {
            let (office, jar) = (Office::new(codec).await, Jar::default());
            let taken = office.run(&jar, move |session| {
                session.insert("a", 1).expect("a number");
                session.insert("m", Miscounts { said, are, shape }).is_ok()
            });
            let taken = taken.await;
            let read =
                office.run(&jar, |session| (session.get::<u8>("a").expect("a number"), session.contains_key("m")));
            assert_eq!(read.await, (Some(1), taken), "{codec} {shape} {said} {are}");
            // CBOR says in front how many there are, and JSON closes an empty list at once.
            assert_eq!(taken, codec != Codec::Cbor && said > 0, "{codec} {shape} {said} {are}");
        }
    }
}

#[tokio::test]
async fn every_level_that_is_taken_can_be_read_and_one_more_is_refused() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Node(Vec<Node>);
    for codec in CODECS {
        let most = most_levels(codec);
        let node = |levels: usize| (1..levels).fold(Node(vec![]), |node, _| Node(vec![node]));
        comes_back_in(codec, node(most)).await;
        let told = format!("the codec `{codec}` reads back at most {most} levels");
        assert_eq!(insert(codec, node(most + 1)).await, Err(told.clone()));
        assert_eq!(insert(codec, node(2 * most)).await, Err(told.clone()));
        for way in 0..5 {
            comes_back_in(codec, wrapped(Any::Plain, most / 2, &[way])).await;
        }
        let bytes = |levels: usize| (0..levels).fold(json!(null), |value, _| json!([value]));
        comes_back_in(codec, bytes(most)).await;
        assert_eq!(insert(codec, bytes(most + 1)).await, Err(told));
    }
}

/// A value without an end: a list of itself, or itself in an option, in a newtype, under a key, or as a key.
struct Endless(u8);

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.collect_seq([Endless(0)]),
            1 => serializer.serialize_some(&Endless(1)),
            2 => serializer.serialize_newtype_struct("Endless", &Endless(2)),
            3 => serializer.collect_map([("k", Endless(3))]),
            4 => serializer.serialize_newtype_variant("Endless", 0, "Endless", &Endless(4)),
            // A key of options, which not all codecs have.
            _ => serializer.collect_map([(Endless(2), 1)]),
        }
    }
}

#[tokio::test]
async fn a_value_without_an_end_is_refused_before_the_stack_is_at_its_own() {
    for codec in CODECS {
        for shape in 0..6 {
            let told = refusal(codec, Endless(shape)).await;
            assert_eq!(
                told,
                format!("the codec `{codec}` reads back at most {} levels", most_levels(codec)),
                "{shape}"
            );
        }
    }
}

#[tokio::test]
async fn bytes_chars_and_texts_of_all_kinds_are_kept() {
    comes_back(Bytes(vec![])).await;
    comes_back(Bytes((0..=255).collect())).await;
    comes_back(Bytes(vec![7; 20_000])).await;
    comes_back(vec!['\0', 'ä', '\u{10ffff}', '"', '\\']).await;
    for text in ["", "\0", "\u{2028}\u{feff}\u{fffd}", "null", "\"\\/\u{8}\u{c}\n\r\t", "e\u{301}é", "👩‍👩‍👧"]
    {
        comes_back(text.to_owned()).await;
        comes_back(BTreeMap::from([(format!("k{text}"), text.to_owned())])).await;
    }
}

#[tokio::test]
async fn a_long_text_is_read_by_a_type_that_wants_it_in_one_piece() {
    /// As the types of many crates are: a URL, a time, a decimal number.
    #[derive(Clone, Debug, PartialEq)]
    struct Parsed(String);
    impl Serialize for Parsed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }
    impl<'de> Deserialize<'de> for Parsed {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Parsed;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a text")
                }

                fn visit_str<E>(self, text: &str) -> Result<Parsed, E> {
                    Ok(Parsed(text.to_owned()))
                }
            }
            deserializer.deserialize_str(Visitor)
        }
    }
    for length in [0, 255, 256, 257, 4_096, 4_097, 100_000] {
        comes_back(Parsed("x".repeat(length))).await;
        comes_back(vec![Parsed("ä".repeat(length / 2)); 2]).await;
    }
}

#[tokio::test]
async fn keys_of_all_kinds_are_kept_or_refused() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        let long = "k".repeat(5_000);
        let keys = [" ", "ä\u{301}", "\u{1f600}", "\"", "\\", "a\nb", "\0", "$", "#n", ":v", "a.b[0]", &*long]
            .map(str::to_owned);
        let given = keys.clone();
        office.run(&jar, move |session| given.each_ref().map(|key| session.insert(key, key).expect("a text"))).await;
        let read = office.run(&jar, move |session| {
            keys.each_ref().map(|key| session.get(key).expect("a text").as_ref() == Some(key))
        });
        assert_eq!(read.await, [true; 12]);

        let empty = office.run(&jar, |session| session.insert("", 1).map_err(|e| chain(&e))).await;
        let read = office.run(&jar, |session| session.get::<u8>("").expect("a number")).await;
        if codec == Codec::Native {
            let told = "the codec `native` has no empty names, and none of more than 65535 bytes; take another name";
            assert_eq!((empty, read), (Err(format!("the value of `` cannot be written or read: {told}")), None));
            let told = office.run(&jar, |session| session.modify("", |n: &mut u8| *n += 1).map_err(|e| chain(&e)));
            assert!(told.await.is_err());
            let names = BTreeMap::from([("n".repeat(65_536), 1)]);
            assert_eq!(insert(codec, names).await, Err(told_of_names()));
        } else {
            assert_eq!((empty, read), (Ok(()), Some(1)));
        }
    }
}

fn told_of_names() -> String {
    "the codec `native` has no empty names, and none of more than 65535 bytes; take another name".into()
}

#[tokio::test]
async fn sets_of_dynamodb_are_kept_or_refused() {
    #[derive(Serialize)]
    struct Tags(#[serde(with = "serde_dynamo::string_set")] Vec<String>);
    let (office, jar) = (Office::new(Codec::Native).await, Jar::default());
    let tags = |tags: &[&str]| Tags(tags.iter().map(|tag| (*tag).to_owned()).collect());
    office.run(&jar, move |session| session.insert("tags", tags(&["a", "b"])).expect("a set")).await;
    let read = office.run(&jar, |session| session.get::<Vec<String>>("tags").expect("a list")).await;
    assert_eq!(read, Some(vec!["a".to_owned(), "b".to_owned()]));
    for wrong in [&["a", "a"][..], &[]] {
        let told = refusal(Codec::Native, tags(wrong)).await;
        assert_eq!(told, "the codec `native` has no set that is empty or holds something twice");
    }
}

#[tokio::test]
async fn types_of_the_standard_library_and_of_other_crates_are_kept() {
    comes_back(Duration::new(7, 999_999_999)).await;
    comes_back(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789)).await;
    comes_back(["192.0.2.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().expect("an address"))).await;
    comes_back((Ok::<u8, String>(1), Err::<u8, String>("no".into()), 1..5, std::cmp::Reverse(3))).await;
    comes_back(
        json!({"a": [1, -2, 0.5, "x", null, true, {"": {}}], "big": u64::MAX})
            .as_object()
            .map(|map| map["a"].as_array().map(|list| list[..6].to_vec())),
    )
    .await;
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_type_is_an_error_of_its_key_alone_and_says_nothing_of_it() {
    logs::set();
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office
            .run(&jar, |session| {
                session.insert("name", "hunter2, expected hunter2").expect("a text");
                session.insert("n", 5).expect("a number");
            })
            .await;
        let told = office.run(&jar, |session| {
            assert_eq!(session.get::<u8>("n").expect("a number"), Some(5));
            let told = |told: Result<(), rocket_dynamodb_sessions::Error>| {
                let error = told.expect_err("no number");
                assert_eq!(error.status(), 500);
                format!("{} {error:?}", chain(&error))
            };
            [
                told(session.get::<u64>("name").map(drop)),
                told(session.get::<Vec<u8>>("name").map(drop)),
                told(session.get::<Statistics>("name").map(drop)),
                told(session.update("name", |n: Option<u64>| n.unwrap_or(0)).map(drop)),
                told(session.modify("name", |n: &mut u64| *n += 1)),
                told(session.get::<String>("n").map(drop)),
            ]
        });
        for told in told.await {
            assert!(!told.contains("hunter2") && told.contains("cannot be written or read: what is stored "), "{told}");
        }
        assert_eq!(office.run(&jar, |session| session.get::<u8>("n").expect("a number")).await, Some(5));
    }
    assert!(logs::all().iter().all(|line| !line.text.contains("hunter2")));
}
