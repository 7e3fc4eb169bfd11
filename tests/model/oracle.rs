//! The model: the table, the requests that are open, and what each step may make of them. Where the outcome of a step is
//! open, there are several models; what is then seen says which of them are right.

use std::collections::BTreeMap;

use rocket_dynamodb_sessions::testing::Row as Found;

use crate::act::{Act, Effects, Entry, GONE, HANDLER, KEYS, Lane, Op, Rotation};
use crate::request::{Change, Origin, Outcome, Req, Stored, TakenUp, Told};
use crate::table::Table;

/// What a handler, a task or a stream reports after an act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub said: String,
    /// The key of the row that the ID names.
    pub key: Option<String>,
    pub handle: Option<String>,
    pub status: String,
    pub principal: Option<String>,
    pub data: BTreeMap<String, u64>,
}

/// What a response says of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    Set { key: String, max_age: Option<i64> },
    Removed,
}

/// A write that its client has given up, and that may still arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Late {
    change: Change,
    key: Option<String>,
    request: u32,
    node: usize,
}

/// Whether a commit ended with an error, and whether that is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// What was sent may be carried out, and `late`: also after this.
    Failed {
        late: bool,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub table: Table,
    pub reqs: BTreeMap<u32, Req>,
    late: Vec<Late>,
    pub dropped: [u64; 2],
    pub commits: [u64; 2],
    /// Answers may be lost.
    pub faulty: bool,
}

pub type Models = Vec<Model>;

/// The models without those that are there twice.
pub fn distinct(models: Models) -> Models {
    let mut distinct: Models = Vec::new();
    for model in models {
        if !distinct.contains(&model) {
            distinct.push(model);
        }
    }
    distinct
}

impl Model {
    pub fn req(&mut self, number: u32) -> &mut Req {
        self.reqs.get_mut(&number).expect("the request is open")
    }

    pub fn load(mut self, number: u32, key: Option<&str>, node: usize, now: i64) -> Self {
        let at = key.map(|key| self.table.named(key).expect("an ID that was told has a row"));
        let req = Req::load(&self.table, at, node, now);
        self.reqs.insert(number, Req { said: "loaded".into(), ..req });
        self
    }

    /// Looks at the table again, where a request's answer may have come after another's commit.
    pub fn look(mut self, number: u32, now: i64) -> Self {
        let table = self.table.clone();
        if let Some(req) = self.reqs.get_mut(&number) {
            req.look(&table, now);
        }
        self
    }

    // ---- acts ------------------------------------------------------------------------------------------------------------

    /// A request does something. `first`: the number that a token would draw.
    pub fn act(mut self, number: u32, lane: Lane, act: Act, first: u64, ended: Ended, now: i64) -> Models {
        self.req(number).said = "ok".into();
        match act {
            Act::Increment(key) => self.update(number, lane, Op::Increment(key)),
            Act::Nested(key, inner) => {
                self.update(number, lane, Op::Increment(inner));
                if let Some(entry) = self.req(number).log.last_mut() {
                    entry.inner = true;
                }
                self.update(number, lane, Op::Increment(key));
            }
            Act::Token(key) => {
                let saw = self.req(number).view().content.data.get(&key).copied();
                let op = Op::Token { key, first, saw, answer: saw.unwrap_or(first), drawn: saw.is_none().into() };
                self.update(number, lane, op);
            }
            Act::Insert(key) => self.push(number, lane, Op::Insert(key)),
            Act::Remove(key) => {
                let had = self.req(number).view().content.data.contains_key(&key);
                self.push(number, lane, Op::Remove(key));
                self.req(number).said = had.to_string();
            }
            Act::Clear => self.push(number, lane, Op::Clear),
            Act::Login(user) => self.push(number, lane, Op::Login(user)),
            Act::Cycle => self.push(number, lane, Op::Cycle),
            Act::Invalidate => self.push(number, lane, Op::Invalidate),
            Act::SetTtl => self.push(number, lane, Op::SetTtl),
            Act::SkipRenewal => self.req(number).renew = false,
            Act::Take(key) => return self.take(number, lane, key, ended, now),
            Act::Flush => return self.flush(number, ended, now),
            Act::Reload => self.reload(number, now),
        }
        vec![self]
    }

    fn push(&mut self, number: u32, lane: Lane, op: Op) {
        let req = self.req(number);
        if req.allows(&op) {
            req.log.push(Entry { op, lane, inner: false });
        } else {
            req.said = "head sent".into();
        }
    }

    fn update(&mut self, number: u32, lane: Lane, op: Op) {
        let (Op::Increment(key) | Op::Token { key, .. }) = op else { unreachable!("an update") };
        self.push(number, lane, op);
        let req = self.req(number);
        if req.said != "head sent" {
            let view = req.view();
            req.said = view.content.data[&key].to_string();
        }
    }

    fn take(mut self, number: u32, lane: Lane, key: usize, ended: Ended, now: i64) -> Models {
        let req = self.req(number);
        if !req.view().content.data.contains_key(&key) {
            req.said = "none".into();
            return vec![self];
        }
        self.push(number, lane, Op::Take(key));
        if self.req(number).said == "head sent" {
            return vec![self];
        }
        let dropped = self.dropped;
        let mut models = self.flush(number, ended, now);
        for model in &mut models {
            let lost = model.dropped != dropped;
            let req = model.req(number);
            if lost && req.said == "flushed" {
                req.said = "none".into();
            } else if req.said == "failed" {
                // The last one is this one: nothing was taken.
                req.retain(|entry| entry.op != Op::Take(key) || entry.lane != lane);
            } else {
                req.said = req.taken.map_or("none".into(), |value| value.to_string());
            }
        }
        models
    }

    fn reload(&mut self, number: u32, now: i64) {
        let table = self.table.clone();
        let req = self.req(number);
        let node = req.node;
        if req.sent.as_ref().is_none_or(|sent| sent.stored.is_none()) {
            req.look(&table, now);
        } else if req.take_up(&table, now) == TakenUp::Stored {
            self.commits[node] += 1;
        }
    }

    // ---- commits ---------------------------------------------------------------------------------------------------------

    fn flush(self, number: u32, ended: Ended, now: i64) -> Models {
        let mut models = self.commit_all(number, ended, now);
        for model in &mut models {
            model.req(number).said = if ended == Ended::Well { "flushed" } else { "failed" }.into();
        }
        models
    }

    /// Commits what a request's log holds: first what an earlier commit left open.
    fn commit_all(mut self, number: u32, ended: Ended, now: i64) -> Models {
        let mut models = Vec::new();
        if !self.req(number).has_work(now) {
            return if ended == Ended::Well { vec![self] } else { models };
        }
        let mut ready = vec![self];
        if ready[0].req(number).sent.is_some() {
            if ended != Ended::Well {
                models.extend(ready[0].clone().repeat(number, ended, now));
            }
            ready = ready.remove(0).repeat(number, Ended::Well, now);
            if ready.iter_mut().all(|model| model.req(number).log.is_empty()) {
                if ended == Ended::Well {
                    models.extend(ready);
                }
                return models;
            }
        }
        for mut model in ready {
            let entries = model.req(number).log.clone();
            models.extend(model.commit(number, entries, ended, now, None));
        }
        models
    }

    /// Repeats a commit that failed.
    fn repeat(mut self, number: u32, ended: Ended, now: i64) -> Models {
        let table = self.table.clone();
        let before = self.req(number).clone();
        let new_row = before.sent.as_ref().is_some_and(|sent| sent.new_row);
        match self.req(number).take_up(&table, now) {
            TakenUp::Stored | TakenUp::GivenUp if ended != Ended::Well => Vec::new(),
            TakenUp::GivenUp => vec![self],
            TakenUp::Stored => {
                self.commits[before.node] += 1;
                vec![self]
            }
            TakenUp::Open(entries) => {
                let mut models = self.commit(number, entries, ended, now, Some(new_row));
                for model in models.iter_mut().filter(|_| ended != Ended::Well) {
                    // Where it fails again, the request knows no more than before.
                    let req = model.req(number);
                    (req.origin, req.place, req.via) = (before.origin.clone(), before.place, before.via);
                }
                models
            }
        }
    }

    /// Commits these entries; what else the log holds stays.
    fn commit(mut self, number: u32, mut entries: Vec<Entry>, ended: Ended, now: i64, again: Option<bool>) -> Models {
        let table = self.table.clone();
        let req = self.req(number);
        if again.is_none() {
            req.log.clear();
        }
        let before = req.clone();
        let Outcome { req: after, change, dropped } = before.clone().commit(&table, &mut entries, now);
        let key = before.candidate.clone();
        let Ended::Failed { late } = ended else {
            let stored = change.perform(&mut self.table, now, key);
            let req = self.req(number);
            *req = after;
            if matches!(stored, Some(Stored::New { .. })) {
                req.candidate = None;
            }
            let node = req.node;
            self.dropped[node] += u64::from(dropped);
            self.commits[node] += u64::from(change.writes());
            let gone = matches!(self.req(number).origin, Origin::Gone { .. });
            return match change {
                // An expired row that was ended in vain; whose answer was lost finds but its own tombstone.
                Change::Invalidate { at, via } if gone && self.faulty => {
                    let mut other = self.clone();
                    other.req(number).arrive_own_end(at, via);
                    vec![self, other]
                }
                _ => vec![self],
            };
        };
        let view = Effects::of(&before.base(), &mut entries.clone());
        let ends = view.invalidated || view.content.is_empty();
        let mut models = Vec::new();
        let failed = |model: &mut Self, stored: Option<Stored>| {
            model.req(number).failed(entries.clone(), ends, &change, stored, again);
        };
        let mut not = self.clone();
        failed(&mut not, None);
        if late && change.writes() {
            let mut late = not.clone();
            late.late.push(Late { change: change.clone(), key: key.clone(), request: number, node: before.node });
            models.push(late);
        }
        models.push(not);
        let mut done = self;
        let stored = change.perform(&mut done.table, now, key);
        failed(&mut done, stored);
        models.push(done);
        models
    }

    // ---- ends ------------------------------------------------------------------------------------------------------------

    /// The response is made: what the request does is committed, and `fails`: only what a failed request leaves.
    pub fn finish(mut self, number: u32, fails: bool, ended: Ended, now: i64) -> Models {
        let req = self.req(number);
        if fails {
            req.discard();
        }
        let changed = !req.log.is_empty() || req.sent.is_some();
        let mut models = self.commit_all(number, ended, now);
        for model in &mut models {
            let req = model.req(number);
            req.said = if ended != Ended::Well && changed { "failed" } else { "answered" }.into();
            req.head_sent = true;
            if ended != Ended::Well {
                (req.sent, req.log) = (None, Vec::new());
            }
        }
        models
    }

    /// Nobody waits for a response any more.
    pub fn cancel(mut self, number: u32, now: i64) -> Models {
        let req = self.req(number);
        req.holders.remove(&HANDLER);
        req.abandon();
        if req.log.is_empty() && req.sent.is_none() { vec![self] } else { self.flush_late(number, now) }
    }

    /// A holder drops, `panics`: while its thread panics.
    pub fn close(mut self, number: u32, lane: Lane, panics: bool, now: i64) -> Models {
        let req = self.req(number);
        req.holders.remove(&lane);
        // A body that ends stores what is there, whoever else holds the session.
        let last = req.head_sent && (req.holders.is_empty() || lane == HANDLER);
        let node = req.node;
        if panics {
            let goes = req.retain(|entry| entry.lane != lane || entry.op == Op::Invalidate);
            // A closure's clone drops with it, and counts for itself.
            let inner = goes.iter().filter(|entry| entry.inner).count();
            self.dropped[node] += inner as u64 + u64::from(goes.len() > inner);
        }
        let req = self.req(number);
        let sent = req.sent.iter_mut().flat_map(|sent| &mut sent.entries);
        // Another task may sit there later.
        req.log.iter_mut().chain(sent).filter(|entry| entry.lane == lane).for_each(|entry| entry.lane = GONE);
        if last { self.flush_late(number, now) } else { vec![self] }
    }

    fn flush_late(self, number: u32, now: i64) -> Models {
        self.commit_all(number, Ended::Well, now)
    }

    // ---- late writes -----------------------------------------------------------------------------------------------------

    /// Late writes may arrive now.
    pub fn may_arrive(self, now: [i64; 2]) -> Models {
        let mut models = vec![self.clone()];
        for which in 0..self.late.len() {
            let mut arrived = self.clone();
            arrived.arrive(which, now);
            models.push(arrived);
        }
        models
    }

    /// All late writes arrive.
    pub fn arrive_all(mut self, now: [i64; 2]) -> Self {
        while !self.late.is_empty() {
            self.arrive(0, now);
        }
        self
    }

    fn arrive(&mut self, which: usize, now: [i64; 2]) {
        let Late { change, key, request, node } = self.late.remove(which);
        let stored = change.perform(&mut self.table, now[node], key);
        if let Some(sent) = self.reqs.get_mut(&request).and_then(|req| req.sent.as_mut())
            && stored.is_some()
        {
            sent.stored = stored;
        }
    }

    // ---- what is seen ----------------------------------------------------------------------------------------------------

    /// Compares what a request reports with what this model says of it.
    pub fn explains(&mut self, number: u32, report: &Report) -> Result<(), String> {
        let rows = self.table.rows.clone();
        let req = self.req(number);
        let view = req.view();
        let status = match req.origin {
            Origin::Fresh { .. } if req.id.is_some() => "Unknown",
            Origin::Fresh { .. } | Origin::OwnEnd => "Fresh",
            Origin::Live { .. } => "Live",
            Origin::Superseded => "Superseded",
            Origin::Gone { .. } => "Gone",
        };
        let wants = req.wants_new_id(&view);
        let keeps = !view.invalidated && view.rotation == Some(Rotation::Cycle);
        let place = match &req.origin {
            Origin::Live { seen, .. } => req.place.map(|at| seen.life.born.unwrap_or(at)),
            _ => None,
        };
        let known = |at: Option<usize>| at.and_then(|at| rows[at].key.clone());
        if wants && req.candidate.is_none() {
            if rows.iter().any(|row| row.key == report.key) {
                return Err("a new ID is the ID of another row".into());
            }
            req.candidate.clone_from(&report.key);
        }
        let there = place.is_some() && !view.invalidated;
        let key = if wants { req.candidate.clone() } else { known(req.id.filter(|_| there)) };
        let handle = if wants && !(keeps && place.is_some()) { key.clone() } else { known(place.filter(|_| there)) };
        let expected = Report {
            said: req.said.clone(),
            key: key.or_else(|| report.key.clone().filter(|_| there && known(req.id).is_none())),
            handle: handle.or_else(|| report.handle.clone().filter(|_| there && known(place).is_none())),
            status: status.into(),
            principal: view.content.principal.map(|user| format!("user{user}")),
            data: view.content.data.iter().map(|(key, value)| (KEYS[*key].to_owned(), *value)).collect(),
        };
        let id = req.id.filter(|_| there && !wants);
        if let (Some(id), Some(key)) = (id, &report.key)
            && rows[id].key.is_none()
        {
            self.table.rows[id].key = Some(key.clone());
        }
        if expected == *report { Ok(()) } else { Err(format!("expected {expected:?}, found {report:?}")) }
    }

    /// Compares what the response said.
    pub fn told(&mut self, number: u32, heard: &Heard, now: i64) -> Result<(), String> {
        let told = self.req(number).told;
        match (told, heard) {
            (Told::Nothing, Heard::Nothing) | (Told::Remove, Heard::Removed) => Ok(()),
            (Told::Set { at, until }, Heard::Set { key, max_age }) => {
                if *max_age != Some(until - now) {
                    return Err(format!("the cookie lives {max_age:?} s, and not {} s", until - now));
                }
                let row = &mut self.table.rows[at];
                match &row.key {
                    Some(known) if known == key => Ok(()),
                    Some(known) => Err(format!("told {key}, and not {known}, row {at}")),
                    None => {
                        row.key = Some(key.clone());
                        Ok(())
                    }
                }
            }
            (told, heard) => Err(format!("the response says {heard:?}, and not {told:?}")),
        }
    }

    pub fn agrees(&mut self, rows: &[Found]) -> Result<(), String> {
        self.table.agrees(rows)
    }
}
