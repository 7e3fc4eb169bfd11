//! The log of operations: what a request did to its session, in order.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::error::Error;

/// The data of a session: what the application stores under its keys.
pub(crate) type Data = Map<String, Value>;

/// An `update` closure with its types taken off: the stored value in, the new one out.
pub(crate) type UpdateFn = Arc<dyn Fn(Option<&Value>) -> Result<Value, Error> + Send + Sync>;

/// One operation of the log.
#[derive(Clone)]
pub(crate) enum Op {
    Insert(String, Value),
    Remove(String),
    /// Removes a key and leaves its value, as of the row that the commit was built on, in the slot.
    Take(String, Arc<Mutex<Option<Value>>>),
    Clear,
    Update(String, UpdateFn),
    Login(String),
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
            Op::Login(..) => "Login",
            Op::Cycle => "Cycle",
            Op::Invalidate => "Invalidate",
            Op::SetTtl(..) => "SetTtl",
            Op::Remember(..) => "Remember",
        })
    }
}

/// What a session holds, beside its times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) data: Data,
    pub(crate) principal: Option<String>,
    /// The session's own lifetime in seconds.
    pub(crate) lifetime: Option<i64>,
    /// The session's own choice between a persistent cookie and a browser-session cookie.
    pub(crate) remember: Option<bool>,
}

impl Content {
    /// A session is empty when it has no data, no principal and no lifetime of its own.
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.principal.is_none() && self.lifetime.is_none()
    }
}

/// Why a session gets a new ID; it decides what late requests with the old one may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Same privileges: late requests are led to the successor.
    Cycle,
    /// New privileges: late requests are superseded.
    Login,
}

/// A content with the log replayed over it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) content: Content,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) invalidated: bool,
    /// A login is part of the log, and nothing later took it back.
    pub(crate) login: bool,
}

impl View {
    pub(crate) fn of(content: Content) -> Self {
        Self { content, ..Self::default() }
    }

    /// Replays a whole log, in order.
    pub(crate) fn replay(mut self, log: &[Op]) -> Result<Self, Error> {
        for op in log {
            self.apply(op)?;
        }
        Ok(self)
    }

    /// Applies one operation. Only an `update` can fail: its closure met a value of another type, or panicked.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<(), Error> {
        let content = &mut self.content;
        match op {
            Op::Insert(key, value) => {
                content.data.insert(key.clone(), value.clone());
            }
            Op::Remove(key) => {
                content.data.remove(key);
            }
            Op::Take(key, slot) => *slot.lock() = content.data.remove(key),
            Op::Clear => {
                *content = Content { remember: content.remember, ..Content::default() };
                self.login = false;
            }
            Op::Update(key, update) => {
                let value = catch_unwind(AssertUnwindSafe(|| update(content.data.get(key))))
                    .unwrap_or_else(|_| Err(Error::UpdatePanicked { key: key.clone() }))?;
                content.data.insert(key.clone(), value);
            }
            Op::Login(principal) => {
                // Another user's data must not become this one's.
                if content.principal.as_ref().is_some_and(|former| former != principal) {
                    *content = Content::default();
                }
                content.principal = Some(principal.clone());
                self.rotation = Some(Rotation::Login);
                self.login = true;
            }
            Op::Cycle => self.rotation = self.rotation.or(Some(Rotation::Cycle)),
            Op::Invalidate => *self = Self { invalidated: true, ..Self::default() },
            Op::SetTtl(lifetime) => content.lifetime = *lifetime,
            Op::Remember(remember) => content.remember = Some(*remember),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replayed(base: Content, log: &[Op]) -> View {
        View::of(base).replay(log).expect("no update fails")
    }

    fn user(name: &str) -> Content {
        Content { data: Map::from_iter([("k".into(), json!(1))]), principal: Some(name.into()), ..Content::default() }
    }

    #[test]
    fn login_then_invalidate_is_not_invalidate_then_login() {
        let out = replayed(user("ann"), &[Op::Login("ann".into()), Op::Invalidate]);
        assert!(out.invalidated && !out.login && out.rotation.is_none() && out.content.is_empty());

        let back = replayed(user("ann"), &[Op::Invalidate, Op::Login("ann".into())]);
        assert!(back.invalidated && back.login && back.content.data.is_empty());
        assert_eq!(back.content.principal.as_deref(), Some("ann"));
    }

    #[test]
    fn a_login_keeps_a_visitors_data_and_drops_another_users() {
        let visitor = Content { principal: None, ..user("") };
        assert_eq!(replayed(visitor, &[Op::Login("ann".into())]).content.data.len(), 1);
        assert_eq!(replayed(user("ann"), &[Op::Login("ann".into())]).content.data.len(), 1);
        assert_eq!(replayed(user("eve"), &[Op::Login("ann".into())]).content.data.len(), 0);
    }

    #[test]
    fn a_cycle_does_not_weaken_a_login() {
        for log in [[Op::Login("ann".into()), Op::Cycle], [Op::Cycle, Op::Login("ann".into())]] {
            assert_eq!(replayed(user("ann"), &log).rotation, Some(Rotation::Login));
        }
    }

    #[test]
    fn clear_empties_a_logged_in_session() {
        assert!(replayed(user("ann"), &[Op::SetTtl(Some(60)), Op::Clear]).content.is_empty());
    }

    #[test]
    fn an_update_that_panics_is_an_error_and_names_its_key() {
        let update: UpdateFn = Arc::new(|_| panic!("a bug"));
        let error = View::default().replay(&[Op::Update("n".into(), update)]).expect_err("it panicked");
        assert_eq!(error.to_string(), "the update of `n` panicked when it was replayed; nothing was stored");
    }
}
