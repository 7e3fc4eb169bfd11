//! The table as the model has it: what stands under an ID, and what that means to a request.

use std::collections::HashMap;

use rocket_dynamodb_sessions::testing::Row as Found;
use serde_json::Value;

use crate::act::{Content, KEYS};

pub const IDLE: i64 = 10_000;
pub const ABSOLUTE: i64 = 30_000;
pub const OWN: i64 = 4_000;
pub const TOMBSTONE: i64 = 300;
const RENEW_BELOW: f64 = 0.9;
const MOST_HOPS: usize = 16;

/// Why a session's ID opens it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Ended,
    Cycle,
    Login,
}

/// A session under an ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub content: Content,
    pub started: i64,
    /// Until when the last cookie lives.
    pub cookie: Option<i64>,
    /// The row that the session was born with; none: this one.
    pub born: Option<usize>,
    /// It has an attribute of another program.
    pub extra: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Live(Life),
    Tombstone {
        why: Why,
        successor: Option<usize>,
    },
    /// DynamoDB's TTL deleted it.
    Swept,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub body: Body,
    pub ttl: i64,
    /// How often its session was changed.
    pub changes: u32,
    /// What the table calls it, once that was seen.
    pub key: Option<String>,
}

/// What a row means to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Live,
    Led(usize),
    Superseded,
    Ended,
    Expired,
    Absent,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub rows: Vec<Row>,
}

/// When a session with this lifetime, used now, expires.
pub fn expiry(own: bool, started: i64, now: i64) -> i64 {
    (now + lifetime(own)).min(started + ABSOLUTE)
}

fn lifetime(own: bool) -> i64 {
    if own { OWN } else { IDLE }
}

/// Whether a lifetime is refreshed: less than the configured share is left, or it is longer than it may be.
pub fn is_due(own: bool, ttl: i64, until: i64, target: i64, now: i64, renew: bool) -> bool {
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let short = ((until - now) as f64) < RENEW_BELOW * lifetime(own) as f64;
    ttl - target > lifetime(own) / 10 || renew && target > until && short
}

impl Table {
    pub fn life(&self, at: usize) -> Option<&Life> {
        match &self.rows[at].body {
            Body::Live(life) => Some(life),
            _ => None,
        }
    }

    pub fn is_live(&self, at: usize, now: i64) -> bool {
        self.life(at).is_some_and(|life| self.rows[at].ttl > now && life.started + ABSOLUTE > now)
    }

    pub fn fate(&self, at: usize, now: i64) -> Fate {
        let row = &self.rows[at];
        match &row.body {
            Body::Swept => Fate::Absent,
            Body::Live(_) if self.is_live(at, now) => Fate::Live,
            Body::Live(_) => Fate::Absent,
            Body::Tombstone { why: Why::Ended, .. } if row.ttl <= now => Fate::Absent,
            Body::Tombstone { .. } if row.ttl <= now => Fate::Expired,
            Body::Tombstone { why: Why::Cycle, successor: Some(successor) } => Fate::Led(*successor),
            Body::Tombstone { why: Why::Login, .. } => Fate::Superseded,
            Body::Tombstone { .. } => Fate::Ended,
        }
    }

    /// Follows the tombstones of cycles: where it ends, what that means, and whether one was followed.
    pub fn walk(&self, mut at: usize, now: i64) -> (usize, Fate, bool) {
        let mut hops = 0;
        loop {
            match self.fate(at, now) {
                Fate::Led(successor) if hops < MOST_HOPS => (at, hops) = (successor, hops + 1),
                fate => return (at, fate, hops > 0),
            }
        }
    }

    pub fn bury(&mut self, at: usize, why: Why, successor: Option<usize>, now: i64) {
        let row = &mut self.rows[at];
        row.body = Body::Tombstone { why, successor };
        row.ttl = now + TOMBSTONE;
        row.changes += 1;
    }

    pub fn add(&mut self, life: Life, ttl: i64, key: Option<String>) -> usize {
        self.rows.push(Row { body: Body::Live(life), ttl, changes: 0, key });
        self.rows.len() - 1
    }

    pub fn named(&self, key: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.key.as_deref() == Some(key))
    }

    /// Deletes what is expired.
    pub fn sweep(&mut self, now: i64) {
        for row in self.rows.iter_mut().filter(|row| row.ttl < now) {
            row.body = Body::Swept;
        }
    }

    /// Ends the session that a handle names, or what rotations made of it. Says whether it lived.
    pub fn revoke(&mut self, handle: usize, now: i64) -> bool {
        match self.revoke_chain(handle, now) {
            Some(lived) => lived,
            // The way to it is gone: it is looked for.
            None => (0..self.rows.len()).any(|at| {
                self.life(at).is_some_and(|life| life.born == Some(handle)) && self.revoke_chain(at, now) == Some(true)
            }),
        }
    }

    fn revoke_chain(&mut self, mut at: usize, now: i64) -> Option<bool> {
        loop {
            match &self.rows[at].body {
                Body::Swept => return None,
                Body::Tombstone { successor: Some(successor), .. } => at = *successor,
                Body::Tombstone { .. } => return Some(false),
                Body::Live(_) => {
                    let lived = self.is_live(at, now);
                    self.bury(at, Why::Ended, None, now);
                    return Some(lived);
                }
            }
        }
    }

    /// Compares this with what DynamoDB holds, row by row; a row whose key nobody has seen yet is known by what it holds.
    pub fn agrees(&mut self, found: &[Found]) -> Result<(), String> {
        let by_key: HashMap<&str, &Found> = found.iter().map(|row| (row.text("id").expect("a key"), row)).collect();
        let mut open: Vec<&str> = by_key.keys().copied().filter(|key| self.named(key).is_none()).collect();
        open.sort_unstable();
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            match (&row.body, &row.key) {
                (Body::Swept, Some(key)) if by_key.contains_key(key.as_str()) => {
                    return Err(format!("row {at} was swept, and stands there: {:?}", by_key[key.as_str()]));
                }
                (Body::Swept, _) | (_, None) => {}
                (_, Some(key)) => {
                    let Some(found) = by_key.get(key.as_str()) else { return Err(format!("row {at} is missing")) };
                    self.agrees_row(at, found)?;
                }
            }
        }
        for at in 0..self.rows.len() {
            if self.rows[at].key.is_some() || self.rows[at].body == Body::Swept {
                continue;
            }
            let which = open.iter().position(|key| self.agrees_row(at, by_key[key]).is_ok());
            let Some(which) = which else { return Err(format!("row {at}, whose key is not known, is missing")) };
            self.rows[at].key = Some(open.remove(which).to_owned());
        }
        match open.first() {
            Some(key) => Err(format!("the model has no such row: {:?}", by_key[key])),
            None => Ok(()),
        }
    }

    fn agrees_row(&self, at: usize, found: &Found) -> Result<(), String> {
        let row = &self.rows[at];
        let must = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(format!("{what} of row {at}: {found:?} is not {row:?}")) }
        };
        let key = |at: Option<usize>| at.and_then(|at| self.rows[at].key.as_deref());
        must(found.number("ttl") == Some(row.ttl), "the ttl")?;
        match &row.body {
            Body::Swept => must(false, "the end"),
            Body::Tombstone { why, successor } => {
                let why = match why {
                    Why::Ended => "ended",
                    Why::Cycle => "cycle",
                    Why::Login => "login",
                };
                must(found.text("ended") == Some(why), "the kind")?;
                let named = key(*successor).is_none() || found.text("successor") == key(*successor);
                must(found.text("successor").is_some() == successor.is_some() && named, "the successor")?;
                let bare = ["data", "principal", "started", "lifetime", "cookie"];
                must(bare.iter().all(|name| !found.0.contains_key(*name)), "the bareness")
            }
            Body::Live(life) => {
                must(!found.is_tombstone(), "the life")?;
                let data = life.content.data.iter().map(|(key, value)| (KEYS[*key].to_owned(), (*value).into()));
                must(found.data() == Value::Object(data.collect()), "the data")?;
                let principal = life.content.principal.map(|user| format!("user{user}"));
                must(found.text("principal") == principal.as_deref(), "the principal")?;
                must(found.number("lifetime") == life.content.own.then_some(OWN), "the lifetime")?;
                must(found.number("started") == Some(life.started), "the start")?;
                must(found.number("cookie") == life.cookie, "the cookie's end")?;
                must(found.0.contains_key("note") == life.extra, "the other program's attribute")?;
                let named = key(life.born).is_none() || found.text("handle") == key(life.born);
                must(found.text("handle").is_some() == life.born.is_some() && named, "the handle")
            }
        }
    }
}
