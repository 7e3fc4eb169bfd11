//! What a commit takes along: what the log held when it began. A holder that goes on changing keeps nobody waiting, and a
//! commit that fails costs nothing but its own changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rocket::http::Status;
use rocket::response::stream::TextStream;
use rocket::tokio::{join, select};
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, Session};
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::support::{new_id, ok, told};
use super::{Scene, Shared, in_time, is_remote};

// A task that goes on changing.

/// How often the task has changed its session, and whether it is to end.
#[derive(Default)]
struct Busy {
    ticks: AtomicU32,
    ended: AtomicBool,
}

/// Changes the session each millisecond, until it is told to end.
fn keep_busy(session: &Session, busy: &Arc<Busy>) {
    let (session, busy) = (session.clone(), busy.clone());
    rocket::tokio::spawn(async move {
        while !busy.ended.load(Ordering::Relaxed) {
            let tick = busy.ticks.load(Ordering::Relaxed) + 1;
            if session.insert("tick", tick).is_ok() {
                busy.ticks.store(tick, Ordering::Relaxed);
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[get("/busy")]
fn busily(session: Session, busy: &State<Arc<Busy>>) -> Result<(), Error> {
    session.insert("mine", true)?;
    keep_busy(&session, busy);
    Ok(())
}

#[get("/busy/flush")]
async fn busily_flushed(session: Session, busy: &State<Arc<Busy>>) -> Result<(), Error> {
    busily(session.clone(), busy)?;
    session.flush().await
}

#[get("/busy/stream")]
fn busily_streamed(session: Session, busy: &State<Arc<Busy>>) -> TextStream![&'static str] {
    let busy = busy.inner().clone();
    TextStream! {
        keep_busy(&session, &busy);
        yield_now().await;
        yield if session.flush().await.is_ok() { "flushed" } else { "failed" };
    }
}

/// An application whose store takes 8 ms for a write, and the task that is busy.
async fn busy_scene() -> (Scene, Arc<Busy>) {
    let busy = Arc::new(Busy::default());
    let bed = super::bed();
    let rocket = bed.rocket(bed.config(), routes![busily, busily_flushed, busily_streamed]).manage(busy.clone());
    let scene = Scene::of(bed, rocket).await;
    scene.bed.faults.inject(On::writes().always(), Effect::Delay(Duration::from_millis(8)));
    (scene, busy)
}

/// Ends the task; its last change is stored within a second.
async fn ends(scene: &Scene, busy: &Busy) {
    busy.ended.store(true, Ordering::Relaxed);
    let start = Instant::now();
    scene.until(|data| data["tick"] == busy.ticks.load(Ordering::Relaxed)).await;
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_response_goes_out_while_a_task_goes_on_changing_the_session() {
    if is_remote() {
        return;
    }
    for path in ["/busy", "/busy/flush"] {
        let (scene, busy) = busy_scene().await;
        let start = Instant::now();
        let response = in_time(path, scene.request(path).dispatch()).await;
        assert_eq!((response.status(), told(&response)), (Status::Ok, None), "{path}");
        assert!(start.elapsed() < Duration::from_millis(100), "{path}: {:?}", start.elapsed());
        assert!((1..=3).contains(&scene.writes()), "{path}: {} writes", scene.writes());
        assert_eq!(scene.data().await["mine"], true, "{path}");
        ends(&scene, &busy).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_visitors_first_response_goes_out_while_a_task_goes_on_changing_the_session() {
    if is_remote() {
        return;
    }
    let (scene, busy) = busy_scene().await;
    let start = Instant::now();
    let response = in_time("a visitor", scene.client.get("/busy").dispatch()).await;
    ok(&response);
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    let id = new_id(&response);
    assert_eq!(scene.row_of(&id).await.data()["mine"], true);
    drop(response);
    ends(&Scene { id, ..scene }, &busy).await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_in_a_stream_returns_while_a_task_goes_on_changing_the_session() {
    if is_remote() {
        return;
    }
    let (scene, busy) = busy_scene().await;
    let response = scene.request("/busy/stream").dispatch().await;
    let start = Instant::now();
    let body = tokio::time::timeout(Duration::from_secs(3), response.into_string()).await;
    assert_eq!(body.ok().flatten().as_deref(), Some("flushed"), "the flush returns");
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!((1..=3).contains(&scene.writes()), "{} writes", scene.writes());
    ends(&scene, &busy).await;
}

// A commit that fails.

/// Makes a change, and leaves a task that makes another while that is being written.
#[get("/hangs")]
fn hangs(session: Session, signals: &Shared) -> Result<(), Error> {
    session.insert("mine", true)?;
    let signals = Arc::clone(signals);
    rocket::tokio::spawn(async move {
        signals.task.notified().await;
        signals.say(session.insert("late", true));
        signals.done.notify_one();
        signals.handler.notified().await;
        drop(session);
    });
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_task_changes_while_the_responses_write_fails_is_stored_when_the_store_is_well_again() {
    if is_remote() {
        return;
    }
    for effect in [Effect::Hang, Effect::AccessDenied, Effect::Reset] {
        let scene = Scene::new(routes![hangs]).await;
        scene.bed.faults.inject(On::writes().always(), effect.clone());
        let signals = Arc::clone(&scene.signals);
        scene.bed.faults.before(On::writes(), move || async move {
            signals.task.notify_one();
            signals.done.notified().await;
        });
        let response = in_time("the response", scene.request("/hangs").dispatch()).await;
        assert_eq!((response.status(), told(&response)), (Status::ServiceUnavailable, None), "{effect:?}");
        assert_eq!(scene.signals.said(), ["accepted"], "{effect:?}");
        drop(response);
        scene.bed.faults.clear();
        scene.signals.handler.notify_one();
        scene.until(|data| data["late"] == true).await;
        assert_eq!(scene.data().await, json!({ "k": 1, "late": true }), "{effect:?}: what failed is given up");
    }
}

// A take that fails.

/// Takes a value, tells what came of it, and answers 200.
#[get("/take")]
async fn taking(session: Session) -> String {
    let taken = session.take::<u32>("k").await;
    let left = session.contains_key("k");
    match taken {
        Ok(value) => format!("{value:?}, left: {left}"),
        Err(error) => format!("{}, left: {left}", error.status()),
    }
}

/// Begins to take a value while another flush is under way or a write hangs, and gives up.
#[get("/take/<how>")]
async fn giving_up(how: &str, session: Session, signals: &Shared) -> Result<String, Error> {
    if how == "behind" {
        session.insert("mine", true)?;
        let clone = session.clone();
        rocket::tokio::spawn(async move { clone.flush().await });
        signals.task.notified().await;
    }
    select! {
        biased;
        taken = session.take::<u32>("k") => panic!("the value was taken too early: {taken:?}"),
        () = signals.handler.notified() => {}
    }
    signals.answered.notify_one();
    signals.done.notified().await;
    Ok(session.contains_key("k").to_string())
}

fn takes() -> Vec<Route> {
    routes![taking, giving_up]
}

#[tokio::test]
async fn a_take_that_failed_has_taken_nothing() {
    let cases = [(On::writes(), Effect::AccessDenied), (On::writes().times(4), Effect::Reset)];
    for (on, effect) in cases {
        let scene = Scene::new(takes()).await;
        scene.bed.faults.inject(on, effect.clone());
        let response = scene.request("/take").dispatch().await;
        assert_eq!((response.status(), told(&response)), (Status::Ok, None), "{effect:?}");
        assert_eq!(response.into_string().await.as_deref(), Some("503, left: true"), "{effect:?}");
        assert_eq!(scene.data().await, json!({ "k": 1 }), "{effect:?}: it is still there");

        let again = scene.request("/take").dispatch().await;
        assert_eq!(again.into_string().await.as_deref(), Some("Some(1), left: false"), "{effect:?}");
    }
}

#[tokio::test]
async fn a_take_that_was_given_up_while_it_waited_has_taken_nothing() {
    let scene = Scene::new(takes()).await;
    let gate = scene.bed.faults.hold(On::writes());
    let meanwhile = async {
        gate.reached().await;
        scene.signals.task.notify_one();
        // The take has every chance to begin.
        for _ in 0..100 {
            yield_now().await;
        }
        scene.signals.handler.notify_one();
        scene.signals.answered.notified().await;
        gate.open();
        scene.signals.done.notify_one();
    };
    let both = async { join!(scene.request("/take/behind").dispatch(), meanwhile) };
    let (response, ()) = in_time("both", both).await;
    assert_eq!(response.into_string().await.as_deref(), Some("true"));
    assert_eq!(scene.data().await, json!({ "k": 1, "mine": true }));
}

#[tokio::test]
async fn a_take_that_was_given_up_and_then_failed_has_taken_nothing() {
    let scene = Scene::new(takes()).await;
    let gate = scene.bed.faults.hold(On::writes());
    scene.bed.faults.inject(On::writes(), Effect::AccessDenied);
    let meanwhile = async {
        gate.reached().await;
        scene.signals.handler.notify_one();
        scene.signals.answered.notified().await;
        gate.open();
        scene.signals.done.notify_one();
    };
    let both = async { join!(scene.request("/take/failing").dispatch(), meanwhile) };
    let (response, ()) = in_time("both", both).await;
    ok(&response);
    assert_eq!(scene.data().await, json!({ "k": 1 }));
}

// One deadline.

#[get("/reload/<times>")]
async fn reloading(times: usize, session: Session) -> String {
    let mut said = Vec::new();
    for _ in 0..times {
        said.push(match session.reload().await {
            Ok(()) => "read".to_owned(),
            Err(error) => error.status().to_string(),
        });
    }
    said.join(" ")
}

#[tokio::test(start_paused = true)]
async fn all_that_a_handler_asks_of_a_store_that_hangs_shares_one_deadline() {
    if is_remote() {
        return;
    }
    let short = |config| Config { deadline: Duration::from_millis(400), ..config };
    let scene = Scene::with(routes![reloading], short).await;
    scene.bed.faults.inject(On::reads().skip(1).always(), Effect::Hang);
    let start = Instant::now();
    let response = in_time("the response", scene.request("/reload/5").dispatch()).await;
    assert_eq!(response.into_string().await.as_deref(), Some("503 503 503 503 503"));
    assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
}

#[tokio::test]
async fn reloads_of_a_store_that_is_well_all_succeed() {
    let scene = Scene::new(routes![reloading]).await;
    let response = scene.request("/reload/5").dispatch().await;
    assert_eq!(response.into_string().await.as_deref(), Some("read read read read read"));
    assert_eq!(scene.bed.faults.calls(), ["GetItem"; 6]);
}
