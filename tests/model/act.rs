//! What a request does to its session, and the log of it.

use std::collections::BTreeMap;

pub const KEYS: [&str; 3] = ["a", "b", "c"];
/// The value of an insert: always the same, so that equal inserts meet.
pub const INSERTED: u64 = 100;

/// What a handler, a task or a stream is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An `update` that counts.
    Increment(usize),
    /// An `update` whose closure captured the session: it counts under another key, and then under its own.
    Nested(usize, usize),
    /// An `update` that keeps what it finds, and else draws a number that is never drawn again.
    Token(usize),
    Insert(usize),
    Remove(usize),
    Take(usize),
    Clear,
    Login(u8),
    Cycle,
    Invalidate,
    SetTtl,
    SkipRenewal,
    Flush,
    Reload,
}

/// Who holds the session: the handler, whose guard may move into a streamed body, or one of two tasks with a clone.
pub type Lane = usize;
pub const HANDLER: Lane = 0;
pub const LANES: usize = 3;
/// A holder that has dropped.
pub const GONE: Lane = LANES;

/// An operation of a request's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Increment(usize),
    /// Draws `first`, and one more each time that it draws again; it remembers what it saw and what it answered.
    Token {
        key: usize,
        first: u64,
        saw: Option<u64>,
        answer: u64,
        drawn: u64,
    },
    Insert(usize),
    Remove(usize),
    Take(usize),
    Clear,
    Login(u8),
    Cycle,
    Invalidate,
    SetTtl,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub op: Op,
    pub lane: Lane,
    /// A closure did it, by a clone of its own.
    pub inner: bool,
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub data: BTreeMap<usize, u64>,
    pub principal: Option<u8>,
    /// It has a lifetime of its own.
    pub own: bool,
}

impl Content {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Cycle,
    Login,
}

/// What operations make of a content.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    pub content: Content,
    pub rotation: Option<Rotation>,
    pub invalidated: bool,
    /// A login, and nothing later took it back.
    pub login: bool,
    /// What the last `take` took.
    pub taken: Option<u64>,
}

impl Effects {
    pub fn of(base: &Content, entries: &mut [Entry]) -> Self {
        let mut effects = Self { content: base.clone(), ..Self::default() };
        for entry in entries {
            effects.apply(&mut entry.op);
        }
        effects
    }

    fn apply(&mut self, op: &mut Op) {
        let data = &mut self.content.data;
        match op {
            Op::Increment(key) => *data.entry(*key).or_default() += 1,
            Op::Token { key, first, saw, answer, drawn } => {
                let found = data.get(key).copied();
                if found != *saw {
                    *answer = found.unwrap_or_else(|| {
                        *drawn += 1;
                        *first + *drawn - 1
                    });
                    *saw = found;
                }
                data.insert(*key, *answer);
            }
            Op::Insert(key) => {
                data.insert(*key, INSERTED);
            }
            Op::Remove(key) => {
                data.remove(key);
            }
            Op::Take(key) => self.taken = data.remove(key),
            Op::Clear => {
                self.content = Content::default();
                self.login = false;
            }
            Op::Login(user) => {
                // Another user's data must not become this one's.
                if self.content.principal.is_some_and(|former| former != *user) {
                    self.content = Content::default();
                }
                // What was chosen for the life before is over.
                self.content.own = false;
                self.content.principal = Some(*user);
                (self.rotation, self.login) = (Some(Rotation::Login), true);
            }
            Op::Cycle => self.rotation = self.rotation.or(Some(Rotation::Cycle)),
            Op::Invalidate => *self = Self { invalidated: true, ..Self::default() },
            Op::SetTtl => self.content.own = true,
        }
    }
}
