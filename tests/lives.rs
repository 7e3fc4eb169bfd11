//! How long a session lives, and how seldom that is written down.

mod support;

use std::time::Duration;

use rocket::http::Status;
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::response::stream::TextStream;
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Row, TestClock};
use rocket_dynamodb_sessions::{Config, Error, Lifetime, Session, SessionId, Sessions};
use serde_json::json;
use support::{Bed, assert_ended, cookie, get, new_id, ok, seed, set_cookies, told};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

#[get("/")]
fn read(session: Session) -> String {
    session.keys().join(",")
}

#[get("/write")]
fn write(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/poll?<write>")]
fn poll(write: bool, session: Session) -> Result<(), Error> {
    session.skip_renewal();
    if write { session.insert("polled", true) } else { Ok(()) }
}

#[get("/poll/remember/<remember>")]
fn poll_remember(remember: bool, session: Session) {
    session.skip_renewal();
    session.remember(remember);
}

#[get("/login")]
fn login(session: Session) -> Result<(), Error> {
    session.login("ann")
}

#[get("/cycle")]
fn cycle(session: Session) -> Result<(), Error> {
    session.cycle_id()
}

#[get("/clear")]
fn clear(session: Session) {
    session.clear();
}

#[get("/out")]
fn out(session: Session) {
    session.invalidate();
}

#[get("/ttl?<seconds>")]
fn ttl(seconds: Option<u64>, session: Session) -> Result<(), Error> {
    session.set_ttl(seconds.map(Duration::from_secs))
}

#[get("/remember/<remember>")]
fn remember(remember: bool, session: Session) {
    session.remember(remember);
}

/// A handler in which time passes between load and commit.
#[get("/slow/<what>/<seconds>")]
fn slow(what: &str, seconds: u64, session: Session, clock: &State<TestClock>) -> Result<(), Error> {
    clock.advance(Duration::from_secs(seconds));
    match what {
        "write" => session.insert("late", true),
        "clear" => {
            session.clear();
            Ok(())
        }
        "cycle" => session.cycle_id(),
        "out" => {
            session.invalidate();
            Ok(())
        }
        _ => Ok(()),
    }
}

#[get("/stream")]
fn stream(session: Session) -> TextStream![&'static str] {
    TextStream! {
        yield "begun";
        let _ = session.keys();
        yield "ended";
    }
}

/// As `stream`, and it changes the session at its end.
#[get("/stream/<what>")]
fn changing_stream(what: &str, session: Session) -> TextStream![&'static str] {
    let what = what.to_owned();
    TextStream! {
        yield "begun";
        match what.as_str() {
            "write" => session.insert("streamed", true).expect("the session has a row"),
            "forget" => session.remember(false),
            _ => session.remember(true),
        }
        yield "ended";
    }
}

/// A login, and what a form's "remember me" says after it.
#[get("/in?<then>")]
fn sign_in(then: &str, session: Session) -> Result<(), Error> {
    // Of the life before.
    session.remember(then != "remember");
    session.set_ttl(Duration::from_secs(60))?;
    session.login("ann")?;
    match then {
        "ttl" => session.set_ttl(Duration::from_secs(2 * HOUR))?,
        "forget" => session.remember(false),
        _ => session.remember(true),
    }
    Ok(())
}

#[get("/in/<length>")]
fn long_name(length: usize, session: Session) -> String {
    session.login("x".repeat(length)).map_or_else(|error| error.to_string(), |()| "stored".into())
}

#[get("/lifetime?<millis>&<login>")]
fn lifetime(millis: u64, login: bool, session: Session) -> String {
    if login {
        session.login("ann").expect("a name");
    }
    let set = session.set_ttl(Duration::from_millis(millis));
    set.map_or_else(|error| error.to_string(), |()| "stored".into())
}

#[get("/info")]
fn info(session: Session) -> String {
    let seconds = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let info = session.info().map(|info| {
        json!({
            "started": seconds(info.started), "modified": info.modified.map(seconds), "expires": seconds(info.expires),
            "remembered": info.remembered, "size": info.size,
        })
    });
    json!(info).to_string()
}

#[get("/revoke-own?<flush>&<other>")]
async fn revoke_own(
    flush: bool,
    other: Option<&str>,
    session: Session,
    sessions: &State<Sessions>,
) -> Result<String, Error> {
    if flush {
        session.login("ann")?;
        session.flush().await?;
    }
    let handle = match other {
        Some(other) => other.parse().expect("a handle"),
        None => session.handle().expect("a row"),
    };
    let ended = sessions.revoke(&handle).await?;
    let said = format!("{ended} {:?} {:?} {:?}", session.status(), session.info().map(drop), session.keys());
    if other.is_none() {
        session.insert("late", 1)?;
    }
    Ok(said)
}

fn all() -> Vec<Route> {
    let mut routes = routes![sign_in, long_name, lifetime, info, revoke_own];
    routes.extend(most());
    routes
}

fn most() -> Vec<Route> {
    routes![read, write, poll, poll_remember, login, cycle, clear, out, ttl, remember, slow, stream, changing_stream]
}

fn seconds(seconds: u64) -> Lifetime {
    Lifetime::new(Duration::from_secs(seconds)).expect("a lifetime")
}

struct App {
    bed: Bed,
    client: Client,
}

impl App {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let bed = Bed::new();
        let client = node(&bed, change(bed.config())).await;
        Self { bed, client }
    }

    /// A stored session with one value; what that cost is not counted.
    async fn stored(&self) -> SessionId {
        let id = seed(&self.client, None, &[("k", json!(1))]).await;
        self.bed.faults.reset_counts();
        id
    }

    async fn row(&self, id: &SessionId) -> Row {
        self.bed.row(&self.client, id).await.expect("the row is there")
    }

    /// The seconds that a row still has to live.
    async fn left(&self, id: &SessionId) -> u64 {
        let ttl = self.row(id).await.number("ttl").expect("a ttl");
        u64::try_from(ttl - self.bed.now()).expect("not expired")
    }

    /// Sends a GET that must be 200, and answers what it did: the calls, and what the client was told.
    async fn get(&self, path: &str, id: &SessionId) -> (Vec<String>, Option<Option<u64>>) {
        self.bed.faults.reset_counts();
        let response = get(&self.client, path, id).await;
        ok(&response);
        let told = max_age(&response);
        response.into_string().await;
        (self.bed.faults.calls(), told)
    }
}

async fn node(bed: &Bed, config: Config) -> Client {
    let rocket = bed.rocket(config, all()).manage(bed.clock.clone());
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

/// The Max-Age of the cookie that a response sets; the inner `None` is a browser-session cookie.
#[track_caller]
fn max_age(response: &LocalResponse<'_>) -> Option<Option<u64>> {
    let cookie = told(response)?;
    Some(cookie.max_age().map(|age| u64::try_from(age.whole_seconds()).expect("not negative")))
}

fn calls(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const READ: &[&str] = &["GetItem"];
const UPDATED: &[&str] = &["GetItem", "UpdateItem"];
const NOTHING: Option<Option<u64>> = None;

// The idle timeout.

#[rocket::async_test]
async fn row_and_cookie_live_for_the_idle_timeout() {
    for (config_ttl, expected) in [(None, 14 * DAY), (Some(HOUR), HOUR)] {
        let app = App::with(|config| match config_ttl {
            Some(ttl) => Config { ttl: seconds(ttl), ..config },
            None => config,
        })
        .await;
        let response = app.client.get("/write").dispatch().await;
        assert_eq!(max_age(&response), Some(Some(expected)));
        assert_eq!(app.left(&new_id(&response)).await, expected);
    }
}

#[rocket::async_test]
async fn an_expired_row_is_absent_for_reads_and_writes_though_it_was_not_deleted() {
    let app = App::new().await;
    let id = app.stored().await;
    let row = app.row(&id).await;
    app.bed.advance(14 * DAY - 1);
    let response = get(&app.client, "/poll", &id).await;
    ok(&response);
    app.bed.advance(1);
    for path in ["/", "/clear", "/out", "/cycle", "/remember/false", "/ttl"] {
        assert_eq!(app.get(path, &id).await, (calls(READ), NOTHING), "{path}");
        assert_eq!(app.bed.rows().await, std::slice::from_ref(&row), "{path}");
    }
    let response = get(&app.client, "/", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some(""), "its data is not seen");

    app.bed.faults.reset_counts();
    let response = get(&app.client, "/write", &id).await;
    let new = new_id(&response);
    assert_ne!(new, id);
    assert_eq!(app.bed.faults.calls(), ["GetItem", "PutItem"]);
    assert_eq!(app.row(&id).await, row, "the expired row is left to DynamoDB");
    assert_eq!(app.row(&new).await.data(), json!({ "n": 1 }));
}

#[rocket::async_test]
async fn a_session_that_expires_while_a_request_runs_is_not_revived() {
    for (what, expected) in [
        ("nothing", UPDATED),
        ("write", UPDATED),
        ("clear", UPDATED),
        // Where the old row is over, the new one could say that the rotation was ours.
        ("cycle", &["GetItem", "TransactWriteItems", "GetItem"]),
    ] {
        let app = App::new().await;
        let id = app.stored().await;
        let row = app.row(&id).await;
        let path = format!("/slow/{what}/{}", 14 * DAY);
        assert_eq!(app.get(&path, &id).await, (calls(expected), NOTHING), "{what}");
        assert_eq!(app.bed.rows().await, [row], "{what}");
    }
    // A sign-out ends what is left of it, and removes no cookie: the browser may hold a newer one.
    let app = App::new().await;
    let id = app.stored().await;
    let path = format!("/slow/out/{}", 14 * DAY);
    assert_eq!(app.get(&path, &id).await, (calls(UPDATED), NOTHING));
    assert_ended(&app.row(&id).await);
}

// The absolute timeout.

#[rocket::async_test]
async fn the_absolute_timeout_ends_a_busy_session_and_counts_from_its_creation() {
    let app = App::with(|config| Config { ttl: seconds(DAY), absolute_ttl: Some(seconds(3 * DAY)), ..config }).await;
    let id = new_id(&app.client.get("/write").dispatch().await);
    for hours in (6..72).step_by(6) {
        app.bed.advance(6 * HOUR);
        let (done, told) = app.get(if hours % 12 == 0 { "/" } else { "/write" }, &id).await;
        let left = DAY.min((72 - hours) * HOUR);
        assert_eq!(app.left(&id).await, left, "after {hours} h");
        let last = hours > 48;
        assert_eq!(told, (!last).then_some(Some(left)), "after {hours} h");
        assert_eq!(done, calls(if last && hours % 12 == 0 { READ } else { UPDATED }), "after {hours} h");
    }
    app.bed.advance(6 * HOUR);
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING));
    let response = get(&app.client, "/write", &id).await;
    assert_ne!(new_id(&response), id, "a new session begins");
}

#[rocket::async_test]
async fn the_absolute_timeout_holds_for_rows_that_were_written_without_one() {
    let app = App::new().await;
    let id = app.stored().await;
    let strict = Config { ttl: seconds(DAY), absolute_ttl: Some(seconds(2 * DAY)), ..app.bed.config() };
    let strict = node(&app.bed, strict).await;
    app.bed.advance(2 * DAY - 1);
    assert_eq!(get(&strict, "/poll", &id).await.status(), Status::Ok);
    assert_eq!(get(&strict, "/", &id).await.into_string().await.as_deref(), Some("k"));
    app.bed.advance(1);
    assert_eq!(get(&strict, "/", &id).await.into_string().await.as_deref(), Some(""));
}

#[rocket::async_test]
async fn a_login_restarts_the_absolute_clock_and_a_cycle_does_not() {
    for (path, left) in [("/login", 2 * DAY), ("/cycle", DAY)] {
        let lifetimes = |config| Config { ttl: seconds(2 * DAY), absolute_ttl: Some(seconds(2 * DAY)), ..config };
        let app = App::with(lifetimes).await;
        let old = app.stored().await;
        app.bed.advance(DAY);
        let response = get(&app.client, path, &old).await;
        let new = new_id(&response);
        assert_ne!(new, old);
        assert_eq!(max_age(&response), Some(Some(left)), "{path}");
        assert_eq!(app.left(&new).await, left, "{path}");

        app.bed.advance(left - 1);
        assert_eq!(get(&app.client, "/", &new).await.into_string().await.as_deref(), Some("k"), "{path}");
        app.bed.advance(1);
        assert_eq!(get(&app.client, "/", &new).await.into_string().await.as_deref(), Some(""), "{path}");
    }
}

// The session's own lifetime.

#[rocket::async_test]
async fn a_lifetime_of_its_own_is_kept_in_the_row_and_shortens_row_and_cookie() {
    let app = App::new().await;
    let id = app.stored().await;
    assert_eq!(app.get("/ttl?seconds=3600", &id).await, (calls(UPDATED), Some(Some(HOUR))));
    assert_eq!(app.row(&id).await.number("lifetime"), Some(3600));
    assert_eq!(app.left(&id).await, HOUR);

    // It is this session's idle timeout from now on.
    app.bed.advance(5 * MINUTE);
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING));
    app.bed.advance(2 * MINUTE);
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), Some(Some(HOUR))));
    assert_eq!(app.left(&id).await, HOUR);
    app.bed.advance(HOUR);
    assert_eq!(get(&app.client, "/", &id).await.into_string().await.as_deref(), Some(""));
}

#[rocket::async_test]
async fn a_lifetime_of_its_own_does_not_prolong() {
    let app = App::with(|config| Config { ttl: seconds(HOUR), absolute_ttl: Some(seconds(2 * HOUR)), ..config }).await;
    let id = app.stored().await;
    app.bed.advance(1);
    let refused = get(&app.client, "/ttl?seconds=86400", &id).await;
    assert_eq!((refused.status(), told(&refused)), (Status::InternalServerError, None));
    assert_eq!(app.left(&id).await, HOUR - 1);
    app.bed.advance(HOUR - 2);
    assert_eq!(app.get("/", &id).await.1, Some(Some(HOUR)));
    app.bed.advance(30 * MINUTE + 1);
    let (_, told) = app.get("/ttl?seconds=3600", &id).await;
    assert_eq!(told, Some(Some(30 * MINUTE)), "the absolute timeout is earlier");
    assert_eq!(app.left(&id).await, 30 * MINUTE);
}

#[rocket::async_test]
async fn a_lifetime_of_its_own_is_taken_back_with_none() {
    let app = App::new().await;
    let id = app.stored().await;
    app.get("/ttl?seconds=3600", &id).await;
    app.bed.advance(MINUTE);
    assert_eq!(app.get("/ttl", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
    assert_eq!(app.row(&id).await.number("lifetime"), None);
    assert_eq!(app.left(&id).await, 14 * DAY);
}

#[rocket::async_test]
async fn a_lifetime_alone_makes_a_session() {
    let app = App::new().await;
    let response = app.client.get("/ttl?seconds=60").dispatch().await;
    let id = new_id(&response);
    assert_eq!((max_age(&response), app.left(&id).await), (Some(Some(60)), 60));
    let (done, _) = app.get("/ttl", &id).await;
    assert_eq!(done, UPDATED, "without it the session is empty");
    assert_ended(&app.row(&id).await);
}

#[rocket::async_test]
async fn a_lifetime_of_its_own_survives_a_new_id_and_not_a_login() {
    for (path, left) in [("/login", 14 * DAY), ("/cycle", HOUR)] {
        let app = App::new().await;
        let id = app.stored().await;
        app.get("/ttl?seconds=3600", &id).await;
        let response = get(&app.client, path, &id).await;
        let id = new_id(&response);
        assert_eq!((max_age(&response), app.left(&id).await), (Some(Some(left)), left), "{path}");
        assert_eq!(app.row(&id).await.number("lifetime").is_none(), path == "/login");
    }
}

#[rocket::async_test]
async fn a_second_login_that_is_to_be_remembered_lives_as_long_as_one() {
    let app = App::new().await;
    let first = new_id(&app.client.get("/in?then=ttl").dispatch().await);
    assert_eq!(app.left(&first).await, 2 * HOUR);
    let response = get(&app.client, "/in?then=remember", &first).await;
    assert_eq!(max_age(&response), Some(Some(14 * DAY)));
    assert_eq!(app.left(&new_id(&response)).await, 14 * DAY);
}

#[rocket::async_test]
async fn a_lifetime_is_cut_to_whole_seconds_and_a_longer_one_than_configured_is_refused() {
    let app = App::with(|config| Config { anonymous_ttl: Some(seconds(HOUR)), ..config }).await;
    let id = new_id(&app.client.get("/lifetime?millis=90500").dispatch().await);
    assert_eq!(app.row(&id).await.number("lifetime"), Some(90));
    app.bed.faults.reset_counts();
    for (path, said) in [
        ("/lifetime?millis=999", "a lifetime of 999 ms is shorter than a second"),
        ("/lifetime?millis=0", "a lifetime of 0 ms is shorter than a second"),
        (
            "/lifetime?millis=3601000",
            "a lifetime of 3601 seconds is longer than the 1 hour that are configured; raise these, or shorten it",
        ),
        (
            "/lifetime?millis=31536000000&login=true",
            "a lifetime of 365 days is longer than the 14 days that are configured; raise these, or shorten it",
        ),
    ] {
        let response = app.client.get(path).dispatch().await;
        assert_eq!(
            (told(&response).is_some(), response.into_string().await.as_deref()),
            (path.contains("login"), Some(said))
        );
    }
    // What is configured is allowed, and so is the fraction above it.
    for path in ["/lifetime?millis=3600999", "/lifetime?millis=1209600000&login=true"] {
        let response = app.client.get(path).dispatch().await;
        assert_eq!(response.into_string().await.as_deref(), Some("stored"), "{path}");
    }
}

#[rocket::async_test]
async fn a_principal_that_is_empty_or_no_key_of_an_index_is_refused() {
    let app = App::with(|config| Config { key_prefix: "shop/".into(), ..config }).await;
    let id = app.stored().await;
    let rows = app.bed.rows().await;
    for (length, said) in [
        (0, "a principal is not empty; give the user a name or a number"),
        (2044, "the principal would take 2049 bytes with the key prefix, of 2048; give the user a shorter one"),
        (3000, "the principal would take 3005 bytes with the key prefix, of 2048; give the user a shorter one"),
    ] {
        let path = format!("/in/{length}");
        let response = get(&app.client, &path, &id).await;
        assert_eq!((told(&response), response.into_string().await.as_deref()), (None, Some(said)));
        assert_eq!(app.bed.rows().await, rows);
    }
    let response = get(&app.client, "/in/2043", &id).await;
    let principal = app.row(&new_id(&response)).await.text("principal").map(str::len);
    assert!(principal >= Some(2043), "{principal:?}");
}

#[rocket::async_test]
async fn each_kind_of_session_has_the_lifetime_that_is_configured_for_it() {
    let app = App::with(|config| Config {
        ttl: seconds(HOUR),
        absolute_ttl: Some(seconds(8 * HOUR)),
        remember_ttl: Some(seconds(30 * DAY)),
        remember_absolute_ttl: Some(seconds(90 * DAY)),
        anonymous_ttl: Some(seconds(2 * HOUR)),
        remember: false,
        ..config
    })
    .await;
    let visitor = app.client.get("/write").dispatch().await;
    assert_eq!((max_age(&visitor), app.left(&new_id(&visitor)).await), (Some(None), 2 * HOUR));
    let signed_in = get(&app.client, "/login", &new_id(&visitor)).await;
    let id = new_id(&signed_in);
    assert_eq!((max_age(&signed_in), app.left(&id).await), (Some(None), HOUR));
    let remembered = app.get("/remember/true", &id).await;
    assert_eq!((remembered, app.left(&id).await), ((calls(UPDATED), Some(Some(30 * DAY))), 30 * DAY));
    // The absolute timeout is that of the kind, too.
    app.bed.advance(29 * DAY);
    assert_eq!(app.get("/", &id).await.1, Some(Some(30 * DAY)));
    app.get("/remember/false", &id).await;
    assert_eq!(get(&app.client, "/", &id).await.into_string().await.as_deref(), Some(""), "older than eight hours");
}

#[rocket::async_test]
async fn a_session_says_when_it_began_was_changed_and_will_expire() {
    let app = App::new().await;
    let about = async |id: &SessionId| {
        let text = get(&app.client, "/info", id).await.into_string().await.expect("a text");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    assert_eq!(about(&SessionId::random()).await, json!(null));
    let id = app.stored().await;
    let start = app.bed.now();
    app.bed.advance(HOUR);
    app.get("/write", &id).await;
    app.bed.advance(2 * DAY);
    app.get("/", &id).await;
    let (now, info) = (app.bed.now(), about(&id).await);
    assert_eq!(info["started"], json!(start));
    assert_eq!(info["modified"], json!(start + 3600), "a refresh is no change");
    assert_eq!(info["expires"], json!(now + 14 * 86_400));
    assert_eq!(info["remembered"], json!(true));
    let row = app.row(&id).await;
    let named: usize = row.0.iter().map(|(name, value)| name.len() + value.as_s().map_or(11, String::len)).sum();
    assert_eq!(info["size"], json!(named));
    app.get("/remember/false", &id).await;
    assert_eq!(about(&id).await["remembered"], json!(false));
}

#[rocket::async_test]
async fn a_cookie_is_renewed_for_as_long_as_a_row_that_outlives_all_cookies() {
    for ttl in [401 * DAY, 3650 * DAY] {
        let app = App::with(|config| Config { ttl: seconds(ttl), ..config }).await;
        let mut browser = Browser::new(&app, "/write").await;
        assert_eq!(browser.until, Some(app.bed.now() + 400 * 86_400));
        let mut refreshed = 0;
        for _ in 0..500 {
            app.bed.advance(DAY);
            let until = browser.until;
            assert!(browser.visit("/").await, "signed out at {}", app.bed.clock.now());
            refreshed += u32::from(browser.until != until);
        }
        assert_eq!(refreshed, 500 / 41, "a tenth of the 400 days has to pass");
        assert_eq!(app.row(&browser.id).await.number("cookie"), browser.until);
    }
}

#[rocket::async_test]
async fn a_row_that_another_program_wrote_with_milliseconds_lives_no_longer_than_configured() {
    let app = App::new().await;
    let id = app.stored().await;
    let mut row = app.row(&id).await;
    let millis = (app.bed.now() + 14 * 86_400) * 1000;
    row.0.insert("ttl".into(), aws_sdk_dynamodb::types::AttributeValue::N(millis.to_string()));
    app.bed.put(row).await;
    // Also by a request that renews nothing: policy is no renewal.
    assert_eq!(app.get("/poll", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
    assert_eq!(app.left(&id).await, 14 * DAY);
}

#[rocket::async_test]
async fn after_a_revocation_of_its_own_session_the_guard_of_the_request_knows() {
    let app = App::new().await;
    let id = app.stored().await;
    let response = get(&app.client, "/revoke-own", &id).await;
    assert_eq!(told(&response), None);
    assert_eq!(response.into_string().await.as_deref(), Some("true Gone None []"));
    assert_eq!(app.bed.faults.calls(), ["GetItem", "GetItem", "UpdateItem"], "what it goes on to store is not tried");
    assert!(app.row(&id).await.is_tombstone());

    // An ID that an earlier flush was about to tell has ended too.
    let response = get(&app.client, "/revoke-own?flush=true", &app.stored().await).await;
    assert_eq!((told(&response), response.into_string().await.as_deref()), (None, Some("true Gone None []")));
    // Another's session is none of this guard's business.
    let (mine, other) = (app.stored().await, app.stored().await);
    let handle = support::sessions(&app.client).handle_of(&other);
    let path = format!("/revoke-own?other={handle}");
    assert_eq!(get(&app.client, &path, &mine).await.into_string().await.as_deref(), Some("true Live Some(()) [\"k\"]"));
}

#[rocket::async_test]
async fn a_parallel_touch_does_not_undo_a_lifetime_of_its_own() {
    // Two nodes: in one process, the commits of a row wait for each other.
    let app = App::new().await;
    let other = node(&app.bed, app.bed.config()).await;
    let id = app.stored().await;
    app.bed.advance(2 * DAY);

    // The touch is about to be sent when the lifetime is stored.
    let touch = app.bed.faults.hold("UpdateItem");
    let (touching, shortening) = rocket::tokio::join!(get(&app.client, "/", &id), async {
        touch.reached().await;
        let response = get(&other, "/ttl?seconds=3600", &id).await;
        touch.open();
        response
    });
    assert_eq!((max_age(&touching), max_age(&shortening)), (NOTHING, Some(Some(HOUR))));
    assert_eq!(app.left(&id).await, HOUR);
    assert_eq!(app.row(&id).await.number("lifetime"), Some(3600));

    // And the other way round: the touch comes first.
    app.get("/ttl", &id).await;
    app.bed.advance(2 * DAY);
    let shortening = app.bed.faults.hold("UpdateItem");
    let (shortened, touched) = rocket::tokio::join!(get(&app.client, "/ttl?seconds=3600", &id), async {
        shortening.reached().await;
        let response = get(&other, "/", &id).await;
        shortening.open();
        response
    });
    assert_eq!((max_age(&touched), max_age(&shortened)), (Some(Some(14 * DAY)), Some(Some(HOUR))));
    assert_eq!(app.left(&id).await, HOUR);
    assert_eq!(app.row(&id).await.number("lifetime"), Some(3600));
}

#[rocket::async_test]
async fn a_parallel_write_does_not_undo_a_lifetime_of_its_own() {
    let app = App::new().await;
    let other = node(&app.bed, app.bed.config()).await;
    let id = app.stored().await;
    app.bed.advance(2 * DAY);
    let writing = app.bed.faults.hold("UpdateItem");
    let (_, _) = rocket::tokio::join!(get(&app.client, "/write", &id), async {
        writing.reached().await;
        let response = get(&other, "/ttl?seconds=3600", &id).await;
        writing.open();
        response
    });
    let row = app.row(&id).await;
    assert_eq!((row.data()["n"].as_u64(), row.number("lifetime")), (Some(1), Some(3600)));
    assert_eq!(app.left(&id).await, HOUR);
}

// Persistent and browser-session cookies.

#[rocket::async_test]
async fn a_session_that_is_not_remembered_has_a_cookie_without_max_age() {
    let app = App::new().await;
    let id = app.stored().await;
    app.bed.advance(HOUR);
    assert_eq!(app.get("/remember/false", &id).await, (calls(UPDATED), Some(None)));
    assert_eq!(app.left(&id).await, 14 * DAY, "row and cookie are refreshed together");
    assert_eq!(app.row(&id).await.number("cookie"), None);
    assert_eq!(app.get("/remember/false", &id).await, (calls(READ), NOTHING), "nothing changes");

    // Such a cookie has no lifetime to refresh: only the row is touched.
    app.bed.advance(2 * DAY);
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), NOTHING));
    assert_eq!(app.left(&id).await, 14 * DAY);
    app.bed.advance(2 * DAY);
    assert_eq!(app.get("/write", &id).await, (calls(UPDATED), NOTHING));
    assert_eq!(app.left(&id).await, 14 * DAY);

    app.bed.advance(HOUR);
    assert_eq!(app.get("/remember/true", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
    assert_eq!(app.left(&id).await, 14 * DAY);
    app.bed.advance(HOUR);
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING));
}

#[rocket::async_test]
async fn a_choice_is_told_also_by_a_request_that_skips_renewal() {
    let app = App::new().await;
    let id = app.stored().await;
    assert_eq!(app.get("/poll/remember/false", &id).await, (calls(UPDATED), Some(None)));
    assert_eq!(app.get("/poll/remember/true", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
}

#[rocket::async_test]
async fn a_session_that_is_not_remembered_stays_so_under_a_new_id_and_not_after_a_login() {
    for (path, age) in [("/login", Some(14 * DAY)), ("/cycle", None), ("/in?then=forget", None)] {
        let app = App::new().await;
        let id = app.stored().await;
        app.get("/remember/false", &id).await;
        let response = get(&app.client, path, &id).await;
        assert_eq!(max_age(&response), Some(age), "{path}");
        assert_eq!(app.left(&new_id(&response)).await, 14 * DAY, "{path}");
    }
}

#[rocket::async_test]
async fn the_configuration_can_say_that_no_session_is_remembered() {
    let app = App::with(|config| Config { remember: false, ..config }).await;
    let response = app.client.get("/write").dispatch().await;
    let id = new_id(&response);
    assert_eq!((max_age(&response), app.left(&id).await), (Some(None), 14 * DAY));
    app.bed.advance(2 * DAY);
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), NOTHING), "the row alone is touched");
    assert_eq!(app.left(&id).await, 14 * DAY);
    assert_eq!(app.get("/remember/true", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
    assert_eq!(app.get("/remember/false", &id).await, (calls(UPDATED), Some(None)));
}

#[rocket::async_test]
async fn a_choice_made_in_a_stream_reaches_the_cookie_with_the_next_response() {
    let app = App::new().await;
    let id = app.stored().await;
    assert_eq!(app.get("/stream/forget", &id).await, (calls(UPDATED), NOTHING));
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), Some(None)), "no longer a persistent cookie");
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING), "told once");

    assert_eq!(app.get("/stream/remember", &id).await, (calls(UPDATED), NOTHING));
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), Some(Some(14 * DAY))), "a persistent cookie");
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING), "told once");
}

// The touch throttle.

#[rocket::async_test]
async fn a_session_of_14_days_is_touched_at_most_every_33_6_hours() {
    let app = App::new().await;
    let id = app.stored().await;
    let before = app.row(&id).await;
    let due = 336 * HOUR / 10;
    let start = app.bed.clock.now();
    for seconds in [1, HOUR, 33 * HOUR, due - 1, due] {
        app.bed.clock.set(start + Duration::from_secs(seconds));
        assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING), "not due after {seconds} s");
    }
    assert_eq!(app.row(&id).await, before);

    app.bed.advance(1);
    assert_eq!(app.get("/", &id).await, (calls(UPDATED), Some(Some(14 * DAY))));
    let touched = app.row(&id).await;
    assert_eq!(touched.number("ttl"), Some(app.bed.now() + 14 * 86_400));
    assert_eq!(touched.number("cookie"), touched.number("ttl"), "row and cookie move together");
    for name in ["data", "modified", "started", "tokens"] {
        assert_eq!(touched.0[name], before.0[name], "a touch writes no {name}");
    }
    assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING), "and the throttle begins again");
}

#[rocket::async_test]
async fn a_write_refreshes_row_and_cookie_when_that_is_due_and_else_neither() {
    let app = App::new().await;
    let id = app.stored().await;
    app.bed.advance(33 * HOUR);
    assert_eq!(app.get("/write", &id).await, (calls(UPDATED), NOTHING));
    assert_eq!(app.left(&id).await, 14 * DAY - 33 * HOUR);
    app.bed.advance(HOUR);
    assert_eq!(app.get("/write", &id).await, (calls(UPDATED), Some(Some(14 * DAY))), "one write for both");
    assert_eq!(app.left(&id).await, 14 * DAY);
    assert_eq!(app.row(&id).await.data()["n"], 2);
}

#[rocket::async_test]
async fn a_request_that_skips_renewal_refreshes_nothing() {
    let app = App::new().await;
    let id = app.stored().await;
    app.bed.advance(13 * DAY);
    assert_eq!(app.get("/poll", &id).await, (calls(READ), NOTHING));
    assert_eq!(app.get("/poll?write=true", &id).await, (calls(UPDATED), NOTHING), "it can write all the same");
    assert_eq!(app.left(&id).await, DAY);
    assert_eq!(app.row(&id).await.data()["polled"], true);
    app.bed.advance(DAY);
    assert_eq!(get(&app.client, "/", &id).await.into_string().await.as_deref(), Some(""), "a tab is no activity");
}

#[rocket::async_test]
async fn renew_below_moves_the_throttle() {
    for (share, not_yet, due) in [(1.0, 0, 1), (0.5, 7 * DAY, 7 * DAY + 1), (0.1, 12 * DAY, 13 * DAY)] {
        let renew_below = rocket_dynamodb_sessions::Share::new(share).expect("a share");
        let app = App::with(|config| Config { renew_below, ..config }).await;
        let id = app.stored().await;
        app.bed.advance(not_yet);
        assert_eq!(app.get("/", &id).await, (calls(READ), NOTHING), "{share}");
        app.bed.advance(due - not_yet);
        assert_eq!(app.get("/", &id).await, (calls(UPDATED), Some(Some(14 * DAY))), "{share}");
    }
}

#[rocket::async_test]
async fn a_header_has_no_lifetime_so_only_the_row_is_touched() {
    let app = App::with(|config| Config { header: Some("X-SessionId".into()), ..config }).await;
    let id = app.stored().await;
    let header = || rocket::http::Header::new("X-SessionId", id.expose());
    app.bed.advance(2 * DAY);
    for expected in [UPDATED, READ] {
        app.bed.faults.reset_counts();
        let response = app.client.get("/").header(header()).dispatch().await;
        ok(&response);
        assert_eq!(response.headers().get_one("X-SessionId"), None);
        assert_eq!(app.bed.faults.calls(), expected);
    }
    assert_eq!(app.left(&id).await, 14 * DAY);
}

#[rocket::async_test]
async fn one_of_two_parallel_touches_is_enough() {
    let app = App::new().await;
    let other = node(&app.bed, app.bed.config()).await;
    let id = app.stored().await;
    app.bed.advance(2 * DAY);
    let held = app.bed.faults.hold("UpdateItem");
    let (second, first) = rocket::tokio::join!(get(&app.client, "/", &id), async {
        held.reached().await;
        app.bed.advance(1);
        let response = get(&other, "/", &id).await;
        held.open();
        response
    });
    assert_eq!((max_age(&first), max_age(&second)), (Some(Some(14 * DAY)), NOTHING), "a shorter one is not written");
    assert_eq!(app.left(&id).await, 14 * DAY);
    assert_eq!(app.bed.faults.calls().len(), 4);
}

// Row and cookie together, over weeks.

/// A browser that obeys Max-Age, on the test's clock.
struct Browser<'a> {
    app: &'a App,
    id: SessionId,
    /// When the cookie expires; `None` when the browser closes.
    until: Option<i64>,
}

impl<'a> Browser<'a> {
    async fn new(app: &'a App, path: &str) -> Self {
        let response = app.client.get(path).dispatch().await;
        let mut browser = Self { app, id: new_id(&response), until: None };
        browser.take_over(&response);
        browser
    }

    fn has_cookie(&self) -> bool {
        self.until.is_none_or(|until| until > self.app.bed.now())
    }

    #[track_caller]
    fn take_over(&mut self, response: &LocalResponse<'_>) {
        let Some(cookie) = told(response) else { return };
        assert!(!cookie.value().is_empty(), "the user is signed out: {:?}", set_cookies(response));
        self.id = new_id(response);
        self.until = cookie.max_age().map(|age| self.app.bed.now() + age.whole_seconds());
    }

    /// Opens a page, and answers whether the session was there.
    async fn visit(&mut self, path: &str) -> bool {
        let request = self.app.client.get(path);
        let request = if self.has_cookie() { request.cookie(cookie(&self.id)) } else { request };
        let response = request.dispatch().await;
        ok(&response);
        self.take_over(&response);
        response.into_string().await.is_some_and(|text| !text.is_empty())
    }

    /// Reads a stream from now on for so long.
    async fn listen(&mut self, path: &str, seconds: u64) {
        let request = self.app.client.get(path);
        let request = if self.has_cookie() { request.cookie(cookie(&self.id)) } else { request };
        let response = request.dispatch().await;
        self.take_over(&response);
        self.app.bed.advance(seconds);
        assert_eq!(response.into_string().await.as_deref(), Some("begunended"));
    }
}

#[rocket::async_test]
async fn a_stream_that_refreshed_the_row_alone_does_not_let_the_cookie_run_out() {
    for path in ["/stream", "/stream/write"] {
        let app = App::new().await;
        let mut browser = Browser::new(&app, "/write").await;
        browser.listen(path, 13 * DAY).await;
        assert_eq!(app.left(&browser.id).await, 14 * DAY, "{path}: the row was refreshed at the stream's end");
        assert_eq!(browser.until, Some(app.bed.now() + i64::try_from(DAY).expect("small")));

        // More than nine tenths of the row's lifetime are left, but the cookie has an hour.
        app.bed.advance(23 * HOUR);
        assert!(browser.visit("/").await);
        assert_eq!(browser.until, app.row(&browser.id).await.number("ttl"), "{path}");
        app.bed.advance(2 * HOUR);
        assert!(browser.visit("/").await, "{path}: signed out by an older cookie");
    }
}

#[rocket::async_test]
async fn an_active_user_is_never_logged_out_by_an_older_cookie() {
    let app = App::new().await;
    let mut browser = Browser::new(&app, "/write").await;
    // Half a year of pages, polls, writes and streams, each while the cookie that came before is alive.
    let mut random = 20_260_101_u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let (mut refreshed, mut streams) = (0, 0);
    let end = app.bed.now() + i64::try_from(180 * DAY).expect("small");
    while app.bed.now() < end {
        let until = browser.until;
        match next(6) {
            0 | 1 => assert!(browser.visit("/").await, "signed out at {}", app.bed.clock.now()),
            2 => assert!(browser.visit("/write").await, "signed out at {}", app.bed.clock.now()),
            3 => {
                browser.visit("/cycle").await;
                assert!(browser.visit("/").await, "signed out at {}", app.bed.clock.now());
            }
            4 => browser.listen("/stream", 1 + next(9 * DAY)).await,
            _ => browser.listen("/stream/write", 1 + next(9 * DAY)).await,
        }
        refreshed += u32::from(browser.until != until);
        let row = app.row(&browser.id).await;
        assert_eq!(row.number("cookie"), browser.until, "the row remembers the last cookie");
        assert!(row.number("ttl") >= browser.until, "the cookie never outlives the row");
        streams += u32::from(row.number("ttl") > browser.until);
        // The user comes back in minutes, or when little is left of the cookie.
        let left = u64::try_from(browser.until.expect("a persistent cookie") - app.bed.now()).expect("it is alive");
        let longest = if next(3) == 0 { left } else { left.min(2 * HOUR) };
        app.bed.advance(next(longest));
    }
    assert!(refreshed > 10 && streams > 10, "{refreshed} cookies refreshed, {streams} times only the row");
}

#[rocket::async_test]
async fn nothing_outlives_the_earliest_of_the_three_lifetimes() {
    const IDLE: i64 = 5 * 86_400;
    const ABSOLUTE: i64 = 11 * 86_400;
    let lifetimes = |config| Config {
        ttl: Lifetime::new(Duration::from_secs(5 * DAY)).expect("a lifetime"),
        absolute_ttl: Some(Lifetime::new(Duration::from_secs(11 * DAY)).expect("a lifetime")),
        ..config
    };
    for seed in 1..=8_u64 {
        let app = App::with(lifetimes).await;
        let mut random = seed;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut browser = Browser::new(&app, "/write").await;
        let (mut started, mut own, mut used) = (app.bed.now(), IDLE, app.bed.now());
        loop {
            app.bed.advance(next(30 * HOUR));
            let now = app.bed.now();
            let over = (used + own.min(IDLE)).min(started + ABSOLUTE) <= now;
            if !over {
                used = now;
            }
            let (path, change): (String, Option<i64>) = match next(8) {
                0 => ("/login".into(), Some(IDLE)),
                1 => ("/cycle".into(), None),
                2 => {
                    let seconds = 1 + next(5 * DAY);
                    (format!("/ttl?seconds={seconds}"), i64::try_from(seconds).ok())
                }
                3 => ("/ttl".into(), Some(IDLE)),
                4 => ("/write".into(), None),
                5 => ("/stream".into(), None),
                _ => ("/".into(), None),
            };
            let before = browser.id;
            if path == "/stream" && !over {
                browser.listen(&path, next(DAY)).await;
                // A stream's end is a use as well, if the session is still there.
                let now = app.bed.now();
                if (used + own.min(IDLE)).min(started + ABSOLUTE) > now {
                    used = now;
                }
            } else if over {
                // What is over is over for each of them: the cookie, or else the row.
                assert!(!browser.visit("/").await, "seed {seed}: alive at {}", app.bed.clock.now());
                assert_eq!(browser.id, before);
                break;
            } else {
                browser.visit(&path).await;
            }
            if path != "/cycle" && browser.id != before {
                // A login, or a session in place of one that ended a little earlier: refreshes are throttled.
                (started, own) = (app.bed.now(), IDLE);
            }
            own = change.unwrap_or(own);
            let latest = (used + own.min(IDLE)).min(started + ABSOLUTE);
            let row = app.row(&browser.id).await;
            assert!(row.number("ttl") <= Some(latest), "seed {seed}: the row outlives {path}");
            assert!(browser.until <= Some(latest), "seed {seed}: the cookie outlives {path}");
        }
    }
}
