//! The embedded engine as an application has it in development: what has expired goes, and two processes share a file. And
//! what an application's own tests are given.

mod support;

use std::path::Path;

use rocket::local::asynchronous::Client;
use rocket::local::blocking;
use rocket::{Build, Rocket, Route, get, routes};
use rocket_dynamodb_sessions::testing::{Database, Effect, Faults, On, TestClock, rows};
use rocket_dynamodb_sessions::{Config, Endpoint, Error, Principal, Session, SessionId, Sessions};
use serde_json::json;
use support::process::{self, Process};
use support::{bare_rocket, get, new_id, ok, sessions, told};

const DAY: u64 = 24 * 60 * 60;

#[get("/count")]
fn count(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/who")]
fn who(user: Option<Principal>) -> String {
    user.map_or_else(|| "nobody".to_owned(), Principal::into_string)
}

#[get("/login")]
fn login(session: Session) -> Result<(), Error> {
    session.login("ann")
}

#[get("/out")]
fn out(session: Session) {
    session.invalidate();
}

fn all() -> Vec<Route> {
    routes![count, who, login, out]
}

fn file(folder: &Path) -> Config {
    Config { endpoint: Some(Endpoint::File(folder.join("sessions.db"))), ..Config::default() }
}

async fn launched(config: Config, clock: &TestClock) -> Client {
    let fairing = Sessions::fairing().config(config).clock(clock);
    Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.expect("a valid rocket")
}

async fn number_of_rows(client: &Client) -> usize {
    rows(sessions(client).client(), "sessions").await.len()
}

// What has expired.

#[rocket::async_test]
async fn a_restart_deletes_the_expired_rows_of_a_file_by_the_stores_clock_and_no_others() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), TestClock::new());
    let client = launched(file(folder.path()), &clock).await;
    for _ in 0..100 {
        ok(&client.get("/count").dispatch().await);
    }
    clock.advance(std::time::Duration::from_secs(13 * DAY));
    let young = new_id(&client.get("/count").dispatch().await);
    assert_eq!(number_of_rows(&client).await, 101);
    client.terminate().await;

    // The real clock is years ahead of this one: it does not count.
    let client = launched(file(folder.path()), &clock).await;
    assert_eq!(number_of_rows(&client).await, 101);
    client.terminate().await;
    clock.advance(std::time::Duration::from_secs(DAY));
    let client = launched(file(folder.path()), &clock).await;
    assert_eq!(number_of_rows(&client).await, 1);
    assert_eq!(get(&client, "/count", &young).await.into_string().await.as_deref(), Some("2"));
}

#[rocket::async_test]
async fn an_application_that_runs_on_deletes_expired_rows_every_so_many_writes() {
    let clock = TestClock::new();
    let client = launched(Config { endpoint: Some(Endpoint::Memory), ..Config::default() }, &clock).await;
    for _ in 0..250 {
        ok(&client.get("/count").dispatch().await);
    }
    clock.advance(std::time::Duration::from_secs(14 * DAY));
    let mut living = 0;
    while number_of_rows(&client).await > living {
        ok(&client.get("/count").dispatch().await);
        living += 1;
        assert!(living < 20, "nothing is swept");
        // The sweep is a task of its own.
        rocket::tokio::task::yield_now().await;
    }
    assert!((6..20).contains(&living), "{living}");
}

#[rocket::async_test]
async fn a_database_that_the_application_brought_is_not_swept() {
    let (database, clock) = (Database::new(), TestClock::new());
    let launch = || async {
        let fairing = Sessions::fairing().client(database.client()).config(database.config()).clock(&clock);
        Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.expect("a valid rocket")
    };
    let client = launch().await;
    ok(&client.get("/count").dispatch().await);
    clock.advance(std::time::Duration::from_secs(15 * DAY));
    let _again = launch().await;
    assert_eq!(database.rows("sessions").await.len(), 1);
}

// Two processes on one file.

#[test]
fn server() {
    process::serve(all, vec![]);
}

#[test]
fn two_processes_on_one_file_share_their_sessions_and_lose_no_change() {
    const EACH: u32 = 20;

    let server = Process::start("server");
    let id = process::id(&server.get("/count", None));
    let runtime = rocket::tokio::runtime::Runtime::new().expect("a runtime");
    let here = runtime.block_on(async {
        let fairing = Sessions::fairing().config(file(server.folder()));
        Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.expect("the file opens a second time")
    });
    let counted = |client: &Client| {
        runtime.block_on(async { get(client, "/count", &id).await.into_string().await.expect("a number") })
    };
    assert_eq!(counted(&here), "2");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..EACH {
                counted(&here);
            }
        });
        for _ in 0..EACH {
            assert!(server.get("/count", Some(&id)).starts_with("HTTP/1.1 200"));
        }
    });
    assert_eq!(counted(&here), (2 * EACH + 3).to_string());

    // A sign-in and a sign-out of one are the other's.
    let new = runtime.block_on(async { new_id(&get(&here, "/login", &id).await) });
    assert!(server.get("/who", Some(&new)).ends_with("ann"));
    server.get("/out", Some(&new));
    let who = runtime.block_on(async { get(&here, "/who", &new).await.into_string().await });
    assert_eq!(who.as_deref(), Some("nobody"));
    server.stop();
}

#[rocket::async_test]
async fn two_that_create_the_file_at_the_same_moment_both_start() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, config) = (TestClock::new(), file(folder.path()));
        let (one, other) = rocket::tokio::join!(launched(config.clone(), &clock), launched(config, &clock));
        let id = new_id(&one.get("/count").dispatch().await);
        assert_eq!(get(&other, "/count", &id).await.into_string().await.as_deref(), Some("2"));
    }
}

// What an application's own tests are given.

fn application(database: &Database, config: Config) -> Rocket<Build> {
    let fairing = Sessions::fairing().client(database.client()).config(config);
    bare_rocket().attach(fairing).mount("/", all())
}

fn with_header(database: &Database) -> Config {
    Config { header: Some("X-Shop".into()), ..database.config() }
}

#[rocket::async_test]
async fn a_seeded_login_signs_in_by_cookie_and_by_header_in_tracked_and_untracked_clients() {
    for tracked in [true, false] {
        for header in [true, false] {
            let database = Database::new();
            let config = if header { with_header(&database) } else { database.config() };
            let rocket = application(&database, config);
            let client = if tracked { Client::tracked(rocket).await } else { Client::untracked(rocket).await };
            let client = client.expect("a valid rocket");
            let ann = sessions(&client).seed_login("ann", &[("k", json!(1))]).await.expect("it is stored");
            assert_eq!(ann.cookie().is_none(), header);
            assert_eq!(ann.header().name(), if header { "X-Shop" } else { "Cookie" });
            for request in [ann.apply(client.get("/who")), client.get("/who").header(ann.header())] {
                let said = request.dispatch().await.into_string().await;
                assert_eq!(said.as_deref(), Some("ann"), "tracked: {tracked}, header: {header}");
            }
            assert_eq!(client.get("/who").dispatch().await.into_string().await.as_deref(), Some("nobody"));
        }
    }
}

#[test]
fn a_seeded_login_signs_in_with_the_blocking_client() {
    for header in [true, false] {
        let database = Database::new();
        let config = if header { with_header(&database) } else { database.config() };
        let client = blocking::Client::tracked(application(&database, config)).expect("a valid rocket");
        let sessions = client.rocket().state::<Sessions>().expect("the fairing is attached");
        let ann = rocket::execute(sessions.seed_login("ann", &[])).expect("it is stored");
        assert_eq!(ann.apply(client.get("/who")).dispatch().into_string().as_deref(), Some("ann"), "header: {header}");
    }
}

#[rocket::async_test]
async fn in_a_tracked_client_a_newer_id_comes_before_the_seeded_one() {
    let database = Database::new();
    let client = Client::tracked(application(&database, database.config())).await.expect("a valid rocket");
    let visitor = sessions(&client).seed_login("eve", &[]).await.expect("it is stored");
    let response = visitor.apply(client.get("/login")).dispatch().await;
    assert_ne!(new_id(&response), visitor.id());
    assert_eq!(visitor.apply(client.get("/who")).dispatch().await.into_string().await.as_deref(), Some("ann"));
}

#[rocket::async_test]
async fn a_sweep_goes_by_the_tests_clock_and_keeps_what_lives() {
    let (database, clock) = (Database::new(), TestClock::new());
    let fairing = Sessions::fairing().client(database.client()).config(database.config()).clock(&clock);
    let client = Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.expect("a valid rocket");
    ok(&client.get("/count").dispatch().await);
    assert_eq!(database.sweep(&clock).await, 0, "by the real clock it would have expired");
    clock.advance(std::time::Duration::from_secs(14 * DAY));
    let young = new_id(&client.get("/count").dispatch().await);
    assert_eq!(database.sweep(&clock).await, 1);
    assert_eq!(told(&get(&client, "/count", &young).await), None, "the other lives");
    assert_eq!(database.rows("sessions").await.len(), 1);
}

#[rocket::async_test]
async fn faults_that_the_fairing_is_given_count_from_after_the_launch() {
    let (database, faults) = (Database::new(), Faults::new());
    // It is not spent on the launch, which asks for more than this.
    faults.inject(On::any(), Effect::AccessDenied);
    let fairing = Sessions::fairing().client(database.client()).config(database.config()).faults(&faults);
    let client = Client::untracked(bare_rocket().attach(fairing).mount("/", all())).await.expect("a valid rocket");
    assert_eq!((faults.calls().len(), faults.pending()), (0, 1));
    let response = get(&client, "/count", &SessionId::random()).await;
    assert_eq!((response.status().code, faults.calls()), (503, vec!["GetItem".to_owned()]));
}
