//! The log of operations: what a request did to its session, in order.
//!
//! An operation can hold a closure of the application's, and the closure whatever it captured, the session itself too. So
//! what is taken out of the log comes back as [`Garbage`], to be dropped where no lock is held.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::text::Text;
use crate::domain::update::Update;
use crate::domain::value::Value;
use crate::error::Error;

/// One operation of the log.
#[derive(Clone)]
pub(crate) enum Op {
    Insert(Text, Value),
    Remove(Text),
    /// Removes a key and leaves its value, as of the row that the commit was built on, in the slot.
    Take(Text, Arc<Mutex<Option<Value>>>),
    Clear,
    Update(Arc<Update>),
    /// A change that cannot be made: it fails its commit.
    Refuse(Error),
    Login(Arc<str>),
    Cycle,
    Invalidate,
    SetTtl(Option<i64>),
    Remember(bool),
}

/// The variant alone: values are the application's, and a log line must not hold them.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Insert(..) => "Insert",
            Op::Remove(..) => "Remove",
            Op::Take(..) => "Take",
            Op::Clear => "Clear",
            Op::Update(..) => "Update",
            Op::Refuse(..) => "Refuse",
            Op::Login(..) => "Login",
            Op::Cycle => "Cycle",
            Op::Invalidate => "Invalidate",
            Op::SetTtl(..) => "SetTtl",
            Op::Remember(..) => "Remember",
        })
    }
}

/// Which handle of the session an operation came from.
pub(crate) type Holder = u32;

/// An operation with who did it and its number in the request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) holder: Holder,
    pub(crate) number: u64,
}

/// What was taken out of a log: closures of the application's, to be dropped where no lock is held.
#[must_use = "dropped under a lock, a closure that captured its session never returns"]
#[derive(Debug, Default)]
pub(crate) struct Garbage(pub(crate) Vec<Entry>);

/// How long a log grows before it is compacted.
const COMPACT_FROM: usize = 32;

/// The operations that no commit has taken along yet.
#[derive(Debug)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    next: u64,
    compact_at: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: Vec::new(), next: 0, compact_at: COMPACT_FROM }
    }
}

impl Log {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number that the next operation gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Appends an operation. A log that is written in an endless loop stays as short as what it says.
    pub(crate) fn push(&mut self, op: Op, holder: Holder) -> Garbage {
        let entry = Entry { op, holder, number: self.next };
        self.next += 1;
        let mut garbage = Garbage::default();
        match self.entries.last_mut() {
            Some(last) if overwrites(&entry, last) => garbage.0.push(std::mem::replace(last, entry)),
            _ => self.entries.push(entry),
        }
        if self.entries.len() >= self.compact_at {
            garbage.0.extend(self.compact().0);
            self.compact_at = COMPACT_FROM.max(2 * self.entries.len());
        }
        garbage
    }

    /// Takes all operations out, for a commit.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        self.compact_at = COMPACT_FROM;
        std::mem::take(&mut self.entries)
    }

    /// Puts back what a commit that wrote nothing had taken.
    pub(crate) fn put_back(&mut self, mut entries: Vec<Entry>) {
        entries.append(&mut self.entries);
        self.entries = entries;
    }

    /// Keeps the operations that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> Garbage {
        if self.entries.iter().all(&keep) {
            return Garbage::default();
        }
        let (kept, gone) = std::mem::take(&mut self.entries).into_iter().partition(keep);
        self.entries = kept;
        Garbage(gone)
    }

    /// Takes out what later operations of the same holder overwrite. Of another holder's, each stays: a holder that
    /// panics takes its own with it.
    fn compact(&mut self) -> Garbage {
        let mut over = Overwritten::default();
        let (mut kept, mut gone) = (Vec::with_capacity(self.entries.len()), Vec::new());
        for entry in std::mem::take(&mut self.entries).into_iter().rev() {
            if over.writes(&entry) { gone.push(entry) } else { kept.push(entry) }
        }
        kept.reverse();
        self.entries = kept;
        Garbage(gone)
    }
}

/// Whether an operation makes the one just before it void.
fn overwrites(entry: &Entry, last: &Entry) -> bool {
    let same = match (&entry.op, &last.op) {
        (Op::Insert(key, _) | Op::Remove(key), Op::Insert(former, _) | Op::Remove(former)) => key == former,
        (Op::SetTtl(_), Op::SetTtl(_)) | (Op::Remember(_), Op::Remember(_)) | (Op::Clear, Op::Clear) => true,
        _ => false,
    };
    same && entry.holder == last.holder
}

/// What the operations seen so far, from the last one back, leave nothing of.
#[derive(Default)]
struct Overwritten {
    keys: HashMap<Text, Vec<Holder>>,
    ttl: HashSet<Holder>,
    remember: HashSet<Holder>,
}

impl Overwritten {
    /// Whether an operation is overwritten; else what it overwrites is noted.
    fn writes(&mut self, entry: &Entry) -> bool {
        let holder = entry.holder;
        match &entry.op {
            Op::Insert(key, _) | Op::Remove(key) => {
                let holders = self.keys.entry(key.clone()).or_default();
                let over = holders.contains(&holder);
                if !over {
                    holders.push(holder);
                }
                over
            }
            Op::Update(update) => {
                let over = self.keys.get(&update.key).is_some_and(|holders| holders.contains(&holder));
                if !over {
                    // It reads what stood there before it.
                    self.keys.remove(&update.key);
                }
                over
            }
            Op::SetTtl(_) => !self.ttl.insert(holder),
            Op::Remember(_) => !self.remember.insert(holder),
            // They read, or change the meaning of, all that came before.
            Op::Take(..) | Op::Refuse(_) | Op::Clear | Op::Login(_) | Op::Cycle | Op::Invalidate => {
                *self = Self::default();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::codec::Codec;

    fn insert(key: &str, value: u64) -> Op {
        Op::Insert(Text::from(key), Value::encode(Codec::Json, &value).expect("a number"))
    }

    fn said(log: &Log) -> String {
        let say = |entry: &Entry| match &entry.op {
            Op::Insert(key, value) => {
                format!("{}{}={}", entry.holder, key.as_str(), value.decode::<u64>().expect("a number"))
            }
            op => format!("{}{op:?}", entry.holder),
        };
        log.entries().iter().map(say).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_hundred_thousand_inserts_of_one_key_are_one() {
        let mut log = Log::default();
        for value in 0..100_000 {
            drop(log.push(insert("a", value), 1));
        }
        assert_eq!(said(&log), "1a=99999");
        let mut log = Log::default();
        for value in 0..100_000 {
            drop(log.push(insert(["a", "b", "c"][value as usize % 3], value), 1));
        }
        assert!(log.entries().len() < 2 * COMPACT_FROM, "{}", log.entries().len());
    }

    #[test]
    fn what_another_holder_did_stays_for_the_case_that_this_one_panics() {
        let mut log = Log::default();
        for (op, holder) in [(insert("a", 1), 1), (insert("a", 2), 2), (insert("a", 3), 1), (insert("a", 4), 2)] {
            drop(log.push(op, holder));
        }
        drop(log.compact());
        assert_eq!(said(&log), "1a=3 2a=4");
        drop(log.retain(|entry| entry.holder != 2));
        assert_eq!(said(&log), "1a=3");
    }

    #[test]
    fn nothing_is_compacted_over_an_operation_that_reads() {
        for reader in [Op::Take(Text::from("a"), Arc::default()), Op::Clear, Op::Invalidate, Op::Login("ann".into())] {
            let mut log = Log::default();
            let said_of = format!("1a=1 1{reader:?} 1a=2");
            for op in [insert("a", 1), reader, insert("a", 2)] {
                drop(log.push(op, 1));
            }
            drop(log.compact());
            assert_eq!(said(&log), said_of);
        }
        let mut log = Log::default();
        let value = || Value::encode(Codec::Json, &1).expect("a number");
        let update =
            || Op::Update(Arc::new(Update::new(1, Text::from("a"), Box::new(move |_| Ok(value())), None, value())));
        for (op, holder) in [(insert("a", 1), 1), (update(), 2), (insert("a", 3), 1)] {
            drop(log.push(op, holder));
        }
        drop(log.compact());
        assert_eq!(said(&log), "1a=1 2Update 1a=3");
        drop(log.push(update(), 1));
        drop(log.push(insert("a", 4), 1));
        drop(log.compact());
        assert_eq!(said(&log), "1a=1 2Update 1a=4");
    }

    #[test]
    fn what_a_commit_took_is_put_back_in_front() {
        let mut log = Log::default();
        drop(log.push(insert("a", 1), 1));
        let taken = log.take();
        drop(log.push(insert("b", 2), 1));
        log.put_back(taken);
        assert_eq!((said(&log).as_str(), log.next()), ("1a=1 1b=2", 2));
    }
}
