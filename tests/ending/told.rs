//! A commit that its caller has given up on: the answer waits for it, and tells it.

use std::sync::Arc;
use std::time::Duration;

use rocket::http::Status;
use rocket::tokio::{join, select};
use rocket::{get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Error, Session};
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::support::{new_id, told};
use super::{Scene, Shared, change, in_time, is_remote};

/// Makes a change, gives up on its flush, and answers.
#[get("/<name>/<patience>/<end>")]
async fn give_up(name: &str, patience: &str, end: &str, session: Session, signals: &Shared) -> Result<Status, Error> {
    change(&session, name)?;
    match patience {
        "timeout" => select! {
            biased;
            result = session.flush() => panic!("the flush ended too early: {result:?}"),
            () = signals.handler.notified() => {}
        },
        _ => {
            let session = session.clone();
            rocket::tokio::spawn(async move { session.flush().await });
            signals.handler.notified().await;
        }
    }
    signals.answered.notify_one();
    assert_ne!(end, "panic", "in a handler");
    Ok(Status::new(end.parse().expect("a status")))
}

/// Sends a request whose handler gives up when its write is under way, and lets the write go on when the handler has ended.
async fn given_up(scene: &Scene, path: &str) -> (Status, Option<rocket::http::Cookie<'static>>) {
    let gate = scene.bed.faults.hold(On::writes());
    let meanwhile = async {
        gate.reached().await;
        scene.signals.handler.notify_one();
        scene.signals.answered.notified().await;
        // An answer that does not wait has every chance to be out by now.
        for _ in 0..100 {
            yield_now().await;
        }
        gate.open();
    };
    let (response, ()) = in_time(path, async { join!(scene.request(path).dispatch(), meanwhile) }).await;
    (response.status(), told(&response))
}

fn ends() -> impl Iterator<Item = (&'static str, &'static str, u16)> {
    let ends = [("503", 503), ("500", 500), ("panic", 500), ("200", 200), ("404", 404)];
    ["timeout", "spawn"].into_iter().flat_map(move |patience| ends.map(|(end, status)| (patience, end, status)))
}

#[tokio::test]
async fn a_rotation_under_way_is_told_whatever_the_handler_answers() {
    for (name, principal) in [("login", "eve"), ("cycle", "ann")] {
        for (patience, end, status) in ends() {
            let scene = Scene::new(routes![give_up]).await;
            let path = format!("/{name}/{patience}/{end}");
            let (answered, cookie) = given_up(&scene, &path).await;
            assert_eq!(answered.code, status, "{path}");
            let cookie = cookie.unwrap_or_else(|| panic!("{path}: the ID was rotated, and the client was not told"));
            let new = rocket_dynamodb_sessions::Sessions::parse_id(cookie.value()).expect("an ID");
            assert_ne!(new, scene.id, "{path}");
            assert_eq!(scene.row_of(&new).await.text("principal"), Some(principal), "{path}");
            assert_eq!(scene.live().await.len(), 1, "{path}: the old row opens nothing");
            assert_eq!(scene.bed.faults.calls(), ["GetItem", "TransactWriteItems"], "{path}: and it is done once");
        }
    }
}

#[tokio::test]
async fn a_visitors_first_value_under_way_is_told_whatever_the_handler_answers() {
    for (patience, end, status) in ends() {
        let scene = Scene::new(routes![give_up]).await;
        let path = format!("/first/{patience}/{end}");
        let (answered, cookie) = given_up(&scene, &path).await;
        assert_eq!(answered.code, status, "{path}");
        let cookie = cookie.unwrap_or_else(|| panic!("{path}: there is a row, and the client was not told"));
        let new = rocket_dynamodb_sessions::Sessions::parse_id(cookie.value()).expect("an ID");
        assert_eq!(scene.row_of(&new).await.data(), json!({ "mine": true }), "{path}");
        assert_eq!(scene.bed.faults.calls(), ["PutItem"], "{path}: and it is done once");
    }
}

#[tokio::test]
async fn a_sign_out_under_way_is_told_whatever_the_handler_answers() {
    for (patience, end, status) in ends() {
        let scene = Scene::new(routes![give_up]).await;
        let path = format!("/invalidate/{patience}/{end}");
        let (answered, cookie) = given_up(&scene, &path).await;
        assert_eq!(answered.code, status, "{path}");
        assert_eq!(cookie.as_ref().map(|cookie| cookie.value()), Some(""), "{path}: the cookie is removed");
        assert!(scene.live().await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_value_under_way_is_stored_once_and_needs_no_cookie() {
    for (patience, end, status) in ends() {
        let scene = Scene::new(routes![give_up]).await;
        let path = format!("/insert/{patience}/{end}");
        let (answered, cookie) = given_up(&scene, &path).await;
        assert_eq!((answered.code, cookie), (status, None), "{path}");
        assert_eq!(scene.data().await, json!({ "k": 1, "mine": true }), "{path}");
        assert_eq!(scene.bed.faults.calls(), ["GetItem", "UpdateItem"], "{path}");
    }
}

#[tokio::test]
async fn a_commit_under_way_that_is_refused_is_not_told() {
    for name in ["login", "cycle", "first"] {
        for (patience, end, status) in ends().filter(|(_, _, status)| *status >= 500) {
            let scene = Scene::new(routes![give_up]).await;
            scene.bed.faults.inject(On::writes(), Effect::AccessDenied);
            let path = format!("/{name}/{patience}/{end}");
            let (answered, cookie) = given_up(&scene, &path).await;
            assert_eq!((answered.code, cookie), (status, None), "{path}");
            assert_eq!(scene.data().await, json!({ "k": 1 }), "{path}: the old ID opens the session");
            assert_eq!((scene.live().await.len(), scene.writes()), (1, 1), "{path}: and it is not tried again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_under_way_that_does_not_end_is_waited_for_until_the_requests_deadline() {
    if is_remote() {
        return;
    }
    for name in ["login", "cycle", "first", "insert"] {
        let scene = Scene::new(routes![give_up]).await;
        scene.bed.faults.inject(On::writes().always(), Effect::Hang);
        let signals = Arc::clone(&scene.signals);
        scene.bed.faults.before(On::writes(), move || async move { signals.handler.notify_one() });
        let start = Instant::now();
        let path = format!("/{name}/timeout/503");
        let response = in_time(&path, scene.request(&path).dispatch()).await;
        assert_eq!((response.status(), told(&response)), (Status::ServiceUnavailable, None), "{path}");
        assert!(start.elapsed() < Duration::from_millis(4600), "{path}: {:?}", start.elapsed());
        drop(response);

        // The store is well again: what was given up stays so.
        scene.bed.faults.clear();
        let row = scene.row_of(&scene.id).await;
        assert_eq!(scene.end().await.rows().await, [row], "{path}");
    }
}

#[get("/cycle/then-login")]
async fn twice(session: Session, signals: &Shared) -> Result<(), Error> {
    session.cycle_id()?;
    select! {
        biased;
        result = session.flush() => panic!("the flush ended too early: {result:?}"),
        () = signals.handler.notified() => {}
    }
    session.login("eve")?;
    signals.answered.notify_one();
    Ok(())
}

#[tokio::test]
async fn what_follows_a_commit_under_way_is_committed_after_it_and_the_last_id_is_told() {
    let scene = Scene::new(routes![twice]).await;
    let gate = scene.bed.faults.hold(On::writes());
    let meanwhile = async {
        gate.reached().await;
        scene.signals.handler.notify_one();
        scene.signals.answered.notified().await;
        gate.open();
    };
    let both = async { join!(scene.request("/cycle/then-login").dispatch(), meanwhile) };
    let (response, ()) = in_time("both", both).await;
    let row = scene.row_of(&new_id(&response)).await;
    assert_eq!((row.text("principal"), row.data()), (Some("eve"), json!({})), "another principal has none of the data");
    assert_eq!(scene.live().await, [row]);
    assert_eq!(scene.bed.faults.calls(), ["GetItem", "TransactWriteItems", "TransactWriteItems"]);
}
