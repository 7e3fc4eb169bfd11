//! What a holder is told of its changes while other holders, failures and ends run beside it.

#![allow(clippy::unwrap_used, reason = "a test that finds something else fails, whatever it says")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::tokio::sync::{Mutex, Notify, oneshot};
use rocket::tokio::task::{JoinHandle, yield_now};
use rocket::tokio::time::{sleep, timeout};
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Session, SessionId};
use serde_json::{Value, json};
use support::{Bed, cookie, seed, sessions};

const LONGEST: Duration = Duration::from_secs(12);

/// Hands the session of a request out to the test, and answers when it is told to.
#[derive(Default)]
struct Stage {
    sender: Mutex<Option<oneshot::Sender<Session>>>,
    go: Notify,
}

/// The test gets a clone; the guard stays with the handler.
#[get("/out/<status>")]
async fn out(status: u16, session: Session, stage: &State<Arc<Stage>>) -> Status {
    let sender = stage.sender.lock().await.take().unwrap();
    let _ = sender.send(session.clone());
    stage.go.notified().await;
    Status::new(status)
}

/// The test gets the guard itself.
#[get("/moved/<status>")]
async fn moved(status: u16, session: Session, stage: &State<Arc<Stage>>) -> Status {
    let sender = stage.sender.lock().await.take().unwrap();
    let _ = sender.send(session);
    stage.go.notified().await;
    Status::new(status)
}

/// The handler changes something itself.
#[get("/changing/<status>")]
async fn changing(status: u16, session: Session, stage: &State<Arc<Stage>>) -> Status {
    session.insert("handler", 1).unwrap();
    let sender = stage.sender.lock().await.take().unwrap();
    let _ = sender.send(session.clone());
    stage.go.notified().await;
    Status::new(status)
}

fn all() -> Vec<Route> {
    routes![out, moved, changing]
}

struct Scene {
    bed: Bed,
    client: Arc<Client>,
    stage: Arc<Stage>,
    id: SessionId,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(configured: impl FnOnce(Config) -> Config) -> Self {
        let (bed, stage) = (Bed::new(), Arc::new(Stage::default()));
        let rocket = bed.rocket(configured(bed.config()), all()).manage(stage.clone());
        let client = Arc::new(Client::untracked(rocket).await.expect("a valid rocket"));
        let id = seed(&client, Some("ann"), &[("k", json!("one")), ("n", json!(1))]).await;
        bed.faults.reset_counts();
        Self { bed, client, stage, id }
    }

    /// Starts a request whose session the test gets.
    async fn request(&self, path: &str) -> (Session, JoinHandle<Status>) {
        let (sender, receiver) = oneshot::channel();
        *self.stage.sender.lock().await = Some(sender);
        let (client, path, id) = (self.client.clone(), path.to_owned(), self.id);
        let request =
            rocket::tokio::spawn(async move { client.get(path).cookie(cookie(&id)).dispatch().await.status() });
        let session = timeout(LONGEST, receiver).await.expect("in time").expect("a session");
        (session, request)
    }

    async fn data(&self) -> Value {
        self.bed.row(&self.client, &self.id).await.expect("the row is there").data()
    }

    /// Another program's or node's write.
    async fn write(&self, data: &Value, second: u32) {
        let mut row = self.bed.row(&self.client, &self.id).await.expect("the row is there");
        row.0.insert("data".into(), AttributeValue::S(data.to_string()));
        row.0.insert("modified".into(), AttributeValue::S(format!("2026-01-01T00:00:{second:02}.000000Z")));
        self.bed.put(row).await;
    }
}

async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
    sleep(Duration::from_millis(30)).await;
}

// 1. The error of another's batch.

#[tokio::test]
async fn a_take_that_is_stored_does_not_fail_because_another_commit_was_given_up() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/changing/200").await;
    // The commit of the response is under way, and will fail.
    let gate = scene.bed.faults.hold("UpdateItem");
    scene.bed.faults.inject("UpdateItem", Effect::AccessDenied);
    scene.stage.go.notify_one();
    timeout(LONGEST, gate.reached()).await.expect("the response commits");
    // A task takes something; its own commit comes afterwards and succeeds.
    let clone = session.clone();
    let take = rocket::tokio::spawn(async move { clone.take::<String>("k").await });
    settle().await;
    gate.open();
    let taken = timeout(LONGEST, take).await.expect("in time").expect("no panic");
    let status = timeout(LONGEST, request).await.expect("in time").expect("no panic");
    assert_eq!(status, Status::ServiceUnavailable);
    drop(session);
    settle().await;
    let data = scene.data().await;
    match taken {
        Ok(value) => assert_eq!((value.as_deref(), data.get("k")), (Some("one"), None)),
        Err(error) => assert_eq!(data["k"], "one", "a take that failed has taken nothing: {error}"),
    }
}

#[tokio::test]
async fn a_modify_now_that_is_stored_does_not_fail_because_another_commit_was_given_up() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/changing/200").await;
    let gate = scene.bed.faults.hold("UpdateItem");
    scene.bed.faults.inject("UpdateItem", Effect::AccessDenied);
    scene.stage.go.notify_one();
    timeout(LONGEST, gate.reached()).await.expect("the response commits");
    let clone = session.clone();
    let task = rocket::tokio::spawn(async move {
        clone
            .modify_now("n", |n: &mut i64| {
                *n += 1;
                *n
            })
            .await
    });
    settle().await;
    gate.open();
    let answer = timeout(LONGEST, task).await.expect("in time").expect("no panic");
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    drop(session);
    settle().await;
    let n = scene.data().await["n"].clone();
    match answer {
        Ok(answer) => assert_eq!((answer, n), (2, json!(2))),
        Err(error) => assert_eq!(n, 1, "a modify_now that failed has changed nothing: {error}"),
    }
}

#[tokio::test]
async fn a_flush_of_a_stream_that_is_stored_does_not_fail_because_another_commit_was_given_up() {
    // The same after the head: the late flush of one change fails, another's flush waits for its turn.
    let scene = Scene::with(|c| Config {
        deadline: Duration::from_millis(600),
        attempt_timeout: Duration::from_millis(300),
        ..c
    })
    .await;
    let (session, request) = scene.request("/out/200").await;
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    session.insert("a", 1).unwrap();
    let gate = scene.bed.faults.hold("UpdateItem");
    scene.bed.faults.inject("UpdateItem", Effect::AccessDenied);
    timeout(LONGEST, gate.reached()).await.expect("the late flush");
    session.insert("b", 1).unwrap();
    let clone = session.clone();
    let flush = rocket::tokio::spawn(async move { clone.flush().await });
    settle().await;
    gate.open();
    let answer = timeout(LONGEST, flush).await.expect("in time").expect("no panic");
    drop(session);
    settle().await;
    let data = scene.data().await;
    // Its flush was to store `a` as well, which is lost: an error may be right here. What is said is printed.
    println!("flush: {answer:?}, stored: {data}");
}

// 2. Flushes that say `Ok` of what was thrown away.

#[tokio::test]
async fn a_flush_does_not_answer_for_what_an_abandoned_request_threw_away() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    let gate = scene.bed.faults.hold("UpdateItem");
    session.insert("a", 1).unwrap();
    let clone = session.clone();
    let first = rocket::tokio::spawn(async move { clone.flush().await });
    timeout(LONGEST, gate.reached()).await.expect("the first flush");
    let clone = session.clone();
    let second = rocket::tokio::spawn(async move {
        clone.insert("b", 2).unwrap();
        clone.flush().await
    });
    settle().await;
    // The dispatch is cancelled.
    request.abort();
    let _ = request.await;
    settle().await;
    gate.open();
    first.await.expect("no panic").expect("stored");
    let second = timeout(LONGEST, second).await.expect("in time").expect("no panic");
    drop(session);
    settle().await;
    let data = scene.data().await;
    assert_eq!(second.is_ok(), data["b"] == 2, "{second:?} {data}");
}

#[tokio::test]
async fn a_modify_now_does_not_answer_for_what_an_abandoned_request_threw_away() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    let gate = scene.bed.faults.hold("UpdateItem");
    session.insert("a", 1).unwrap();
    let clone = session.clone();
    let first = rocket::tokio::spawn(async move { clone.flush().await });
    timeout(LONGEST, gate.reached()).await.expect("the first flush");
    let clone = session.clone();
    let second = rocket::tokio::spawn(async move {
        clone
            .modify_now("n", |n: &mut i64| {
                *n += 1;
                *n
            })
            .await
    });
    settle().await;
    request.abort();
    let _ = request.await;
    settle().await;
    gate.open();
    first.await.expect("no panic").expect("stored");
    let second = timeout(LONGEST, second).await.expect("in time").expect("no panic");
    drop(session);
    settle().await;
    let data = scene.data().await;
    assert_eq!(second.is_ok(), data["n"] == 2, "{second:?} {data}");
}

#[tokio::test]
async fn a_modify_now_does_not_answer_for_what_a_5xx_threw_away() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/moved/500").await;
    let gate = scene.bed.faults.hold("UpdateItem");
    let session = Arc::new(session);
    session.insert("a", 1).unwrap();
    let shared = session.clone();
    let first = rocket::tokio::spawn(async move { shared.flush().await });
    timeout(LONGEST, gate.reached()).await.expect("the first flush");
    let shared = session.clone();
    let second = rocket::tokio::spawn(async move {
        shared
            .modify_now("n", |n: &mut i64| {
                *n += 1;
                *n
            })
            .await
    });
    settle().await;
    scene.stage.go.notify_one();
    settle().await;
    gate.open();
    first.await.expect("no panic").expect("stored");
    let second = timeout(LONGEST, second).await.expect("in time").expect("no panic");
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    drop(session);
    settle().await;
    let data = scene.data().await;
    assert_eq!(second.is_ok(), data["n"] == 2, "{second:?} {data}");
}

// 3. Answers of what is really stored.

/// While the answer of a write is on its way, somebody makes the view stale and looks: the replay is over the old row.
async fn stale_look(session: &Session) {
    let clone = session.clone();
    let panics = rocket::tokio::spawn(async move {
        clone.insert("half", "done").unwrap();
        panic!("a bug of a task");
    });
    assert!(panics.await.is_err());
    assert!(session.contains_key("n"));
}

#[tokio::test]
async fn of_two_takes_one_gets_the_value_though_somebody_looks_meanwhile() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    // Another request takes it first.
    scene.write(&json!({ "n": 1 }), 1).await;
    session.insert("x", 1).unwrap();
    let gate = scene.bed.faults.hold_answer(On::operation("UpdateItem").skip(1));
    let clone = session.clone();
    let take = rocket::tokio::spawn(async move { clone.take::<String>("k").await });
    timeout(LONGEST, gate.reached()).await.expect("the second write");
    stale_look(&session).await;
    gate.open();
    let taken = timeout(LONGEST, take).await.expect("in time").expect("no panic").expect("stored");
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    assert_eq!(taken, None, "another request has taken it before");
}

#[tokio::test]
async fn a_modify_now_answers_what_was_stored_though_somebody_looks_meanwhile() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    // Another request has drawn number 2.
    scene.write(&json!({ "n": 2, "k": "one" }), 1).await;
    let gate = scene.bed.faults.hold_answer(On::operation("UpdateItem").skip(1));
    let clone = session.clone();
    let draw = rocket::tokio::spawn(async move {
        clone
            .modify_now("n", |n: &mut i64| {
                *n += 1;
                *n
            })
            .await
    });
    timeout(LONGEST, gate.reached()).await.expect("the second write");
    stale_look(&session).await;
    gate.open();
    let number = timeout(LONGEST, draw).await.expect("in time").expect("no panic").expect("stored");
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    let data = scene.data().await;
    assert_eq!((number, &data["n"]), (3, &json!(3)), "the number is drawn once");
}

#[tokio::test]
async fn a_modify_now_answers_what_was_stored_though_a_take_beside_it_is_given_up() {
    // The same without a panic: a `take` with a time-out beside it.
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    scene.write(&json!({ "n": 2, "k": "one" }), 1).await;
    let gate = scene.bed.faults.hold_answer(On::operation("UpdateItem").skip(1));
    let clone = session.clone();
    let draw = rocket::tokio::spawn(async move {
        clone
            .modify_now("n", |n: &mut i64| {
                *n += 1;
                *n
            })
            .await
    });
    timeout(LONGEST, gate.reached()).await.expect("the second write");
    assert!(timeout(Duration::from_millis(20), session.take::<String>("k")).await.is_err());
    let _: Option<i64> = session.get("n").unwrap();
    gate.open();
    let number = timeout(LONGEST, draw).await.expect("in time").expect("no panic").expect("stored");
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    let data = scene.data().await;
    assert_eq!((number, &data["n"]), (3, &json!(3)), "the number is drawn once");
}

#[tokio::test]
async fn a_modify_now_of_a_session_that_has_ended_gives_nothing_out() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    let handle = session.handle().unwrap();
    assert!(sessions(&scene.client).revoke(&handle).await.unwrap());
    let number = session
        .modify_now("n", |n: &mut i64| {
            *n += 1;
            *n
        })
        .await;
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    assert!(number.is_err(), "nothing was stored, and the answer is {number:?}");
}

#[tokio::test]
async fn a_flush_whose_changes_were_dropped_does_not_say_that_it_stored() {
    let scene = Scene::new().await;
    let (session, request) = scene.request("/out/200").await;
    assert!(sessions(&scene.client).revoke(&session.handle().unwrap()).await.unwrap());
    session.insert("a", 1).unwrap();
    let flushed = session.flush().await;
    scene.stage.go.notify_one();
    timeout(LONGEST, request).await.expect("in time").expect("no panic");
    println!("flush of a session that is gone: {flushed:?}, {:?}", session.status());
}
