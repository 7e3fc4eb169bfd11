//! Random programs of requests against a simple model of what a session is.
//!
//! Several browsers send requests to two nodes whose clocks differ. Each request loads its session, waits while others run,
//! and commits; answers are lost, attempts arrive late, time passes, rows expire and are swept. The model knows none of the
//! versions, tokens, conditions or replays: a commit is one step on a map of sessions. After each step the table must hold
//! what the model holds, and the browser must have been told what the model says.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use rocket::futures::FutureExt;
use rocket::futures::future::{Either, select};
use rocket::http::{Header, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On, Row, TestClock};
use rocket_dynamodb_sessions::{Config, Error, Lifetime, Session, SessionId, Sessions};
use serde::{Deserialize, Serialize};
use support::{Bed, cookie, told};
use tokio::sync::Notify;

const IDLE: i64 = 10_000;
const ABSOLUTE: i64 = 30_000;
const TOMBSTONE: i64 = 300;
/// The second node's clock is this much ahead.
const SKEW: i64 = 2;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// What a request does to its session.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
enum Act {
    Increment(usize),
    Insert(usize),
    Remove(usize),
    Clear,
    Login(u8),
    Cycle,
    Invalidate,
    SetTtl,
    Flush,
    SkipRenewal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Lost,
    LateFirst,
    Late,
    Conflict,
    Throttle,
    /// Every attempt breaks before it is carried out.
    Down,
    /// Every attempt is carried out, and no answer comes.
    AllLost,
}

#[derive(Clone, Debug)]
enum Step {
    Start {
        browser: usize,
        node: usize,
        acts: Vec<Act>,
    },
    Finish {
        which: usize,
        trouble: Trouble,
    },
    Pass(i64),
    Sweep,
    Revoke {
        browser: usize,
    },
    /// One browser's cookie is planted in another.
    Plant {
        from: usize,
        to: usize,
    },
    Deliver,
}

// ---- the application ---------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Gates(Mutex<HashMap<u32, Arc<Gate>>>);

#[derive(Default)]
struct Gate {
    loaded: Notify,
    go: Notify,
}

struct Program {
    gate: Arc<Gate>,
    acts: Vec<Act>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Program {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let header = |name| request.headers().get_one(name).expect("the test sends it");
        let number: u32 = header("X-Number").parse().expect("a number");
        let gates = request.rocket().state::<Gates>().expect("managed");
        let gate = gates.0.lock().expect("no panic").entry(number).or_default().clone();
        Outcome::Success(Self { gate, acts: serde_json::from_str(header("X-Acts")).expect("JSON") })
    }
}

fn view(session: &Session) -> (BTreeMap<String, u64>, Option<String>) {
    let value = |key: &String| session.get(key).expect("a number").expect("present");
    (session.keys().into_iter().map(|key| (key.clone(), value(&key))).collect(), session.principal())
}

#[get("/")]
async fn run(session: Session, program: Program, _gates: &State<Gates>) -> Result<String, Error> {
    let loaded = view(&session);
    program.gate.loaded.notify_one();
    program.gate.go.notified().await;
    for act in program.acts {
        match act {
            Act::Increment(key) => {
                session.update(KEYS[key], |n: Option<u64>| n.unwrap_or(0) + 1)?;
            }
            Act::Insert(key) => session.insert(KEYS[key], 100_u64)?,
            Act::Remove(key) => {
                session.remove(KEYS[key]);
            }
            Act::Clear => session.clear(),
            Act::Login(user) => session.login(format!("user{user}"))?,
            Act::Cycle => session.cycle_id()?,
            Act::Invalidate => session.invalidate(),
            Act::SetTtl => session.set_ttl(Duration::from_secs(4_000))?,
            Act::Flush => session.flush().await?,
            Act::SkipRenewal => session.skip_renewal(),
        }
    }
    Ok(serde_json::to_string(&loaded).expect("JSON"))
}

// ---- the model -----------------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    data: BTreeMap<String, u64>,
    principal: Option<String>,
    own: bool,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.principal.is_none() && !self.own
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Live { content: Content, started: i64 },
    Tomb { login: bool, successor: usize },
}

#[derive(Clone, Debug)]
struct ModelRow {
    kind: Kind,
    ttl: i64,
}

/// What a request knows of its session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    Fresh,
    /// An expired tombstone.
    Trail(usize),
    Live(usize),
    Superseded(usize),
    Gone,
}

fn place(origin: Origin) -> Option<usize> {
    match origin {
        Origin::Live(at) => Some(at),
        _ => None,
    }
}

/// What a browser must be told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tell {
    New(usize),
    Remove,
    /// Nothing, or the ID it has, refreshed.
    Maybe,
    Nothing,
}

#[derive(Clone, Debug, Default)]
struct Model {
    rows: Vec<Option<ModelRow>>,
}

/// The effect of a group of acts on a content.
#[derive(Clone, Debug, Default)]
struct Effects {
    content: Content,
    rotates: Option<bool>,
    invalidates: bool,
    logs_in: bool,
}

impl Effects {
    fn changes(&self, base: &Content) -> bool {
        self.rotates.is_some() || self.content != *base
    }
}

fn effects(base: &Content, acts: &[Act]) -> Effects {
    let mut out = Effects { content: base.clone(), ..Effects::default() };
    for act in acts {
        match *act {
            Act::Increment(key) => *out.content.data.entry(KEYS[key].into()).or_default() += 1,
            Act::Insert(key) => {
                out.content.data.insert(KEYS[key].into(), 100);
            }
            Act::Remove(key) => {
                out.content.data.remove(KEYS[key]);
            }
            Act::Clear => {
                out.content = Content::default();
                out.logs_in = false;
            }
            Act::Login(user) => {
                let name = Some(format!("user{user}"));
                if out.content.principal.is_some() && out.content.principal != name {
                    out.content = Content::default();
                }
                out.content.principal = name;
                out.rotates = Some(true);
                out.logs_in = true;
            }
            Act::Cycle => out.rotates = out.rotates.or(Some(false)),
            Act::Invalidate => out = Effects { invalidates: true, ..Effects::default() },
            Act::SetTtl => out.content.own = true,
            Act::Flush | Act::SkipRenewal => {}
        }
    }
    out
}

/// The model met a moment at which two nodes may rightly disagree, and has no opinion.
#[derive(Debug)]
struct NoOpinion;

impl Model {
    /// Whether a row's time is over; within the clocks' difference of its end, nobody can say.
    fn expired(row: &ModelRow, now: i64) -> Result<bool, NoOpinion> {
        let mut end = row.ttl;
        if let Kind::Live { started, .. } = row.kind {
            end = end.min(started + ABSOLUTE);
        }
        if (end - now).abs() <= 2 * SKEW + 1 { Err(NoOpinion) } else { Ok(end <= now) }
    }

    fn load(&self, id: Option<usize>, now: i64) -> Result<Origin, NoOpinion> {
        let (Some(mut at), mut led) = (id, false) else { return Ok(Origin::Fresh) };
        loop {
            let Some(row) = &self.rows[at] else { return Ok(if led { Origin::Gone } else { Origin::Fresh }) };
            let expired = Self::expired(row, now)?;
            match row.kind {
                Kind::Live { .. } if !expired => return Ok(Origin::Live(at)),
                Kind::Tomb { login: false, successor } if !expired => (at, led) = (successor, true),
                Kind::Tomb { login: true, .. } if !expired => return Ok(Origin::Superseded(at)),
                // An `invalidate` still finds what became of it.
                Kind::Tomb { .. } if led => return Ok(Origin::Superseded(at)),
                _ if led => return Ok(Origin::Gone),
                Kind::Tomb { .. } => return Ok(Origin::Trail(at)),
                Kind::Live { .. } => return Ok(Origin::Fresh),
            }
        }
    }

    /// What a request sees that knows so much.
    fn seen(&self, origin: Origin) -> Option<Content> {
        match origin {
            Origin::Live(at) => match &self.rows[at].as_ref()?.kind {
                Kind::Live { content, .. } => Some(content.clone()),
                Kind::Tomb { .. } => None,
            },
            _ => Some(Content::default()),
        }
    }

    fn content(&self, at: usize) -> (Content, i64) {
        match self.rows[at].as_ref().map(|row| &row.kind) {
            Some(Kind::Live { content, started }) => (content.clone(), *started),
            other => panic!("a live row at {at}: {other:?}"),
        }
    }

    fn create(&mut self, content: Content, started: i64) -> usize {
        self.rows.push(Some(ModelRow { kind: Kind::Live { content, started }, ttl: i64::MAX }));
        self.rows.len() - 1
    }

    /// Ends a session and what rotations made of it. Returns whether a live one ended.
    fn end(&mut self, mut at: usize, now: i64) -> Result<bool, NoOpinion> {
        loop {
            let Some(row) = &self.rows[at] else { return Ok(false) };
            match row.kind {
                Kind::Tomb { successor, .. } => at = successor,
                Kind::Live { .. } => {
                    let live = !Self::expired(row, now)?;
                    self.rows[at] = None;
                    return Ok(live);
                }
            }
        }
    }

    /// Whether the end of a chain of tombstones is live.
    fn ends_live(&self, mut at: usize, now: i64) -> Result<bool, NoOpinion> {
        loop {
            let Some(row) = &self.rows[at] else { return Ok(false) };
            match row.kind {
                Kind::Tomb { successor, .. } => at = successor,
                Kind::Live { .. } => return Ok(!Self::expired(row, now)?),
            }
        }
    }

    /// Commits a group of acts, in one step. Returns what the request knows then, and what the browser is told.
    fn commit(&mut self, origin: Origin, seen: &Content, acts: &[Act], now: i64) -> Result<(Origin, Tell), NoOpinion> {
        let own = effects(&Content::default(), acts);
        let created = |model: &mut Self| {
            let at = model.create(own.content.clone(), now);
            Ok((Origin::Live(at), Tell::New(at)))
        };
        match origin {
            Origin::Fresh if own.content.is_empty() => Ok((Origin::Fresh, Tell::Nothing)),
            Origin::Fresh => created(self),
            Origin::Trail(_) if !own.invalidates && own.content.is_empty() => Ok((origin, Tell::Nothing)),
            Origin::Trail(_) if !own.invalidates => created(self),
            Origin::Gone if own.logs_in => created(self),
            Origin::Gone => Ok((Origin::Gone, Tell::Nothing)),
            Origin::Superseded(at) | Origin::Trail(at) => match (own.invalidates, own.logs_in) {
                (true, _) if !own.content.is_empty() => match self.end_if_live(at, now)? || own.logs_in {
                    true => created(self),
                    false => Ok((Origin::Gone, Tell::Nothing)),
                },
                (true, _) if self.end(at, now)? => Ok((Origin::Fresh, Tell::Remove)),
                (true, _) => Ok((Origin::Gone, Tell::Nothing)),
                (false, true) => created(self),
                (false, false) => Ok((origin, Tell::Nothing)),
            },
            Origin::Live(at) if own.invalidates => {
                if own.content.is_empty() {
                    let ended = self.end(at, now)?;
                    return Ok(if ended { (Origin::Fresh, Tell::Remove) } else { (Origin::Gone, Tell::Nothing) });
                }
                if self.end_if_live(at, now)? || own.logs_in {
                    return created(self);
                }
                Ok((Origin::Gone, Tell::Nothing))
            }
            Origin::Live(at) => match self.load(Some(at), now)? {
                // What changes nothing of what it saw is as if it had come before all others.
                Origin::Live(_) if !effects(seen, acts).changes(seen) => Ok((origin, Tell::Maybe)),
                _ if !effects(seen, acts).changes(seen) => Ok((origin, Tell::Nothing)),
                Origin::Live(now_at) => Ok(self.change(now_at, now_at != at, acts, now)),
                Origin::Superseded(_) if own.logs_in => created(self),
                Origin::Superseded(tomb) | Origin::Trail(tomb) if !own.logs_in => {
                    Ok((Origin::Superseded(tomb), Tell::Nothing))
                }
                _ if own.logs_in => created(self),
                _ => Ok((Origin::Gone, Tell::Nothing)),
            },
        }
    }

    fn end_if_live(&mut self, at: usize, now: i64) -> Result<bool, NoOpinion> {
        Ok(self.ends_live(at, now)? && self.end(at, now)?)
    }

    fn change(&mut self, at: usize, led: bool, acts: &[Act], now: i64) -> (Origin, Tell) {
        let (base, started) = self.content(at);
        let after = effects(&base, acts);
        let changed = after.changes(&base);
        if changed && after.content.is_empty() {
            self.rows[at] = None;
            return (Origin::Fresh, Tell::Remove);
        }
        if let Some(login) = after.rotates {
            let new = self.create(after.content, if after.logs_in { now } else { started });
            self.rows[at] = Some(ModelRow { kind: Kind::Tomb { login, successor: new }, ttl: now + TOMBSTONE });
            return (Origin::Live(new), Tell::New(new));
        }
        let row = self.rows[at].as_mut().expect("live");
        row.kind = Kind::Live { content: after.content, started };
        (Origin::Live(at), if led { Tell::Nothing } else { Tell::Maybe })
    }
}

// ---- the run ---------------------------------------------------------------------------------------------------------------

struct Open<'c> {
    dispatch: Pin<Box<dyn Future<Output = LocalResponse<'c>> + 'c>>,
    gate: Arc<Gate>,
    browser: usize,
    node: usize,
    acts: Vec<Act>,
    origin: Origin,
    /// What it saw then.
    seen: Content,
    led: bool,
}

struct World<'c> {
    bed: &'c Bed,
    nodes: &'c [Client],
    clocks: [TestClock; 2],
    model: Model,
    /// The IDs by the model's rows.
    ids: HashMap<usize, SessionId>,
    /// The model's rows by their keys: also of tombstones whose ID nobody was told, known by their successor.
    keys: HashMap<String, usize>,
    jars: Vec<Option<SessionId>>,
    open: Vec<Open<'c>>,
    number: u32,
}

impl<'c> World<'c> {
    fn known(&self, id: Option<SessionId>) -> Option<usize> {
        let id = id?;
        self.ids.iter().find(|(_, known)| **known == id).map(|(at, _)| *at)
    }

    fn now(&self, node: usize) -> i64 {
        self.clocks[node].now().timestamp()
    }

    async fn start(&mut self, browser: usize, node: usize, acts: Vec<Act>) -> Result<(), NoOpinion> {
        self.number += 1;
        let at = self.known(self.jars[browser]);
        let origin = self.model.load(at, self.now(node))?;
        let client = &self.nodes[node];
        let gates = client.rocket().state::<Gates>().expect("managed");
        let gate = gates.0.lock().expect("no panic").entry(self.number).or_default().clone();
        let mut request = client.get("/");
        request.add_header(Header::new("X-Number", self.number.to_string()));
        request.add_header(Header::new("X-Acts", serde_json::to_string(&acts).expect("JSON")));
        if let Some(id) = &self.jars[browser] {
            request = request.cookie(cookie(id));
        }
        let mut dispatch: Pin<Box<dyn Future<Output = LocalResponse<'c>> + 'c>> = Box::pin(request.dispatch());
        let waiting = gate.clone();
        let loaded = Box::pin(async move { waiting.loaded.notified().await });
        match select(&mut dispatch, loaded).await {
            Either::Left((response, _)) => panic!("the request ended early: {}", response.status()),
            Either::Right(((), _)) => {}
        }
        let led = matches!(origin, Origin::Live(led_to) if Some(led_to) != at);
        let seen = self.model.seen(origin).expect("it was just loaded");
        self.open.push(Open { dispatch, gate, browser, node, acts, origin, seen, led });
        Ok(())
    }

    async fn finish(&mut self, which: usize, trouble: Trouble) -> Result<(), NoOpinion> {
        if self.open.is_empty() {
            return Ok(());
        }
        let Open { dispatch, gate, browser, node, acts, origin, mut seen, led } =
            self.open.remove(which % self.open.len());
        let faults = &self.bed.faults;
        match trouble {
            Trouble::None => {}
            Trouble::Lost => faults.inject(On::writes(), Effect::LoseAnswer),
            Trouble::LateFirst => faults.inject(On::writes(), Effect::LateFirst),
            // A late create can revive a row under an ID that nobody has: documented, and no promise.
            Trouble::Late => {
                for operation in ["UpdateItem", "DeleteItem", "TransactWriteItems"] {
                    faults.inject(On::operation(operation), Effect::Late);
                }
            }
            Trouble::Conflict => faults.inject(On::writes().times(2), Effect::TransactionConflict),
            Trouble::Throttle => faults.inject(On::writes().times(2), Effect::Throttle),
            Trouble::Down => faults.inject(On::writes().always(), Effect::Reset),
            Trouble::AllLost => faults.inject(On::writes().always(), Effect::LoseAnswer),
        }
        let (before, loaded) = (self.model.clone(), seen.clone());
        let now = self.now(node);
        let (mut at, mut tell, mut led) = (origin, Tell::Nothing, led);
        for group in acts.split(|act| *act == Act::Flush) {
            let was = at;
            let idle = !effects(&seen, group).changes(&seen);
            let (next, said) = self.model.commit(at, &seen, group, now)?;
            // What changes nothing of what it saw looks at the table only if a refresh is due, which the model does not
            // know. Whether it then comes before or after what others wrote, it is right either way.
            let beside = match self.model.load(place(next), now)? {
                Origin::Live(current) => self.model.content(current).0 != seen,
                _ => false,
            };
            if idle && beside && !acts.is_empty() {
                return Err(NoOpinion);
            }
            at = next;
            let stored = self.model.seen(at);
            seen = stored.unwrap_or(seen);
            tell = match said {
                Tell::Nothing if matches!(at, Origin::Gone | Origin::Superseded(_)) => Tell::Nothing,
                Tell::Nothing | Tell::Maybe if matches!(tell, Tell::New(_) | Tell::Remove) => tell,
                Tell::Maybe if led => Tell::Nothing,
                said => said,
            };
            led = led && was == at;
        }
        gate.go.notify_one();
        let response = dispatch.await;
        let failed = response.status() == Status::ServiceUnavailable;
        faults.clear();
        if failed {
            assert!(matches!(trouble, Trouble::Down | Trouble::AllLost), "503 without a lasting fault");
            assert_eq!(told(&response), None, "no cookie for what was not stored");
            if trouble == Trouble::AllLost {
                // Nobody knows how much of it was done.
                return Err(NoOpinion);
            }
            self.model = before;
            return self.check_table(now).await;
        }
        assert_eq!(response.status(), Status::Ok, "{acts:?}");
        self.check_told(&response, tell, browser, trouble);
        let text = response.into_string().await.expect("a body");
        let read: (BTreeMap<String, u64>, Option<String>) = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, (loaded.data, loaded.principal), "what the handler saw");
        self.check_table(now).await
    }

    fn check_told(&mut self, response: &LocalResponse<'_>, tell: Tell, browser: usize, trouble: Trouble) {
        let cookie = told(response);
        match (tell, &cookie) {
            (Tell::New(at), Some(cookie)) => {
                let id = Sessions::parse_id(cookie.value()).expect("a new ID is told");
                assert!(!self.ids.values().any(|known| *known == id), "the ID is new");
                self.ids.insert(at, id);
                self.keys.insert(support::sessions(&self.nodes[0]).handle_of(&id).to_string(), at);
                self.jars[browser] = Some(id);
            }
            (Tell::Remove, Some(cookie)) => {
                assert_eq!(cookie.value(), "", "a removal");
                self.jars[browser] = None;
            }
            (Tell::Maybe, Some(cookie)) => {
                let id = Sessions::parse_id(cookie.value());
                let at = self.known(id).expect("a known ID is refreshed");
                let live = self.model.rows[at].as_ref().is_some_and(|row| matches!(row.kind, Kind::Live { .. }));
                assert!(live, "only a live session is told");
            }
            (Tell::Maybe | Tell::Nothing, None) => {}
            // Whoever deleted it, the row is gone, and a removal could hit a newer cookie.
            (Tell::Remove, None) if trouble == Trouble::Lost => {}
            (tell, cookie) => panic!("the model says {tell:?}, the response {cookie:?}"),
        }
    }

    /// The table's live rows are the model's, and no lifetime exceeds the minimum of the three.
    async fn check_table(&mut self, now: i64) -> Result<(), NoOpinion> {
        let mut seen = 0;
        let rows = self.bed.rows().await;
        self.name_tombstones(&rows);
        for row in rows {
            let key = row.text("id").expect("a key");
            let at =
                *self.keys.get(key).unwrap_or_else(|| panic!("the table has a row that the model has not: {row:?}"));
            let ttl = row.number("ttl").expect("a ttl");
            let Some(model) = &mut self.model.rows[at] else {
                // A request that found its session expired has no reason to delete it.
                assert!(ttl <= now + SKEW, "the table has a row that ended: {row:?}");
                continue;
            };
            match &model.kind {
                Kind::Tomb { .. } => assert!(row.is_tombstone() && row.text("data").is_none(), "{row:?}"),
                Kind::Live { content, started } => {
                    assert!(!row.is_tombstone(), "{row:?}");
                    let data: BTreeMap<String, u64> = serde_json::from_value(row.data()).expect("numbers");
                    assert_eq!(data, content.data, "row {at}");
                    assert_eq!(row.text("principal"), content.principal.as_deref());
                    assert!(ttl <= started + ABSOLUTE + SKEW, "the absolute timeout holds");
                    let longest = if content.own { 4_000 } else { IDLE };
                    assert!(ttl <= now + longest + SKEW, "the idle timeout holds");
                }
            }
            if model.ttl != i64::MAX
                && matches!(model.kind, Kind::Live { .. })
                && !matches!(&model.kind, Kind::Live { content, .. } if content.own)
            {
                assert!(ttl >= model.ttl - 2 * SKEW, "no touch takes time away");
            }
            model.ttl = ttl;
            seen += 1;
        }
        let expected = self.model.rows.iter().flatten().count();
        assert_eq!(seen, expected, "the model has a row that the table has not: {:?}", self.model.rows);
        Ok(())
    }

    /// Finds the tombstones of IDs that a request got and lost again before it answered.
    fn name_tombstones(&mut self, rows: &[Row]) {
        while let Some((key, at)) = rows.iter().find_map(|row| {
            let key = row.text("id").filter(|key| !self.keys.contains_key(*key))?;
            let successor = *self.keys.get(row.text("successor")?)?;
            let names = |row: &Option<ModelRow>| {
                matches!(row, Some(ModelRow { kind: Kind::Tomb { successor: to, .. }, .. }) if *to == successor)
            };
            let unnamed = |at: &usize| !self.keys.values().any(|known| known == at);
            let at = (0..self.model.rows.len()).filter(unnamed).find(|at| names(&self.model.rows[*at]))?;
            Some((key.to_owned(), at))
        }) {
            self.keys.insert(key, at);
        }
    }

    async fn sweep(&mut self) -> Result<(), NoOpinion> {
        let now = self.now(0);
        for at in 0..self.model.rows.len() {
            let Some(row) = &self.model.rows[at] else { continue };
            if row.ttl < now - SKEW {
                let key = self.keys.iter().find(|(_, known)| **known == at).map(|(key, _)| key);
                self.bed.delete_key(key.expect("a row has a key")).await;
                self.model.rows[at] = None;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), NoOpinion> {
        match step {
            Step::Start { browser, node, acts } => self.start(browser, node, acts).await,
            Step::Finish { which, trouble } => self.finish(which, trouble).await,
            Step::Pass(seconds) => {
                for clock in &self.clocks {
                    clock.advance(Duration::from_secs(seconds.unsigned_abs()));
                }
                Ok(())
            }
            Step::Sweep => self.sweep().await,
            Step::Revoke { browser } => {
                let Some(at) = self.known(self.jars[browser]) else { return Ok(()) };
                let ended = self.model.end(at, self.now(0))?;
                let sessions = support::sessions(&self.nodes[0]);
                let handle = sessions.handle_of(&self.ids[&at]);
                assert_eq!(sessions.revoke(&handle).await.expect("the store answers"), ended);
                let now = self.now(0);
                self.check_table(now).await
            }
            Step::Plant { from, to } => {
                self.jars[to] = self.jars[from];
                Ok(())
            }
            Step::Deliver => {
                self.bed.faults.deliver().await;
                let now = self.now(0);
                self.check_table(now).await
            }
        }
    }
}

/// Runs a program; returns how many requests were checked.
async fn run_program(steps: Vec<Step>) -> usize {
    let bed = Bed::new();
    let ahead = TestClock::starting_at(bed.clock.now() + Duration::from_secs(SKEW.unsigned_abs()));
    let config = Config {
        ttl: Lifetime::new(Duration::from_secs(IDLE.unsigned_abs())).expect("a lifetime"),
        absolute_ttl: Some(Lifetime::new(Duration::from_secs(ABSOLUTE.unsigned_abs())).expect("a lifetime")),
        backoff: Duration::from_millis(1),
        verify: rocket_dynamodb_sessions::Verify::Off,
        ..bed.config()
    };
    let mut nodes = Vec::new();
    for clock in [&bed.clock, &ahead] {
        let on = Bed { clock: clock.clone(), ..bed.clone() };
        let rocket = on.rocket(config.clone(), routes![run]).manage(Gates::default());
        nodes.push(Client::untracked(rocket).await.expect("a valid rocket"));
    }
    let clocks = [bed.clock.clone(), ahead];
    let (model, ids, keys) = (Model::default(), HashMap::new(), HashMap::new());
    let jars = vec![None; 3];
    let mut world = World { bed: &bed, nodes: &nodes, clocks, model, ids, keys, jars, open: vec![], number: 0 };
    let mut checked = 0;
    for step in steps {
        let finishing = matches!(step, Step::Finish { .. }) && !world.open.is_empty();
        if world.step(step).await.is_err() {
            return checked;
        }
        checked += usize::from(finishing);
    }
    while !world.open.is_empty() {
        if world.finish(0, Trouble::None).await.is_err() {
            break;
        }
        checked += 1;
    }
    checked
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        5 => (0..3_usize).prop_map(Act::Increment),
        2 => (0..3_usize).prop_map(Act::Insert),
        2 => (0..3_usize).prop_map(Act::Remove),
        1 => Just(Act::Clear),
        3 => (0..2_u8).prop_map(Act::Login),
        2 => Just(Act::Cycle),
        2 => Just(Act::Invalidate),
        1 => Just(Act::SetTtl),
        2 => Just(Act::Flush),
        1 => Just(Act::SkipRenewal),
    ];
    prop::collection::vec(act, 0..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let trouble = prop_oneof![
        10 => Just(Trouble::None),
        2 => Just(Trouble::Lost),
        2 => Just(Trouble::LateFirst),
        1 => Just(Trouble::Late),
        1 => Just(Trouble::Conflict),
        1 => Just(Trouble::Throttle),
        1 => Just(Trouble::Down),
        1 => Just(Trouble::AllLost),
    ];
    let step = prop_oneof![
        8 => (0..3_usize, 0..2_usize, acts()).prop_map(|(browser, node, acts)| Step::Start { browser, node, acts }),
        8 => (0..8_usize, trouble).prop_map(|(which, trouble)| Step::Finish { which, trouble }),
        2 => prop_oneof![Just(1_i64), Just(401), Just(3_307), Just(9_713)].prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => (0..3_usize).prop_map(|browser| Step::Revoke { browser }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Plant { from, to }),
        1 => Just(Step::Deliver),
    ];
    prop::collection::vec(step, 4..30)
}

/// `PROPTEST_CASES` sets the number of programs, `PROPTEST_RANDOM` draws others than always; `utils/check.sh` runs some thousand.
#[test]
fn random_programs_of_requests_keep_the_promises() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    // Over HTTP a request costs a hundred times as much.
    let cases = if support::endpoint().is_some() { cases / 20 } else { cases };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases_config = Cases { cases, failure_persistence: None, ..Cases::default() };
    // The same programs each time, so that a check is red for a change's sake alone; others are drawn on request.
    let mut runner = match std::env::var_os("PROPTEST_RANDOM") {
        Some(_) => TestRunner::new(cases_config),
        None => TestRunner::new_with_rng(cases_config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let checked = std::cell::Cell::new(0);
    let outcome = runner.run(&steps(), |steps| {
        let program = std::panic::AssertUnwindSafe(run_program(steps)).catch_unwind();
        match runtime.block_on(program) {
            Ok(requests) => checked.set(checked.get() + requests),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                return Err(TestCaseError::fail(text.unwrap_or_default()));
            }
        }
        Ok(())
    });
    println!("{cases} programs, {} requests checked", checked.get());
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(checked.get() > cases as usize, "the programs do something");
}
