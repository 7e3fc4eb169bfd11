//! Shutdowns, code of the application that blocks or panics where it is dropped or replayed, and requests that are cloned.

#![allow(clippy::unwrap_used, reason = "a test that finds something else fails, whatever it says")]

mod support;

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use rocket::futures::FutureExt;
use rocket::http::Status;
use rocket::tokio::sync::Notify;
use rocket::tokio::time::{sleep, timeout};
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, Session};
use serde_json::json;
use support::{Bed, cookie, get as send, seed};

/// Runs a test on a runtime of several workers; a hang fails it.
#[track_caller]
fn in_time<T>(seconds: u64, test: impl FnOnce() -> T + Send + 'static)
where
    T: Future<Output = ()>,
{
    let (done, end) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(test())));
        let _ = done.send(result.is_ok());
        std::mem::forget(runtime);
    });
    match end.recv_timeout(Duration::from_secs(seconds)) {
        Ok(well) => assert!(well, "it panicked"),
        Err(_) => panic!("it hangs"),
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What `futures::executor::block_on` does.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// Flushes when it is dropped.
struct FlushOnDrop(Session);

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        let _ = block_on(self.0.flush());
    }
}

/// A captured value that flushes when it is dropped.
#[get("/captured")]
fn captured(session: Session) -> Result<(), Error> {
    let held = FlushOnDrop(session.clone());
    session.update("n", move |n: Option<i64>| {
        let _ = &held;
        n.unwrap_or(0) + 1
    })?;
    Ok(())
}

struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

/// A captured value whose destructor panics.
#[get("/bomb/<status>")]
fn bomb(status: u16, session: Session) -> Result<Status, Error> {
    let held = PanicOnDrop;
    session.update("n", move |n: Option<i64>| {
        let _ = &held;
        n.unwrap_or(0) + 1
    })?;
    Ok(Status::new(status))
}

fn all() -> Vec<Route> {
    routes![captured, bomb, count]
}

#[test]
fn a_captured_value_may_flush_when_it_is_dropped() {
    in_time(15, || async {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = seed(&client, None, &[("n", json!(1))]).await;
        assert_eq!(send(&client, "/captured", &id).await.status(), Status::Ok);
    });
}

fn answer_with_a_bomb(status: u16) {
    in_time(15, move || async move {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = seed(&client, None, &[("n", json!(1))]).await;
        let path = format!("/bomb/{status}");
        let response = AssertUnwindSafe(send(&client, &path, &id)).catch_unwind().await;
        let answered = response.map(|response| response.status().code);
        let n = bed.row(&client, &id).await.unwrap().data()["n"].clone();
        println!("{status}: {answered:?}, n = {n}");
        // Stored and the handler's answer, or not stored and an error; and an answer in any case.
        let told = answered.unwrap_or_else(|_| panic!("{status}: no response is made"));
        assert_eq!((told, n == 2), (status, status < 500), "n = {n}");
    });
}

#[test]
fn a_destructor_that_panics_after_the_commit_does_not_make_a_503_of_what_was_stored() {
    answer_with_a_bomb(200);
}

#[test]
fn a_destructor_that_panics_when_a_5xx_discards_it_costs_no_response() {
    answer_with_a_bomb(500);
}

// Requests that are cloned.

#[get("/count")]
async fn count(session: Session) -> Result<String, Error> {
    rocket::tokio::task::yield_now().await;
    let n = session.update("n", |n: Option<i64>| n.unwrap_or(0) + 1)?;
    rocket::tokio::task::yield_now().await;
    Ok(n.to_string())
}

#[rocket::async_test]
async fn clones_of_a_local_request_may_run_side_by_side() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = seed(&client, None, &[("n", json!(0))]).await;
    for with_session in [true, false] {
        let request = client.get("/count");
        let request = if with_session { request.cookie(cookie(&id)) } else { request };
        let clones = (0..4).map(|_| request.clone().dispatch());
        let statuses: Vec<Status> =
            rocket::futures::future::join_all(clones).await.into_iter().map(|response| response.status()).collect();
        println!("session {with_session}: {statuses:?}");
        assert!(statuses.iter().all(|status| *status == Status::Ok), "{statuses:?}");
    }
    assert_eq!(bed.row(&client, &id).await.unwrap().data()["n"], 4);
}

// Shutdown.

#[derive(Default)]
struct Ready(Notify);

/// Leaves many tasks, each of which flushes a change of its own after the head.
#[get("/flushes/<tasks>")]
fn many_flushes(tasks: u32, session: Session, ready: &State<Arc<Ready>>) {
    let ready = ready.inner().clone();
    rocket::tokio::spawn(async move {
        sleep(Duration::from_millis(200)).await;
        for task in 0..tasks {
            let session = session.clone();
            rocket::tokio::spawn(async move {
                let _ = session.insert(format!("t{task}"), task);
                let _ = session.flush().await;
                pending::<()>().await;
            });
        }
        sleep(Duration::from_millis(100)).await;
        ready.0.notify_one();
        pending::<()>().await;
    });
}

async fn shutdown_with(tasks: u32) -> Duration {
    let (bed, ready) = (Bed::new(), Arc::new(Ready::default()));
    let figment = rocket::Config::figment()
        .merge(("address", "127.0.0.1"))
        .merge(("port", 0))
        .merge(("log_level", "off"))
        .merge(("shutdown.ctrlc", false))
        .merge(("shutdown.signals", Vec::<String>::new()))
        .merge(("shutdown.grace", 1))
        .merge(("shutdown.mercy", 1));
    let (port, at) = rocket::tokio::sync::oneshot::channel();
    let liftoff = AdHoc::on_liftoff("port", |rocket| {
        let _ = port.send(rocket.config().port);
        Box::pin(async {})
    });
    let config =
        Config { deadline: Duration::from_secs(1), attempt_timeout: Duration::from_millis(400), ..bed.config() };
    let rocket = rocket::custom(figment)
        .attach(bed.fairing(config))
        .attach(liftoff)
        .manage(ready.clone())
        .mount("/", routes![many_flushes])
        .ignite()
        .await
        .unwrap();
    let (end, sessions) = (rocket.shutdown(), rocket.state::<rocket_dynamodb_sessions::Sessions>().unwrap().clone());
    let id = sessions.seed(None, &[("n", json!(1))]).await.unwrap();
    let server = rocket::tokio::spawn(rocket.launch());
    let port = at.await.unwrap();
    let mut stream = rocket::tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "GET /flushes/{tasks} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: session={}\r\n\r\n",
        id.expose()
    );
    use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    bed.faults.inject(On::any().always(), Effect::Hang);
    ready.0.notified().await;
    let start = Instant::now();
    end.notify();
    let _ = timeout(Duration::from_secs(60), server).await;
    start.elapsed()
}

#[test]
fn a_shutdown_is_bounded_however_many_flushes_wait() {
    in_time(120, || async {
        let one = shutdown_with(1).await;
        let many = shutdown_with(30).await;
        println!("one flush: {one:?}, thirty: {many:?}");
        // Grace, mercy, a deadline for what is under way and one for the last flush; twice, on a busy machine.
        assert!(many < 2 * Duration::from_secs(2 + 2 + 2), "{many:?} (and {one:?} with one flush)");
    });
}

/// Holds a value whose destructor panics, and does not end.
#[get("/held-bomb")]
async fn held_bomb(session: Session, ready: &State<Arc<Ready>>) {
    let held = PanicOnDrop;
    session
        .update("n", move |n: Option<i64>| {
            let _ = &held;
            n.unwrap_or(0) + 1
        })
        .unwrap();
    ready.0.notify_one();
    pending::<()>().await;
}

#[test]
fn a_destructor_that_panics_does_not_stop_the_shutdown() {
    in_time(60, || async {
        let (bed, ready) = (Bed::new(), Arc::new(Ready::default()));
        let figment = rocket::Config::figment()
            .merge(("address", "127.0.0.1"))
            .merge(("port", 0))
            .merge(("log_level", "off"))
            .merge(("shutdown.ctrlc", false))
            .merge(("shutdown.signals", Vec::<String>::new()))
            .merge(("shutdown.grace", 1))
            .merge(("shutdown.mercy", 1));
        let (port, at) = rocket::tokio::sync::oneshot::channel();
        let liftoff = AdHoc::on_liftoff("port", |rocket| {
            let _ = port.send(rocket.config().port);
            Box::pin(async {})
        });
        let rocket = rocket::custom(figment)
            .attach(bed.fairing(bed.config()))
            .attach(liftoff)
            .manage(ready.clone())
            .mount("/", routes![held_bomb])
            .ignite()
            .await
            .unwrap();
        let end = rocket.shutdown();
        let server = rocket::tokio::spawn(rocket.launch());
        let port = at.await.unwrap();
        use rocket::tokio::io::AsyncWriteExt;
        let mut stream = rocket::tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(b"GET /held-bomb HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        ready.0.notified().await;
        end.notify();
        let ended = timeout(Duration::from_secs(30), server).await.expect("it ends");
        let ended = ended.expect("the shutdown itself panicked: what other sessions held is lost");
        // The handler never ends, and so Rocket's shutdown is an error, which panics unless it is looked at.
        assert!(matches!(ended.expect_err("a handler is left").kind(), rocket::error::ErrorKind::Shutdown(..)));
    });
}
