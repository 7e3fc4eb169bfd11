//! Several holders of one session in one request, and requests that fail: panics and 5xx.

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::fairing::AdHoc;
use rocket::futures::future::join3;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome};
use rocket::response::{Responder, Result as Responded};
use rocket::{Build, Request, Rocket, Route, catch, catchers, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On, Row};
use rocket_dynamodb_sessions::{Config, Error, Session, SessionId};
use serde_json::{Value, json};
use support::server::{self, Server};
use support::{Bed, assert_ended, bare_rocket, cookie, get, new_id, ok, seed, sessions, told};

/// Leaves a mark in the session, and returns how many there are now.
fn mark(session: &Session, name: &'static str) -> usize {
    let add = move |marks: Option<Vec<String>>| {
        let mut marks = marks.unwrap_or_default();
        marks.push(name.to_owned());
        marks
    };
    session.update("marks", add).map_or(0, |marks: Vec<String>| marks.len())
}

fn marks(row: &Row) -> Vec<String> {
    serde_json::from_value(row.data()["marks"].clone()).unwrap_or_default()
}

async fn session_of(request: &Request<'_>) -> Result<Session, Error> {
    match request.guard::<Session>().await {
        Outcome::Success(session) => Ok(session),
        Outcome::Error((_, error)) => Err(error),
        Outcome::Forward(_) => unreachable!("the guard never forwards"),
    }
}

async fn mark_from(request: &Request<'_>, name: &'static str) {
    if let Ok(session) = session_of(request).await {
        mark(&session, name);
    }
}

/// An auth guard: it takes the session inside itself.
struct User;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for User {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        let session = try_outcome!(request.guard::<Session>().await);
        mark(&session, "auth guard");
        Outcome::Success(User)
    }
}

/// Three guards at once.
struct Together;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Together {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        let (one, two, three) = join3(session_of(request), session_of(request), session_of(request)).await;
        for (session, name) in [(one, "first of three"), (two, "second of three"), (three, "third of three")] {
            match session {
                Ok(session) => mark(&session, name),
                Err(error) => return Outcome::Error((Status::new(error.status()), error)),
            };
        }
        Outcome::Success(Together)
    }
}

/// A guard that changes the session and hands the request on.
struct HandsOn;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for HandsOn {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        mark_from(request, "forwarding guard").await;
        Outcome::Forward(Status::NotFound)
    }
}

#[get("/all")]
fn all(_user: User, _together: Together, session: Session, again: Session) -> String {
    mark(&session, "handler");
    again.contains_key("marks").to_string()
}

#[get("/forward", rank = 1)]
fn forwards(_session: Session, _on: HandsOn) -> &'static str {
    unreachable!("the guard forwards")
}

#[get("/forward", rank = 2)]
fn forwarded(session: Session) -> String {
    mark(&session, "second route").to_string()
}

#[get("/refused")]
fn refused(session: Session) -> Status {
    mark(&session, "handler");
    Status::NotFound
}

#[catch(404)]
async fn not_found(request: &Request<'_>) -> &'static str {
    mark_from(request, "catcher").await;
    "not found"
}

#[catch(503)]
async fn unavailable(request: &Request<'_>) -> String {
    let error = session_of(request).await.expect_err("the load has failed");
    error.status().to_string()
}

#[get("/count")]
fn count(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// An application whose fairings use the session too, before and after ours, in requests and responses.
fn crowded(bed: &Bed) -> Rocket<Build> {
    fn request(name: &'static str) -> AdHoc {
        AdHoc::on_request(name, move |request, _| Box::pin(mark_from(request, name)))
    }
    fn response(name: &'static str) -> AdHoc {
        AdHoc::on_response(name, move |request, _| Box::pin(mark_from(request, name)))
    }
    bare_rocket()
        .attach(request("request fairing before"))
        .attach(response("response fairing before"))
        .attach(bed.fairing(bed.config()))
        .attach(request("request fairing after"))
        .attach(response("response fairing after"))
        .mount("/", routes![all, forwards, forwarded, refused])
        .register("/", catchers![not_found, unavailable])
}

async fn crowded_client(bed: &Bed) -> Client {
    let client = Client::untracked(crowded(bed)).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

/// A stored session with one value; what that cost is not counted.
async fn stored(bed: &Bed, client: &Client) -> (SessionId, Row) {
    let id = seed(client, Some("ann"), &[("k", json!(1))]).await;
    let row = bed.row(client, &id).await.expect("the row is there");
    bed.faults.reset_counts();
    (id, row)
}

#[rocket::async_test]
async fn guards_handler_and_fairings_share_one_state_with_one_load_and_one_commit() {
    let bed = Bed::new();
    let client = crowded_client(&bed).await;
    let (id, _) = stored(&bed, &client).await;
    let response = get(&client, "/all", &id).await;
    ok(&response);
    assert_eq!(response.into_string().await.as_deref(), Some("true"));

    let row = bed.row(&client, &id).await.expect("the row is there");
    let expected = [
        "request fairing before",
        "request fairing after",
        "auth guard",
        "first of three",
        "second of three",
        "third of three",
        "handler",
        "response fairing before",
        "response fairing after",
    ];
    assert_eq!(marks(&row), expected);
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_visitor_without_a_session_gets_one_row_and_one_cookie_from_all_holders() {
    let bed = Bed::new();
    let client = crowded_client(&bed).await;
    let response = client.get("/all").dispatch().await;
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!(marks(&row).len(), 9);
    assert_eq!(bed.rows().await.len(), 1);
    assert_eq!(bed.faults.calls(), ["PutItem"]);
}

#[rocket::async_test]
async fn a_forwarded_request_goes_on_with_the_same_session() {
    let bed = Bed::new();
    let client = crowded_client(&bed).await;
    let (id, _) = stored(&bed, &client).await;
    let response = get(&client, "/forward", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("4"));
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(marks(&row)[2..4], ["forwarding guard", "second route"]);
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_catcher_sees_the_session_of_the_handler_that_failed() {
    let bed = Bed::new();
    let client = crowded_client(&bed).await;
    let (id, _) = stored(&bed, &client).await;
    let response = get(&client, "/refused", &id).await;
    assert_eq!(response.status(), Status::NotFound);
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(marks(&row)[2..4], ["handler", "catcher"]);
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_load_that_failed_is_tried_once_for_all_holders() {
    let bed = Bed::new();
    let client = crowded_client(&bed).await;
    let (id, row) = stored(&bed, &client).await;
    for (effect, attempts) in [(Effect::AccessDenied, 1), (Effect::Reset, 4)] {
        bed.faults.reset_counts();
        bed.faults.inject(On::any().always(), effect);
        let response = get(&client, "/all", &id).await;
        assert_eq!(response.status(), Status::ServiceUnavailable);
        assert_eq!(response.headers().get_one("Retry-After"), Some("5"));
        assert_eq!(told(&response), None);
        assert_eq!(response.into_string().await.as_deref(), Some("503"), "the catcher was told the same error");
        assert_eq!(bed.faults.calls(), vec!["GetItem"; attempts]);
        bed.faults.clear();
    }
    assert_eq!(bed.rows().await, [row]);
}

#[rocket::async_test]
async fn concurrent_guards_wait_for_one_load() {
    let bed = Bed::new();
    let client = bed.client(routes![together]).await;
    let (id, _) = stored(&bed, &client).await;
    let gate = bed.faults.hold("GetItem");
    let request = get(&client, "/together", &id);
    let (response, ()) = rocket::tokio::join!(request, async {
        gate.reached().await;
        gate.open();
    });
    ok(&response);
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(marks(&row), ["first of three", "second of three", "third of three"]);
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[get("/together")]
fn together(_together: Together) {}

#[rocket::async_test]
async fn each_dispatch_of_a_cloned_request_loads_and_commits_for_itself() {
    let bed = Bed::new();
    let client = bed.client(routes![count]).await;
    let (id, _) = stored(&bed, &client).await;
    let request = client.get("/count").cookie(cookie(&id));
    for expected in ["1", "2", "3"] {
        let response = request.clone().dispatch().await;
        assert_eq!(response.into_string().await.as_deref(), Some(expected));
    }
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"].repeat(3));

    let visitor = client.get("/count");
    let first = new_id(&visitor.clone().dispatch().await);
    let second = new_id(&visitor.dispatch().await);
    assert_ne!(first, second);
    for id in [first, second] {
        assert_eq!(bed.row(&client, &id).await.expect("the row is there").data()["n"], 1);
    }
}

// Panics.

/// A guard that panics.
struct Bomb;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Bomb {
    type Error = ();

    async fn from_request(_: &'r Request<'_>) -> Outcome<Self, ()> {
        panic!("in a guard")
    }
}

/// As `Bomb`, while it holds the session.
struct HoldingBomb;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for HoldingBomb {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let session = session_of(request).await;
        if let Ok(session) = &session {
            mark(session, "holding bomb");
        }
        panic!("in a guard")
    }
}

/// A responder that panics.
struct Exploding(#[allow(dead_code, reason = "held until the responder runs")] Option<Session>);

impl<'r> Responder<'r, 'static> for Exploding {
    fn respond_to(self, _: &'r Request<'_>) -> Responded<'static> {
        panic!("in a responder")
    }
}

#[get("/panic/guard-before")]
fn guard_before(_bomb: Bomb, session: Session) {
    mark(&session, "never");
}

#[get("/panic/guard-after")]
fn guard_after(_user: User, _session: Session, _bomb: Bomb) {}

#[get("/panic/guard-without-holder")]
fn guard_without_holder(_user: User, _bomb: Bomb) {}

#[get("/panic/guard-holding")]
fn guard_holding(_bomb: HoldingBomb) {}

#[get("/panic/handler")]
fn handler_panics(session: Session) {
    mark(&session, "handler");
    panic!("in a handler")
}

#[get("/panic/handler-after-login")]
fn handler_panics_after_login(session: Session) {
    session.login("eve").expect("the head was not sent");
    panic!("in a handler")
}

#[get("/panic/responder")]
fn responder_panics(session: Session) -> Exploding {
    mark(&session, "handler");
    Exploding(None)
}

#[get("/panic/responder-holding")]
fn holding_responder_panics(session: Session) -> Exploding {
    mark(&session, "handler");
    Exploding(Some(session))
}

#[get("/panic/update")]
fn update_panics(session: Session) {
    mark(&session, "handler");
    let _ = session.update("n", |_: Option<u32>| -> u32 { panic!("in an update") });
}

fn panicking() -> Vec<Route> {
    routes![
        guard_before,
        guard_after,
        guard_without_holder,
        guard_holding,
        handler_panics,
        handler_panics_after_login,
        responder_panics,
        holding_responder_panics,
        update_panics,
        count
    ]
}

#[rocket::async_test]
async fn a_panic_in_guard_handler_responder_or_update_leaves_the_session_as_it_was() {
    let bed = Bed::new();
    let client = bed.client(panicking()).await;
    let (id, row) = stored(&bed, &client).await;
    // The calls, and whether a holder that panicked took changes of its own with it; what others changed goes by the 500.
    let paths = [
        ("/panic/guard-before", &[][..], 0),
        ("/panic/guard-after", &["GetItem"], 0),
        ("/panic/guard-without-holder", &["GetItem"], 0),
        ("/panic/guard-holding", &["GetItem"], 1),
        ("/panic/handler", &["GetItem"], 1),
        ("/panic/handler-after-login", &["GetItem"], 1),
        ("/panic/responder", &["GetItem"], 0),
        ("/panic/responder-holding", &["GetItem"], 1),
        ("/panic/update", &["GetItem"], 1),
    ];
    for (path, calls, dropped) in paths {
        let before = sessions(&client).stats().dropped;
        bed.faults.reset_counts();
        let response = get(&client, path, &id).await;
        assert_eq!(response.status(), Status::InternalServerError, "{path}");
        assert_eq!(told(&response), None, "{path}");
        drop(response);
        assert_eq!(sessions(&client).stats().dropped - before, dropped, "{path}");
        assert_eq!(bed.faults.calls(), calls, "{path}");
        assert_eq!(bed.rows().await, std::slice::from_ref(&row), "{path}");
    }
    let response = get(&client, "/count", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("1"), "the process serves on");
}

#[rocket::async_test]
async fn a_visitor_whose_first_request_panics_gets_no_row_and_no_cookie() {
    let bed = Bed::new();
    let client = bed.client(panicking()).await;
    for path in ["/panic/guard-after", "/panic/handler", "/panic/handler-after-login", "/panic/responder"] {
        let response = client.get(path).dispatch().await;
        assert_eq!((response.status(), told(&response)), (Status::InternalServerError, None), "{path}");
    }
    assert_eq!(bed.faults.calls(), [""; 0]);
    assert_eq!(bed.rows().await, []);
}

#[get("/out/<end>")]
fn out(end: &str, session: Session) -> Result<Status, Exploding> {
    mark(&session, "before");
    session.invalidate();
    mark(&session, "flash");
    match end {
        "handler" => panic!("in a handler"),
        "responder" => Err(Exploding(Some(session))),
        "500" => Ok(Status::InternalServerError),
        _ => Ok(Status::Ok),
    }
}

#[rocket::async_test]
async fn a_sign_out_is_carried_out_though_the_request_fails_after_it() {
    for end in ["/out/handler", "/out/responder", "/out/500"] {
        let bed = Bed::new();
        let client = bed.client(routes![out]).await;
        let (id, _) = stored(&bed, &client).await;
        let response = get(&client, end, &id).await;
        assert_eq!(response.status(), Status::InternalServerError, "{end}");
        let removal = told(&response).expect("the cookie is removed");
        assert_eq!((removal.value(), removal.path()), ("", Some("/")), "{end}");
        assert_eq!(removal.max_age().map(|age| age.whole_seconds()), Some(0), "{end}");
        assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"], "{end}");
        let [ended] = &bed.rows().await[..] else { panic!("{end}: no row for the flash message") };
        assert_ended(ended);
    }
}

#[get("/double")]
fn double(session: Session) -> Result<String, Error> {
    mark(&session, "handler");
    let double = |n: Option<u32>| {
        assert_ne!(n, Some(100), "more than the closure can take");
        n.unwrap_or(1) * 2
    };
    session.update("n", double).map(|n| n.to_string())
}

/// Writes other data into a row, as another request would.
async fn overwrite(bed: Bed, mut row: Row, data: Value) {
    row.0.insert("data".into(), AttributeValue::S(data.to_string()));
    row.0.insert("modified".into(), AttributeValue::S("2026-01-01T00:00:01.000000Z".into()));
    bed.put(row).await;
}

#[rocket::async_test]
async fn an_update_that_panics_or_fails_on_replay_stores_nothing() {
    for (meanwhile, why) in [(json!({ "n": 100 }), "a panic"), (json!({ "n": "text" }), "another type")] {
        let bed = Bed::new();
        let client = bed.client(routes![double, count]).await;
        let (id, row) = stored(&bed, &client).await;
        bed.faults.before("UpdateItem", {
            let (bed, meanwhile) = (bed.clone(), meanwhile.clone());
            move || overwrite(bed, row, meanwhile)
        });
        let response = get(&client, "/double", &id).await;
        assert_eq!(response.status(), Status::InternalServerError, "{why}");
        assert_eq!(told(&response), None, "{why}");
        assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"], "{why}: it met the other write and gave up");
        let left = bed.row(&client, &id).await.expect("the row is there");
        assert_eq!(left.data(), meanwhile, "{why}: what the other wrote stands");
    }
}

#[rocket::async_test]
async fn an_update_that_replays_well_is_applied_to_the_newer_row() {
    let bed = Bed::new();
    let client = bed.client(routes![double]).await;
    let (id, row) = stored(&bed, &client).await;
    bed.faults.before("UpdateItem", {
        let bed = bed.clone();
        move || overwrite(bed, row, json!({ "n": 21, "other": true }))
    });
    ok(&get(&client, "/double", &id).await);
    let left = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(left.data(), json!({ "n": 42, "other": true, "marks": ["handler"] }));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem", "UpdateItem"]);
}

#[get("/stream")]
fn stream(session: Session) -> rocket::response::stream::TextStream![String] {
    rocket::response::stream::TextStream! {
        yield "begun".to_owned();
        mark(&session, "stream");
        panic!("in a stream");
    }
}

#[rocket::async_test]
async fn a_panic_in_a_stream_leaves_the_session_as_it_was() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let (id, row) = stored(&bed, &client).await;
    let server = Server::launch(bed.rocket(bed.config(), routes![stream, count])).await;
    let header = format!("Cookie: session={}", id.expose());
    bed.faults.reset_counts();
    let answer = server.get("/stream", &[header.as_bytes()]).await;
    assert_eq!((server::status(&answer), server::headers(&answer, "Set-Cookie")), (200, vec![]));
    assert!(answer.contains("begun"), "{answer:?}");

    let next = server.get("/count", &[header.as_bytes()]).await;
    assert!(next.ends_with("\r\n\r\n1"), "the process serves on: {next:?}");
    let left = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!((left.data(), left.number("ttl")), (json!({ "k": 1, "n": 1 }), row.number("ttl")));
    assert_eq!(bed.faults.calls(), ["GetItem", "GetItem", "UpdateItem"]);
}

// Answers that say a failure.

#[get("/answer/<code>")]
fn answer(code: u16, session: Session) -> Status {
    mark(&session, "handler");
    Status::new(code)
}

#[get("/flush/<what>/<code>")]
async fn flush(what: &str, code: u16, session: Session) -> Result<Status, Error> {
    match what {
        "login" => session.login("eve")?,
        "invalidate" => session.invalidate(),
        _ => session.insert("flushed", true)?,
    }
    session.flush().await?;
    if what != "invalidate" {
        session.insert("late", true)?;
    }
    Ok(Status::new(code))
}

#[catch(418)]
async fn failing_catcher(request: &Request<'_>) -> (Status, &'static str) {
    mark_from(request, "catcher").await;
    (Status::BadGateway, "failed")
}

#[catch(default)]
async fn default_catcher(status: Status, request: &Request<'_>) -> String {
    mark_from(request, "catcher").await;
    status.to_string()
}

async fn answering(bed: &Bed, config: Config) -> Client {
    let routes = routes![answer, flush, out, handler_panics, handler_panics_after_login];
    let rocket = bed.rocket(config, routes).register("/", catchers![failing_catcher, default_catcher]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

#[rocket::async_test]
async fn a_5xx_of_handler_or_catcher_leaves_no_change() {
    let bed = Bed::new();
    let client = answering(&bed, bed.config()).await;
    let (id, row) = stored(&bed, &client).await;
    for (code, status) in [(500, 500), (503, 503), (599, 599), (418, 502)] {
        bed.faults.reset_counts();
        let path = format!("/answer/{code}");
        let response = get(&client, &path, &id).await;
        assert_eq!((response.status().code, told(&response)), (status, None), "{code}");
        assert_eq!(bed.faults.calls(), ["GetItem"], "{code}");
        assert_eq!(bed.rows().await, std::slice::from_ref(&row), "{code}");

        let response = client.get(&path).dispatch().await;
        assert_eq!((response.status().code, told(&response)), (status, None), "{code}");
        assert_eq!(bed.faults.calls(), ["GetItem"], "{code}: nothing for a visitor");
    }
}

#[rocket::async_test]
async fn a_5xx_that_a_response_fairing_makes_counts_as_one() {
    let bed = Bed::new();
    let failing = AdHoc::on_response("Failing", |_, response| {
        response.set_status(Status::BadGateway);
        Box::pin(async {})
    });
    let rocket = bed.rocket(bed.config(), routes![count]).attach(failing);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    let (id, row) = stored(&bed, &client).await;
    let response = get(&client, "/count", &id).await;
    assert_eq!((response.status(), told(&response)), (Status::BadGateway, None));
    assert_eq!(bed.faults.calls(), ["GetItem"]);
    assert_eq!(bed.rows().await, [row]);
}

#[rocket::async_test]
async fn a_4xx_stores_the_changes_of_handler_and_catcher() {
    let bed = Bed::new();
    let client = answering(&bed, bed.config()).await;
    for code in [400, 404, 422, 499] {
        bed.faults.reset_counts();
        let path = format!("/answer/{code}");
        let first = client.get(&path).dispatch().await;
        assert_eq!(first.status().code, code);
        let id = new_id(&first);
        assert_eq!(bed.faults.calls(), ["PutItem"]);

        let second = get(&client, &path, &id).await;
        assert_eq!((second.status().code, told(&second)), (code, None));
        assert_eq!(bed.faults.calls(), ["PutItem", "GetItem", "UpdateItem"]);
        let row = bed.row(&client, &id).await.expect("the row is there");
        assert_eq!(marks(&row), ["handler", "catcher", "handler", "catcher"]);
    }
}

#[rocket::async_test]
async fn commit_on_error_stores_the_changes_of_requests_that_fail() {
    let bed = Bed::new();
    let client = answering(&bed, Config { commit_on_error: true, ..bed.config() }).await;
    let first = client.get("/answer/500").dispatch().await;
    assert_eq!(first.status(), Status::InternalServerError);
    let id = new_id(&first);
    let second = get(&client, "/panic/handler", &id).await;
    assert_eq!((second.status(), told(&second)), (Status::InternalServerError, None));
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(marks(&row), ["handler", "catcher", "handler", "catcher"]);
    assert_eq!(bed.faults.calls(), ["PutItem", "GetItem", "UpdateItem"]);

    let third = get(&client, "/panic/handler-after-login", &id).await;
    assert_eq!(third.status(), Status::InternalServerError);
    let row = bed.row(&client, &new_id(&third)).await.expect("the row is there");
    assert_eq!(row.text("principal"), Some("eve"));
}

#[rocket::async_test]
async fn what_was_flushed_before_a_500_is_told_to_the_client() {
    let bed = Bed::new();
    let client = answering(&bed, bed.config()).await;

    // A login: without the cookie of the new session, its tombstone would lock the user out.
    let (old, _) = stored(&bed, &client).await;
    let response = get(&client, "/flush/login/500", &old).await;
    assert_eq!(response.status(), Status::InternalServerError);
    let new = new_id(&response);
    assert_ne!(new, old);
    assert_eq!(bed.faults.calls(), ["GetItem", "TransactWriteItems"], "what came after the flush is dropped");
    let row = bed.row(&client, &new).await.expect("the row is there");
    assert_eq!((row.text("principal"), row.data()), (Some("eve"), json!({})));
    assert!(bed.row(&client, &old).await.expect("the row is there").is_tombstone());

    // A visitor's first value.
    bed.faults.reset_counts();
    let response = client.get("/flush/insert/500").dispatch().await;
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!(row.data(), json!({ "flushed": true }));
    assert_eq!(bed.faults.calls(), ["PutItem"]);

    // A sign-out.
    let (id, _) = stored(&bed, &client).await;
    let response = get(&client, "/flush/invalidate/500", &id).await;
    assert_eq!(told(&response).expect("the cookie is removed").value(), "");
    assert_ended(&bed.row(&client, &id).await.expect("the tombstone"));
}
