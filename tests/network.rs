//! The network between the application and DynamoDB, over HTTP for real: connections that die without a word, what is
//! repeated and how often, and what an outage may cost.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use futures::future::join_all;
use rocket::error::ErrorKind;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, Session, Sessions, Verify};
use support::proxy::{Proxy, emulator, fake};
use support::{Bed, bare_rocket, endpoint, get, ok, seed};

#[get("/bump")]
fn bump(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<u64>("n")?.unwrap_or(0).to_string())
}

#[get("/login")]
fn login(session: Session) -> Result<(), Error> {
    session.login("ann")
}

/// An application whose store is behind a proxy.
async fn behind(proxy: &Proxy, config: Config) -> Client {
    let config = Config { endpoint: Some(proxy.url().parse().expect("a URL")), create_table: true, ..config };
    let rocket = bare_rocket().attach(Sessions::fairing().config(config)).mount("/", routes![bump, read, login]);
    Client::untracked(rocket).await.expect("a valid rocket")
}

/// Sends so many requests at once, and tells their statuses and the longest time that one of them took.
async fn at_once(client: &Client, path: &str, count: usize) -> (Vec<u16>, Duration) {
    let requests = (0..count).map(|_| async {
        let start = Instant::now();
        let response = client.get(path.to_owned()).dispatch().await;
        (response.status().code, start.elapsed())
    });
    let answers = join_all(requests).await;
    (answers.iter().map(|(code, _)| *code).collect(), answers.iter().map(|(_, took)| *took).max().unwrap_or_default())
}

#[rocket::async_test]
async fn the_second_attempt_gets_through_when_the_network_has_forgotten_all_pooled_connections() {
    let proxy = Proxy::start(emulator().await).await;
    let client = behind(&proxy, Config { attempt_timeout: Duration::from_millis(500), ..Config::default() }).await;
    let (statuses, _) = at_once(&client, "/bump", 39).await;
    assert_eq!(statuses, [200; 39]);
    let pooled = proxy.seen().connections - proxy.seen().closed;
    proxy.reset();
    proxy.freeze();

    let (statuses, longest) = at_once(&client, "/bump", 6).await;
    let first = proxy.seen();
    println!("frozen: {pooled} connections; 6 at once: {statuses:?}, longest {longest:?}, {} new", first.connections);
    assert_eq!(statuses, [200; 6]);
    assert!(longest < Duration::from_millis(1400), "one attempt is lost, not two: {longest:?}");

    // Nobody else pays for what these have found out.
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let (statuses, took) = at_once(&client, "/bump", 1).await;
        assert_eq!(statuses, [200]);
        longest = longest.max(took);
    }
    println!("20 after that: longest {longest:?}, {} new connections", proxy.seen().connections - first.connections);
    assert!(longest < Duration::from_millis(450), "{longest:?}");
}

#[rocket::async_test]
async fn a_client_of_the_applications_own_loses_one_attempt_too() {
    let proxy = Proxy::start(emulator().await).await;
    let own = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest());
    let own = own.credentials_provider(Credentials::for_tests()).region(Region::from_static("us-east-1"));
    let own = aws_sdk_dynamodb::Client::from_conf(own.endpoint_url(proxy.url()).build());
    let config = Config { attempt_timeout: Duration::from_millis(500), ..Config::default() };
    let rocket = bare_rocket().attach(Sessions::fairing().client(own).config(config)).mount("/", routes![bump]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    assert_eq!(at_once(&client, "/bump", 20).await.0, [200; 20]);
    proxy.freeze();
    let (statuses, longest) = at_once(&client, "/bump", 6).await;
    println!("an own client, frozen: {statuses:?}, longest {longest:?}");
    assert_eq!(statuses, [200; 6]);
    assert!(longest < Duration::from_millis(1400), "{longest:?}");
}

#[rocket::async_test]
async fn a_store_that_is_slow_once_does_not_cost_the_others_their_connections() {
    let proxy = Proxy::start(emulator().await).await;
    let client = behind(&proxy, Config { attempt_timeout: Duration::from_millis(300), ..Config::default() }).await;
    at_once(&client, "/bump", 10).await;
    proxy.reset();
    // Frozen again and again: a pool that was made a moment ago is not made anew each time.
    for _ in 0..3 {
        proxy.freeze();
        let (statuses, longest) = at_once(&client, "/bump", 4).await;
        assert_eq!(statuses, [200; 4], "longest {longest:?}");
    }
    println!("three times frozen: {} new connections for 12 requests", proxy.seen().connections);
    assert!(proxy.seen().connections <= 40, "{:?}", proxy.seen());
}

#[rocket::async_test]
async fn idle_connections_are_given_up_before_a_load_balancer_does() {
    let proxy = Proxy::start(emulator().await).await;
    let client = behind(&proxy, Config::default()).await;
    at_once(&client, "/bump", 3).await;
    let opened = proxy.seen();
    assert!(opened.connections > opened.closed, "{opened:?}");
    rocket::tokio::time::sleep(Duration::from_secs(41)).await;
    let seen = proxy.seen();
    println!("idle for 41 s: {} of {} connections are closed", seen.closed, seen.connections);
    assert_eq!(seen.closed, seen.connections, "{seen:?}");
    ok(&client.get("/bump").dispatch().await);
}

#[rocket::async_test]
async fn the_first_connection_is_opened_at_launch_and_used_by_the_first_request() {
    for verify in [Verify::Warn, Verify::Off] {
        let proxy = Proxy::start(emulator().await).await;
        let config = Config { verify, ..Config::default() };
        let client = behind(&proxy, config).await;
        let waited = Instant::now();
        while proxy.seen().connections == 0 && waited.elapsed() < Duration::from_secs(5) {
            rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rocket::tokio::time::sleep(Duration::from_millis(200)).await;
        let launched = proxy.seen();
        ok(&client.get("/bump").dispatch().await);
        let seen = proxy.seen();
        println!(
            "verify {verify:?}: {} connections at launch, {} after a request",
            launched.connections, seen.connections
        );
        assert!(launched.connections >= 1, "{launched:?}");
        assert_eq!(seen.connections, launched.connections, "the request opens none: {seen:?}");
    }
}

// What is repeated.

/// An application on faults, on the time as it is.
async fn faulty() -> Option<(Bed, Client)> {
    if endpoint().is_some() {
        return None;
    }
    let bed = Bed::new();
    let client = bed.client(routes![bump, read, login]).await;
    Some((bed, client))
}

#[rocket::async_test]
async fn what_the_sdk_calls_transient_or_throttling_is_repeated_once_it_happens() {
    let Some((bed, client)) = faulty().await else { return };
    let codes = [
        "ReplicatedWriteConflictException",
        "LimitExceededException",
        "RequestTimeout",
        "RequestTimeoutException",
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "InternalServerError",
        "ServiceUnavailable",
    ];
    let id = seed(&client, None, &[("n", 0.into())]).await;
    for (n, code) in codes.into_iter().enumerate() {
        for (operation, path) in [("GetItem", "/read"), ("UpdateItem", "/bump")] {
            bed.faults.reset_counts();
            bed.faults.inject(operation, Effect::Exception(code));
            let response = get(&client, path, &id).await;
            assert_eq!(response.status(), Status::Ok, "{code} on {operation}");
            assert_eq!(bed.faults.count(operation), 2, "{code} on {operation}");
            assert_eq!(bed.faults.pending(), 0);
        }
        let response = get(&client, "/read", &id).await;
        assert_eq!(response.into_string().await.as_deref(), Some((n + 1).to_string().as_str()), "{code}");
    }
    println!("{} codes, on a read and on a write: 2 attempts each, all 200", codes.len());
}

#[rocket::async_test]
async fn what_is_transient_in_a_transactions_reasons_is_repeated_too() {
    let Some((bed, client)) = faulty().await else { return };
    let codes = [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "ReplicatedWriteConflictException",
        "LimitExceededException",
        "RequestTimeout",
        "TooManyRequestsException",
        "InternalServerError",
    ];
    for code in codes {
        let id = seed(&client, None, &[("n", 0.into())]).await;
        bed.faults.reset_counts();
        bed.faults.inject("TransactWriteItems", Effect::CancelledWith(code));
        ok(&get(&client, "/login", &id).await);
        assert_eq!(bed.faults.count("TransactWriteItems"), 2, "{code}");
    }
    for code in ["RequestTimeout", "TooManyRequestsException", "ReplicatedWriteConflictException", "SlowDown"] {
        let id = seed(&client, None, &[("n", 0.into())]).await;
        bed.faults.reset_counts();
        bed.faults.inject("TransactWriteItems", Effect::Exception(code));
        ok(&get(&client, "/login", &id).await);
        assert_eq!(bed.faults.count("TransactWriteItems"), 2, "{code}");
    }
}

#[rocket::async_test]
async fn a_table_that_throttles_all_is_not_asked_more_than_the_token_bucket_pays_for() {
    let Some((bed, client)) = faulty().await else { return };
    let id = seed(&client, None, &[("n", 0.into())]).await;
    bed.faults.reset_counts();
    bed.faults.inject(On::any().always(), Effect::Throttle);
    let start = Instant::now();
    let requests = (0..20).map(|_| async { get(&client, "/read", &id).await.status().code });
    let statuses = join_all(requests).await;
    let (calls, took) = (bed.faults.calls().len(), start.elapsed());
    println!("20 requests at once, all throttled: {calls} calls in {took:?}");
    assert_eq!(statuses, [503; 20]);
    // A request each, the hundred repeats of a full bucket, and two a second since.
    assert!(calls <= 120 + 2 * (took.as_secs() as usize + 1), "{calls} calls in {took:?}");

    // The bucket is empty: those that come then are tried once, and what comes back by itself.
    bed.faults.reset_counts();
    let start = Instant::now();
    for _ in 0..20 {
        get(&client, "/read", &id).await;
    }
    let (calls, took) = (bed.faults.calls().len(), start.elapsed());
    println!("20 after that: {calls} calls in {took:?}");
    assert!(calls <= 20 + 2 * (took.as_secs() as usize + 1), "{calls} calls in {took:?}");

    bed.faults.clear();
    ok(&get(&client, "/bump", &id).await);
}

// Tables that are not the usual ones.

/// An application on a server that answers so, by operation.
async fn answered_by(
    table: &str,
    answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
) -> Result<Client, rocket::Error> {
    let address = fake(move |head, body| {
        let operation = head.split_once("DynamoDB_20120810.").and_then(|(_, rest)| rest.lines().next());
        answer(operation.unwrap_or_default(), body)
    })
    .await;
    let endpoint = format!("http://{address}").parse().expect("a URL");
    let config = Config { endpoint: Some(endpoint), table: table.into(), verify: Verify::Fail, ..Config::default() };
    Client::untracked(bare_rocket().attach(Sessions::fairing().config(config)).mount("/", routes![bump, read])).await
}

/// What DynamoDB says of a table with these additional fields.
fn described(more: &str) -> String {
    format!(
        r#"{{"Table":{{"TableStatus":"ACTIVE","AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}}],
            "KeySchema":[{{"AttributeName":"id","KeyType":"HASH"}}]{more}}}}}"#
    )
}

const TTL_ON: &str = r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"ttl"}}"#;

#[rocket::async_test]
async fn a_table_with_multi_region_strong_consistency_is_told_to_lack_transactions_and_ttl() {
    for (consistency, fits) in [("STRONG", false), ("EVENTUAL", true)] {
        let answer = move |operation: &str, _: &str| match operation {
            "DescribeTable" => (200, described(&format!(r#","MultiRegionConsistency":"{consistency}""#))),
            "DescribeTimeToLive" => (200, TTL_ON.into()),
            _ => (200, "{}".into()),
        };
        match answered_by("sessions", answer).await {
            Ok(_) => assert!(fits, "{consistency}"),
            Err(error) => {
                assert!(!fits && matches!(error.kind(), ErrorKind::FailedFairings(_)), "{consistency}: {error}");
            }
        }
    }
    let answer = |operation: &str, _: &str| match operation {
        "DescribeTable" => (200, described(r#","MultiRegionConsistency":"STRONG""#)),
        _ => (200, r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}"#.into()),
    };
    let address = fake(move |head, body| {
        answer(
            head.split_once("DynamoDB_20120810.").and_then(|(_, rest)| rest.lines().next()).unwrap_or_default(),
            body,
        )
    })
    .await;
    let config = Config { endpoint: Some(format!("http://{address}").parse().expect("a URL")), ..Config::default() };
    let rocket = bare_rocket().attach(Sessions::fairing().config(config));
    let client = Client::untracked(rocket).await.expect("a warning alone");
    let problems = support::sessions(&client).table_status().await.expect("it answers").problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("has multi-Region strong consistency, and with it neither transactions"),
        "{problems:?}"
    );
}

#[rocket::async_test]
async fn a_table_named_by_its_arn_is_asked_for_by_its_arn() {
    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
    let named = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&named);
    let answer = move |operation: &str, body: &str| {
        let asked = body.contains(&format!(r#""TableName":"{ARN}""#));
        log.lock().expect("no panic").push((operation.to_owned(), asked));
        match operation {
            "DescribeTable" => (200, described("")),
            "DescribeTimeToLive" => (200, TTL_ON.into()),
            _ => (200, "{}".into()),
        }
    };
    let client = answered_by(ARN, answer).await.expect("it fits");
    ok(&client.get("/bump").dispatch().await);
    let named = named.lock().expect("no panic");
    let operations: Vec<_> = named.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["DescribeTable", "DescribeTimeToLive", "PutItem"]);
    assert!(named.iter().all(|(_, asked)| *asked), "{named:?}");
}
