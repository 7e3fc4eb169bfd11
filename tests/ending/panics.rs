//! A holder that panics takes its own changes with it, and nobody else's; an answer of 5xx takes the handler's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use log::Level;
use rocket::http::Status;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::{Config, Error, Session};
use serde_json::{Value, json};

use super::support::{logs, new_id, ok, told};
use super::{Scene, Shared};

/// Changes the session in a task that then panics, and waits for it.
async fn panics_in_a_task(session: Session, key: Option<&'static str>) {
    let task = rocket::tokio::spawn(async move {
        if let Some(key) = key {
            session.insert(key, 2).expect("the head was not sent");
        }
        panic!("in a task")
    });
    task.await.expect_err("it panics");
}

fn panics_and_is_caught(session: &Session) {
    let session = session.clone();
    let panicking = AssertUnwindSafe(move || {
        session.insert("half", 2).expect("the head was not sent");
        panic!("and is caught")
    });
    let _ = catch_unwind(panicking).expect_err("it panics");
}

/// Signs in and changes the session, beside holders that panic.
#[get("/beside/<how>")]
async fn beside(how: &str, session: Session) -> Result<(), Error> {
    session.insert("mine", 1)?;
    session.login("ann")?;
    match how {
        "task" => panics_in_a_task(session.clone(), Some("half")).await,
        "caught" => panics_and_is_caught(&session),
        "thread" => {
            let session = session.clone();
            let thread = std::thread::spawn(move || {
                session.insert("half", 2).expect("the head was not sent");
                panic!("in a thread")
            });
            let _ = thread.join().expect_err("it panics");
        }
        "same-key" => panics_in_a_task(session.clone(), Some("mine")).await,
        "nothing" => panics_in_a_task(session.clone(), None).await,
        how => panic!("no such panic: {how}"),
    }
    session.insert("after", 3)
}

/// Changes the session in two tasks, of which one panics.
#[get("/two")]
async fn two(session: Session) {
    let whole = session.clone();
    let task = rocket::tokio::spawn(async move { whole.insert("whole", 1) });
    task.await.expect("it does not panic").expect("the head was not sent");
    panics_in_a_task(session.clone(), Some("half")).await;
}

/// Leaves a task that has changed the session, and one that panics when it is told to.
#[get("/later")]
async fn later(session: Session, signals: &Shared) {
    let (signals, whole) = (Arc::clone(signals), session.clone());
    rocket::tokio::spawn(async move {
        signals.handler.notified().await;
        whole.insert("whole", 1).expect("it is live");
        panics_in_a_task(session, Some("half")).await;
        signals.done.notify_one();
        signals.task.notified().await;
        drop(whole);
    });
}

/// Changes the session in the handler and in a task that lives on, and answers.
#[get("/answer/<status>/<task>")]
async fn answer(status: u16, task: &str, session: Session, signals: &Shared) -> Result<Status, Error> {
    session.insert("mine", 1)?;
    let (lives, clone, shared) = (task == "lives", session.clone(), Arc::clone(signals));
    rocket::tokio::spawn(async move {
        shared.say(clone.insert("task", 1));
        if lives {
            shared.done.notify_one();
            shared.task.notified().await;
        }
        drop(clone);
        shared.done.notify_one();
    });
    signals.done.notified().await;
    assert_ne!(status, 0, "in a handler");
    Ok(Status::new(status))
}

fn all() -> Vec<Route> {
    routes![beside, two, later, answer]
}

/// What the log says of panics.
fn logged() -> Vec<String> {
    let lines = [logs::here(Level::Warn), logs::here(Level::Error)].concat();
    lines.into_iter().filter(|line| line.contains("panic")).collect()
}

/// What a panicking holder has lost was told to the log and counted.
#[track_caller]
fn assert_lost(scene: &Scene, holders: usize, why: &str) {
    assert_eq!(scene.dropped(), holders as u64, "{why}: the lost changes are counted");
    // The lines of other threads may be those of other tests.
    if why != "thread" {
        let lines = logged();
        assert_eq!(lines.len(), holders, "{why}: the lost changes are logged: {lines:?}");
    }
}

async fn beside_a_panic(how: &str, holders: usize) {
    let data = json!({ "k": 1, "mine": 1, "after": 3 });
    let scene = Scene::new(all()).await;
    let path = format!("/beside/{how}");
    let response = scene.request(&path).dispatch().await;
    ok(&response);
    let row = scene.row_of(&new_id(&response)).await;
    assert_eq!((row.data(), row.text("principal")), (data.clone(), Some("ann")), "{how}");
    assert_lost(&scene, holders, how);

    // A visitor's first request.
    let response = scene.client.get(&path).dispatch().await;
    ok(&response);
    let row = scene.row_of(&new_id(&response)).await;
    assert_eq!((row.data(), row.text("principal")), (json!({ "mine": 1, "after": 3 }), Some("ann")), "{how}");
    assert_lost(&scene, 2 * holders, how);
}

#[tokio::test]
async fn a_task_that_panics_takes_neither_the_handlers_values_nor_its_login_with_it() {
    beside_a_panic("task", 1).await;
}

#[tokio::test]
async fn a_panic_that_the_handler_catches_takes_the_changes_of_the_panicking_clone_alone() {
    beside_a_panic("caught", 1).await;
}

#[tokio::test]
async fn a_thread_that_panics_takes_its_own_changes_alone() {
    beside_a_panic("thread", 1).await;
}

#[tokio::test]
async fn what_a_panicking_holder_has_overwritten_is_there_again() {
    beside_a_panic("same-key", 1).await;
}

#[tokio::test]
async fn a_panicking_holder_that_has_changed_nothing_loses_nothing() {
    beside_a_panic("nothing", 0).await;
}

#[tokio::test]
async fn of_two_tasks_the_one_that_panics_loses_its_changes() {
    let scene = Scene::new(all()).await;
    let response = scene.request("/two").dispatch().await;
    assert_eq!((response.status(), told(&response)), (Status::Ok, None));
    assert_eq!(scene.data().await, json!({ "k": 1, "whole": 1 }));
    assert_lost(&scene, 1, "one of two");
}

#[tokio::test]
async fn a_task_that_panics_after_the_response_loses_its_own_changes_alone() {
    let scene = Scene::new(all()).await;
    ok(&scene.request("/later").dispatch().await);
    scene.signals.handler.notify_one();
    scene.signals.done.notified().await;
    scene.signals.task.notify_one();
    scene.until(|data| data["whole"] == 1).await;
    assert_eq!(scene.data().await, json!({ "k": 1, "whole": 1 }));
    assert_lost(&scene, 1, "after the response");
}

#[tokio::test]
async fn commit_on_error_stores_what_a_panicking_holder_has_changed() {
    let scene = Scene::with(all(), |config| Config { commit_on_error: true, ..config }).await;
    ok(&scene.request("/two").dispatch().await);
    assert_eq!(scene.data().await, json!({ "k": 1, "whole": 1, "half": 2 }));
    assert_lost(&scene, 0, "nothing is lost");
}

// Answers that say a failure.

async fn answers(status: u16, task: &str) -> Value {
    let scene = Scene::new(all()).await;
    let path = format!("/answer/{status}/{task}");
    let response = scene.request(&path).dispatch().await;
    let expected = if status == 0 { 500 } else { status };
    assert_eq!((response.status().code, told(&response)), (expected, None), "{path}");
    drop(response);
    scene.signals.task.notify_one();
    let signals = scene.signals.clone();
    if task == "lives" {
        signals.done.notified().await;
    }
    assert_eq!(signals.said(), ["accepted"], "{path}");
    let mut data = super::live_data(&scene.end().await).await;
    assert_eq!(data.len(), 1, "{path}");
    data.remove(0)
}

#[tokio::test]
async fn a_5xx_or_a_panic_drops_what_the_handler_did_and_keeps_what_a_living_task_did() {
    for status in [500, 503, 0] {
        assert_eq!(answers(status, "lives").await, json!({ "k": 1, "task": 1 }), "{status}");
    }
}

#[tokio::test]
async fn a_5xx_or_a_panic_drops_what_a_task_did_that_has_ended_before() {
    for status in [500, 503, 0] {
        assert_eq!(answers(status, "ends").await, json!({ "k": 1 }), "{status}");
    }
}

#[tokio::test]
async fn a_good_answer_keeps_what_handler_and_tasks_did() {
    for (status, task) in [(200, "lives"), (404, "lives"), (200, "ends")] {
        assert_eq!(answers(status, task).await, json!({ "k": 1, "mine": 1, "task": 1 }), "{status} {task}");
    }
}
