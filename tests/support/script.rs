//! Requests that do what their path says, so that a test can put any two of them side by side: `/wait,insert:k=2` loads
//! the session, waits at the door until the test opens it, and then stores a value.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::http::{Cookie, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::tokio::join;
use rocket::tokio::sync::Semaphore;
use rocket::tokio::time::timeout;
use rocket::{Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, Faults, On, Row};
use rocket_dynamodb_sessions::{Config, Error, Session, SessionId, Sessions};
use serde_json::Value;

use crate::support::{self, Bed, Jar, cookie, set_cookies};

/// Where requests wait for the test.
#[derive(Clone, Debug)]
pub struct Door(Arc<(Semaphore, Semaphore)>);

impl Default for Door {
    fn default() -> Self {
        Self(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }
}

impl Door {
    async fn wait(&self) {
        self.0.0.add_permits(1);
        self.0.1.acquire().await.unwrap().forget();
    }

    /// Waits until so many more requests stand at the door.
    pub async fn reached(&self, requests: u32) {
        self.0.0.acquire_many(requests).await.unwrap().forget();
    }

    /// Lets so many requests pass.
    pub fn open(&self, requests: usize) {
        self.0.1.add_permits(requests);
    }
}

/// Runs a script: acts with a comma between them, each with what it needs behind a colon.
#[get("/<script>")]
async fn run(script: &str, session: Session, door: &State<Door>) -> Result<(Status, String), Error> {
    let (mut status, mut said) = (Status::Ok, Vec::new());
    for act in script.split(',') {
        let (act, with) = act.split_once(':').unwrap_or((act, ""));
        match act {
            "look" => said.push(look(&session)?),
            "handle" => said.push(session.handle().map_or("none".into(), |handle| handle.to_string())),
            "insert" => {
                let (key, value) = with.split_once('=').unwrap();
                session.insert(key, serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)))?;
            }
            "add" => drop(session.update(with, |n: Option<i64>| n.unwrap_or(0) + 1)?),
            "remove" => drop(session.remove(with)),
            "take" => said.push(session.take::<Value>(with).await?.map_or("none".into(), |value| value.to_string())),
            "clear" => session.clear(),
            "login" => session.login(with)?,
            "cycle" => session.cycle_id()?,
            "invalidate" => session.invalidate(),
            "set_ttl" => session.set_ttl(Duration::from_secs(with.parse().unwrap()))?,
            "remember" => session.remember(with.parse().unwrap()),
            "skip_renewal" => session.skip_renewal(),
            "flush" => said.push(if session.flush().await.is_ok() { "flushed".into() } else { "failed".into() }),
            "reload" => session.reload().await?,
            "wait" => door.wait().await,
            "answer" => status = Status::new(with.parse().unwrap()),
            act => panic!("no such act: {act}"),
        }
    }
    Ok((status, said.join(" ")))
}

/// The session as the handler sees it: status, principal, data.
fn look(session: &Session) -> Result<String, Error> {
    let values: Result<BTreeMap<String, Value>, Error> =
        session.keys().into_iter().map(|key| Ok((key.clone(), session.get(&key)?.unwrap()))).collect();
    let principal = session.principal().unwrap_or_else(|| "nobody".into());
    Ok(format!("{:?} {principal} {}", session.status(), serde_json::to_string(&values?).unwrap()))
}

/// How old a tombstone is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Age {
    Young,
    /// Its time is over, and it still stands there.
    Expired,
    /// DynamoDB has deleted it.
    Swept,
}

pub const AGES: [Age; 3] = [Age::Young, Age::Expired, Age::Swept];

/// What a client got.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub script: String,
    pub status: Status,
    /// The Set-Cookie headers, raw.
    pub cookies: Vec<String>,
    pub body: String,
}

impl Answer {
    async fn of(script: &str, response: LocalResponse<'_>) -> Self {
        let (status, cookies) = (response.status(), set_cookies(&response));
        let body = response.into_string().await.unwrap_or_default();
        Self { script: script.to_owned(), status, cookies, body }
    }

    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert_eq!(self.status, Status::Ok, "{self:?}");
        self
    }

    /// 200, and no Set-Cookie header of any kind.
    #[track_caller]
    pub fn silent(&self) -> &Self {
        assert_eq!(self.ok().cookies, [""; 0], "{self:?}");
        self
    }

    #[track_caller]
    pub fn says(&self, body: &str) -> &Self {
        assert_eq!(self.body, body, "{self:?}");
        self
    }

    #[track_caller]
    pub fn cookie(&self) -> Option<Cookie<'static>> {
        assert!(self.cookies.len() <= 1, "one cookie at most: {self:?}");
        self.cookies.first().map(|text| Cookie::parse(text.clone()).unwrap())
    }

    /// The ID of the cookie that must be set, on a 200.
    #[track_caller]
    pub fn id(&self) -> SessionId {
        let cookie = self.ok().cookie().unwrap_or_else(|| panic!("a cookie is set: {self:?}"));
        Sessions::parse_id(cookie.value()).unwrap_or_else(|| panic!("an ID: {self:?}"))
    }

    /// 200, and the cookie is removed.
    #[track_caller]
    pub fn removes(&self) {
        let cookie = self.ok().cookie().unwrap_or_else(|| panic!("a cookie is removed: {self:?}"));
        assert_eq!((cookie.value(), cookie.max_age().map(|age| age.whole_seconds())), ("", Some(0)), "{self:?}");
    }
}

/// One node of an application; several on one table are several processes, each with its own locks and its own faults.
pub struct Node {
    pub bed: Bed,
    pub client: Client,
    pub door: Door,
    /// Whether the server brings no row with a failed condition.
    silent: AtomicBool,
}

impl Node {
    /// A node on a table of its own. It has time: what a test holds back does not run into a deadline.
    pub async fn new() -> Self {
        Self::with(Bed::new(), |config| config).await
    }

    pub async fn with(bed: Bed, change: impl Fn(Config) -> Config) -> Self {
        let minute = Duration::from_secs(60);
        let patient = Config { deadline: minute, attempt_timeout: minute / 2, ..bed.config() };
        let config = change(Config { backoff: Duration::from_millis(1), ..patient });
        let door = Door::default();
        let routes: Vec<Route> = routes![run];
        let rocket = bed.rocket(config, routes).manage(door.clone());
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        bed.faults.reset_counts();
        Self { bed, client, door, silent: AtomicBool::new(false) }
    }

    /// From now on the server brings no row with a failed condition, as some do not.
    pub fn bring_no_rows(&self) {
        self.silent.store(true, Ordering::Relaxed);
        self.bed.faults.inject(On::any().always(), Effect::WithoutRow);
    }

    /// Takes the faults away, but for what kind of server it is.
    fn heal(&self) {
        self.bed.faults.clear();
        if self.silent.load(Ordering::Relaxed) {
            self.bring_no_rows();
        }
    }

    /// Another node on the same table, by the same clock, without the faults of this one.
    pub async fn beside(&self) -> Self {
        Self::with(Bed { faults: Faults::new(), ..self.bed.clone() }, |config| config).await
    }

    /// A session with `k = 1` and `n = 5`.
    pub async fn seed(&self) -> SessionId {
        support::seed(&self.client, None, &[("k", 1.into()), ("n", 5.into())]).await
    }

    /// The session of somebody who is logged in.
    pub async fn seed_user(&self, principal: &str) -> SessionId {
        support::seed(&self.client, Some(principal), &[("k", 1.into()), ("n", 5.into())]).await
    }

    /// Runs a script as the holder of an ID, or of none.
    pub async fn ask<'a>(&self, id: impl Into<Option<&'a SessionId>>, script: &str) -> Answer {
        let request = self.client.get(format!("/{script}"));
        let request = match id.into() {
            Some(id) => request.cookie(cookie(id)),
            None => request,
        };
        Answer::of(script, Box::pin(request.dispatch()).await).await
    }

    /// Runs a script as a browser, which takes over the cookie of the answer.
    pub async fn browse(&self, jar: &Jar, script: &str) -> Answer {
        let answer = self.ask(jar.id().as_ref(), script).await;
        hear(jar, &answer);
        answer
    }

    /// Runs a script that waits at the door, and lets it go on when `meanwhile` is over.
    pub async fn slow<'a, T>(
        &self,
        id: impl Into<Option<&'a SessionId>>,
        script: &str,
        meanwhile: impl Future<Output = T>,
    ) -> (Answer, T) {
        let beside = async {
            self.door.reached(1).await;
            let output = meanwhile.await;
            self.door.open(1);
            output
        };
        in_time(script, async { join!(Box::pin(self.ask(id, script)), Box::pin(beside)) }).await
    }

    /// Runs a script whose first request of `operation` meets a fault, and holds its repeat until `meanwhile` is over.
    pub async fn lossy<'a, T>(
        &self,
        id: impl Into<Option<&'a SessionId>>,
        script: &str,
        (operation, effect): (&str, Effect),
        meanwhile: impl Future<Output = T>,
    ) -> (Answer, T) {
        self.bed.faults.inject(operation, effect);
        let gate = self.bed.faults.hold(On::operation(operation).skip(1));
        let beside = async {
            gate.reached().await;
            let output = meanwhile.await;
            gate.open();
            output
        };
        let both = in_time(script, async { join!(Box::pin(self.ask(id, script)), Box::pin(beside)) }).await;
        assert_eq!(self.bed.faults.pending(), 0, "all that was ordered has happened");
        both
    }

    /// Runs a script whose first write is carried out and loses its answer, but not before `meanwhile` is over.
    pub async fn unheard<'a, T>(
        &self,
        id: impl Into<Option<&'a SessionId>>,
        script: &str,
        meanwhile: impl Future<Output = T>,
    ) -> (Answer, T) {
        self.bed.faults.inject(On::writes(), Effect::LoseAnswer);
        let gate = self.bed.faults.hold_answer(On::writes());
        let beside = async {
            gate.reached().await;
            let output = meanwhile.await;
            gate.open();
            output
        };
        let both = in_time(script, async { join!(Box::pin(self.ask(id, script)), Box::pin(beside)) }).await;
        assert_eq!(self.bed.faults.pending(), 0, "all that was ordered has happened");
        both
    }

    /// Runs a script until it waits at the door; none of its writes until then is answered, however often they are
    /// repeated. It goes on when `meanwhile` is over.
    pub async fn unanswered<'a, T>(
        &self,
        id: impl Into<Option<&'a SessionId>>,
        script: &str,
        meanwhile: impl Future<Output = T>,
    ) -> (Answer, T) {
        self.bed.faults.reset_counts();
        self.bed.faults.inject(On::writes().always(), Effect::LoseAnswer);
        let meanwhile = async {
            assert_ne!(self.writes(), 0, "there was something to lose");
            self.heal();
            meanwhile.await
        };
        Box::pin(self.slow(id, script, Box::pin(meanwhile))).await
    }

    /// How many writes this node has asked for, since its faults began to count.
    pub fn writes(&self) -> usize {
        self.bed.faults.calls().iter().filter(|call| !["GetItem", "Query", "Scan"].contains(&call.as_str())).count()
    }

    /// All rows of the table in the order of their keys.
    pub async fn rows(&self) -> Vec<Row> {
        let mut rows = self.bed.rows().await;
        rows.sort_by_key(|row| row.text("id").map(str::to_owned));
        rows
    }

    /// The rows that open a session now.
    pub async fn live(&self) -> Vec<Row> {
        let now = self.bed.now();
        let live = |row: &Row| !row.is_tombstone() && row.number("ttl").is_some_and(|ttl| ttl > now);
        self.rows().await.into_iter().filter(live).collect()
    }

    pub async fn tombstones(&self) -> usize {
        self.rows().await.iter().filter(|row| row.is_tombstone()).count()
    }

    /// The row of an ID, which must be there.
    pub async fn row(&self, id: &SessionId) -> Row {
        self.bed.row(&self.client, id).await.expect("the row is there")
    }

    /// Deletes expired rows, as DynamoDB does at some time, by the test's clock.
    pub async fn sweep(&self) {
        let now = self.bed.now();
        for row in self.bed.rows().await.iter().filter(|row| row.number("ttl").is_some_and(|ttl| ttl <= now)) {
            self.bed.delete_key(row.text("id").expect("a key")).await;
        }
    }

    /// Lets the tombstones that stand there grow as old as that.
    pub async fn fade(&self, age: Age) {
        if age != Age::Young {
            self.bed.advance(6 * 60);
        }
        if age == Age::Swept {
            self.sweep().await;
        }
    }

    /// The data of all sessions that live, in the order of their texts.
    pub async fn data(&self) -> Vec<Value> {
        let mut data: Vec<Value> = self.live().await.iter().map(Row::data).collect();
        data.sort_by_key(Value::to_string);
        data
    }

    /// Empties the table, past all conditions.
    pub async fn wipe(&self) {
        for row in self.bed.rows().await {
            let delete = self.bed.dynamo.delete_item().table_name(&self.bed.table);
            delete.key("id", row.0["id"].clone()).send().await.expect("the row is deleted");
        }
    }

    /// Ends the one live session behind the back of whoever holds it, as an administrator does.
    pub async fn revoke_all(&self) {
        for row in self.live().await {
            // A session whose ID was cycled is named by the row that it was born with.
            let handle = row.text("handle").or(row.text("id")).unwrap().parse().unwrap();
            assert!(support::sessions(&self.client).revoke(&handle).await.expect("the store answers"));
        }
    }

    /// How many commits were dropped on this node.
    pub fn dropped(&self) -> u64 {
        support::sessions(&self.client).stats().dropped
    }
}

/// A request that never comes to its door or gate fails its test, and does not hang it.
async fn in_time<T>(script: &str, work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    // Boxed: one slow request may run inside another, and unoptimized futures fill a test's stack.
    timeout(limit, Box::pin(work)).await.unwrap_or_else(|_| panic!("`{script}` did not come to where it was to wait"))
}

/// A browser reads an answer.
pub fn hear(jar: &Jar, answer: &Answer) {
    if let Some(cookie) = answer.cookie() {
        let removed = cookie.value().is_empty();
        *jar.0.lock().unwrap() = (!removed).then(|| cookie.value().to_owned());
    }
}
