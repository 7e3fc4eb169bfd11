//! Requests without a response: a response fairing that panics, a dispatch that is cancelled, a handler that a shutdown cuts
//! off. Nothing of them is committed but an `invalidate`.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::futures::FutureExt;
use rocket::{get, routes};
use rocket_dynamodb_sessions::testing::Row;
use rocket_dynamodb_sessions::{Error, Session};
use serde_json::json;

use super::support::bare_rocket;
use super::support::process::{self, PERIODS, Process};
use super::{Scene, Shared, change, in_time};

const CHANGES: [&str; 6] = ["login", "cycle", "insert", "first", "invalidate", "farewell"];

#[get("/make/<name>")]
fn make(name: &str, session: Session) -> Result<(), Error> {
    change(&session, name)
}

/// Makes a change, and does not come to an end.
#[get("/hang/<name>")]
async fn hang(name: &str, session: Session, signals: &Shared) -> Result<(), Error> {
    change(&session, name)?;
    signals.answered.notify_one();
    pending().await
}

/// Leaves a task that makes a change when it is told to, and does not come to an end.
#[get("/leave/<name>")]
async fn leave(name: String, session: Session, signals: &Shared) {
    let (left, clone) = (Arc::clone(signals), session.clone());
    rocket::tokio::spawn(async move {
        left.task.notified().await;
        left.say(change(&clone, &name));
        drop(clone);
        left.done.notify_one();
    });
    signals.answered.notify_one();
    pending().await
}

/// After the application has ended, the table is as it was, but for what was signed out.
async fn nothing_but_a_sign_out(scene: Scene, name: &str, before: Vec<Row>) {
    let bed = scene.end().await;
    if name == "invalidate" || name == "farewell" {
        assert_eq!(super::live(&bed).await, [], "{name}: the sign-out is carried out, and no more");
    } else {
        assert_eq!(bed.rows().await, before, "{name}: nothing is committed");
    }
}

#[tokio::test]
async fn a_response_fairing_that_panics_leaves_nothing_but_a_sign_out() {
    for name in CHANGES {
        let bed = super::bed();
        let bomb = AdHoc::on_response("Bomb", |_, _| Box::pin(async { panic!("in a response fairing") }));
        let rocket = bare_rocket().attach(bomb).attach(bed.fairing(bed.config())).mount("/", routes![make]);
        let scene = Scene::of(bed, rocket).await;
        let before = scene.bed.rows().await;
        let path = format!("/make/{name}");
        let dispatch = AssertUnwindSafe(scene.request(&path).dispatch()).catch_unwind();
        assert!(dispatch.await.is_err(), "{name}: no response is made");
        nothing_but_a_sign_out(scene, name, before).await;
    }
}

#[tokio::test]
async fn a_dispatch_that_is_cancelled_leaves_nothing_but_a_sign_out() {
    for name in CHANGES {
        let scene = Scene::new(routes![hang]).await;
        let before = scene.bed.rows().await;
        let path = format!("/hang/{name}");
        rocket::tokio::select! {
            _ = scene.request(&path).dispatch() => panic!("{name}: the handler does not end"),
            () = in_time(name, scene.signals.answered.notified()) => {}
        }
        nothing_but_a_sign_out(scene, name, before).await;
    }
}

#[tokio::test]
async fn a_task_of_a_request_without_a_response_can_begin_no_session_and_rotate_none() {
    for name in ["login", "cycle", "first"] {
        let scene = Scene::new(routes![leave]).await;
        let before = scene.bed.rows().await;
        let path = format!("/leave/{name}");
        rocket::tokio::select! {
            _ = scene.request(&path).dispatch() => panic!("{name}: the handler does not end"),
            () = in_time(name, scene.signals.answered.notified()) => {}
        }
        scene.signals.task.notify_one();
        in_time(name, scene.signals.done.notified()).await;
        assert_eq!(scene.signals.said(), ["head sent"], "{name}");
        nothing_but_a_sign_out(scene, name, before).await;
    }
}

// A server that is told to stop.

/// Stores who the session belongs to.
#[get("/seed/<name>")]
fn begin(name: &str, session: Session) -> Result<(), Error> {
    session.insert("who", name)
}

/// Makes a change, and is cut off.
#[get("/cut/<name>")]
async fn cut(name: &str, session: Session) -> Result<(), Error> {
    change(&session, name)?;
    println!("{name} is made");
    pending().await
}

/// In the process of a test, nothing. In the child process, the server.
#[test]
fn server() {
    process::serve(|| routes![begin, cut], vec![]);
}

#[test]
fn handlers_that_a_shutdown_cuts_off_leave_nothing_but_a_sign_out() {
    let mut server = Process::start("abandoned::server");
    let mut streams = Vec::new();
    for name in CHANGES {
        let id = (name != "first").then(|| process::id(&server.get(&format!("/seed/{name}"), None)));
        streams.push(server.send(&format!("/cut/{name}"), id.as_ref()));
        server.wait_for(&format!("{name} is made"));
    }
    let ended = server.stop();
    let answers: Vec<_> = streams.into_iter().map(process::read).collect();
    assert!(answers.iter().all(|answer| !answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    assert!(ended.took < PERIODS + Duration::from_secs(4), "{:?}", ended.took);
    let live = |row: &&Row| row.0.contains_key("data");
    let mut left: Vec<_> = ended.rows.iter().filter(live).map(|row| (row.data(), row.text("principal"))).collect();
    left.sort_by_key(|(data, _)| data.to_string());
    let expected = ["cycle", "insert", "login"].map(|name| (json!({ "who": name }), None));
    assert_eq!(left, expected, "{}", ended.output);
    let rotated = ended.rows.iter().filter(|row| row.0.contains_key("successor")).count();
    assert_eq!(rotated, 0, "{}", ended.output);
}
