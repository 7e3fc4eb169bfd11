//! Code of the application that runs inside a session: closures, what they capture, `Serialize`, `Deserialize`, `Drop`. All
//! of it may use the session, and none of it runs more often than it must.

mod support;

#[path = "user_code/answers.rs"]
mod answers;

use std::cell::RefCell;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::request::{FromRequest, Outcome};
use rocket::response::stream::TextStream;
use rocket::tokio::sync::Notify;
use rocket::tokio::task::yield_now;
use rocket::tokio::time::timeout;
use rocket::{Request, Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, Row};
use rocket_dynamodb_sessions::{Error, Session, SessionId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use support::process::{self, PERIODS, Process};
use support::watch::watched;
use support::{Bed, cookie, get, new_id, ok, seed, told};

/// What a write that nobody waits for does not take.
const LONGEST: Duration = Duration::from_secs(5);

/// What a test learns of the closures of its requests.
#[derive(Default)]
struct Probe {
    runs: AtomicU32,
    /// Each closure holds a part of it.
    held: Arc<()>,
    go: Notify,
}

impl Probe {
    /// Counts the runs of closures, and ends those that would run for ever.
    fn run(&self) -> u32 {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(run <= 20, "the closure runs again and again");
        run
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until no closure is kept any more.
    async fn released(&self) {
        let releasing = async {
            while Arc::strong_count(&self.held) > 1 {
                yield_now().await;
            }
        };
        let left = || format!("{} closures are kept", Arc::strong_count(&self.held) - 1);
        timeout(LONGEST, releasing).await.unwrap_or_else(|_| panic!("{}", left()));
    }
}

type Shared = State<Arc<Probe>>;

/// A store, an application with all routes of this file, and a session with `k = 1` and `n = 1`.
struct Scene {
    bed: Bed,
    client: Client,
    probe: Arc<Probe>,
    id: SessionId,
}

impl Scene {
    async fn new() -> Self {
        let (bed, probe) = (Bed::new(), Arc::new(Probe::default()));
        let rocket = bed.rocket(bed.config(), all()).manage(probe.clone());
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        let id = seed(&client, None, &[("k", json!(1)), ("n", json!(1))]).await;
        bed.faults.reset_counts();
        Self { bed, client, probe, id }
    }

    async fn row(&self) -> Row {
        self.bed.row(&self.client, &self.id).await.expect("the row is there")
    }

    async fn data(&self) -> Value {
        self.row().await.data()
    }

    /// Waits for a write that nothing in the test can wait for.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) {
        let looking = async {
            while !is_so(&self.data().await) {
                yield_now().await;
            }
        };
        timeout(LONGEST, looking).await.expect("the row changes");
    }

    /// Right before the next update, another request stores this.
    async fn meanwhile(&self, data: Value) {
        let (bed, mut row) = (self.bed.clone(), self.row().await);
        row.0.insert("data".into(), AttributeValue::S(data.to_string()));
        row.0.insert("modified".into(), AttributeValue::S("2026-01-01T00:00:01.000000Z".into()));
        self.bed.faults.before("UpdateItem", move || async move { bed.put(row).await });
    }

    /// Sends a request with the session's cookie; it must answer 200.
    async fn body(&self, path: &str) -> String {
        let response = get(&self.client, path, &self.id).await;
        assert_eq!(response.status(), Status::Ok, "{path}");
        response.into_string().await.unwrap_or_default()
    }
}

fn all() -> Vec<Route> {
    let mut routes = routes![
        counting, panicking, forwards, forwarded, streaming, endless, spawning, nested, reading, updating, writing,
        taking, dropping
    ];
    routes.extend(answers::routes());
    routes
}

// A session that is captured by its own closure.

/// Counts, by a closure that holds its own session.
fn count(session: &Session, probe: &Probe) -> Result<u32, Error> {
    let captured = (session.clone(), probe.held.clone());
    session.update("n", move |n: Option<u32>| {
        let _ = &captured;
        n.unwrap_or(0) + 1
    })
}

#[get("/count/<status>")]
fn counting(status: u16, session: Session, probe: &Shared) -> Result<Status, Error> {
    count(&session, probe).map(|_| Status::new(status))
}

#[get("/panic")]
fn panicking(session: Session, probe: &Shared) {
    count(&session, probe).expect("a number");
    panic!("in a handler")
}

/// A guard that counts and hands the request on.
struct HandsOn;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for HandsOn {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        let session = request.guard::<Session>().await.succeeded().expect("the store answers");
        let probe = request.rocket().state::<Arc<Probe>>().expect("it is managed");
        count(&session, probe).expect("a number");
        Outcome::Forward(Status::NotFound)
    }
}

#[get("/forward", rank = 1)]
fn forwards(_on: HandsOn) {}

#[get("/forward", rank = 2)]
fn forwarded(session: Session, probe: &Shared) -> Result<String, Error> {
    count(&session, probe).map(|n| n.to_string())
}

#[get("/stream")]
fn streaming(session: Session, probe: &Shared) -> TextStream![String] {
    let probe = probe.inner().clone();
    TextStream! {
        for _ in 0..3 {
            yield count(&session, &probe).map_or_else(|error| error.to_string(), |n| n.to_string());
        }
    }
}

#[get("/endless")]
fn endless(session: Session, probe: &Shared) -> TextStream![String] {
    let probe = probe.inner().clone();
    TextStream! {
        yield count(&session, &probe).map_or_else(|error| error.to_string(), |n| n.to_string());
        pending::<()>().await;
    }
}

#[get("/spawn")]
fn spawning(session: Session, probe: &Shared) {
    let probe = probe.inner().clone();
    rocket::tokio::spawn(async move {
        probe.go.notified().await;
        count(&session, &probe).expect("the session has a row");
    });
}

/// Sends one request whose closure holds the session, and looks at what came of it.
async fn captured(path: &str, status: u16, data: Value) {
    let scene = Scene::new().await;
    let response = get(&scene.client, path, &scene.id).await;
    assert_eq!((response.status().code, told(&response)), (status, None), "{path}");
    drop(response);
    assert_eq!(scene.data().await, data, "{path}");
    scene.probe.released().await;
}

#[test]
fn a_closure_that_holds_its_own_session_is_stored_and_let_go() {
    watched(|| captured("/count/200", 200, json!({ "k": 1, "n": 2 })));
}

#[test]
fn a_closure_that_holds_its_own_session_is_stored_with_a_4xx() {
    watched(|| captured("/count/404", 404, json!({ "k": 1, "n": 2 })));
}

#[test]
fn closures_that_hold_their_own_session_are_stored_after_a_forward() {
    watched(|| captured("/forward", 200, json!({ "k": 1, "n": 3 })));
}

#[test]
fn a_closure_that_holds_its_own_session_is_let_go_on_a_5xx() {
    watched(|| captured("/count/500", 500, json!({ "k": 1, "n": 1 })));
}

#[test]
fn a_closure_that_holds_its_own_session_is_let_go_on_a_panic() {
    watched(|| captured("/panic", 500, json!({ "k": 1, "n": 1 })));
}

#[test]
fn a_visitors_closure_may_hold_the_session_that_it_begins() {
    watched(|| async {
        let scene = Scene::new().await;
        let response = scene.client.get("/count/200").dispatch().await;
        ok(&response);
        let row = scene.bed.row(&scene.client, &new_id(&response)).await.expect("the row is there");
        assert_eq!(row.data(), json!({ "n": 1 }));
        assert_eq!(scene.bed.faults.calls(), ["PutItem"]);
        drop(response);
        scene.probe.released().await;
    });
}

#[test]
fn a_closure_that_holds_its_own_session_replays_over_another_requests_change() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.meanwhile(json!({ "n": 21, "other": true })).await;
        scene.body("/count/200").await;
        assert_eq!(scene.data().await, json!({ "n": 22, "other": true }));
        assert_eq!(scene.bed.faults.calls(), ["GetItem", "UpdateItem", "UpdateItem"]);
        scene.probe.released().await;
    });
}

#[test]
fn a_closure_that_holds_its_own_session_is_let_go_when_the_store_fails() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.bed.faults.inject("UpdateItem", Effect::AccessDenied);
        let response = get(&scene.client, "/count/200", &scene.id).await;
        assert_eq!((response.status(), told(&response)), (Status::ServiceUnavailable, None));
        drop(response);
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 1 }));
        scene.probe.released().await;
    });
}

#[test]
fn a_stream_whose_closures_hold_its_session_is_stored_when_its_end_was_read() {
    watched(|| async {
        let scene = Scene::new().await;
        assert_eq!(scene.body("/stream").await, "234");
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 4 }));
        scene.probe.released().await;
    });
}

#[test]
fn a_stream_without_an_end_whose_closure_holds_its_session_is_stored_all_the_same() {
    watched(|| async {
        let scene = Scene::new().await;
        let mut response = get(&scene.client, "/endless", &scene.id).await;
        let mut read = [0];
        rocket::tokio::io::AsyncReadExt::read_exact(&mut response, &mut read).await.expect("the stream has begun");
        scene.until(|data| data["n"] == 2).await;
        scene.probe.released().await;
    });
}

#[test]
fn a_task_whose_closure_holds_its_session_is_stored() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.body("/spawn").await;
        scene.probe.go.notify_one();
        scene.until(|data| data["n"] == 2).await;
        scene.probe.released().await;
    });
}

#[test]
fn two_hundred_requests_whose_closures_hold_their_sessions_leave_nothing_behind() {
    watched(|| async {
        let scene = Scene::new().await;
        let mut n = 1;
        for turn in 0..200 {
            let (path, visitor, counts) = match turn % 8 {
                0 => ("/count/200", false, 1),
                1 => ("/count/404", false, 1),
                2 => ("/count/500", false, 0),
                3 => ("/panic", false, 0),
                4 => ("/forward", false, 2),
                5 => ("/stream", false, 3),
                6 => ("/count/200", true, 0),
                _ => ("/count/500", true, 0),
            };
            let request = scene.client.get(path);
            let request = if visitor { request } else { request.cookie(cookie(&scene.id)) };
            request.dispatch().await.into_string().await;
            n += counts;
        }
        scene.until(|data| data["n"] == n).await;
        scene.probe.released().await;
        let Scene { client, probe, .. } = scene;
        client.terminate().await;
        assert_eq!(Arc::strong_count(&probe.held), 1);
    });
}

/// In the process of a test, nothing. In the child process, the server.
#[test]
fn server() {
    let probe = rocket::fairing::AdHoc::on_ignite("Probe", |rocket| {
        Box::pin(async { rocket.manage(Arc::new(Probe::default())) })
    });
    process::serve(all, vec![probe]);
}

#[test]
fn a_server_with_two_workers_outlives_closures_that_hold_their_sessions_and_ends_when_told() {
    let server = Process::start("server");
    let first = server.get("/count/200", None);
    assert!(first.starts_with("HTTP/1.1 200"), "the first request is answered: {first:?}");
    let id = process::id(&first);
    for (path, status) in
        [("/count/200", 200), ("/count/500", 500), ("/panic", 500), ("/stream", 200), ("/count/200", 200)]
    {
        let answer = server.get(path, Some(&id));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} is answered: {answer:?}");
    }
    let ended = server.stop();
    assert_eq!(ended.rows.iter().map(Row::data).collect::<Vec<_>>(), [json!({ "n": 6 })], "{}", ended.output);
    assert!(ended.took < PERIODS + Duration::from_secs(4), "{:?}", ended.took);
}

// Closures that change their session.

/// Counts `n`, by a closure that does something else with the session.
#[get("/nested/<act>")]
fn nested(act: String, session: Session, probe: &Shared) -> Result<String, Error> {
    let (inner, probe) = (session.clone(), probe.inner().clone());
    let count = session.update("n", move |n: Option<u32>| {
        let run = probe.run();
        let add = |by: u32| move |n: Option<u32>| n.unwrap_or(0) + by;
        // What these answer while the closure is replayed is left open.
        let _ = match &*act {
            "insert" => inner.insert("inner", run).is_ok(),
            "update" => inner.update("inner", add(1)).is_ok(),
            "remove" => inner.remove("k"),
            "get" => inner.get::<u32>("k").is_ok() && inner.contains_key("n") && inner.id().is_some(),
            "insert-own" => inner.insert("n", 10).is_ok(),
            "update-own" => inner.update("n", add(10)).is_ok(),
            "remove-own" => inner.remove("n"),
            "get-own" => inner.get::<u32>("n").is_ok(),
            act => panic!("no such act: {act}"),
        };
        n.unwrap_or(0) + 1
    })?;
    Ok(count.to_string())
}

/// What the acts of `nested` do to other keys than `n`.
fn acts() -> [(&'static str, Value); 4] {
    [
        ("insert", json!({ "k": 1, "inner": 1 })),
        ("update", json!({ "k": 1, "inner": 1 })),
        ("remove", json!({})),
        ("get", json!({ "k": 1 })),
    ]
}

#[test]
fn what_a_closure_does_with_another_key_is_done_once() {
    watched(|| async {
        for (act, mut data) in acts() {
            let scene = Scene::new().await;
            assert_eq!(scene.body(&format!("/nested/{act}")).await, "2", "{act}");
            data["n"] = json!(2);
            assert_eq!(scene.data().await, data, "{act}");
            assert_eq!(scene.probe.runs(), 1, "{act}");
            assert_eq!(scene.bed.faults.calls(), ["GetItem", "UpdateItem"], "{act}");
        }
    });
}

#[test]
fn what_a_closure_does_with_another_key_is_not_done_again_when_it_is_replayed() {
    watched(|| async {
        for (act, mut data) in acts() {
            let scene = Scene::new().await;
            scene.meanwhile(json!({ "k": 1, "n": 21 })).await;
            assert_eq!(scene.body(&format!("/nested/{act}")).await, "2", "{act}: a provisional answer");
            data["n"] = json!(22);
            assert_eq!(scene.data().await, data, "{act}");
            assert_eq!(scene.probe.runs(), 2, "{act}: again, over the newer value");
            assert_eq!(scene.bed.faults.count("UpdateItem"), 2, "{act}");
        }
    });
}

#[test]
fn what_a_closure_does_with_another_key_survives_a_change_of_a_third() {
    watched(|| async {
        for (act, mut data) in acts() {
            let scene = Scene::new().await;
            scene.meanwhile(json!({ "k": 1, "n": 1, "other": true })).await;
            assert_eq!(scene.body(&format!("/nested/{act}")).await, "2", "{act}");
            data["n"] = json!(2);
            data["other"] = json!(true);
            assert_eq!(scene.data().await, data, "{act}");
            assert_eq!(scene.probe.runs(), 1, "{act}: its own key was not changed");
        }
    });
}

#[test]
fn a_closure_that_changes_its_own_key_ends_and_its_answer_is_stored() {
    watched(|| async {
        for act in ["insert-own", "update-own", "remove-own", "get-own"] {
            let scene = Scene::new().await;
            let answer = scene.body(&format!("/nested/{act}")).await;
            let data = scene.data().await;
            assert_eq!(data["n"].to_string(), answer, "{act}");
            assert_eq!(data["k"], 1, "{act}");
            assert!(scene.probe.runs() <= 2, "{act}: {} runs", scene.probe.runs());
            assert_eq!(scene.bed.faults.calls(), ["GetItem", "UpdateItem"], "{act}");
        }
    });
}

#[test]
fn a_closure_that_changes_its_own_key_ends_over_another_requests_change_too() {
    watched(|| async {
        for act in ["insert-own", "update-own", "remove-own", "get-own"] {
            let scene = Scene::new().await;
            scene.meanwhile(json!({ "k": 2, "n": 21 })).await;
            scene.body(&format!("/nested/{act}")).await;
            let data = scene.data().await;
            assert_eq!(data["k"], 2, "{act}: what the other stored stands");
            // Whether the outer closure counts on what it saw itself or on what the inner one left: one of each.
            let once = match act {
                "insert-own" => [2, 11],
                "update-own" => [22, 32],
                "remove-own" => [2, 1],
                _ => [22, 22],
            };
            assert!(once.iter().any(|n| data["n"] == *n), "{act}: {data}");
            assert!(scene.probe.runs() <= 4, "{act}: {} runs", scene.probe.runs());
        }
    });
}

// Types that use the session while they are written and read.

thread_local! {
    /// The session that `Touching` touches, while there is one.
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// A number that leaves a mark in the session whenever serde comes across it.
struct Touching(u32);

fn touch() {
    let session = SESSION.with_borrow(Clone::clone);
    if let Some(session) = session {
        let seen = session.contains_key("k") && session.get::<u32>("k").is_ok_and(|k| k.is_some());
        session.insert("touched", seen).expect("the head was not sent");
    }
}

impl Serialize for Touching {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        touch();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Touching {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        touch();
        u32::deserialize(deserializer).map(Self)
    }
}

/// Lets `Touching` touch this session, as long as the work takes.
async fn touching<T>(session: &Session, work: impl Future<Output = T>) -> T {
    SESSION.set(Some(session.clone()));
    let output = work.await;
    drop(SESSION.take());
    output
}

#[get("/read")]
async fn reading(session: Session) -> Result<String, Error> {
    let read = touching(&session, async { session.get::<Touching>("n") }).await?;
    Ok(read.map_or(0, |touching| touching.0).to_string())
}

#[get("/update")]
async fn updating(session: Session) -> Result<String, Error> {
    let count = |touching: Option<Touching>| Touching(touching.map_or(0, |touching| touching.0));
    let counted = touching(&session, async { session.update("n", count) }).await?;
    Ok(counted.0.to_string())
}

#[get("/write")]
async fn writing(session: Session) -> Result<String, Error> {
    touching(&session, async { session.insert("n", Touching(1)) }).await.map(|()| "1".to_owned())
}

#[get("/take")]
async fn taking(session: Session) -> Result<String, Error> {
    let taken = touching(&session, session.take::<Touching>("n")).await?;
    session.insert("n", 1)?;
    Ok(taken.map_or(0, |touching| touching.0).to_string())
}

async fn touches(path: &str) {
    let scene = Scene::new().await;
    assert_eq!(scene.body(path).await, "1", "{path}");
    assert_eq!(scene.data().await, json!({ "k": 1, "n": 1, "touched": true }), "{path}");
}

#[test]
fn a_type_that_uses_the_session_can_be_read() {
    watched(|| touches("/read"));
}

#[test]
fn a_type_that_uses_the_session_can_be_updated() {
    watched(|| touches("/update"));
}

#[test]
fn a_type_that_uses_the_session_can_be_written() {
    watched(|| touches("/write"));
}

#[test]
fn a_type_that_uses_the_session_can_be_taken() {
    watched(|| touches("/take"));
}

// Captured values that use the session when they are dropped.

/// Changes its session when it is dropped.
struct Last(Session);

impl Drop for Last {
    fn drop(&mut self) {
        // Where nobody could be told of the session, it says so.
        let _ = self.0.insert("dropped", true);
    }
}

#[get("/drop/<status>")]
fn dropping(status: u16, session: Session) -> Result<Status, Error> {
    let last = Last(session.clone());
    session.update("n", move |n: Option<u32>| {
        let _ = &last;
        n.unwrap_or(0) + 1
    })?;
    assert_ne!(status, 0, "in a handler");
    Ok(Status::new(status))
}

#[test]
fn a_captured_value_may_change_the_session_when_it_is_dropped() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.body("/drop/200").await;
        scene.until(|data| data["dropped"] == true).await;
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 2, "dropped": true }));
    });
}

#[test]
fn a_captured_value_may_change_the_session_when_a_5xx_drops_it() {
    watched(|| async {
        for status in [500, 503] {
            let scene = Scene::new().await;
            let path = format!("/drop/{status}");
            let response = get(&scene.client, &path, &scene.id).await;
            assert_eq!((response.status().code, told(&response)), (status, None));
            assert_eq!(scene.data().await["n"], 1, "what the handler did is gone");
        }
    });
}

#[test]
fn a_captured_value_may_change_the_session_when_a_panic_drops_it() {
    watched(|| async {
        let scene = Scene::new().await;
        let response = get(&scene.client, "/drop/0", &scene.id).await;
        assert_eq!((response.status().code, told(&response)), (500, None));
        assert_eq!(scene.data().await["n"], 1, "what the handler did is gone");
    });
}

#[test]
fn a_captured_value_that_changes_a_visitors_session_when_it_is_dropped_leaves_no_row_that_nobody_holds() {
    watched(|| async {
        for status in [200, 500, 0] {
            let scene = Scene::new().await;
            scene.bed.delete(&scene.client, &scene.id).await;
            let path = format!("/drop/{status}");
            let response = scene.client.get(&path).dispatch().await;
            assert_eq!(told(&response).is_some(), status == 200, "{status}");
            drop(response);
            let Scene { bed, client, .. } = scene;
            client.terminate().await;
            assert_eq!(bed.rows().await.len(), usize::from(status == 200), "{status}");
        }
    });
}
