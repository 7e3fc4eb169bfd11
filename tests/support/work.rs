//! Requests that do what a test says: a closure goes in, and its answer comes out.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::Row;
use rocket_dynamodb_sessions::{Codec, Config, Error, Session, SessionId};

use crate::support::{self, Bed, Jar};

type Answer = Box<dyn Any + Send>;
type Doing = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Job = Box<dyn FnOnce(Session) -> Doing + Send>;

/// The jobs that wait for their requests, and the answers that wait for the test.
#[derive(Default)]
struct Desk {
    jobs: Mutex<HashMap<u32, Job>>,
    answers: Mutex<HashMap<u32, Answer>>,
}

#[get("/work/<number>")]
async fn work(number: u32, session: Session, desk: &State<Desk>) {
    let job = desk.jobs.lock().expect("no panic").remove(&number).expect("the test has given a job");
    let answer = job(session).await;
    desk.answers.lock().expect("no panic").insert(number, answer);
}

/// One node of an application.
pub struct Office {
    pub bed: Bed,
    pub client: Client,
}

pub const CODECS: [Codec; 3] = [Codec::Json, Codec::Cbor, Codec::Native];

impl Office {
    pub async fn new(codec: Codec) -> Self {
        Self::with(Bed::new(), |config| Config { codec, ..config }).await
    }

    pub async fn with(bed: Bed, change: impl FnOnce(Config) -> Config) -> Self {
        Self::and(bed, change, routes![]).await
    }

    /// With routes of the test's own.
    pub async fn and(bed: Bed, change: impl FnOnce(Config) -> Config, routes: Vec<Route>) -> Self {
        super::logs::set();
        let rocket = bed.rocket(change(bed.config()), routes).mount("/", routes![work]).manage(Desk::default());
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        bed.faults.reset_counts();
        Self { bed, client }
    }

    /// Sends a request as this browser, which does this with its session; the status, and the answer where there is one.
    pub async fn ask<T, F>(&self, jar: &Jar, job: impl FnOnce(Session) -> F + Send + 'static) -> (Status, Option<T>)
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let desk = self.client.rocket().state::<Desk>().expect("managed");
        let job: Job = Box::new(|session| {
            let doing = job(session);
            Box::pin(async move { Box::new(doing.await) as Answer })
        });
        desk.jobs.lock().expect("no panic").insert(number, job);
        let status = Box::pin(jar.get(&self.client, &format!("/work/{number}"))).await.status();
        let answer = desk.answers.lock().expect("no panic").remove(&number);
        (status, answer.map(|answer| *answer.downcast().expect("this test's answer")))
    }

    /// The same with a job that waits for nothing, in a request that must be answered with 200.
    #[track_caller]
    pub fn run<T, F>(&self, jar: &Jar, job: F) -> impl Future<Output = T>
    where
        T: Send + 'static,
        F: FnOnce(&Session) -> T + Send + 'static,
    {
        let caller = std::panic::Location::caller();
        async move {
            let (status, answer) = self.ask(jar, |session| async move { job(&session) }).await;
            assert_eq!(status, Status::Ok, "asked at {caller}");
            answer.expect("the handler has run")
        }
    }

    /// The row of a browser's session.
    pub async fn row(&self, jar: &Jar) -> Row {
        let id: SessionId = jar.id().expect("the browser holds an ID");
        self.bed.row(&self.client, &id).await.expect("the row is there")
    }
}

/// An error with all that is below it.
pub fn chain(error: &Error) -> String {
    let (mut text, mut source) = (error.to_string(), std::error::Error::source(error));
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Stands for the handle that opens no session.
pub fn handle(office: &Office, jar: &Jar) -> String {
    support::sessions(&office.client).handle_of(&jar.id().expect("the browser holds an ID")).to_string()
}
