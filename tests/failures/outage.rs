//! What a route can do about an outage: take `Result<Session, Error>` or `Option<Session>`, or have the configuration say
//! `on_outage = "anonymous"`.

use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, OnOutage, Session, SessionId, SessionStatus};
use serde_json::json;

use crate::support::{Bed, assert_ended, get, ok, seed, sessions, told};
use crate::{DEADLINE, assert_unavailable, bed, is_remote, timed};

#[get("/result")]
fn result(session: Result<Session, Error>) -> String {
    match session {
        Ok(session) => format!("{:?}", session.status()),
        Err(error) => format!("{} {error}", error.status()),
    }
}

#[get("/option")]
fn option(session: Option<Session>) -> &'static str {
    if session.is_some() { "a session" } else { "no session" }
}

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

/// Tries everything that a session can do, and lists what did not work.
#[get("/all")]
async fn all(session: Session) -> String {
    assert_eq!(session.get::<u64>("n").expect("nothing has the wrong type"), None);
    assert_eq!(session.take::<u64>("n").await.expect("there is nothing to take"), None);
    assert!(session.is_empty() && !session.remove("n") && session.keys().is_empty() && session.principal().is_none());
    assert!(session.id().is_none() && session.handle().is_none());
    session.clear();
    session.remember(false);
    session.skip_renewal();
    let tried = [
        ("insert", session.insert("n", 1)),
        ("update", session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(drop)),
        ("login", session.login("eve")),
        ("cycle_id", session.cycle_id()),
        ("set_ttl", session.set_ttl(std::time::Duration::from_secs(60))),
    ];
    let failed = tried.iter().filter(|(_, result)| matches!(result, Err(Error::Unavailable { action: "load", .. })));
    let failed: Vec<_> = failed.map(|(name, _)| *name).collect();
    format!("{:?}: {}", session.status(), failed.join(", "))
}

#[get("/logout")]
fn logout(session: Session) -> &'static str {
    session.invalidate();
    "bye"
}

#[get("/reload")]
async fn reload(session: Session) -> Result<String, Error> {
    session.reload().await?;
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/panic")]
fn panic(session: Session) -> &'static str {
    session.invalidate();
    panic!("a bug")
}

async fn start(on_outage: OnOutage) -> (Bed, Client, SessionId) {
    let bed = bed();
    let config = Config { on_outage, ..bed.config() };
    let client = bed.client_with(config, routes![result, option, plain, all, logout, reload, panic]).await;
    let id = seed(&client, Some("ann"), &[("n", json!(5))]).await;
    bed.faults.reset_counts();
    (bed, client, id)
}

#[tokio::test]
async fn a_route_can_take_a_result_or_an_option_and_answer_200_in_an_outage() {
    let (bed, client, id) = start(OnOutage::Fail).await;
    let rows = bed.rows().await;
    bed.faults.inject(On::any().always(), Effect::Reset);
    for (path, body) in [
        ("/result", "503 the session store is unavailable (load); try again later"),
        ("/option", "no session"),
        ("/plain", "plain"),
    ] {
        let response = get(&client, path, &id).await;
        ok(&response);
        assert_eq!(told(&response), None);
        assert_eq!(response.into_string().await.as_deref(), Some(body));
    }
    assert_eq!(bed.faults.count("GetItem"), bed.faults.calls().len());
    assert_eq!(bed.rows().await, rows);

    bed.faults.clear();
    assert_eq!(get(&client, "/result", &id).await.into_string().await.as_deref(), Some("Live"));
    assert_eq!(get(&client, "/option", &id).await.into_string().await.as_deref(), Some("a session"));
}

#[tokio::test]
async fn a_route_without_the_guard_asks_nothing_of_the_store() {
    for on_outage in [OnOutage::Fail, OnOutage::Anonymous] {
        let (bed, client, id) = start(on_outage).await;
        bed.faults.inject(On::any().always(), Effect::Hang);
        let response = get(&client, "/plain", &id).await;
        ok(&response);
        assert_eq!((response.headers().get_one("Vary"), told(&response)), (None, None));
        assert_eq!(bed.faults.calls(), [""; 0]);
    }
}

#[tokio::test]
async fn an_anonymous_session_is_empty_and_refuses_to_store_anything() {
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    let rows = bed.rows().await;
    bed.faults.inject(On::reads().always(), Effect::Reset);
    let response = get(&client, "/all", &id).await;
    ok(&response);
    assert_eq!(told(&response), None);
    let body = response.into_string().await;
    assert_eq!(body.as_deref(), Some("Unavailable: insert, update, login, cycle_id, set_ttl"));
    assert_eq!(bed.faults.calls(), ["GetItem"; 4]);
    assert_eq!(bed.rows().await, rows);
    assert_eq!(get(&client, "/result", &id).await.into_string().await.as_deref(), Some("Unavailable"));

    bed.faults.clear();
    assert_eq!(get(&client, "/result", &id).await.into_string().await.as_deref(), Some("Live"));
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_session_waits_for_the_store_until_the_deadline_and_no_longer() {
    if is_remote() {
        return;
    }
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    bed.faults.inject(On::any().always(), Effect::Hang);
    let (response, took) = timed(get(&client, "/all", &id)).await;
    ok(&response);
    assert!(took <= DEADLINE, "it took {took:?}");
    let (response, took) = timed(get(&client, "/logout", &id)).await;
    assert_unavailable(&response, "a sign-out");
    assert!(took <= DEADLINE, "it took {took:?}");
}

#[tokio::test]
async fn a_visitor_without_a_cookie_is_no_part_of_an_outage() {
    let (bed, client, _) = start(OnOutage::Anonymous).await;
    bed.faults.inject(On::any().always(), Effect::Reset);
    let response = client.get("/result").dispatch().await;
    assert_eq!(response.into_string().await.as_deref(), Some(format!("{:?}", SessionStatus::Fresh).as_str()));
    assert_eq!(bed.faults.calls(), [""; 0]);
}

#[tokio::test]
async fn a_sign_out_in_an_outage_is_carried_out_or_answered_503() {
    for path in ["/logout", "/panic"] {
        let (bed, client, id) = start(OnOutage::Anonymous).await;
        let rows = bed.rows().await;
        bed.faults.inject(On::any().always(), Effect::Reset);
        let response = get(&client, path, &id).await;
        assert_unavailable(&response, path);
        assert_eq!(bed.rows().await, rows);

        // Reads fail, writes work: the row is ended unseen.
        bed.faults.clear();
        bed.faults.reset_counts();
        bed.faults.inject(On::reads().always(), Effect::Reset);
        let response = get(&client, path, &id).await;
        assert_eq!(response.status(), if path == "/logout" { Status::Ok } else { Status::InternalServerError });
        assert_eq!(told(&response).expect("the cookie is removed").value(), "");
        assert_eq!(bed.faults.count("UpdateItem"), 1);
        let [ended] = &bed.rows().await[..] else { panic!("one row") };
        assert_ended(ended);
    }
}

#[tokio::test]
async fn a_sign_out_in_an_outage_that_finds_no_row_removes_no_cookie() {
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    bed.delete(&client, &id).await;
    // A failed condition that brings no row is no answer: the row is looked for, and what cannot be read is not concluded.
    bed.faults.inject(On::reads().always(), Effect::Reset);
    assert_unavailable(&get(&client, "/logout", &id).await, "a sign-out that nobody can tell of");
    assert_eq!(bed.faults.count("UpdateItem"), 1);
    bed.faults.clear();
    bed.faults.reset_counts();
    bed.faults.inject(On::reads().times(4), Effect::Reset);
    let response = get(&client, "/logout", &id).await;
    ok(&response);
    assert_eq!(told(&response), None);
    let calls = ["GetItem", "GetItem", "GetItem", "GetItem", "UpdateItem", "GetItem"];
    assert_eq!((bed.faults.calls(), bed.faults.pending()), (calls.map(str::to_owned).to_vec(), 0));
    assert_eq!(bed.rows().await, []);
}

#[tokio::test]
async fn a_sign_out_in_an_outage_ends_what_a_login_made_of_the_session() {
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    let other = client_that_logs_in(&bed).await;
    ok(&get(&other, "/login", &id).await);
    assert_eq!(bed.rows().await.len(), 2);
    bed.faults.inject(On::reads().always(), Effect::Reset);
    ok(&get(&client, "/logout", &id).await);
    let (ended, rows): (Vec<_>, _) = bed.rows().await.into_iter().partition(|row| row.text("ended") == Some("ended"));
    let ([ended], [login]) = (&ended[..], &rows[..]) else { panic!("two tombstones: {ended:?} {rows:?}") };
    assert_ended(ended);
    assert_eq!((login.text("ended"), login.text("successor")), (Some("login"), ended.text("id")));
}

async fn client_that_logs_in(bed: &Bed) -> Client {
    bed.client(routes![crate::login]).await
}

#[tokio::test]
async fn without_the_anonymous_policy_a_sign_out_in_an_outage_is_503() {
    let (bed, client, id) = start(OnOutage::Fail).await;
    let rows = bed.rows().await;
    bed.faults.inject(On::reads().always(), Effect::Reset);
    assert_unavailable(&get(&client, "/logout", &id).await, "a sign-out");
    assert_eq!(bed.rows().await, rows);
    assert!(bed.faults.calls().iter().all(|call| call == "GetItem"), "{:?}", bed.faults.calls());
}

#[tokio::test]
async fn a_reload_ends_the_outage_for_a_request() {
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    bed.faults.inject(On::reads().times(4), Effect::Reset);
    let response = get(&client, "/reload", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("6"));
    assert_eq!(bed.row(&client, &id).await.expect("the row is there").data()["n"], 6);

    bed.faults.inject(On::reads().times(8), Effect::Reset);
    assert_unavailable(&get(&client, "/reload", &id).await, "a reload");
    assert_eq!(
        (bed.row(&client, &id).await.expect("the row is there").data()["n"].clone(), bed.faults.pending()),
        (json!(6), 0)
    );
}

#[tokio::test]
async fn loads_and_failures_are_counted() {
    let (bed, client, id) = start(OnOutage::Anonymous).await;
    let before = sessions(&client).stats();
    bed.faults.inject(On::any().always(), Effect::AccessDenied);
    get(&client, "/result", &id).await;
    get(&client, "/logout", &id).await;
    let stats = sessions(&client).stats();
    assert_eq!((stats.loads - before.loads, stats.failed - before.failed, stats.commits), (2, 3, before.commits));
}
