//! What is changed after the head: stored within a second, by few writes, though a holder never drops; and refused where
//! the client would have to be told.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rocket::response::stream::TextStream;
use rocket::tokio::io::AsyncReadExt;
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::{Error, Session};
use tokio::time::{Instant, sleep};

use super::support::{cookie, ok};
use super::{Scene, Shared, change, in_time, is_remote, pause, word};

/// A second, and a little for what is not the crate's.
const A_SECOND: Duration = Duration::from_millis(1300);

/// Counted by the tests' streams and tasks.
#[derive(Default)]
struct Counter {
    count: AtomicU32,
    held: Arc<()>,
}

type Counting = State<Arc<Counter>>;

/// Leaves a task that makes a change after the head, and never drops its session.
#[get("/keep/<name>/<how>")]
fn keeping(name: String, how: String, session: Session, signals: &Shared) {
    let signals = Arc::clone(signals);
    rocket::tokio::spawn(async move {
        signals.task.notified().await;
        signals.say(change(&session, &name));
        if how == "forgotten" {
            std::mem::forget(session);
            return;
        }
        pending::<()>().await;
        drop(session);
    });
}

#[get("/many")]
fn many(session: Session) -> TextStream![String] {
    TextStream! {
        let mut refused = 0;
        for n in 1..=100_000 {
            refused += u32::from(session.insert("n", n).is_err());
        }
        yield refused.to_string();
        pending::<()>().await;
    }
}

/// Updates its session by closures that hold something, and never ends.
#[get("/closures")]
fn closures(session: Session, counter: &Counting) -> TextStream![String] {
    let counter = counter.inner().clone();
    TextStream! {
        for _ in 0..1000 {
            let held = counter.held.clone();
            let count = move |n: Option<u32>| {
                let _ = &held;
                n.unwrap_or(0) + 1
            };
            if let Err(error) = session.update("n", count) {
                yield error.to_string();
            }
        }
        yield "!".to_owned();
        pending::<()>().await;
    }
}

/// Changes its session ten times a second, and never ends.
#[get("/ticks")]
fn ticks(session: Session, counter: &Counting) {
    let counter = counter.inner().clone();
    rocket::tokio::spawn(async move {
        loop {
            let tick = counter.count.load(Ordering::Relaxed) + 1;
            session.insert("tick", tick).expect("it is live");
            counter.count.store(tick, Ordering::Relaxed);
            sleep(Duration::from_millis(100)).await;
        }
    });
}

fn all() -> Vec<Route> {
    routes![keeping, many, closures, ticks]
}

async fn counting() -> (Scene, Arc<Counter>) {
    let counter = Arc::new(Counter::default());
    let bed = super::bed();
    let rocket = bed.rocket(bed.config(), all()).manage(counter.clone());
    (Scene::of(bed, rocket).await, counter)
}

#[tokio::test(start_paused = true)]
async fn a_change_after_the_head_is_stored_within_a_second_though_its_holder_never_drops() {
    if is_remote() {
        return;
    }
    for how in ["held", "forgotten"] {
        let (scene, _) = counting().await;
        let path = format!("/keep/insert/{how}");
        ok(&scene.request(&path).dispatch().await);
        let start = Instant::now();
        scene.signals.task.notify_one();
        scene.until(|data| data["mine"] == true).await;
        assert!(start.elapsed() < A_SECOND, "{how}: {:?}", start.elapsed());
        assert_eq!((scene.signals.said(), scene.writes()), (vec!["accepted".to_owned()], 1), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_after_the_head_is_carried_out_within_a_second_though_its_holder_never_drops() {
    if is_remote() {
        return;
    }
    let (scene, _) = counting().await;
    ok(&scene.request("/keep/invalidate/held").dispatch().await);
    let start = Instant::now();
    scene.signals.task.notify_one();
    let ending = async {
        while !scene.live().await.is_empty() {
            pause().await;
        }
    };
    in_time("the session", ending).await;
    assert!(start.elapsed() < A_SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_values_of_an_endless_stream_are_stored_within_a_second_by_few_writes() {
    if is_remote() {
        return;
    }
    let (scene, _) = counting().await;
    let mut response = scene.request("/many").dispatch().await;
    let start = Instant::now();
    assert_eq!(response.read_u8().await.expect("the stream has begun"), b'0', "none was refused");
    scene.until(|data| data["n"] == 100_000).await;
    assert!(start.elapsed() < A_SECOND, "{:?}", start.elapsed());
    assert!((1..=3).contains(&scene.writes()), "{} writes", scene.writes());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_closures_of_an_endless_stream_are_stored_and_let_go() {
    if is_remote() {
        return;
    }
    let (scene, counter) = counting().await;
    let mut response = scene.request("/closures").dispatch().await;
    assert_eq!(response.read_u8().await.expect("the stream has begun"), b'!');
    scene.until(|data| data["n"] == 1000).await;
    let releasing = async {
        while Arc::strong_count(&counter.held) > 1 {
            pause().await;
        }
    };
    in_time("the closures", releasing).await;
    assert!((1..=3).contains(&scene.writes()), "{} writes", scene.writes());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_goes_on_changing_is_stored_about_once_a_second() {
    if is_remote() {
        return;
    }
    let (scene, counter) = counting().await;
    ok(&scene.request("/ticks").dispatch().await);
    for second in 1..=5 {
        let tick = in_time("a tick", async {
            loop {
                match counter.count.load(Ordering::Relaxed) {
                    tick if tick >= second * 10 => return tick,
                    _ => pause().await,
                }
            }
        });
        let tick = tick.await;
        let start = Instant::now();
        scene.until(|data| data["tick"].as_u64() >= Some(tick.into())).await;
        assert!(start.elapsed() < A_SECOND, "second {second}: {:?}", start.elapsed());
    }
    let seconds = counter.count.load(Ordering::Relaxed).div_ceil(10) as usize;
    assert!(scene.writes() <= seconds + 2, "{} writes in {seconds} seconds", scene.writes());
}

// A session that has ended meanwhile.

/// Learns in its stream, by a reload or by a flush, that its session has ended; ends it again and begins another.
#[get("/gone/<by>")]
fn gone(by: String, session: Session, signals: &Shared) -> TextStream![String] {
    let signals = Arc::clone(signals);
    TextStream! {
        signals.task.notified().await;
        let looked = match &*by {
            "reload" => session.reload().await,
            _ => match session.insert("late", true) {
                Ok(()) => session.flush().await,
                Err(error) => Err(error),
            },
        };
        yield format!("{} {:?}", word(looked), session.status());
        session.invalidate();
        yield format!(", insert: {}", word(session.insert("flash", "bye")));
        yield format!(", login: {}", word(session.login("eve")));
        yield format!(", flush: {}", word(session.flush().await));
    }
}

#[get("/make/<name>")]
fn make(name: &str, session: Session) -> Result<(), Error> {
    change(&session, name)
}

#[tokio::test]
async fn a_session_that_is_gone_begins_no_other_after_the_head() {
    for (by, seconds, status) in
        [("reload", 360, "Gone"), ("flush", 360, "Gone"), ("reload", 0, "Live"), ("flush", 0, "Live")]
    {
        let scene = Scene::new(routes![gone, make]).await;
        let path = format!("/gone/{by}");
        let response = scene.request(&path).dispatch().await;
        // Another request gives the session a new ID; with time, the tombstone of the old one expires.
        ok(&scene.client.get("/make/cycle").cookie(cookie(&scene.id)).dispatch().await);
        scene.bed.advance(seconds);
        scene.signals.task.notify_one();
        let body = in_time(&path, response.into_string()).await.expect("a body");
        let expected = format!("accepted {status}, insert: head sent, login: head sent, flush: accepted");
        assert_eq!(body, expected, "{path} after {seconds} seconds");
        // The sign-out follows the rotation; no row is left that nobody holds.
        assert_eq!(super::live(&scene.end().await).await, [], "{path} after {seconds} seconds");
    }
}

#[tokio::test]
async fn a_session_that_a_login_superseded_or_that_was_signed_out_begins_no_other_after_the_head() {
    for (by, name, status) in [
        ("reload", "login", "Superseded"),
        ("flush", "login", "Superseded"),
        ("reload", "invalidate", "Gone"),
        ("flush", "invalidate", "Gone"),
    ] {
        let scene = Scene::new(routes![gone, make]).await;
        let path = format!("/gone/{by}");
        let response = scene.request(&path).dispatch().await;
        let other = format!("/make/{name}");
        ok(&scene.client.get(&other).cookie(cookie(&scene.id)).dispatch().await);
        scene.signals.task.notify_one();
        let body = in_time(&path, response.into_string()).await.expect("a body");
        assert!(body.starts_with(&format!("accepted {status}")), "{path} after {name}: {body}");
        let bed = scene.end().await;
        let rows = super::live(&bed).await;
        assert!(rows.iter().all(|row| row.data()["flash"].is_null()), "{path} after {name}: {body} {rows:?}");
        assert!(rows.is_empty(), "{path} after {name}: the sign-out follows the login: {rows:?}");
    }
}
