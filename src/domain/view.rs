//! What a session looks like: a snapshot with the log over it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::data::{Changes, Data};
use crate::domain::life::Life;
use crate::domain::log::{Entry, Op};
use crate::domain::snapshot::Snapshot;
use crate::domain::text::Text;
use crate::domain::value::Value;
use crate::error::Error;

/// Why a session gets a new ID; it decides what late requests with the old one may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Same privileges: late requests are led to the successor.
    Cycle,
    /// New privileges: late requests are superseded.
    Login,
}

/// A snapshot with operations over it. The snapshot is shared: what was not changed is not copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    base: Option<Arc<Snapshot>>,
    /// The snapshot's data does not show through any more.
    cleared: bool,
    changes: Changes,
    pub(crate) principal: Option<Arc<str>>,
    pub(crate) lifetime: Option<i64>,
    pub(crate) remember: Option<bool>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) invalidated: bool,
    /// A login is part of the log, and nothing later took it back.
    pub(crate) login: bool,
}

impl View {
    pub(crate) fn of(base: Option<&Arc<Snapshot>>) -> Self {
        let Some(base) = base else { return Self::default() };
        Self {
            principal: base.principal.clone(),
            lifetime: base.lifetime,
            remember: base.remember,
            base: Some(base.clone()),
            ..Self::default()
        }
    }

    /// Replays operations, in order. Closures may run: no lock may be held. What can fail is an `update`, whose
    /// closure met a value of another type, or panicked, and a change that cannot be made.
    pub(crate) fn replay(mut self, log: &[Entry]) -> Result<Self, Error> {
        for entry in counting(log) {
            self.redo(&entry.op)?;
        }
        Ok(self)
    }

    /// Replays what can be replayed, for who only looks, and says whether that was all: an `update` that fails will fail
    /// the commit.
    pub(crate) fn show(mut self, log: &[Entry]) -> (Self, bool) {
        let failed = counting(log).filter(|entry| self.redo(&entry.op).is_err()).count();
        (self, failed == 0)
    }

    /// As they were done: no closure runs, and nothing is left in a slot. For a look while a commit is under way, which
    /// replays them elsewhere.
    pub(crate) fn recall(mut self, log: &[Entry]) -> Self {
        for entry in log {
            match &entry.op {
                Op::Take(key, _) => self.remove(key),
                op => self.apply(op),
            }
        }
        self
    }

    fn redo(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::Update(update) => {
                let value = update.over(self.get(&update.key))?;
                self.changes.insert(update.key.clone(), Some(value));
            }
            Op::Refuse(error) => return Err(error.clone()),
            op => self.apply(op),
        }
        Ok(())
    }

    /// Applies an operation that was done on this very view: no closure runs.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert(key, value) => {
                self.changes.insert(key.clone(), Some(value.clone()));
            }
            Op::Update(update) => {
                self.changes.insert(update.key.clone(), Some(update.answer()));
            }
            Op::Refuse(_) => {}
            Op::Remove(key) => self.remove(key),
            Op::Take(key, slot) => {
                *slot.lock() = self.get(key).cloned();
                self.remove(key);
            }
            Op::Clear => {
                self.clear();
                self.login = false;
            }
            Op::Login(principal) => {
                // Another user's data must not become this one's.
                if self.principal.as_ref().is_some_and(|former| former != principal) {
                    self.clear();
                }
                // A login starts a life: what was chosen for the one before it is over.
                (self.lifetime, self.remember) = (None, None);
                self.principal = Some(principal.clone());
                self.rotation = Some(Rotation::Login);
                self.login = true;
            }
            Op::Cycle => self.rotation = self.rotation.or(Some(Rotation::Cycle)),
            Op::Invalidate => *self = Self { invalidated: true, ..Self::default() },
            Op::SetTtl(lifetime) => self.lifetime = *lifetime,
            Op::Remember(remember) => self.remember = Some(*remember),
        }
    }

    /// What its lifetimes go by.
    pub(crate) fn life(&self) -> Life {
        Life { signed_in: self.principal.is_some(), remember: self.remember, own: self.lifetime }
    }

    /// Whether this request has taken everything away that it found.
    pub(crate) fn is_emptied(&self) -> bool {
        self.cleared || self.invalidated
    }

    fn clear(&mut self) {
        self.cleared = true;
        self.changes.clear();
        self.principal = None;
        self.lifetime = None;
    }

    fn remove(&mut self, key: &Text) {
        self.changes.insert(key.clone(), None);
    }

    fn below(&self) -> Option<&Data> {
        self.base.as_ref().filter(|_| !self.cleared).map(|base| &base.data)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.below()?.get(key),
        }
    }

    /// The keys in alphabetical order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: BTreeSet<&str> = self.below().into_iter().flat_map(Data::iter).map(|(key, _)| &**key).collect();
        for (key, changed) in &self.changes {
            if changed.is_some() {
                keys.insert(key)
            } else {
                keys.remove(&**key)
            };
        }
        keys.into_iter().map(str::to_owned).collect()
    }

    fn has_data(&self) -> bool {
        let kept = |data: &Data| data.iter().any(|(key, _)| !self.changes.contains_key(key));
        self.changes.values().any(Option::is_some) || self.below().is_some_and(kept)
    }

    /// A session is empty when it has no data, no principal and no lifetime of its own.
    pub(crate) fn is_empty(&self) -> bool {
        self.principal.is_none() && self.lifetime.is_none() && !self.has_data()
    }

    /// Whether something is to be written, or would be if there were a row.
    pub(crate) fn is_changed(&self) -> bool {
        self.rotation.is_some() || self.is_content_changed()
    }

    /// Whether the session holds something else than the snapshot: an equal value is no change.
    pub(crate) fn is_content_changed(&self) -> bool {
        let Some(base) = &self.base else { return self.remember.is_some() || !self.is_empty() };
        (&self.principal, self.lifetime, self.remember) != (&base.principal, base.lifetime, base.remember)
            || self.is_data_changed()
    }

    /// Whether the data differs from the snapshot's.
    pub(crate) fn is_data_changed(&self) -> bool {
        let Some(base) = &self.base else { return self.has_data() };
        if self.cleared {
            return self.data() != base.data;
        }
        self.changes.iter().any(|(key, changed)| changed.as_ref() != base.data.get(key))
    }

    /// The data as it is to be stored.
    pub(crate) fn data(&self) -> Data {
        match self.below() {
            Some(data) => data.merged(&self.changes),
            None => Data::default().merged(&self.changes),
        }
    }
}

/// The operations that count: of what an `invalidate` leaves nothing, nothing can keep it from being carried out.
fn counting(log: &[Entry]) -> impl Iterator<Item = &Entry> {
    let from = log.iter().rposition(|entry| matches!(entry.op, Op::Invalidate)).unwrap_or(0);
    let void = |op: &Op| matches!(op, Op::Update(_) | Op::Refuse(_));
    log.iter().enumerate().filter(move |(at, entry)| *at >= from || !void(&entry.op)).map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::codec::Codec;

    fn value(number: u64) -> Value {
        Value::encode(Codec::Json, &number).expect("a number")
    }

    fn insert(key: &str, number: u64) -> Op {
        Op::Insert(Text::from(key), value(number))
    }

    fn user(name: &str) -> Arc<Snapshot> {
        let data = Data::new(vec![(Text::from("k"), value(1))]);
        let principal = Some(name).filter(|name| !name.is_empty()).map(Arc::from);
        Arc::new(Snapshot {
            codec: Codec::Json,
            data,
            principal,
            lifetime: None,
            remember: None,
            started: 0,
            ttl: 9,
            cookie: None,
        })
    }

    fn view(base: &Arc<Snapshot>, log: &[Op]) -> View {
        let mut view = View::of(Some(base));
        log.iter().for_each(|op| view.apply(op));
        view
    }

    #[test]
    fn login_then_invalidate_is_not_invalidate_then_login() {
        let out = view(&user("ann"), &[Op::Login("ann".into()), Op::Invalidate]);
        assert!(out.invalidated && !out.login && out.rotation.is_none() && out.is_empty());

        let back = view(&user("ann"), &[Op::Invalidate, Op::Login("ann".into())]);
        assert!(back.invalidated && back.login && back.keys().is_empty());
        assert_eq!(back.principal.as_deref(), Some("ann"));
    }

    #[test]
    fn what_cannot_be_stored_keeps_no_invalidate_back() {
        let entry = |op: Op, number: u64| Entry { op, holder: 0, number };
        let log = [entry(Op::Refuse(Error::HeadSent), 0), entry(Op::Invalidate, 1), entry(insert("a", 1), 2)];
        let view = View::of(Some(&user("ann"))).replay(&log).expect("the refused change is void");
        assert!(view.invalidated && view.keys() == ["a"]);
        let log = [entry(Op::Invalidate, 0), entry(Op::Refuse(Error::HeadSent), 1)];
        assert!(View::of(Some(&user("ann"))).replay(&log).is_err());
        assert!(!View::of(Some(&user("ann"))).show(&log).1);
    }

    #[test]
    fn a_login_keeps_a_visitors_data_and_drops_another_users() {
        for (former, kept) in [("", 1), ("ann", 1), ("eve", 0)] {
            assert_eq!(view(&user(former), &[Op::Login("ann".into())]).keys().len(), kept, "{former}");
        }
    }

    #[test]
    fn a_login_takes_back_the_lifetime_and_the_choice_of_before_and_none_of_after() {
        let ann = || Op::Login("ann".into());
        let (short, forget) = (|| Op::SetTtl(Some(60)), || Op::Remember(false));
        for former in ["", "ann", "eve"] {
            let base = Arc::new(Snapshot { lifetime: Some(5), remember: Some(true), ..(*user(former)).clone() });
            let after = |log: &[Op]| {
                let view = view(&base, log);
                (view.lifetime, view.remember)
            };
            assert_eq!(after(&[ann()]), (None, None), "{former}");
            assert_eq!(after(&[short(), forget(), ann()]), (None, None), "{former}");
            assert_eq!(after(&[ann(), short(), forget()]), (Some(60), Some(false)), "{former}");
            assert_eq!(after(&[Op::Cycle]), (Some(5), Some(true)), "{former}");
        }
    }

    #[test]
    fn a_cycle_does_not_weaken_a_login() {
        for log in [[Op::Login("ann".into()), Op::Cycle], [Op::Cycle, Op::Login("ann".into())]] {
            assert_eq!(view(&user("ann"), &log).rotation, Some(Rotation::Login));
        }
    }

    #[test]
    fn clear_empties_a_logged_in_session() {
        let cleared = view(&user("ann"), &[Op::SetTtl(Some(60)), Op::Clear]);
        assert!(cleared.is_empty() && cleared.is_changed());
    }

    #[test]
    fn an_equal_value_is_no_change() {
        let base = user("ann");
        let remove = |key: &str| Op::Remove(Text::from(key));
        for log in [vec![], vec![insert("k", 1)], vec![remove("no")], vec![remove("k"), insert("k", 1)]] {
            assert!(!view(&base, &log).is_changed(), "{log:?}");
        }
        let ann = || Op::Login("ann".into());
        for log in [vec![insert("k", 2)], vec![insert("b", 1)], vec![remove("k")], vec![Op::Clear], vec![ann()]] {
            assert!(view(&base, &log).is_changed(), "{log:?}");
        }
    }

    #[test]
    fn the_keys_are_those_that_show() {
        let log = [insert("b", 1), insert("a", 1), Op::Remove(Text::from("k"))];
        assert_eq!(view(&user("ann"), &log).keys(), ["a", "b"]);
        assert!(view(&user(""), &[Op::Remove(Text::from("k"))]).is_empty());
    }
}
