//! Tasks that change the session while the response goes out: what was accepted is told, what cannot be told is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rocket::http::{Header, Status};
use rocket::tokio::join;
use rocket::tokio::sync::oneshot;
use rocket::tokio::task::JoinHandle;
use rocket::{Responder, get, routes};
use rocket_dynamodb_sessions::{Error, Session, SessionId, Sessions};
use serde_json::json;

use super::support::{cookie, new_id, seed, told};
use super::{Scene, Shared, change, in_time};

/// How often each race is run.
const RACES: u32 = 200;

/// The task of the request that runs.
type Task = Arc<Mutex<Option<JoinHandle<Result<(), Error>>>>>;

/// An answer whose headers take a while to look through: long enough for the task to come in between.
#[derive(Responder)]
struct Slow {
    body: (),
    vary: Header<'static>,
}

/// Leaves a task that makes a change a moment after the handler has ended.
#[get("/race/<name>/<moment>")]
async fn race(name: String, moment: u32, session: Session, task: &rocket::State<Task>) -> Slow {
    let slow = Slow { body: (), vary: Header::new("Vary", "Accept,".repeat(2000) + "Accept") };
    let (begun, begin) = oneshot::channel();
    let go = Arc::new(AtomicBool::new(false));
    let went = Arc::clone(&go);
    *task.lock() = Some(rocket::tokio::spawn(async move {
        let _ = begun.send(());
        while !went.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        for _ in 0..moment {
            std::hint::spin_loop();
        }
        change(&session, &name)
    }));
    begin.await.expect("the task begins");
    go.store(true, Ordering::Release);
    slow
}

/// What came of one race.
struct Race {
    old: Option<SessionId>,
    result: Result<(), Error>,
    told: Option<SessionId>,
}

/// Runs the race again and again. A change that was told comes a little later the next time, one that was refused a
/// little earlier: most of them meet the end of the response.
async fn races(name: &str) -> (Scene, Vec<Race>) {
    let bed = super::bed();
    let task = Task::default();
    let rocket = bed.rocket(bed.config(), routes![race]).manage(task.clone());
    let scene = Scene::of(bed, rocket).await;
    let (mut races, mut moment) = (Vec::new(), 0_u32);
    for _ in 0..RACES {
        let old = match name {
            "first" => None,
            _ => Some(seed(&scene.client, Some("ann"), &[("k", json!(1))]).await),
        };
        let request = scene.client.get(format!("/race/{name}/{moment}"));
        let request = match &old {
            Some(id) => request.cookie(cookie(id)),
            None => request,
        };
        let response = request.dispatch().await;
        assert_eq!(response.status(), Status::Ok);
        let task = task.lock().take().expect("the handler has left a task");
        let result = in_time("the task", task).await.expect("it does not panic");
        let told = told(&response).map(|cookie| Sessions::parse_id(cookie.value()).expect("an ID"));
        moment = match (&result, &told) {
            (Ok(()), Some(_)) => moment + moment / 4 + 20,
            (Ok(()), None) => moment,
            (Err(_), _) => moment - moment / 3,
        };
        races.push(Race { old, result, told });
    }
    (scene, races)
}

/// Each change was told or refused, and the table is as the clients were told.
async fn told_or_refused(name: &str) {
    /// One race at a time: each wants two processors.
    static TURN: rocket::tokio::sync::Mutex<()> = rocket::tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let (scene, races) = races(name).await;
    let untold = races.iter().filter(|race| race.result.is_ok() && race.told.is_none()).count();
    let (mut live, mut keys) = (0, Vec::new());
    for race in &races {
        assert!(matches!(race.result, Ok(()) | Err(Error::HeadSent)), "{name}: {:?}", race.result);
        assert!(race.result.is_ok() || race.told.is_none(), "{name}: what was refused is not told");
        if let Some(id) = race.told.as_ref().or(race.old.as_ref()) {
            live += 1;
            keys.push(super::support::sessions(&scene.client).handle_of(id).to_string());
        }
    }
    let bed = {
        let Scene { bed, client, id, .. } = scene;
        keys.push(super::support::sessions(&client).handle_of(&id).to_string());
        client.terminate().await;
        bed
    };
    assert_eq!(untold, 0, "{name}: of {RACES} changes, so many were accepted and not told");
    let rows = super::live(&bed).await;
    assert_eq!(rows.len(), live + 1, "{name}: a row for each client, and no other");
    assert!(
        rows.iter().all(|row| keys.iter().any(|key| row.text("id") == Some(key))),
        "{name}: and each knows its own"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_beside_the_end_of_the_response_is_told_or_refused() {
    told_or_refused("login").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cycle_beside_the_end_of_the_response_is_told_or_refused() {
    told_or_refused("cycle").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitors_first_value_beside_the_end_of_the_response_is_told_or_refused() {
    told_or_refused("first").await;
}

/// Changes the session, and leaves a task that changes it again when it is told to.
#[get("/during/<name>")]
async fn during(name: String, session: Session, signals: &Shared) -> Result<(), Error> {
    let (signals, clone) = (Arc::clone(signals), session.clone());
    rocket::tokio::spawn(async move {
        signals.task.notified().await;
        signals.say(change(&clone, &name));
        signals.done.notify_one();
        signals.handler.notified().await;
        drop(clone);
    });
    session.insert("handler", true)
}

#[tokio::test]
async fn a_rotation_while_the_response_is_being_committed_is_told_or_refused() {
    for name in ["login", "cycle"] {
        for answered in [false, true] {
            let scene = Scene::new(routes![during]).await;
            let faults = &scene.bed.faults;
            let gate = if answered { faults.hold_answer("UpdateItem") } else { faults.hold("UpdateItem") };
            let meanwhile = async {
                gate.reached().await;
                scene.signals.task.notify_one();
                scene.signals.done.notified().await;
                gate.open();
            };
            let path = format!("/during/{name}");
            let (response, ()) = in_time(name, async { join!(scene.request(&path).dispatch(), meanwhile) }).await;
            assert_eq!(response.status(), Status::Ok, "{name}");
            match &*scene.signals.said()[0] {
                "accepted" => {
                    let row = scene.row_of(&new_id(&response)).await;
                    let principal = if name == "login" { "eve" } else { "ann" };
                    assert_eq!(row.text("principal"), Some(principal), "{name}");
                }
                said => {
                    assert_eq!((said, told(&response)), ("head sent", None), "{name}");
                    assert_eq!(scene.data().await, json!({ "k": 1, "handler": true }), "{name}");
                }
            }
            drop(response);
            scene.signals.handler.notify_one();
            assert_eq!(super::live(&scene.end().await).await.len(), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_value_while_the_response_is_being_committed_is_stored_after_it() {
    let scene = Scene::new(routes![during]).await;
    let gate = scene.bed.faults.hold("UpdateItem");
    let meanwhile = async {
        gate.reached().await;
        scene.signals.task.notify_one();
        scene.signals.done.notified().await;
        gate.open();
    };
    let both = async { join!(scene.request("/during/insert").dispatch(), meanwhile) };
    let (response, ()) = in_time("both", both).await;
    assert_eq!((response.status(), told(&response)), (Status::Ok, None));
    assert_eq!(scene.signals.said(), ["accepted"]);
    scene.signals.handler.notify_one();
    scene.until(|data| data["mine"] == true).await;
    assert_eq!(scene.data().await, json!({ "k": 1, "handler": true, "mine": true }));
}

/// Leaves a task that goes on when the response has gone out.
#[get("/after/<name>")]
async fn after(name: String, session: Session, signals: &Shared) {
    let signals = Arc::clone(signals);
    rocket::tokio::spawn(async move {
        signals.task.notified().await;
        signals.say(change(&session, &name));
        signals.done.notify_one();
    });
}

#[tokio::test]
async fn what_needs_a_cookie_is_refused_after_the_response_and_a_value_is_stored() {
    let cases = [("login", "head sent"), ("cycle", "head sent"), ("first", "head sent"), ("insert", "accepted")];
    for (name, expected) in cases {
        let scene = Scene::new(routes![after]).await;
        let path = format!("/after/{name}");
        let response = scene.request(&path).dispatch().await;
        assert_eq!((response.status(), told(&response)), (Status::Ok, None), "{name}");
        drop(response);
        scene.signals.task.notify_one();
        scene.signals.done.notified().await;
        assert_eq!(scene.signals.said(), [expected], "{name}");
        let data = if name == "insert" { json!({ "k": 1, "mine": true }) } else { json!({ "k": 1 }) };
        assert_eq!(super::live_data(&scene.end().await).await, [data], "{name}");
    }
}
