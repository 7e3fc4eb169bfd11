//! A request as the model has it: what it knows of its session, its log, and what a commit of it does. A commit is one
//! step on the table: there are no versions, conditions, tokens or replays.

use std::collections::BTreeSet;

use crate::act::{Content, Effects, Entry, HANDLER, Lane, Op, Rotation};
use crate::table::{Body, Fate, Life, Row, Table, Why, expiry, is_due};

/// What a request knows of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Fresh { trail: bool },
    Live { led: bool, seen: Seen },
    Superseded,
    Gone { trail: bool },
    OwnEnd,
}

/// A row as a request saw it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub life: Life,
    pub ttl: i64,
    changes: u32,
}

/// How the row is related to the one that the request came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    #[default]
    Brought,
    Cycles,
    Login,
    Created,
}

/// What the client is told with the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Nothing,
    Set { at: usize, until: i64 },
    Remove,
}

/// Operations whose commit failed: nobody knows whether they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub entries: Vec<Entry>,
    /// What they became, in this hypothesis.
    pub stored: Option<Stored>,
    pub new_row: bool,
    ends: bool,
    /// Nothing is left to do: it is only looked whether a new row is to be told.
    given_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Updated { at: usize, told: Option<i64> },
    New { at: usize, via: Via },
    Ended { at: usize, via: Via },
}

/// What a commit does to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Touch { at: usize, ttl: i64, cookie: Option<i64>, seen: Seen },
    Update { at: usize, life: Life, ttl: Option<i64>, seen: Seen, told: Option<i64> },
    End { at: usize, seen: Seen, via: Via },
    Invalidate { at: usize, via: Via },
    Create { life: Life, ttl: i64 },
    Rotate { at: usize, why: Why, life: Life, ttl: i64, seen: Seen, via: Via },
    Replace { at: usize, why: Why, life: Life, ttl: i64 },
}

/// What a commit that failed turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenUp {
    Stored,
    GivenUp,
    /// It is to be committed again.
    Open(Vec<Entry>),
}

/// How a commit would go: the request after it, and what it does to the table.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub req: Req,
    pub change: Change,
    pub dropped: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Req {
    pub node: usize,
    pub origin: Origin,
    pub place: Option<usize>,
    pub via: Via,
    /// The row of the ID that the client holds, or will hold.
    pub id: Option<usize>,
    pub log: Vec<Entry>,
    pub sent: Option<Sent>,
    pub told: Told,
    pub head_sent: bool,
    pub renew: bool,
    pub holders: BTreeSet<Lane>,
    /// The key of the row that the next new ID will have, as the handler saw it.
    pub candidate: Option<String>,
    /// What the last act answered.
    pub said: String,
    pub taken: Option<u64>,
}

impl Seen {
    fn of(table: &Table, at: usize) -> Self {
        let life = table.life(at).expect("it was just found live").clone();
        Self { life, ttl: table.rows[at].ttl, changes: table.rows[at].changes }
    }
}

impl Change {
    pub fn writes(&self) -> bool {
        *self != Self::None
    }

    fn new_row(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Rotate { .. } | Self::Replace { .. })
    }

    /// Carries it out, now or late; where the table is not as it was, nothing happens.
    pub fn perform(&self, table: &mut Table, now: i64, key: Option<String>) -> Option<Stored> {
        let same =
            |table: &Table, at: usize, seen: &Seen| table.is_live(at, now) && table.rows[at].changes == seen.changes;
        match self {
            Self::None => None,
            Self::Touch { at, ttl, cookie, seen } => {
                let row = table.rows[*at].ttl;
                let moves =
                    if *ttl >= seen.ttl { row < *ttl || row == *ttl && *ttl == seen.ttl } else { row >= seen.ttl };
                if same(table, *at, seen) && moves {
                    table.rows[*at].ttl = *ttl;
                    if *cookie != seen.life.cookie
                        && let Body::Live(life) = &mut table.rows[*at].body
                    {
                        life.cookie = *cookie;
                    }
                }
                None
            }
            Self::Update { at, life, ttl, seen, told } if same(table, *at, seen) => {
                let row = &mut table.rows[*at];
                let cookie = table_cookie(row).filter(|_| life.cookie == seen.life.cookie).or(life.cookie);
                row.body = Body::Live(Life { cookie, ..life.clone() });
                row.ttl = ttl.unwrap_or(row.ttl);
                row.changes += 1;
                Some(Stored::Updated { at: *at, told: *told })
            }
            Self::End { at, seen, via } if same(table, *at, seen) => {
                table.bury(*at, Why::Ended, None, now);
                Some(Stored::Ended { at: *at, via: *via })
            }
            Self::Invalidate { at, via } if table.life(*at).is_some() => {
                table.bury(*at, Why::Ended, None, now);
                Some(Stored::Ended { at: *at, via: *via })
            }
            Self::Create { life, ttl } if key.is_none() || table.named(key.as_deref()?).is_none() => {
                Some(Stored::New { at: table.add(life.clone(), *ttl, key), via: Via::Created })
            }
            Self::Rotate { at, why, life, ttl, seen, via } if same(table, *at, seen) => {
                let new = table.add(life.clone(), *ttl, key);
                table.bury(*at, *why, Some(new), now);
                Some(Stored::New { at: new, via: *via })
            }
            Self::Replace { at, why, life, ttl } if table.life(*at).is_some() && table.rows[*at].ttl > now => {
                let new = table.add(life.clone(), *ttl, key);
                table.bury(*at, *why, (*why == Why::Login).then_some(new), now);
                Some(Stored::New { at: new, via: Via::Created })
            }
            _ => None,
        }
    }
}

fn table_cookie(row: &Row) -> Option<i64> {
    match &row.body {
        Body::Live(life) => life.cookie,
        _ => None,
    }
}

impl Req {
    /// Loads the session of an ID.
    pub fn load(table: &Table, id: Option<usize>, node: usize, now: i64) -> Self {
        let mut req = Self {
            node,
            origin: Origin::Fresh { trail: false },
            place: None,
            via: Via::Brought,
            id,
            log: Vec::new(),
            sent: None,
            told: Told::Nothing,
            head_sent: false,
            renew: true,
            holders: BTreeSet::from([HANDLER]),
            candidate: None,
            said: String::new(),
            taken: None,
        };
        let Some(at) = id else { return req };
        let (at, fate, led) = table.walk(at, now);
        let via = if led { Via::Cycles } else { Via::Brought };
        let found = match fate {
            Fate::Live => Origin::Live { led, seen: Seen::of(table, at) },
            Fate::Superseded => Origin::Superseded,
            Fate::Expired if led => Origin::Gone { trail: true },
            Fate::Expired => Origin::Fresh { trail: true },
            _ if led => Origin::Gone { trail: false },
            _ => return req,
        };
        (req.origin, req.place, req.via) = (found, Some(at), via);
        req
    }

    pub fn is_led(&self) -> bool {
        matches!(self.origin, Origin::Live { led: true, .. })
    }

    /// It is not the one that holds the session, so it may not say a word of it.
    fn is_silent(&self) -> bool {
        self.is_led() || matches!(self.origin, Origin::Superseded | Origin::Gone { .. })
    }

    pub fn base(&self) -> Content {
        match &self.origin {
            Origin::Live { seen, .. } => seen.life.content.clone(),
            _ => Content::default(),
        }
    }

    /// The session as the handler sees it.
    pub fn view(&mut self) -> Effects {
        let base = self.base();
        let sent = self.sent.as_mut().map(|sent| &mut sent.entries);
        // One run over all of them, so that a token remembers what it saw.
        let lent = sent.as_ref().map_or(0, |entries| entries.len());
        let mut all: Vec<Entry> = sent.map(std::mem::take).unwrap_or_default();
        all.append(&mut self.log);
        let effects = Effects::of(&base, &mut all);
        self.log = all.split_off(lent);
        if let Some(sent) = &mut self.sent {
            sent.entries = all;
        }
        effects
    }

    /// Whether the next commit makes a row under a new ID.
    pub fn wants_new_id(&self, view: &Effects) -> bool {
        let starts = match self.origin {
            Origin::Live { .. } if view.invalidated => true,
            Origin::Live { led, .. } => view.rotation.is_some_and(|rotation| rotation == Rotation::Login || !led),
            Origin::Superseded | Origin::Gone { trail: true } => view.login || view.invalidated,
            Origin::Gone { trail: false } => view.login,
            Origin::Fresh { .. } | Origin::OwnEnd => true,
        };
        starts && !view.content.is_empty()
    }

    /// Whether an operation can still be told to the client, where it has to be.
    pub fn allows(&mut self, op: &Op) -> bool {
        if !self.head_sent {
            return true;
        }
        match op {
            Op::Login(_) | Op::Cycle => false,
            Op::Insert(_) | Op::Increment(_) | Op::Token { .. } | Op::Take(_) | Op::SetTtl => {
                let invalidated = self.view().invalidated;
                match self.origin {
                    Origin::Live { .. } => !invalidated && !self.sent.as_ref().is_some_and(|sent| sent.ends),
                    Origin::Superseded | Origin::Gone { .. } => !invalidated,
                    Origin::Fresh { .. } | Origin::OwnEnd => false,
                }
            }
            Op::Remove(_) | Op::Clear | Op::Invalidate => true,
        }
    }

    /// Whether a commit would do something.
    pub fn has_work(&self, now: i64) -> bool {
        if !self.log.is_empty() || self.sent.is_some() {
            return true;
        }
        let effects = Effects { content: self.base(), ..Effects::default() };
        self.times(&effects, None, now).is_some_and(|times| times.refreshed)
    }

    // ---- looking ---------------------------------------------------------------------------------------------------------

    /// Looks at the table again, at a row.
    fn settle(&mut self, table: &Table, from: usize, led: bool, now: i64) {
        let (at, fate, walked) = table.walk(from, now);
        if walked {
            self.via = self.via.max(Via::Cycles);
        }
        self.arrive(table, at, fate, led || walked);
    }

    /// The one table of what a request knows after a look.
    fn arrive(&mut self, table: &Table, at: usize, fate: Fate, led: bool) {
        let over = matches!(self.origin, Origin::Superseded | Origin::Gone { .. });
        let trail = matches!(self.origin, Origin::Fresh { trail: true });
        self.origin = match fate {
            Fate::Live if over => return,
            _ if self.origin == Origin::OwnEnd => Origin::OwnEnd,
            Fate::Live => Origin::Live { led, seen: Seen::of(table, at) },
            Fate::Superseded => Origin::Superseded,
            Fate::Expired if trail && !led => Origin::Fresh { trail: true },
            Fate::Absent if trail && !led => {
                (self.place, self.via) = (None, Via::Brought);
                self.origin = Origin::Fresh { trail: false };
                return;
            }
            Fate::Expired => Origin::Gone { trail: true },
            Fate::Ended | Fate::Absent | Fate::Led(_) => Origin::Gone { trail: false },
        };
        self.place = Some(at);
    }

    /// Looks at the session's own row again, and keeps quiet where it is no longer its.
    pub fn look(&mut self, table: &Table, now: i64) {
        if let Some(at) = self.place {
            self.settle(table, at, self.is_led(), now);
            if self.is_silent() {
                self.told = Told::Nothing;
            }
        }
    }

    // ---- committing ------------------------------------------------------------------------------------------------------

    fn tell(&mut self, told: Option<Told>) {
        if self.is_silent() {
            self.told = Told::Nothing;
        } else if let Some(told) = told {
            self.told = told;
        }
    }

    /// Commits operations, in one step.
    pub fn commit(mut self, table: &Table, entries: &mut [Entry], now: i64) -> Outcome {
        let mut change = Change::None;
        let mut dropped = false;
        loop {
            let effects = Effects::of(&self.base(), entries);
            self.taken = effects.taken;
            let empty = effects.content.is_empty();
            let over = matches!(self.origin, Origin::Superseded | Origin::Gone { .. });
            let follows = match self.origin {
                Origin::Live { .. } | Origin::Superseded => true,
                Origin::Fresh { trail } | Origin::Gone { trail } => trail,
                Origin::OwnEnd => false,
            };
            if effects.invalidated && follows {
                match self.end(table, &effects, now) {
                    Some(done) => change = done,
                    None => continue,
                }
            } else if let Origin::Live { .. } = self.origin {
                match self.change(table, effects, now) {
                    Some((done, lost)) => (change, dropped) = (done, lost),
                    None => continue,
                }
            } else if empty || over && !effects.login {
                dropped = over && (effects.rotation.is_some() || !empty);
                self.tell(None);
            } else if self.head_sent {
                dropped = true;
                self.tell(None);
            } else {
                change = self.begin(table, effects.content, now);
            }
            return Outcome { req: self, change, dropped };
        }
    }

    /// Begins a session under a new ID.
    fn begin(&mut self, table: &Table, content: Content, now: i64) -> Change {
        let ttl = expiry(content.own, now, now);
        let life = Life { content, started: now, cookie: Some(ttl), born: None, extra: false };
        self.arrive_new(table, &life, ttl, Via::Created);
        Change::Create { life, ttl }
    }

    fn arrive_new(&mut self, table: &Table, life: &Life, ttl: i64, via: Via) {
        let at = table.rows.len();
        self.origin = Origin::Live { led: false, seen: Seen { life: life.clone(), ttl, changes: 0 } };
        (self.place, self.via, self.id) = (Some(at), via, Some(at));
        self.tell(Some(Told::Set { at, until: life.cookie.expect("a new row has a cookie") }));
    }

    pub fn arrive_own_end(&mut self, at: usize, via: Via) {
        (self.origin, self.place, self.via) = (Origin::OwnEnd, Some(at), via);
        // Never over a login, and never for a row that this request made.
        self.told = if via <= Via::Cycles { Told::Remove } else { Told::Nothing };
    }

    /// Ends the session that an `invalidate` means, whatever became of it. `None`: there is nothing to end.
    fn end(&mut self, table: &Table, effects: &Effects, now: i64) -> Option<Change> {
        let (from, mut via) = (self.place.expect("there is a row"), self.via);
        let mut at = from;
        while let Body::Tombstone { why, successor: Some(successor) } = table.rows[at].body {
            via = via.max(if why == Why::Cycle { Via::Cycles } else { Via::Login });
            at = successor;
        }
        let replaces = !effects.content.is_empty() && !self.head_sent;
        let there = table.life(at).is_some() && (!replaces || table.rows[at].ttl > now);
        if !there {
            let fate = if table.life(at).is_some() { Fate::Absent } else { table.fate(at, now) };
            self.via = via;
            self.arrive(table, at, fate, self.is_led() && self.place == Some(at));
            return None;
        }
        if replaces {
            let why = if effects.login { Why::Login } else { Why::Ended };
            let ttl = expiry(effects.content.own, now, now);
            let content = effects.content.clone();
            let life = Life { content, started: now, cookie: Some(ttl), born: None, extra: false };
            self.arrive_new(table, &life, ttl, Via::Created);
            return Some(Change::Replace { at, why, life, ttl });
        }
        if table.is_live(at, now) {
            self.arrive_own_end(at, via);
        } else {
            self.origin = Origin::Gone { trail: false };
            self.tell(None);
        }
        Some(Change::Invalidate { at, via })
    }

    /// Changes a live session. `None`: it is no longer what was seen.
    fn change(&mut self, table: &Table, effects: Effects, now: i64) -> Option<(Change, bool)> {
        let Origin::Live { led, seen } = self.origin.clone() else { unreachable!("it is live") };
        let at = self.place.expect("a live session has a row");
        let empty = effects.content.is_empty();
        if effects.rotation == Some(Rotation::Login) && self.head_sent {
            self.tell(None);
            return Some((Change::None, true));
        }
        // A led request does not cycle again.
        let rotation = effects.rotation.filter(|rotation| *rotation == Rotation::Login || !led);
        let rotation = rotation.filter(|_| !self.head_sent);
        let changed = rotation.is_some() || effects.content != seen.life.content;
        let times = if changed && empty { None } else { self.times(&effects, rotation, now) };
        let refreshed = times.as_ref().is_some_and(|times| times.refreshed);
        if !changed && !refreshed {
            self.tell(None);
            return Some((Change::None, false));
        }
        let same = table.is_live(at, now) && table.rows[at].changes == seen.changes;
        let Some(times) = times else {
            if !same {
                self.settle(table, at, led, now);
                return None;
            }
            self.arrive_own_end(at, self.via);
            return Some((Change::End { at, seen, via: self.via }, false));
        };
        if !changed {
            return self.touch(table, &times, seen, led, now).map(|change| (change, false));
        }
        if !same {
            self.settle(table, at, led, now);
            return None;
        }
        let keeps =
            |old: &Life| old.extra && old.content.principal.is_none_or(|was| effects.content.principal == Some(was));
        let extra = keeps(&seen.life);
        let life = Life { content: effects.content, started: times.started, cookie: times.cookie, born: None, extra };
        let Some(rotation) = rotation else {
            let life = Life { born: seen.life.born, ..life };
            let told = times.told.then(|| times.cookie.expect("it is told"));
            let new = Seen { life: life.clone(), ttl: times.ttl, changes: seen.changes + 1 };
            self.origin = Origin::Live { led, seen: new };
            self.tell(told.map(|until| Told::Set { at: self.id.expect("it has an ID"), until }));
            let ttl = times.refreshed.then_some(times.ttl);
            return Some((Change::Update { at, life, ttl, seen, told }, false));
        };
        let (why, via) = match rotation {
            Rotation::Cycle => (Why::Cycle, self.via.max(Via::Cycles)),
            Rotation::Login => (Why::Login, self.via.max(Via::Login)),
        };
        let born = (rotation == Rotation::Cycle).then(|| seen.life.born.unwrap_or(at));
        let life = Life { born, ..life };
        self.arrive_new(table, &life, times.ttl, via);
        Some((Change::Rotate { at, why, life, ttl: times.ttl, seen, via }, false))
    }

    fn touch(&mut self, table: &Table, times: &Times, seen: Seen, led: bool, now: i64) -> Option<Change> {
        let at = self.place.expect("a live session has a row");
        let change = Change::Touch { at, ttl: times.ttl, cookie: times.cookie, seen: seen.clone() };
        let mut after = table.clone();
        change.perform(&mut after, now, None);
        let told = Told::Set { at: self.id.expect("it has an ID"), until: times.cookie.unwrap_or_default() };
        let told = times.told.then_some(told);
        if after != *table {
            let life = Life { cookie: times.cookie, ..seen.life };
            self.origin = Origin::Live { led, seen: Seen { life, ttl: times.ttl, changes: seen.changes } };
            self.tell(told);
            return Some(change);
        }
        if !table.is_live(at, now) {
            self.settle(table, at, led, now);
            return None;
        }
        // Somebody refreshed it, or changed it: that is as good. To the same second, the same may be told.
        let found = Seen::of(table, at);
        let same = (found.ttl, found.life.cookie) == (times.ttl, times.cookie);
        self.origin = Origin::Live { led, seen: found };
        self.tell(told.filter(|_| same));
        Some(Change::None)
    }

    fn times(&self, effects: &Effects, rotation: Option<Rotation>, now: i64) -> Option<Times> {
        let Origin::Live { led, seen } = &self.origin else { return None };
        let own = effects.content.own;
        let started = if effects.login { now } else { seen.life.started };
        let target = expiry(own, started, now);
        let tell = !self.head_sent && (!led || rotation.is_some());
        // The earlier of row and cookie decides.
        let until = seen.life.cookie.filter(|_| tell).map_or(seen.ttl, |cookie| cookie.min(seen.ttl));
        let due = own != seen.life.content.own || is_due(own, seen.ttl, until, target, now, self.renew);
        let refreshed = rotation.is_some() || due;
        let told = rotation.is_some() || tell && refreshed;
        let cookie = if told { Some(target) } else { seen.life.cookie };
        let ttl = if refreshed { target } else { seen.ttl };
        Some(Times { started, ttl, cookie, refreshed, told })
    }

    // ---- commits that nobody heard of ------------------------------------------------------------------------------------

    /// A commit failed. `again`: it was the repeat of one that failed before.
    pub fn failed(
        &mut self,
        entries: Vec<Entry>,
        ends: bool,
        change: &Change,
        stored: Option<Stored>,
        again: Option<bool>,
    ) {
        let refreshes = matches!(change, Change::Touch { .. } | Change::None);
        match again {
            // A refresh has nothing to repeat.
            None if refreshes => {
                let after = std::mem::replace(&mut self.log, entries);
                self.log.extend(after);
            }
            again => {
                let new_row = if refreshes { again == Some(true) } else { change.new_row() };
                self.sent = Some(Sent { entries, stored, new_row, ends, given_up: false });
            }
        }
    }

    /// Takes up a commit that failed: is it stored?
    pub fn take_up(&mut self, table: &Table, now: i64) -> TakenUp {
        let sent = self.sent.take().expect("a commit failed");
        let looks = self.place.is_some() || sent.new_row;
        match sent.stored {
            Some(stored) if looks && (!sent.given_up || sent.new_row) => {
                self.is_stored(table, stored, now);
                TakenUp::Stored
            }
            _ if sent.given_up => {
                self.tell(None);
                TakenUp::GivenUp
            }
            _ => {
                if let Some(at) = self.place {
                    self.settle(table, at, self.is_led(), now);
                }
                TakenUp::Open(sent.entries)
            }
        }
    }

    /// The commit is in the table, and what became of the session since?
    pub fn is_stored(&mut self, table: &Table, stored: Stored, now: i64) {
        let (from, led, told) = match stored {
            Stored::Ended { at, via } => return self.arrive_own_end(at, via),
            Stored::New { at, via } => {
                self.via = via;
                (at, false, None)
            }
            Stored::Updated { at, told } => (at, self.is_led(), told),
        };
        let (at, fate, walked) = table.walk(from, now);
        // Whatever it was before, it had a row.
        let life = Life { content: Content::default(), started: 0, cookie: None, born: None, extra: false };
        self.origin = Origin::Live { led, seen: Seen { life, ttl: 0, changes: 0 } };
        if walked {
            self.via = self.via.max(Via::Cycles);
        }
        self.arrive(table, at, fate, led || walked);
        let Origin::Live { led: false, seen } = &self.origin else { return self.tell(None) };
        let until = match stored {
            Stored::New { .. } => {
                (self.id, self.candidate) = (Some(at), None);
                seen.life.cookie
            }
            _ => told,
        };
        let id = self.id.expect("it has an ID");
        self.tell(until.map(|until| Told::Set { at: id, until }));
    }

    /// Keeps those operations that `keep` says. Returns those that go.
    pub fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut goes = Vec::new();
        let sent = self.sent.as_mut().map(|sent| &mut sent.entries);
        for entries in [Some(&mut self.log), sent].into_iter().flatten() {
            let (kept, gone) = std::mem::take(entries).into_iter().partition(&keep);
            *entries = kept;
            goes.extend::<Vec<Entry>>(gone);
        }
        goes
    }

    /// The request failed: a sign-out stays, and what a task that still runs did.
    pub fn discard(&mut self) {
        let holders = self.holders.clone();
        let tasks = |lane: Lane| lane != HANDLER && holders.contains(&lane);
        self.retain(|entry| entry.op == Op::Invalidate || tasks(entry.lane));
        if let Some(sent) = self.sent.as_mut().filter(|sent| sent.entries.is_empty()) {
            sent.given_up = true;
        }
    }

    /// No response is made: all goes but a sign-out.
    /// An administrator has ended the session that was born with this row.
    pub fn revoked(&mut self, handle: usize) {
        let Origin::Live { seen, .. } = &self.origin else { return };
        if self.place.map(|at| seen.life.born.unwrap_or(at)) == Some(handle) {
            (self.origin, self.told) = (Origin::Gone { trail: false }, Told::Nothing);
        }
    }

    pub fn abandon(&mut self) {
        (self.head_sent, self.renew) = (true, false);
        self.retain(|entry| entry.op == Op::Invalidate);
        if self.sent.as_ref().is_some_and(|sent| sent.entries.is_empty()) {
            self.sent = None;
        }
    }
}

struct Times {
    started: i64,
    ttl: i64,
    cookie: Option<i64>,
    refreshed: bool,
    told: bool,
}
