//! The end of a request: what is committed when it ends well, badly, or not at all; what the client is told of it; and what
//! becomes of changes that come later.

mod support;

#[path = "ending/abandoned.rs"]
mod abandoned;
#[path = "ending/batches.rs"]
mod batches;
#[path = "ending/late.rs"]
mod late;
#[path = "ending/launched.rs"]
mod launched;
#[path = "ending/panics.rs"]
mod panics;
#[path = "ending/races.rs"]
mod races;
#[path = "ending/told.rs"]
mod told;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocket::futures::future::BoxFuture;
use rocket::local::asynchronous::{Client, LocalRequest};
use rocket::{Build, Rocket, Route};
use rocket_dynamodb_sessions::testing::Row;
use rocket_dynamodb_sessions::{Config, Error, Session, SessionId};
use serde_json::{Value, json};
use support::{Bed, cookie, endpoint, logs, seed, sessions};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

/// What nothing here takes: a guard against a test that hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// What handlers and tasks of a test tell each other.
#[derive(Debug, Default)]
struct Signals {
    /// The handler may go on.
    handler: Notify,
    /// The handler has come to its end.
    answered: Notify,
    /// The task may go on.
    task: Notify,
    /// The task has done what it was told to.
    done: Notify,
    /// What the session has said to the task.
    said: Mutex<Vec<String>>,
}

impl Signals {
    fn say(&self, result: Result<(), Error>) {
        self.said.lock().push(word(result));
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().clone()
    }
}

type Shared = rocket::State<Arc<Signals>>;

/// What came of a change.
fn word(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => "accepted".into(),
        Err(Error::HeadSent) => "head sent".into(),
        Err(error) => error.to_string(),
    }
}

/// Makes the change of this name.
fn change(session: &Session, name: &str) -> Result<(), Error> {
    match name {
        "login" => session.login("eve"),
        "cycle" => session.cycle_id(),
        "insert" | "first" => session.insert("mine", true),
        "invalidate" => {
            session.invalidate();
            Ok(())
        }
        "farewell" => {
            session.invalidate();
            session.insert("flash", "bye")
        }
        name => panic!("no such change: {name}"),
    }
}

/// A store, an application on it, and the session of `ann` with `k = 1`.
struct Scene {
    bed: Bed,
    client: Client,
    signals: Arc<Signals>,
    id: SessionId,
}

impl Scene {
    async fn new(routes: Vec<Route>) -> Self {
        Self::with(routes, |config| config).await
    }

    async fn with(routes: Vec<Route>, configured: impl FnOnce(Config) -> Config) -> Self {
        let bed = bed();
        let rocket = bed.rocket(configured(bed.config()), routes);
        Self::of(bed, rocket).await
    }

    /// Boxed: the unoptimized futures of a launch are deeper than the compiler goes.
    fn of(bed: Bed, rocket: Rocket<Build>) -> BoxFuture<'static, Self> {
        Box::pin(async move {
            let signals = Arc::new(Signals::default());
            let client = Client::untracked(rocket.manage(signals.clone())).await.expect("a valid rocket");
            let id = seed(&client, Some("ann"), &[("k", json!(1))]).await;
            bed.faults.reset_counts();
            Self { bed, client, signals, id }
        })
    }

    /// A request of the session's holder, or with the change `first` of a visitor.
    fn request<'c>(&'c self, path: &'c str) -> LocalRequest<'c> {
        let request = self.client.get(path);
        if path.contains("first") { request } else { request.cookie(cookie(&self.id)) }
    }

    async fn row_of(&self, id: &SessionId) -> Row {
        self.bed.row(&self.client, id).await.expect("the row is there")
    }

    async fn data(&self) -> Value {
        self.row_of(&self.id).await.data()
    }

    /// The rows that open a session now.
    async fn live(&self) -> Vec<Row> {
        live(&self.bed).await
    }

    /// Waits for a write that nothing in the test can wait for.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) {
        let looking = async {
            while !is_so(&self.data().await) {
                pause().await;
            }
        };
        if timeout(LONGEST, looking).await.is_err() {
            panic!("the row does not become as it should: {}", self.data().await);
        }
    }

    fn writes(&self) -> usize {
        self.bed.faults.calls().iter().filter(|call| *call != "GetItem").count()
    }

    fn dropped(&self) -> u64 {
        sessions(&self.client).stats().dropped
    }

    /// Ends the application, with all that it still has to write.
    async fn end(self) -> Bed {
        self.client.terminate().await;
        self.bed
    }
}

/// A store whose failures are looked for in the log too.
fn bed() -> Bed {
    logs::catch();
    Bed::new()
}

/// The rows of a store that open a session now: neither a tombstone nor expired.
async fn live(bed: &Bed) -> Vec<Row> {
    let is_live = |row: &Row| row.0.contains_key("data") && row.number("ttl").is_some_and(|ttl| ttl > bed.now());
    bed.rows().await.into_iter().filter(is_live).collect()
}

/// The data of the rows that open a session now, in the order of their text.
async fn live_data(bed: &Bed) -> Vec<Value> {
    let mut data: Vec<_> = live(bed).await.iter().map(Row::data).collect();
    data.sort_by_key(Value::to_string);
    data
}

/// Lets everything run that can; on a paused clock a little time passes too, where nothing can.
async fn pause() {
    yield_now().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// A request that never comes to its gate fails its test, and does not hang it.
async fn in_time<T>(name: &str, work: impl Future<Output = T>) -> T {
    timeout(LONGEST, Box::pin(work)).await.unwrap_or_else(|_| panic!("{name}: it does not end"))
}

/// Whether a test has to be left out, because its store runs in another process and on the real time.
fn is_remote() -> bool {
    if endpoint().is_some() {
        eprintln!("left out: tokio's clock is paused, and a server of another process goes by the real one");
    }
    endpoint().is_some()
}
