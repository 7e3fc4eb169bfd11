//! When the store fails: what the handler sees, what the client gets, what is in the table afterwards, and how long it
//! takes. Time is virtual, so the embedded engine is asked: a server of another process does not know it.

mod support;

#[path = "failures/outage.rs"]
mod outage;
#[path = "failures/size.rs"]
mod size;
#[path = "failures/undecodable.rs"]
mod undecodable;

use std::time::Duration;

use futures::future::join_all;
use rocket::http::{ContentType, CookieJar, Header, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::request::{FromRequest, Outcome};
use rocket::response::Responder;
use rocket::{Request, Response, Route, catch, catchers, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On, Row};
use rocket_dynamodb_sessions::{Error, Session, SessionId};
use serde_json::json;
use support::{Bed, endpoint, get, logs, new_id, ok, seed, sessions, told};
use tokio::time::Instant;

/// The default deadline, and a little for what is not the store's.
const DEADLINE: Duration = Duration::from_millis(4600);

/// What one transient error may add to a request.
const HICCUP: Duration = Duration::from_millis(150);

/// A store whose failures are looked for in the log too.
fn bed() -> Bed {
    logs::catch();
    Bed::new()
}

/// Whether a test has to be left out, because its store runs in another process and on the real time.
fn is_remote() -> bool {
    if endpoint().is_some() {
        eprintln!("left out: tokio's clock is paused, and a server of another process goes by the real one");
    }
    endpoint().is_some()
}

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<u64>("n")?.unwrap_or(0).to_string())
}

#[get("/bump")]
fn bump(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/login")]
fn login(session: Session) -> Result<&'static str, Error> {
    session.login("ann").map(|()| "welcome")
}

#[get("/cycle")]
fn cycle(session: Session) -> Result<&'static str, Error> {
    session.cycle_id().map(|()| "cycled")
}

#[get("/empty")]
fn empty(session: Session) -> &'static str {
    session.clear();
    "emptied"
}

#[get("/logout")]
fn logout(session: Session) -> &'static str {
    session.invalidate();
    "bye"
}

#[get("/swap")]
fn swap(session: Session) -> Result<&'static str, Error> {
    session.invalidate();
    session.insert("flash", "bye").map(|()| "bye")
}

fn all_routes() -> Vec<Route> {
    routes![read, bump, login, cycle, empty, logout, swap]
}

/// A path that makes a session write, and the operation that it takes.
const CHANGES: [(&str, &str); 6] = [
    ("/bump", "UpdateItem"),
    ("/login", "TransactWriteItems"),
    ("/cycle", "TransactWriteItems"),
    ("/empty", "UpdateItem"),
    ("/logout", "UpdateItem"),
    ("/swap", "TransactWriteItems"),
];

/// A path that writes when the lifetime is due.
const REFRESH: (&str, &str) = ("/read", "UpdateItem");

/// What can be wrong with a store, for as long as the test says.
fn troubles() -> Vec<Effect> {
    vec![
        Effect::Reset,
        Effect::Hang,
        Effect::Delay(Duration::from_secs(60)),
        Effect::Throttle,
        Effect::ThrottlingException,
        Effect::Exception("RequestLimitExceeded"),
        Effect::Status(500),
        Effect::Status(503),
        Effect::Garbage,
        Effect::TransactionConflict,
        Effect::CancelledWith("ThrottlingError"),
        Effect::CancelledWith("ProvisionedThroughputExceeded"),
        Effect::TransactionInProgress,
        Effect::AccessDenied,
        Effect::Exception("ResourceNotFoundException"),
    ]
}

/// Runs some work, and tells how much virtual time it took.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let output = work.await;
    (output, start.elapsed())
}

/// A 503 that says when to try again, and says nothing else.
#[track_caller]
fn assert_unavailable(response: &LocalResponse<'_>, case: &str) {
    assert_eq!(response.status(), Status::ServiceUnavailable, "{case}");
    assert_eq!(response.headers().get_one("Retry-After"), Some("5"), "{case}");
    assert_eq!(told(response), None, "{case}");
    assert!(response.headers().get_one("Cache-Control").is_none_or(|value| value == "private"), "{case}");
}

/// A session with `n` = 5 whose lifetime is due to be refreshed; and all rows.
async fn five(bed: &Bed, client: &Client) -> (SessionId, Vec<Row>) {
    logs::catch();
    let id = seed(client, None, &[("n", json!(5))]).await;
    bed.advance(2 * 86_400);
    bed.faults.reset_counts();
    (id, bed.rows().await)
}

#[tokio::test(start_paused = true)]
async fn while_reads_fail_the_client_gets_503_within_the_deadline_and_nothing_is_written() {
    if is_remote() {
        return;
    }
    let mut longest = Duration::ZERO;
    for trouble in troubles() {
        let bed = bed();
        let client = bed.client(all_routes()).await;
        for path in ["/read", "/bump", "/login", "/logout"] {
            let case = format!("{trouble:?} {path}");
            let (id, rows) = five(&bed, &client).await;
            bed.faults.inject(On::reads().always(), trouble.clone());
            let (response, took) = timed(get(&client, path, &id)).await;
            assert_unavailable(&response, &case);
            assert!(took <= DEADLINE, "{case} took {took:?}");
            longest = longest.max(took);
            assert!(bed.faults.calls().iter().all(|call| call == "GetItem"), "{case}: {:?}", bed.faults.calls());
            assert_eq!(bed.rows().await, rows, "{case}");
            assert_eq!(logs::here(log::Level::Error).len(), 1, "{case}: {:?}", logs::here(log::Level::Error));

            bed.faults.clear();
            let response = get(&client, "/bump", &id).await;
            assert_eq!(response.into_string().await.as_deref(), Some("6"), "{case}");
        }
    }
    eprintln!("the longest request whose reads failed took {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn while_writes_fail_the_client_gets_503_within_the_deadline_and_the_row_stays_as_it_was() {
    if is_remote() {
        return;
    }
    let mut longest = Duration::ZERO;
    for trouble in troubles() {
        let bed = bed();
        let client = bed.client(all_routes()).await;
        for (path, operation) in CHANGES {
            let case = format!("{trouble:?} {path}");
            let (id, rows) = five(&bed, &client).await;
            bed.faults.inject(On::writes().always(), trouble.clone());
            let (response, took) = timed(get(&client, path, &id)).await;
            assert_unavailable(&response, &case);
            assert_eq!(response.into_string().await, None, "{case}");
            assert!(took <= DEADLINE, "{case} took {took:?}");
            longest = longest.max(took);
            let calls = bed.faults.calls();
            assert_eq!(calls[0], "GetItem", "{case}");
            assert!(calls.len() > 1 && calls[1..].iter().all(|call| call == operation), "{case}: {calls:?}");
            assert_eq!(bed.rows().await, rows, "{case}");

            bed.faults.clear();
            let response = get(&client, "/bump", &id).await;
            assert_eq!(response.into_string().await.as_deref(), Some("6"), "{case}");
        }
    }
    eprintln!("the longest request whose writes failed took {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_no_failure_of_the_request() {
    if is_remote() {
        return;
    }
    for trouble in troubles() {
        let (case, bed) = (format!("{trouble:?}"), bed());
        let client = bed.client(all_routes()).await;
        let (id, rows) = five(&bed, &client).await;
        bed.faults.inject(On::writes().always(), trouble);
        let (response, took) = timed(get(&client, REFRESH.0, &id)).await;
        assert!(took <= DEADLINE, "{case} took {took:?}");
        ok(&response);
        assert_eq!(told(&response), None, "{case}");
        assert_eq!(response.into_string().await.as_deref(), Some("5"), "{case}");
        assert_eq!(bed.rows().await, rows, "{case}");
        let handle = sessions(&client).handle_of(&id);
        let lines = logs::here(log::Level::Error);
        assert!(
            lines.len() == 1 && lines[0].starts_with(&format!("session {handle} could not be refreshed: ")),
            "{lines:?}"
        );

        // The next request tries again.
        bed.faults.clear();
        let response = get(&client, REFRESH.0, &id).await;
        assert_eq!(new_id(&response), id, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_writes_fail_a_visitor_gets_503_and_neither_a_row_nor_a_cookie() {
    if is_remote() {
        return;
    }
    for trouble in troubles() {
        let bed = bed();
        let client = bed.client(all_routes()).await;
        for (known, path) in ["/bump", "/login"].into_iter().enumerate() {
            let case = format!("{trouble:?} {path}");
            bed.faults.reset_counts();
            bed.faults.inject(On::writes().always(), trouble.clone());
            let (response, took) = timed(client.get(path).dispatch()).await;
            assert_unavailable(&response, &case);
            assert!(took <= DEADLINE, "{case} took {took:?}");
            assert!(bed.faults.calls().iter().all(|call| call == "PutItem"), "{case}: {:?}", bed.faults.calls());
            assert_eq!(bed.rows().await.len(), known, "{case}");

            bed.faults.clear();
            new_id(&client.get(path).dispatch().await);
            assert_eq!(bed.rows().await.len(), known + 1, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_altogether_every_request_with_the_guard_gets_503_and_every_session_survives() {
    if is_remote() {
        return;
    }
    for trouble in troubles() {
        let (case, bed) = (format!("{trouble:?}"), bed());
        let client = bed.client(all_routes()).await;
        let (id, rows) = five(&bed, &client).await;
        bed.faults.inject(On::any().always(), trouble);
        for path in ["/read", "/bump", "/logout"] {
            let (response, took) = timed(get(&client, path, &id)).await;
            assert_unavailable(&response, &case);
            assert!(took <= DEADLINE, "{case} {path} took {took:?}");
        }
        // A visitor without a cookie is not looked up, and reads nothing but an empty session.
        assert_eq!(client.get("/read").dispatch().await.into_string().await.as_deref(), Some("0"), "{case}");
        assert_eq!(bed.rows().await, rows, "{case}");

        bed.faults.clear();
        let response = get(&client, "/bump", &id).await;
        assert_eq!(response.into_string().await.as_deref(), Some("6"), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_transient_error_costs_less_than_150_ms_and_is_not_seen_by_the_client() {
    if is_remote() {
        return;
    }
    let lasting = |effect: &Effect| {
        matches!(effect, Effect::Hang | Effect::Delay(_) | Effect::AccessDenied)
            || *effect == Effect::Exception("ResourceNotFoundException")
    };
    let mut longest = Duration::ZERO;
    for trouble in troubles().into_iter().filter(|trouble| !lasting(trouble)) {
        let bed = bed();
        let client = bed.client(all_routes()).await;
        for (path, operation) in CHANGES.into_iter().chain([REFRESH]) {
            for on in ["GetItem", operation] {
                let case = format!("{trouble:?} of {on} {path}");
                let (id, _) = five(&bed, &client).await;
                bed.faults.inject(on, trouble.clone());
                let (response, took) = timed(get(&client, path, &id)).await;
                ok(&response);
                assert!(took < HICCUP, "{case} took {took:?}");
                longest = longest.max(took);
                assert_eq!((bed.faults.pending(), bed.faults.count(on)), (0, 2), "{case}");
                if path == "/bump" {
                    assert_eq!(response.into_string().await.as_deref(), Some("6"), "{case}");
                    assert_eq!(bed.row(&client, &id).await.expect("the row is there").data()["n"], 6, "{case}");
                }
            }
        }
    }
    eprintln!("the longest request with one transient error took {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_once_is_given_up_and_repeated() {
    if is_remote() {
        return;
    }
    for trouble in [Effect::Hang, Effect::Delay(Duration::from_secs(60))] {
        for on in ["GetItem", "UpdateItem"] {
            let bed = bed();
            let client = bed.client(all_routes()).await;
            let (id, _) = five(&bed, &client).await;
            bed.faults.inject(on, trouble.clone());
            let (response, took) = timed(get(&client, "/bump", &id)).await;
            ok(&response);
            assert!((1500..1700).contains(&took.as_millis()), "{trouble:?} of {on} took {took:?}");
            assert_eq!(bed.row(&client, &id).await.expect("the row is there").data()["n"], 6);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_waited_for() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let client = bed.client(all_routes()).await;
    let (id, _) = five(&bed, &client).await;
    bed.faults.inject(On::any().always(), Effect::Delay(Duration::from_millis(1400)));
    let (response, took) = timed(get(&client, "/bump", &id)).await;
    ok(&response);
    assert_eq!(took.as_millis(), 2800);
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_is_told_with_its_remedy() {
    let bed = bed();
    let client = bed.client(all_routes()).await;
    let id = seed(&client, None, &[("n", json!(5))]).await;
    bed.faults.reset_counts();
    bed.faults.inject("UpdateItem", Effect::AccessDenied);
    let response = get(&client, "/bump", &id).await;
    assert_unavailable(&response, "a refusal");
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
    let handle = sessions(&client).handle_of(&id);
    let [line] = &logs::here(log::Level::Error)[..] else { panic!("{:?}", logs::here(log::Level::Error)) };
    let start = format!(
        "session {handle} could not be stored: the session store refused (update); check the table, the region and the \
         permissions: "
    );
    assert!(line.starts_with(&start) && line.contains("AccessDeniedException"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_repeated_beyond_the_attempts_and_a_fault_is_not() {
    if is_remote() {
        return;
    }
    let busy = [
        Effect::Throttle,
        Effect::ThrottlingException,
        Effect::TransactionConflict,
        Effect::CancelledWith("ThrottlingError"),
        Effect::CancelledWith("ProvisionedThroughputExceeded"),
        Effect::TransactionInProgress,
    ];
    let bed = bed();
    let client = bed.client(all_routes()).await;
    for trouble in busy {
        for (path, operation) in [("/bump", "UpdateItem"), ("/login", "TransactWriteItems"), ("/logout", "UpdateItem")]
        {
            let case = format!("{trouble:?} {path}");
            let (id, _) = five(&bed, &client).await;
            bed.faults.inject(On::writes().times(9), trouble.clone());
            let (response, took) = timed(get(&client, path, &id)).await;
            ok(&response);
            assert!(took < DEADLINE, "{case} took {took:?}");
            assert_eq!(bed.faults.count(operation), 10, "{case}");
        }
    }
    for (times, status) in [(3, Status::Ok), (4, Status::ServiceUnavailable)] {
        let (id, _) = five(&bed, &client).await;
        bed.faults.inject(On::writes().times(times), Effect::Reset);
        assert_eq!(get(&client, "/bump", &id).await.status(), status);
        assert_eq!(bed.faults.count("UpdateItem"), 4);
    }
}

/// Flushes as often as it is told to, and reports what came of it in a header.
#[get("/flush/<times>")]
async fn flush(times: usize, session: Session) -> Result<Saw, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    let mut saw = Vec::new();
    for _ in 0..times {
        saw.push(match session.flush().await {
            Ok(()) => "stored".to_owned(),
            Err(Error::Unavailable { action, .. }) => format!("unavailable ({action})"),
            Err(Error::Rejected { action, .. }) => format!("rejected ({action})"),
            Err(other) => other.to_string(),
        });
    }
    Ok(Saw(saw.join(", ")))
}

/// Says in a header what the handler saw, because a failed flush takes the body away.
struct Saw(String);

impl<'r> Responder<'r, 'static> for Saw {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Response::build().raw_header("X-Saw", self.0).ok()
    }
}

#[tokio::test]
async fn a_handler_sees_the_error_of_its_flush() {
    for (trouble, said) in [(Effect::Status(500), "unavailable (update)"), (Effect::AccessDenied, "rejected (update)")]
    {
        let bed = bed();
        let client = bed.client(routes![flush]).await;
        let id = seed(&client, None, &[("n", json!(5))]).await;
        bed.faults.inject(On::writes().always(), trouble);
        let response = get(&client, "/flush/1", &id).await;
        assert_eq!(response.headers().get_one("X-Saw"), Some(said));
        assert_unavailable(&response, said);
        assert_eq!(bed.rows().await[0].data()["n"], 5);
    }
}

#[tokio::test]
async fn what_a_failed_flush_left_is_stored_when_the_store_is_back_before_the_response() {
    let bed = bed();
    let client = bed.client(routes![flush]).await;
    bed.faults.inject(On::writes().times(4), Effect::Reset);
    let response = client.get("/flush/1").dispatch().await;
    ok(&response);
    assert_eq!(response.headers().get_one("X-Saw"), Some("unavailable (create)"));
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!((row.data(), bed.faults.pending()), (json!({"n": 1}), 0));
}

#[tokio::test(start_paused = true)]
async fn load_flushes_and_response_share_one_deadline() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let client = bed.client(routes![flush]).await;
    let id = seed(&client, None, &[("n", json!(5))]).await;
    bed.faults.inject(On::reads().always(), Effect::Delay(Duration::from_millis(1400)));
    bed.faults.inject(On::writes().always(), Effect::Hang);
    let (response, took) = timed(get(&client, "/flush/3", &id)).await;
    assert_unavailable(&response, "three flushes");
    // Before a commit is repeated, it is looked whether it was stored.
    let saw = ["unavailable (update)", "unavailable (load)", "unavailable (load)"].join(", ");
    assert_eq!(response.headers().get_one("X-Saw"), Some(saw.as_str()));
    assert!(took <= DEADLINE, "it took {took:?}");
    assert_eq!(bed.rows().await[0].data()["n"], 5);
}

#[get("/slow")]
async fn slow(session: Session) -> Result<String, Error> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_handler_takes_is_not_taken_from_the_stores_deadline() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let client = bed.client(routes![slow]).await;
    let id = seed(&client, None, &[("n", json!(5))]).await;
    bed.faults.inject(On::any().always(), Effect::Delay(Duration::from_secs(1)));
    let response = get(&client, "/slow", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("6"));
}

#[tokio::test(start_paused = true)]
async fn replays_share_the_deadline_too() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let client = bed.client(all_routes()).await;
    let (id, _) = five(&bed, &client).await;
    bed.faults.inject(On::any().always(), Effect::Delay(Duration::from_secs(1)));
    // Each write finds that another writer was faster.
    for skipped in 0..8 {
        let (behind, row) = (bed.clone(), bed.row(&client, &id).await.expect("the row is there"));
        bed.faults.before(On::operation("UpdateItem").skip(skipped), move || async move {
            let mut row = row;
            let version = format!("2026-02-0{}T00:00:00.000000Z", skipped + 1);
            row.0.insert("modified".into(), aws_sdk_dynamodb::types::AttributeValue::S(version));
            behind.put(row).await;
        });
    }
    let (response, took) = timed(get(&client, "/bump", &id)).await;
    assert_unavailable(&response, "contention");
    assert!(took <= DEADLINE, "it took {took:?}");
    assert_eq!(bed.row(&client, &id).await.expect("the row is there").data()["n"], 5);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_each_others_row_end_within_the_deadline_as_well() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let client = bed.client(all_routes()).await;
    let (id, rows) = five(&bed, &client).await;
    bed.faults.inject(On::writes().always(), Effect::Hang);
    let (responses, took) = timed(join_all((0..5).map(|_| get(&client, "/bump", &id)))).await;
    for response in &responses {
        assert_unavailable(response, "a row that is waited for");
    }
    assert!(took <= DEADLINE, "it took {took:?}");
    assert_eq!(bed.rows().await, rows);

    drop(responses);
    bed.faults.clear();
    assert_eq!(get(&client, "/bump", &id).await.into_string().await.as_deref(), Some("6"));
}

/// A guard that takes the session, as an application's login guard does.
struct Auth;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Auth {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        let _ = request.guard::<Session>().await;
        Outcome::Success(Self)
    }
}

#[get("/often")]
async fn often(_auth: Auth, _one: Result<Session, Error>, _two: Option<Session>, _three: Session) -> &'static str {
    "never"
}

#[catch(503)]
async fn unavailable(request: &Request<'_>) -> &'static str {
    match request.guard::<Session>().await {
        Outcome::Success(_) => "a session",
        _ => "no session",
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_guard_and_a_catcher_do_not_wait_again_for_a_load_that_failed() {
    if is_remote() {
        return;
    }
    let bed = bed();
    let rocket = bed.rocket(bed.config(), routes![often, read]).register("/", catchers![unavailable]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    let id = seed(&client, None, &[("n", json!(5))]).await;
    bed.faults.reset_counts();
    bed.faults.inject(On::reads().times(3), Effect::Hang);
    let (response, took) = timed(get(&client, "/often", &id)).await;
    assert_unavailable(&response, "four guards and a catcher");
    assert_eq!(response.into_string().await.as_deref(), Some("no session"));
    assert!(took <= DEADLINE, "it took {took:?}");
    assert_eq!(bed.faults.calls(), ["GetItem"; 3]);
    let stats = sessions(&client).stats();
    assert_eq!((stats.loads, stats.failed), (1, 1));

    // It is remembered for the one request.
    assert_eq!(get(&client, "/read", &id).await.into_string().await.as_deref(), Some("5"));
}

/// A response with all that must not stand in an error's.
struct Rich;

impl<'r> Responder<'r, 'static> for Rich {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        const BODY: &str = "{\"ok\":true}";
        Response::build()
            .status(Status::Created)
            .header(ContentType::JSON)
            .raw_header("Content-Length", BODY.len().to_string())
            .raw_header("Content-Encoding", "identity")
            .raw_header("ETag", "\"v1\"")
            .raw_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            .raw_header("Expires", "Fri, 01 Jan 2027 00:00:00 GMT")
            .raw_header("Location", "/cart/1")
            .raw_header("Cache-Control", "public, max-age=600")
            .raw_header("Strict-Transport-Security", "max-age=31536000")
            .header(Header::new("X-Trace", "one"))
            .raw_header_adjoin("X-Trace", "two")
            .sized_body(BODY.len(), std::io::Cursor::new(BODY))
            .ok()
    }
}

#[get("/rich?<size>")]
fn rich(size: Option<usize>, session: Session, jar: &CookieJar<'_>) -> Result<Rich, Error> {
    session.insert("n", "x".repeat(size.unwrap_or(1)))?;
    jar.add(("theme", "dark"));
    Ok(Rich)
}

#[tokio::test]
async fn a_failed_flush_makes_a_bare_error_of_the_response_and_keeps_what_does_not_describe_content() {
    for (path, trouble, status) in [
        ("/rich", Some(Effect::AccessDenied), Status::ServiceUnavailable),
        ("/rich?size=500000", None, Status::InternalServerError),
    ] {
        let bed = bed();
        let client = bed.client(routes![rich]).await;
        if let Some(trouble) = trouble {
            bed.faults.inject(On::writes().always(), trouble);
        }
        let response = client.get(path).dispatch().await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        let mut names: Vec<String> = headers.iter().map(|header| header.name().to_string()).collect();
        names.sort();
        names.dedup();
        let mut expected =
            vec!["Cache-Control", "Server", "Set-Cookie", "Strict-Transport-Security", "Vary", "X-Trace"];
        if status == Status::ServiceUnavailable {
            expected.insert(1, "Retry-After");
        }
        // Rocket's Shield adds its own.
        names.retain(|name| !["Permissions-Policy", "X-Content-Type-Options", "X-Frame-Options"].contains(&&**name));
        assert_eq!(names, expected);
        assert_eq!(headers.get_one("Cache-Control"), Some("private"));
        assert_eq!(headers.get("X-Trace").collect::<Vec<_>>(), ["one", "two"]);
        let cookies: Vec<_> = headers.get("Set-Cookie").collect();
        assert!(cookies.len() == 1 && cookies[0].starts_with("theme=dark"), "{cookies:?}");
        assert_eq!(response.into_string().await, None);
        assert_eq!(bed.rows().await, []);
    }
}
