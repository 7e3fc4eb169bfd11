//! The whole way: attach, guard, configure, and a visitor's session really lives in the table.

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rocket::futures::future::join_all;
use rocket::http::{Cookie, Header, SameSite, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::response::status::NotFound;
use rocket::{Route, State, catch, catchers, get, routes};
use rocket_dynamodb_sessions::{Config, CookieConfig, Error, Session, SessionId, Sessions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Bed, assert_ended, cookie, new_id, ok, seed, sessions, told};
use tokio::sync::Barrier;

const DAY: u64 = 24 * 60 * 60;
const FORTNIGHT: i64 = 14 * 24 * 60 * 60;

#[get("/")]
fn index(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/plain")]
fn plain() -> &'static str {
    "no session"
}

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<Value>("visits")?.unwrap_or_default().to_string())
}

#[get("/set/<key>/<value>")]
fn set(key: &str, value: i64, session: Session) -> Result<(), Error> {
    session.insert(key, value)
}

#[get("/remove/<key>")]
fn remove(key: &str, session: Session) -> String {
    session.remove(key).to_string()
}

#[get("/clear")]
fn clear(session: Session) {
    session.clear();
}

#[get("/login/<name>")]
fn login(name: &str, session: Session) -> Result<String, Error> {
    session.login(name)?;
    Ok(describe(session))
}

#[get("/cycle")]
fn cycle(session: Session) -> Result<String, Error> {
    session.cycle_id()?;
    Ok(describe(session))
}

#[get("/invalidate")]
fn invalidate(session: Session) -> String {
    session.invalidate();
    describe(session)
}

/// All that a handler can see of its session.
#[get("/describe")]
fn describe(session: Session) -> String {
    let seen = json!({
        "id": session.id().map(|id| id.expose()),
        "handle": session.handle().map(|handle| handle.to_string()),
        "status": format!("{:?}", session.status()),
        "principal": session.principal(),
        "keys": session.keys(),
        "empty": session.is_empty(),
        "has_visits": session.contains_key("visits"),
    });
    seen.to_string()
}

/// Reads, waits until all have read, adds one.
#[get("/slow")]
async fn slow(session: Session, all: &State<Arc<Barrier>>) -> Result<(), Error> {
    session.get::<u64>("visits")?;
    all.wait().await;
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(drop)
}

#[get("/slow/<key>")]
async fn slow_insert(key: &str, session: Session, all: &State<Arc<Barrier>>) -> Result<(), Error> {
    all.wait().await;
    session.insert(key, key)
}

#[get("/exists/<table>")]
async fn exists(table: &str, dynamo: &State<Dynamo>) -> String {
    dynamo.describe_table().table_name(table).send().await.is_ok().to_string()
}

#[get("/missing")]
fn missing(session: Session) -> Result<NotFound<()>, Error> {
    session.insert("seen", 1)?;
    Ok(NotFound(()))
}

fn all() -> Vec<Route> {
    routes![index, plain, read, set, remove, clear, login, cycle, invalidate, describe, exists, missing]
}

fn waiting() -> Vec<Route> {
    routes![index, slow, slow_insert]
}

async fn seen(response: LocalResponse<'_>) -> Value {
    ok(&response);
    let text = response.into_string().await.expect("a body");
    serde_json::from_str(&text).expect("JSON")
}

/// One visit, whose session is then in the table.
async fn visited(client: &Client) -> SessionId {
    seed(client, None, &[("visits", 1.into())]).await
}

#[rocket::async_test]
async fn three_visits_count_one_two_three_and_only_the_first_sets_a_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let first = client.get("/").dispatch().await;
    let id = new_id(&first);
    assert_eq!(first.into_string().await.as_deref(), Some("1"));
    for expected in ["2", "3"] {
        let response = support::get(&client, "/", &id).await;
        assert_eq!(told(&response), None);
        assert_eq!(response.into_string().await.as_deref(), Some(expected));
    }
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(row.data()["visits"], 3);
    assert_eq!(row.number("ttl"), Some(bed.now() + FORTNIGHT));
    assert_eq!(bed.faults.calls(), ["PutItem", "GetItem", "UpdateItem", "GetItem", "UpdateItem"]);
}

// What a browser holds.

#[rocket::async_test]
async fn the_cookie_has_the_default_attributes_and_no_others() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let response = client.get("/").dispatch().await;
    let id = new_id(&response).expose();
    let raw = support::set_cookies(&response).remove(0);
    let attributes: BTreeSet<&str> = raw.split("; ").collect();
    let session = format!("session={id}");
    let mut expected = BTreeSet::from([session.as_str(), "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"]);
    if client.rocket().figment().profile() != "debug" {
        expected.insert("Secure");
    }
    assert_eq!(attributes, expected);
}

#[rocket::async_test]
async fn the_cookie_is_secure_outside_the_debug_profile() {
    for (profile, secure) in [("debug", None), ("release", Some(true)), ("staging", Some(true))] {
        let bed = Bed::new();
        let figment = rocket::Config::figment().merge(("log_level", "off")).select(profile);
        let fairing = Sessions::fairing().client(bed.dynamo.clone()).config(bed.config());
        let rocket = rocket::custom(figment).attach(fairing).mount("/", all());
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        let response = client.get("/").dispatch().await;
        assert_eq!(told(&response).and_then(|cookie| cookie.secure()), secure, "{profile}");
    }
}

#[rocket::async_test]
async fn the_configured_cookie_is_the_one_that_is_set_read_and_removed() {
    let bed = Bed::new();
    let shop = CookieConfig {
        name: "shop".into(),
        path: "/set".into(),
        domain: Some("example.com".into()),
        secure: Some(true),
        http_only: false,
        same_site: rocket_dynamodb_sessions::SameSite::Strict,
        ..CookieConfig::default()
    };
    let client = bed.client_with(Config { cookie: shop, ..bed.config() }, all()).await;
    let response = client.get("/set/a/1").dispatch().await;
    let set = told(&response).expect("a cookie");
    assert_eq!(new_id(&response).expose(), set.value());

    let shared = |cookie: &Cookie<'_>| {
        let (name, path, domain) = (cookie.name(), cookie.path(), cookie.domain());
        let text = [Some(name), path, domain].map(|part| part.unwrap_or_default().to_owned());
        (text, cookie.secure(), cookie.http_only(), cookie.same_site())
    };
    let expected = ["shop", "/set", "example.com"].map(str::to_owned);
    assert_eq!(shared(&set), (expected, Some(true), None, Some(SameSite::Strict)));

    let other = client.get("/describe").cookie(Cookie::new("session", set.value().to_owned())).dispatch().await;
    assert_eq!(seen(other).await["status"], "Fresh");
    let cleared = client.get("/clear").cookie(Cookie::new("shop", set.value().to_owned())).dispatch().await;
    let removal = told(&cleared).expect("a removal");
    assert_eq!(shared(&removal), shared(&set));
    assert_eq!((removal.value(), removal.max_age().map(|age| age.whole_seconds())), ("", Some(0)));
    let [ended] = &bed.rows().await[..] else { panic!("one row") };
    assert_ended(ended);
}

#[rocket::async_test]
async fn a_session_cookie_of_the_browser_has_no_max_age() {
    let bed = Bed::new();
    let client = bed.client_with(Config { remember: false, ..bed.config() }, all()).await;
    let response = client.get("/").dispatch().await;
    assert_eq!(told(&response).expect("a cookie").max_age(), None);
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!((row.number("ttl"), row.number("cookie")), (Some(bed.now() + FORTNIGHT), None));
}

#[rocket::async_test]
async fn a_response_that_used_the_session_is_not_for_a_shared_cache() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let headers = |response: &LocalResponse<'_>| {
        ["Vary", "Cache-Control"].map(|name| response.headers().get_one(name).map(str::to_owned))
    };
    let expected = |vary: &str, cache: &str| [Some(vary.to_owned()), Some(cache.to_owned())];
    assert_eq!(headers(&client.get("/").dispatch().await), expected("Cookie", "no-store"));
    assert_eq!(headers(&client.get("/read").dispatch().await), expected("Cookie", "private"));
    assert_eq!(headers(&client.get("/plain").dispatch().await), [None, None]);
}

#[rocket::async_test]
async fn a_session_is_stored_and_told_when_a_catcher_answers() {
    #[catch(404)]
    fn not_found() -> &'static str {
        "caught"
    }

    let bed = Bed::new();
    let client = Client::untracked(bed.rocket(bed.config(), all()).register("/", catchers![not_found])).await;
    let client = client.expect("a valid rocket");
    let response = client.get("/missing").dispatch().await;
    assert_eq!(response.status(), Status::NotFound);
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!(row.data(), json!({"seen": 1}));
}

// What stands in the table.

#[rocket::async_test]
async fn a_row_has_the_hash_of_the_id_utc_times_and_json() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = new_id(&client.get("/set/a/1").dispatch().await);
    let rows = bed.rows().await;
    let [row] = &rows[..] else { panic!("one row: {rows:?}") };

    let bytes = uuid::Uuid::parse_str(&id.expose()).expect("a UUID").into_bytes();
    assert_eq!(row.text("id"), Some(&*URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))));
    let modified = row.text("modified").expect("a text");
    assert_eq!(modified, "2026-01-01T00:00:00.000000Z");
    assert_eq!(modified.parse::<DateTime<Utc>>().expect("RFC 3339"), bed.clock.now());
    assert_eq!(row.text("data"), Some(r#"{"a":1}"#));
    for (name, expected) in [("ttl", FORTNIGHT), ("cookie", FORTNIGHT), ("started", 0)] {
        assert_eq!(row.number(name), Some(bed.now() + expected), "{name}");
    }
    let names: BTreeSet<&str> = row.0.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["id", "modified", "ttl", "data", "cookie", "started", "tokens"]));
    let texts: Vec<String> = row.0.values().map(|value| format!("{value:?}")).collect();
    assert!(texts.iter().all(|text| !text.contains(&id.expose())), "the ID is in the table: {texts:?}");
}

/// Runs itself once more in a process with each time zone.
#[rocket::async_test]
async fn the_system_clock_gives_a_ttl_of_utc_now_plus_the_lifetime_under_any_time_zone() {
    const CHILD: &str = "ROCKET_DYNAMODB_SESSIONS_CHILD";
    if std::env::var_os(CHILD).is_none() {
        for zone in ["Asia/Kathmandu", "America/St_Johns", "XYZ+12", "UTC"] {
            let this = "the_system_clock_gives_a_ttl_of_utc_now_plus_the_lifetime_under_any_time_zone";
            let binary = std::env::current_exe().expect("a path");
            let output = Command::new(binary).args(["--exact", this]).env(CHILD, "1").env("TZ", zone).output();
            let output = output.expect("this binary runs");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{zone}: {text}");
        }
        return;
    }
    let bed = Bed::new();
    let fairing = Sessions::fairing().client(bed.dynamo.clone()).config(bed.config());
    let client = Client::untracked(rocket::build().attach(fairing).mount("/", all())).await.expect("a valid rocket");
    let id = new_id(&client.get("/").dispatch().await);
    let row = bed.row(&client, &id).await.expect("the row is there");
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs());
    let now = now.expect("before the year 292 billion");
    let ttl = row.number("ttl").expect("a number");
    assert!((ttl - now - FORTNIGHT).abs() <= 2, "{ttl} at {now}");
    let modified: DateTime<Utc> = row.text("modified").expect("a text").parse().expect("RFC 3339");
    assert!((modified.timestamp() - now).abs() <= 2, "{modified} at {now}");
}

#[rocket::async_test]
async fn a_key_prefix_parts_the_sessions_of_two_applications_on_one_table() {
    let bed = Bed::new();
    let shop = bed.client_with(Config { key_prefix: "shop/".into(), ..bed.config() }, all()).await;
    let blog = bed.client_with(Config { key_prefix: "blog/".into(), ..bed.config() }, all()).await;
    let id = new_id(&shop.get("/").dispatch().await);
    let row = bed.rows().await.remove(0);
    let key = row.text("id").expect("a key");
    assert!(key.starts_with("shop/") && key.len() == 5 + 43, "{key}");

    assert_eq!(support::get(&blog, "/read", &id).await.into_string().await.as_deref(), Some("null"));
    assert_eq!(support::get(&shop, "/read", &id).await.into_string().await.as_deref(), Some("1"));
    assert_eq!(seen(support::get(&shop, "/describe", &id).await).await["handle"], key);
}

#[rocket::async_test]
async fn attributes_that_are_not_ours_survive_a_change_and_a_rotation() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    let mut row = bed.row(&client, &id).await.expect("the row is there");
    let foreign = [
        ("note", AttributeValue::S("keep me".into())),
        ("weight", AttributeValue::N("1.50".into())),
        ("list", AttributeValue::L(vec![AttributeValue::Null(true), AttributeValue::Bool(true)])),
    ];
    row.0.extend(foreign.clone().map(|(name, value)| (name.to_owned(), value)));
    bed.put(row).await;

    ok(&support::get(&client, "/set/a/1", &id).await);
    let changed = bed.row(&client, &id).await.expect("the row is there");
    let cycled = new_id(&support::get(&client, "/cycle", &id).await);
    let successor = bed.row(&client, &cycled).await.expect("the new row is there");
    for row in [changed, successor] {
        assert_eq!(row.data(), json!({"a": 1, "visits": 1}));
        for (name, value) in &foreign {
            // DynamoDB normalises numbers.
            match value {
                AttributeValue::N(_) => assert_eq!(row.0[*name].as_n().ok().and_then(|n| n.parse().ok()), Some(1.5)),
                value => assert_eq!(&row.0[*name], value),
            }
        }
    }
    let tombstone = bed.row(&client, &id).await.expect("a tombstone");
    assert!(tombstone.is_tombstone() && !tombstone.0.contains_key("note") && !tombstone.0.contains_key("data"));
}

#[rocket::async_test]
async fn a_row_as_the_flask_package_writes_it_is_read_and_changed() {
    for modified in [Some("2025-12-31T23:59:59.123456"), Some("2026-01-01T05:45:00+05:45"), None] {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = SessionId::random();
        let key = sessions(&client).handle_of(&id).to_string();
        let mut row = support::row(&[
            ("id", AttributeValue::S(key)),
            ("ttl", AttributeValue::N((bed.now() + FORTNIGHT).to_string())),
            ("data", AttributeValue::S(r#"{"visits": 41, "_permanent": true}"#.into())),
        ]);
        row.0.extend(modified.map(|text| ("modified".to_owned(), AttributeValue::S(text.into()))));
        bed.put(row).await;

        let response = support::get(&client, "/", &id).await;
        assert_eq!(response.into_string().await.as_deref(), Some("42"), "{modified:?}");
        let row = bed.row(&client, &id).await.expect("the row is there");
        assert_eq!(row.data(), json!({"visits": 42, "_permanent": true}));
        let now: DateTime<Utc> = row.text("modified").expect("a text").parse().expect("RFC 3339");
        assert_eq!(now.timestamp(), bed.now());
        assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
    }
}

// Who gets a row.

#[rocket::async_test]
async fn a_visitor_who_only_reads_leaves_no_row_and_gets_no_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    for path in ["/read", "/describe", "/remove/visits", "/clear", "/cycle", "/invalidate", "/plain"] {
        let response = client.get(path).dispatch().await;
        ok(&response);
        assert_eq!(told(&response), None, "{path}");
    }
    assert_eq!(bed.rows().await, []);
    assert_eq!(bed.faults.calls(), [""; 0]);
}

#[rocket::async_test]
async fn an_invented_id_is_not_adopted() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let invented = SessionId::random();
    let response = support::get(&client, "/read", &invented).await;
    assert_eq!(told(&response), None);
    let response = support::get(&client, "/", &invented).await;
    assert_ne!(new_id(&response), invented);
    assert_eq!(bed.row(&client, &invented).await, None);
    assert_eq!(bed.rows().await.len(), 1);
}

#[rocket::async_test]
async fn clear_ends_the_row_and_removes_the_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, Some("ann"), &[("a", 1.into()), ("b", 2.into())]).await;
    let response = support::get(&client, "/clear", &id).await;
    let removal = told(&response).expect("a removal");
    assert_eq!((removal.value(), removal.path(), removal.domain()), ("", Some("/"), None));
    assert_eq!(removal.max_age().map(|age| age.whole_seconds()), Some(0));
    let [ended] = &bed.rows().await[..] else { panic!("one row") };
    assert_ended(ended);
    // An end is written, so that a lost answer of it is recognised.
    assert_eq!(bed.faults.calls()[1..], ["GetItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_session_whose_last_key_goes_ends_and_loses_its_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, None, &[("a", 1.into()), ("b", 2.into())]).await;
    let response = support::get(&client, "/remove/a", &id).await;
    assert_eq!(told(&response), None);
    assert_eq!(bed.row(&client, &id).await.expect("the row is there").data(), json!({"b": 2}));

    let response = support::get(&client, "/remove/b", &id).await;
    assert_eq!(told(&response).expect("a removal").value(), "");
    assert_eq!(response.into_string().await.as_deref(), Some("true"));
    let [ended] = &bed.rows().await[..] else { panic!("one row") };
    assert_ended(ended);
}

// Parallel requests.

/// One application, or two nodes, on one table, whose slow handlers wait for each other.
async fn nodes(bed: &Bed, count: usize, parties: usize) -> Vec<Client> {
    let all_read = Arc::new(Barrier::new(parties));
    join_all((0..count).map(|_| async {
        let rocket = bed.rocket(bed.config(), waiting()).manage(all_read.clone());
        Client::untracked(rocket).await.expect("a valid rocket")
    }))
    .await
}

#[rocket::async_test]
async fn twenty_parallel_increments_all_count_on_one_node_and_on_two_with_a_clock_that_stands_still() {
    for count in [1, 2] {
        let bed = Bed::new();
        let nodes = nodes(&bed, count, 20).await;
        let id = visited(&nodes[0]).await;
        let modified = bed.row(&nodes[0], &id).await.expect("the row is there").text("modified").map(str::to_owned);
        let responses = join_all((0..20).map(|n| support::get(&nodes[n % count], "/slow", &id))).await;
        for response in responses {
            ok(&response);
            assert_eq!(told(&response), None);
        }
        let row = bed.row(&nodes[0], &id).await.expect("the row is there");
        assert_eq!(row.data(), json!({"visits": 21}), "on {count}");
        // On one node each hands the row on to the next; how many writes of two nodes meet is the network's.
        assert!(count == 1 || bed.faults.failed() > 0, "they met each other: {}", bed.faults.failed());
        assert!(row.text("modified") > modified.as_deref(), "the version grows though the clock stands still");
        assert_eq!(bed.rows().await.len(), 1);
    }
}

#[rocket::async_test]
async fn twenty_parallel_increments_all_count_by_the_system_clock() {
    let bed = Bed::new();
    let all_read = Arc::new(Barrier::new(20));
    let node = || async {
        let figment = rocket::Config::figment().merge(("log_level", "off"));
        let fairing = Sessions::fairing().client(bed.dynamo.clone()).config(bed.config());
        let rocket = rocket::custom(figment).attach(fairing).mount("/", waiting()).manage(all_read.clone());
        Client::untracked(rocket).await.expect("a valid rocket")
    };
    let nodes = [node().await, node().await];
    let id = new_id(&nodes[0].get("/").dispatch().await);
    let responses = join_all((0..20).map(|n| support::get(&nodes[n % 2], "/slow", &id))).await;
    responses.iter().for_each(ok);
    assert_eq!(bed.row(&nodes[0], &id).await.expect("the row is there").data(), json!({"visits": 21}));
    let stats = nodes.each_ref().map(|node| sessions(node).stats());
    assert_eq!(stats.map(|stats| stats.dropped), [0, 0]);
    assert!(stats[0].conflicts + stats[1].conflicts > 0, "they met each other: {stats:?}");
}

#[rocket::async_test]
async fn twenty_parallel_inserts_of_different_keys_all_survive_on_one_node_and_on_two() {
    for count in [1, 2] {
        let bed = Bed::new();
        let nodes = nodes(&bed, count, 20).await;
        let id = visited(&nodes[0]).await;
        let keys: Vec<String> = (0..20).map(|n| format!("key-{n}")).collect();
        let responses = join_all(keys.iter().enumerate().map(|(n, key)| {
            let node = &nodes[n % count];
            async move { node.get(format!("/slow/{key}")).cookie(cookie(&id)).dispatch().await }
        }))
        .await;
        responses.iter().for_each(ok);
        let mut expected: Value = keys.iter().map(|key| (key.clone(), json!(key))).collect();
        expected["visits"] = json!(1);
        assert_eq!(bed.row(&nodes[0], &id).await.expect("the row is there").data(), expected, "on {count}");
    }
}

// Requests to the table.

#[rocket::async_test]
async fn each_request_asks_the_table_no_more_than_it_must() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    let stored = id.expose();
    let upper = stored.to_uppercase();
    let read = &["GetItem"][..];
    let cases: [(&str, Option<&str>, &[&str]); 11] = [
        ("/plain", Some(&stored), &[]),
        ("/read", None, &[]),
        ("/read", Some("malformed"), &[]),
        ("/read", Some(&upper), &[]),
        ("/read", Some(&stored), read),
        ("/remove/absent", Some(&stored), read),
        ("/set/visits/1", Some(&stored), read),
        ("/set/visits/2", Some(&stored), &["GetItem", "UpdateItem"]),
        ("/", None, &["PutItem"]),
        ("/login/ann", None, &["PutItem"]),
        ("/login/ann", Some(&stored), &["GetItem", "TransactWriteItems"]),
    ];
    for (path, id, expected) in cases {
        bed.faults.reset_counts();
        let request = client.get(path);
        let request = match id {
            Some(id) => request.cookie(Cookie::new("session", id.to_owned())),
            None => request,
        };
        ok(&request.dispatch().await);
        assert_eq!(bed.faults.calls(), expected, "{path} with {id:?}");
    }
}

#[rocket::async_test]
async fn an_equal_value_is_no_change() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    let before = bed.row(&client, &id).await;
    let response = support::get(&client, "/set/visits/1", &id).await;
    ok(&response);
    assert_eq!(told(&response), None);
    assert_eq!(bed.row(&client, &id).await, before);
}

// The ID in a header.

fn with_header(bed: &Bed, header: Value) -> Config {
    let read: Config = serde_json::from_value(json!({ "header": header })).expect("a configuration");
    Config { header: read.header, ..bed.config() }
}

#[rocket::async_test]
async fn the_id_travels_in_the_configured_header_and_no_cookie_is_sent_or_read() {
    for (header, name) in [(json!(true), "X-SessionId"), (json!("X-Shop"), "X-Shop")] {
        let bed = Bed::new();
        let client = bed.client_with(with_header(&bed, header), all()).await;
        let get = |path: &'static str, id: &SessionId| client.get(path).header(Header::new(name, id.expose()));
        let sent = |response: &LocalResponse<'_>| {
            assert_eq!(told(response), None);
            assert_eq!(response.headers().get_one("Vary"), Some(name));
            response.headers().get(name).map(str::to_owned).collect::<Vec<_>>()
        };
        let first = client.get("/").dispatch().await;
        let [id] = &sent(&first)[..] else { panic!("one header") };
        let id = Sessions::parse_id(id).expect("an ID");
        assert_eq!(bed.row(&client, &id).await.expect("the row is there").data(), json!({"visits": 1}));

        let second = get("/", &id).dispatch().await;
        assert_eq!(sent(&second), [""; 0], "the client knows it");
        assert_eq!(second.into_string().await.as_deref(), Some("2"));

        bed.faults.reset_counts();
        let by_cookie = client.get("/read").cookie(cookie(&id)).dispatch().await;
        assert_eq!(sent(&by_cookie), [""; 0]);
        assert_eq!(by_cookie.into_string().await.as_deref(), Some("null"));
        assert_eq!(bed.faults.calls(), [""; 0]);

        bed.advance(7 * DAY);
        assert_eq!(sent(&get("/read", &id).dispatch().await), [""; 0], "a header has no lifetime to refresh");
        let row = bed.row(&client, &id).await.expect("the row is there");
        assert_eq!(row.number("ttl"), Some(bed.now() + FORTNIGHT), "the row has");

        let login = get("/login/ann", &id).dispatch().await;
        let [changed] = &sent(&login)[..] else { panic!("one header") };
        let changed = Sessions::parse_id(changed).expect("an ID");
        assert_ne!(changed, id);
        assert_eq!(sent(&get("/clear", &changed).dispatch().await), [""], "empty: the session has ended");
        assert_ended(&bed.row(&client, &changed).await.expect("the tombstone"));
    }
}

#[rocket::async_test]
async fn without_the_header_configured_it_is_not_read() {
    let bed = Bed::new();
    let client = bed.client_with(with_header(&bed, json!(false)), all()).await;
    let id = visited(&client).await;
    let response = client.get("/read").header(Header::new("X-SessionId", id.expose())).dispatch().await;
    assert_eq!(response.into_string().await.as_deref(), Some("null"));
}

// What a handler sees.

#[rocket::async_test]
async fn a_handler_sees_id_handle_principal_and_keys() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let nothing = seen(client.get("/describe").dispatch().await).await;
    let expected = json!({
        "id": null, "handle": null, "status": "Fresh", "principal": null, "keys": [], "empty": true, "has_visits": false
    });
    assert_eq!(nothing, expected);

    let id = seed(&client, Some("ann"), &[("visits", 1.into()), ("a", 2.into())]).await;
    let key = bed.row(&client, &id).await.and_then(|row| row.text("id").map(str::to_owned));
    let expected = json!({
        "id": id.expose(), "handle": key, "status": "Live", "principal": "ann", "keys": ["a", "visits"],
        "empty": false, "has_visits": true
    });
    assert_eq!(seen(support::get(&client, "/describe", &id).await).await, expected);
}

#[rocket::async_test]
async fn a_login_gives_a_new_id_and_the_old_one_opens_nothing() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    bed.advance(60);
    let response = support::get(&client, "/login/ann", &id).await;
    let new = new_id(&response);
    assert_ne!(new, id);
    let inside = seen(response).await;
    assert_eq!((&inside["id"], &inside["principal"]), (&json!(new.expose()), &json!("ann")));

    let row = bed.row(&client, &new).await.expect("the new row is there");
    assert_eq!(inside["handle"], row.text("id").expect("a key"));
    assert_eq!((row.text("principal"), row.data()), (Some("ann"), json!({"visits": 1})));
    assert_eq!((row.number("ttl"), row.number("started")), (Some(bed.now() + FORTNIGHT), Some(bed.now())));
    let tombstone = bed.row(&client, &id).await.expect("the tombstone is there");
    assert!(tombstone.is_tombstone());
    assert_eq!(tombstone.number("ttl"), Some(bed.now() + 300));

    let late = support::get(&client, "/describe", &id).await;
    assert_eq!(told(&late), None);
    let late = seen(late).await;
    assert_eq!((&late["status"], &late["keys"], &late["principal"]), (&json!("Superseded"), &json!([]), &json!(null)));
    let late = support::get(&client, "/set/a/1", &id).await;
    ok(&late);
    assert_eq!(told(&late), None);
    assert_eq!(bed.row(&client, &new).await, Some(row));
    assert_eq!(sessions(&client).stats().dropped, 1);
}

#[rocket::async_test]
async fn a_cycle_gives_a_new_id_and_late_requests_with_the_old_one_go_on_without_a_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    let response = support::get(&client, "/cycle", &id).await;
    let new = new_id(&response);
    assert_ne!(new, id);
    assert_eq!(seen(response).await["id"], new.expose());

    let late = support::get(&client, "/", &id).await;
    assert_eq!(told(&late), None);
    assert_eq!(late.into_string().await.as_deref(), Some("2"));
    assert_eq!(bed.row(&client, &new).await.expect("the new row is there").data(), json!({"visits": 2}));
    assert_eq!(bed.rows().await.len(), 2, "the row and the tombstone");
}

#[rocket::async_test]
async fn invalidate_ends_the_row_and_the_old_id_opens_nothing() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, Some("ann"), &[("visits", 1.into())]).await;
    let response = support::get(&client, "/invalidate", &id).await;
    assert_eq!(told(&response).expect("a removal").value(), "");
    let inside = seen(response).await;
    assert_eq!((&inside["id"], &inside["handle"], &inside["empty"]), (&json!(null), &json!(null), &json!(true)));
    let [ended] = &bed.rows().await[..] else { panic!("one row") };
    assert_ended(ended);
    assert_eq!(seen(support::get(&client, "/describe", &id).await).await["status"], "Unknown");
}

// The client in managed state.

async fn body(client: &Client, path: String) -> String {
    client.get(path).dispatch().await.into_string().await.expect("a body")
}

#[rocket::async_test]
async fn a_route_takes_the_client_for_tables_of_its_own() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    assert_eq!(body(&client, format!("/exists/{}", bed.table)).await, "true");
    assert_eq!(body(&client, "/exists/other".into()).await, "false");
    assert_eq!(bed.faults.calls(), ["DescribeTable"; 2], "the route's client is the sessions' own");
}

#[rocket::async_test]
async fn an_application_that_manages_a_client_already_keeps_its_own() {
    let bed = Bed::new();
    let own = rocket_dynamodb_sessions::testing::Database::new().client();
    let before = bed.rocket(bed.config(), all()).manage(own.clone());
    let fairing = Sessions::fairing().client(bed.dynamo.clone()).config(bed.config());
    let after = rocket::custom(rocket::Config::figment().merge(("log_level", "off"))).manage(own);
    for rocket in [before, after.attach(fairing).mount("/", all())] {
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        assert_eq!(body(&client, format!("/exists/{}", bed.table)).await, "false");
        let id = new_id(&client.get("/").dispatch().await);
        assert!(bed.row(&client, &id).await.is_some(), "the sessions keep theirs");
    }
}

#[rocket::async_test]
async fn each_request_is_billed_no_more_than_it_must() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = visited(&client).await;
    // Units of DynamoDB: a read of up to 4 KB, a write of up to 1 KB; a transaction's writes count twice.
    for (path, read, write) in [("/plain", 0.0, 0.0), ("/read", 1.0, 0.0), ("/", 1.0, 1.0), ("/login/ann", 1.0, 4.0)] {
        bed.faults.reset_counts();
        ok(&support::get(&client, path, &id).await);
        let capacity = bed.faults.capacity();
        assert_eq!((capacity.read, capacity.write), (read, write), "{path}");
    }
}
