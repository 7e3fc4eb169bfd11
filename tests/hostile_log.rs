//! The log against a naive replay: what random holders do in random order, with panics, flushes, takes and another writer
//! beside them, is what the row then holds. Long programs, so that the log is compacted.

#![allow(clippy::unwrap_used, reason = "a test that finds something else fails, whatever it says")]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::{State, get, routes};
use rocket_dynamodb_sessions::{Error, Session};
use serde_json::json;
use std::time::Duration;
use support::{Bed, get as send, seed, sessions};

#[derive(Clone, Debug)]
enum Act {
    Insert(usize, String, i64),
    Remove(usize, String),
    Update(usize, String, i64),
    /// An update whose closure also inserts under another key.
    Beside(usize, String, String, i64),
    SetTtl(usize, Option<u64>),
    Remember(usize, bool),
    Clear(usize),
    Login(usize, u64),
    Take(usize, String),
    ModifyNow(usize, String, i64),
    Flush,
    Panic(usize),
    /// Looks, which may replay.
    Look(usize),
    Foreign(String, i64),
}

struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
    fn key(&mut self) -> String {
        format!("k{}", self.next(5))
    }
}

fn program(rng: &mut Rng, foreign: bool) -> Vec<Act> {
    let mut acts = Vec::new();
    let length = 20 + rng.next(160);
    let (rare, logins) = (rng.next(4), rng.next(3) == 0);
    for _ in 0..length {
        let holder = rng.next(4) as usize;
        let n = rng.next(100) as i64;
        acts.push(match rng.next(40) {
            0..=12 => Act::Insert(holder, rng.key(), n),
            13..=17 => Act::Remove(holder, rng.key()),
            18..=27 => Act::Update(holder, rng.key(), n),
            28..=29 => Act::Beside(holder, rng.key(), rng.key(), n),
            30 => Act::SetTtl(holder, (n % 2 == 0).then_some(100 + n as u64)),
            31 => Act::Remember(holder, n % 2 == 0),
            32 if rare > 0 => Act::Panic(1 + holder % 3),
            33 if rare > 1 && n < 30 => Act::Flush,
            34 if rare > 1 && n < 30 => Act::Take(holder, rng.key()),
            35 if rare > 1 && n < 30 => Act::ModifyNow(holder, rng.key(), n),
            36 if n < 20 => Act::Clear(holder),
            37 if logins && n < 10 => Act::Login(holder, rng.next(2)),
            38 if foreign && n < 50 => Act::Foreign(rng.key(), n),
            _ => Act::Look(holder),
        });
    }
    acts
}

fn stir(value: Option<i64>, n: i64) -> i64 {
    (value.unwrap_or(7) * 31 + n) % 1_000_003
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    data: BTreeMap<String, i64>,
    lifetime: Option<i64>,
    remember: Option<bool>,
    principal: Option<String>,
}

impl Model {
    fn apply(&mut self, act: &Act) {
        match act {
            Act::Insert(_, key, n) => drop(self.data.insert(key.clone(), *n)),
            Act::Remove(_, key) | Act::Take(_, key) => drop(self.data.remove(key)),
            Act::Update(_, key, n) | Act::ModifyNow(_, key, n) => {
                let value = stir(self.data.get(key).copied(), *n);
                self.data.insert(key.clone(), value);
            }
            Act::SetTtl(_, ttl) => self.lifetime = ttl.map(|ttl| ttl as i64),
            Act::Remember(_, remember) => self.remember = Some(*remember),
            Act::Clear(_) => {
                self.data.clear();
                self.lifetime = None;
                self.principal = None;
            }
            Act::Login(_, who) => {
                let who = format!("u{who}");
                if self.principal.as_ref().is_some_and(|former| *former != who) {
                    self.data.clear();
                }
                // What was chosen for the life before a login is over.
                (self.lifetime, self.remember) = (None, None);
                self.principal = Some(who);
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Board {
    acts: Mutex<Vec<Act>>,
    /// What the row is to hold, as the handler reckons it.
    expected: Mutex<Option<Model>>,
    wrong: Mutex<Vec<String>>,
    bed: Mutex<Option<Bed>>,
}

/// What is not stored yet, as the model has it.
struct Reckoning {
    base: Model,
    pending: Vec<(usize, Act)>,
}

impl Reckoning {
    fn now(&self) -> Model {
        let mut model = self.base.clone();
        self.pending.iter().for_each(|(_, act)| model.apply(act));
        model
    }
    fn store(&mut self) {
        self.base = self.now();
        self.pending.clear();
    }
}

async fn foreign(
    bed: &Bed,
    sessions: &rocket_dynamodb_sessions::Sessions,
    session: &Session,
    key: &str,
    n: i64,
    seconds: &mut i64,
) -> bool {
    let _ = sessions;
    let rows = bed.rows().await;
    let live: Vec<_> = rows.into_iter().filter(|row| !row.is_tombstone()).collect();
    let [row] = &live[..] else { return false };
    let _ = session;
    let mut row = row.clone();
    let mut data = row.data();
    data[key] = json!(n);
    row.0.insert("data".into(), AttributeValue::S(data.to_string()));
    *seconds += 1;
    row.0.insert(
        "modified".into(),
        AttributeValue::S(format!(
            "2027-01-01T{:02}:{:02}:{:02}.000000Z",
            *seconds / 3600,
            *seconds / 60 % 60,
            *seconds % 60
        )),
    );
    bed.put(row).await;
    true
}

#[get("/run")]
async fn run(
    session: Session,
    board: &State<Arc<Board>>,
    all: &State<rocket_dynamodb_sessions::Sessions>,
) -> Result<Status, Error> {
    let acts = board.acts.lock().unwrap().clone();
    let bed = board.bed.lock().unwrap().clone().unwrap();
    let mut holders: Vec<Arc<Session>> = (0..4).map(|_| Arc::new(session.clone())).collect();
    let mut seconds = 0;
    let mut reckoning = Reckoning {
        base: Model { data: [("k0".to_owned(), 1), ("k1".to_owned(), 2)].into(), ..Model::default() },
        pending: Vec::new(),
    };
    let wrong = |text: String| board.wrong.lock().unwrap().push(text);
    for (at, act) in acts.iter().enumerate() {
        match act.clone() {
            Act::Insert(h, key, n) => holders[h].insert(key, n)?,
            Act::Remove(h, key) => drop(holders[h].remove(&key)),
            Act::Update(h, key, n) => drop(holders[h].update(key, move |v: Option<i64>| stir(v, n))?),
            Act::Beside(h, key, other, n) => {
                let beside = Arc::downgrade(&holders[h]);
                let (o, k) = (other.clone(), key.clone());
                if other == key {
                    holders[h].update(key, move |v: Option<i64>| stir(v, n))?;
                } else {
                    holders[h].update(key, move |v: Option<i64>| {
                        if let Some(beside) = beside.upgrade() {
                            let _ = beside.insert(o.clone(), n);
                        }
                        stir(v, n)
                    })?;
                }
                if other != k {
                    reckoning.pending.push((h, Act::Insert(h, other, n)));
                }
                reckoning.pending.push((h, Act::Update(h, k, n)));
                let expected = reckoning.now();
                check(&holders[0], &expected, at, act, &wrong)?;
                continue;
            }
            Act::SetTtl(h, ttl) => holders[h].set_ttl(ttl.map(Duration::from_secs))?,
            Act::Remember(h, remember) => holders[h].remember(remember),
            Act::Clear(h) => holders[h].clear(),
            Act::Login(h, who) => holders[h].login(format!("u{who}"))?,
            Act::Take(h, key) => {
                let had = reckoning.now().data.get(&key).copied();
                if others() && !holders[h].contains_key(&key) {
                    continue;
                }
                let taken: Option<i64> = holders[h].take(&key).await?;
                if taken != had {
                    wrong(format!("{at}: {act:?} gave {taken:?} and not {had:?}"));
                }
                // Where nothing is there, nothing is committed.
                if had.is_some() || others() {
                    reckoning.pending.push((h, act.clone()));
                    reckoning.store();
                }
                continue;
            }
            Act::ModifyNow(h, key, n) => {
                reckoning.pending.push((h, act.clone()));
                reckoning.store();
                let expected = reckoning.base.data[&key];
                let answer = holders[h]
                    .modify_now(key, move |v: &mut Option<i64>| {
                        *v = Some(stir(*v, n));
                        v.unwrap()
                    })
                    .await?;
                if answer != expected {
                    wrong(format!("{at}: {act:?} answered {answer} and not {expected}"));
                }
                continue;
            }
            Act::Flush => {
                session.flush().await?;
                reckoning.store();
            }
            Act::Panic(h) => {
                let holder = std::mem::replace(&mut holders[h], Arc::new(session.clone()));
                let _ = catch_unwind(AssertUnwindSafe(move || {
                    let _holder = holder;
                    std::panic::resume_unwind(Box::new("quiet"));
                }));
                reckoning.pending.retain(|(holder, _)| *holder != h);
                let expected = reckoning.now();
                check(&session, &expected, at, act, &wrong)?;
                continue;
            }
            Act::Look(h) => {
                let expected = reckoning.now();
                check(&holders[h], &expected, at, act, &wrong)?;
                continue;
            }
            Act::Foreign(key, n) => {
                // Only where the row is there, and stored as the model has it.
                if foreign(&bed, all, &session, &key, n, &mut seconds).await {
                    reckoning.base.data.insert(key, n);
                }
                continue;
            }
        }
        if !matches!(act, Act::Flush) {
            let h = match act {
                Act::Insert(h, ..)
                | Act::Remove(h, ..)
                | Act::Update(h, ..)
                | Act::SetTtl(h, ..)
                | Act::Remember(h, ..)
                | Act::Clear(h)
                | Act::Login(h, ..) => *h,
                _ => unreachable!(),
            };
            reckoning.pending.push((h, act.clone()));
        }
    }
    reckoning.store();
    *board.expected.lock().unwrap() = Some(reckoning.base);
    Ok(Status::Ok)
}

/// Another writer's values are not seen before the commit that meets them.
static OTHERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn others() -> bool {
    OTHERS.load(std::sync::atomic::Ordering::Relaxed)
}

fn check(session: &Session, expected: &Model, at: usize, act: &Act, wrong: &impl Fn(String)) -> Result<(), Error> {
    if others() {
        drop(session.keys());
        return Ok(());
    }
    let mut data = BTreeMap::new();
    for key in session.keys() {
        data.insert(key.clone(), session.get::<i64>(&key)?.unwrap());
    }
    if data != expected.data || session.principal() != expected.principal {
        wrong(format!(
            "{at}: after {act:?} the session shows {data:?} {:?} and not {:?}",
            session.principal(),
            expected
        ));
    }
    Ok(())
}

async fn programs(seeds: std::ops::Range<u64>, others: bool) {
    OTHERS.store(others, std::sync::atomic::Ordering::Relaxed);
    let board = Arc::new(Board::default());
    let bed = Bed::new();
    let rocket = bed.rocket(bed.config(), routes![run]).manage(board.clone());
    let client = rocket::local::asynchronous::Client::untracked(rocket).await.unwrap();
    let _ = sessions(&client);
    let mut bad = Vec::new();
    for number in seeds {
        for row in bed.rows().await {
            bed.delete_key(row.text("id").unwrap()).await;
        }
        let mut rng = Rng(0x9E37_79B9_7F4A_7C15 ^ (number + 1).wrapping_mul(0x2545_F491_4F6C_DD1D));
        let acts = program(&mut rng, others);
        *board.acts.lock().unwrap() = acts.clone();
        *board.bed.lock().unwrap() = Some(bed.clone());
        *board.expected.lock().unwrap() = None;
        board.wrong.lock().unwrap().clear();
        let id = seed(&client, None, &[("k0", json!(1)), ("k1", json!(2))]).await;
        let status = send(&client, "/run", &id).await.status();
        let rows: Vec<_> = bed.rows().await.into_iter().filter(|row| !row.is_tombstone()).collect();
        let found = match &rows[..] {
            [] => Model::default(),
            [row] => Model {
                data: serde_json::from_value(row.data()).unwrap(),
                lifetime: row.number("lifetime"),
                remember: row.0.get("remember").map(|value| *value.as_bool().unwrap()),
                principal: row.text("principal").map(str::to_owned),
            },
            many => panic!("{} live rows", many.len()),
        };
        let wrong = board.wrong.lock().unwrap().clone();
        let expected = board.expected.lock().unwrap().clone();
        let matches = expected.as_ref().is_some_and(|expected| {
            let empty = expected.data.is_empty() && expected.lifetime.is_none() && expected.principal.is_none();
            if empty { rows.is_empty() } else { *expected == found }
        });
        if status != Status::Ok || !matches || !wrong.is_empty() {
            bad.push((
                number,
                format!(
                    "program {number} ({} acts): {status}\nexpected {expected:?}\nfound    {found:?}\n{}",
                    acts.len(),
                    wrong.first().cloned().unwrap_or_default()
                ),
            ));
        }
    }
    for (_, text) in bad.iter().take(4) {
        println!("{text}");
    }
    assert!(
        bad.is_empty(),
        "{} programs differ: {:?}",
        bad.len(),
        bad.iter().map(|(number, _)| number).collect::<Vec<_>>()
    );
}

#[rocket::async_test]
async fn random_programs_end_as_a_naive_replay_says_alone_and_beside_another_writer() {
    programs(0..400, false).await;
    programs(1000..1400, true).await;
}
