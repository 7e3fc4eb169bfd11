//! A session as one request sees it: what was loaded, and the log of operations over it.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::id::{SessionId, Token};
use crate::domain::log::{Content, Op, UpdateFn, View};

/// A live row, decoded. Times are seconds since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) content: Content,
    /// When the absolute clock started: the creation or the login.
    pub(crate) started: i64,
    /// When the row expires.
    pub(crate) ttl: i64,
    /// When the last cookie that was sent expires; `None` where none was, or it lives as long as the browser.
    pub(crate) cookie: Option<i64>,
}

/// Where a state comes from: what the last look at the table found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// No row: no ID, an unknown or an expired one. `trail`: an expired tombstone still names a successor.
    Fresh { trail: bool },
    /// A live row. `led`: reached over the tombstone of a cycle, so the client holds another ID.
    Live { snapshot: Arc<Snapshot>, led: bool },
    /// A login gave the session another ID, which this client does not hold.
    Superseded,
    /// There was a row, and it ended.
    /// `trail`: an expired tombstone still names a successor.
    Gone { trail: bool },
    /// A row that cannot be decoded.
    Undecodable,
    /// The store could not be asked, and the configuration says to go on without.
    Unavailable,
}

impl Snapshot {
    /// A session without anything in it.
    pub(crate) fn empty() -> Self {
        Self { content: Content::default(), started: 0, ttl: 0, cookie: None }
    }
}

impl Origin {
    pub(crate) const FRESH: Self = Self::Fresh { trail: false };

    pub(crate) fn base(&self) -> Content {
        match self {
            Self::Live { snapshot, .. } => snapshot.content.clone(),
            _ => Content::default(),
        }
    }
}

/// A prefix of the log whose commit failed with an unknown outcome: it is repeated as it was, under the same token.
#[derive(Clone, Copy, Debug)]
struct Pending {
    len: usize,
    token: Token,
}

/// The origin and the log over it. A mutator appends one operation and does nothing else.
#[derive(Debug)]
pub(crate) struct State {
    origin: Origin,
    log: Vec<Op>,
    view: View,
    /// The ID that the next new row gets.
    candidate: Option<SessionId>,
    pending: Option<Pending>,
    revision: u64,
}

/// What one commit takes along: it stays as it is while the request goes on appending.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) origin: Origin,
    pub(crate) log: Vec<Op>,
    pub(crate) token: Token,
    pub(crate) candidate: SessionId,
}

impl State {
    pub(crate) fn new(origin: Origin) -> Self {
        let view = View::of(origin.base());
        Self { origin, log: Vec::new(), view, candidate: None, pending: None, revision: 0 }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The snapshot with the log replayed over it.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// Counts the changes of the view, so that an `update` can tell whether it ran on what is still there.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn push(&mut self, op: Op) {
        // The closure of an `update` has run already, without the lock; see `push_update`.
        self.view.apply(&op).expect("only an update fails");
        self.append(op);
    }

    /// Appends an `update` whose closure gave `value` for the value that is in the view.
    pub(crate) fn push_update(&mut self, key: String, value: Value, update: UpdateFn) {
        self.view.content.data.insert(key.clone(), value);
        self.append(Op::Update(key, update));
    }

    fn append(&mut self, op: Op) {
        self.log.push(op);
        self.revision += 1;
    }

    /// Whether the view names a session under another ID than the row that was loaded.
    pub(crate) fn wants_new_id(&self) -> bool {
        let starts = match self.origin {
            Origin::Live { .. } => self.view.rotation.is_some() || self.view.invalidated,
            Origin::Superseded | Origin::Gone { trail: true } => self.view.login || self.view.invalidated,
            Origin::Gone { trail: false } => self.view.login,
            Origin::Unavailable => false,
            Origin::Fresh { .. } | Origin::Undecodable => true,
        };
        starts && !self.view.content.is_empty()
    }

    /// The ID of the next new row; it stays the same until that row is stored.
    pub(crate) fn candidate(&mut self) -> SessionId {
        *self.candidate.get_or_insert_with(SessionId::random)
    }

    /// Keeps nothing of the log but an `invalidate`.
    pub(crate) fn discard(&mut self) {
        let invalidated = self.view.invalidated;
        self.log.clear();
        self.pending = None;
        self.view = View::of(self.origin.base());
        self.revision += 1;
        if invalidated {
            self.push(Op::Invalidate);
        }
    }

    /// Keeps nothing of the log: the client was told that it failed.
    pub(crate) fn discard_all(&mut self) {
        self.discard();
        self.log.clear();
        self.view = View::of(self.origin.base());
    }

    /// A commit failed. Where it may have been applied it is repeated as it was; else the log may go on growing.
    pub(crate) fn failed(&mut self, may_be_applied: bool) {
        if !may_be_applied {
            self.pending = None;
        }
    }

    /// Starts a commit: the whole log, or the prefix whose earlier commit may have been applied.
    pub(crate) fn batch(&mut self) -> Batch {
        let len = self.log.len();
        let pending = *self.pending.get_or_insert_with(|| Pending { len, token: Token::random() });
        let log = self.log[..pending.len].to_vec();
        Batch { origin: self.origin.clone(), log, token: pending.token, candidate: self.candidate() }
    }

    /// What is left of the log when a commit has ended, or all of it where `ended` is false; with the revision.
    pub(crate) fn rest(&self, ended: bool) -> (Vec<Op>, u64) {
        let from = self.pending.filter(|_| ended).map_or(0, |pending| pending.len);
        (self.log[from..].to_vec(), self.revision)
    }

    /// Takes `origin` as the new base under `view`, the rest of the log replayed over it. Answers false, and does nothing,
    /// when the log has grown since the rest was read: closures run without the lock.
    pub(crate) fn rebase(&mut self, origin: &Origin, view: View, ended: Option<End>, revision: u64) -> bool {
        if revision != self.revision {
            return false;
        }
        if let Some(end) = ended {
            let pending = self.pending.take();
            self.log.drain(..pending.map_or(0, |pending| pending.len));
            if end.candidate_used {
                self.candidate = None;
            }
        }
        self.origin = origin.clone();
        self.view = view;
        self.revision += 1;
        true
    }
}

/// How a commit ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// A row was created under the candidate, so the next new row needs another.
    pub(crate) candidate_used: bool,
}

/// The view of a log over an origin. An update that fails there fails its commit; until then the view is without the log.
pub(crate) fn view_of(origin: &Origin, log: &[Op]) -> View {
    let base = View::of(origin.base());
    base.clone().replay(log).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn insert(key: &str) -> Op {
        Op::Insert(key.into(), json!(1))
    }

    fn live(keys: &[&str]) -> Origin {
        let data = keys.iter().map(|key| ((*key).to_owned(), json!(1))).collect();
        let content = Content { data, ..Content::default() };
        Origin::Live { snapshot: Arc::new(Snapshot { content, started: 0, ttl: 9, cookie: None }), led: false }
    }

    fn end(state: &mut State, origin: &Origin) -> bool {
        let (rest, revision) = state.rest(true);
        state.rebase(origin, view_of(origin, &rest), Some(End { candidate_used: true }), revision)
    }

    #[test]
    fn a_repeated_commit_has_the_same_token_and_the_same_operations() {
        let mut state = State::new(Origin::FRESH);
        state.push(insert("a"));
        let first = state.batch();
        state.push(insert("b"));
        let again = state.batch();
        assert_eq!((first.token, first.log.len(), first.candidate), (again.token, again.log.len(), again.candidate));

        assert!(end(&mut state, &live(&["a"])));
        let next = state.batch();
        assert_ne!(next.token, first.token);
        assert_ne!(next.candidate, first.candidate);
        assert!(matches!(&next.log[..], [Op::Insert(key, _)] if key == "b"));
    }

    #[test]
    fn an_operation_appended_during_a_commit_is_kept() {
        let mut state = State::new(Origin::FRESH);
        state.push(insert("a"));
        state.batch();
        let (rest, revision) = state.rest(true);
        state.push(insert("b"));
        let stored = live(&["a"]);
        assert!(!state.rebase(&stored, view_of(&stored, &rest), Some(End { candidate_used: true }), revision));
        assert!(end(&mut state, &stored));
        assert_eq!(state.view().content.data.len(), 2);
        assert!(state.has_log());
    }

    #[test]
    fn discarding_keeps_the_sign_out_alone() {
        let mut state = State::new(live(&["a"]));
        state.push(Op::Invalidate);
        state.push(insert("flash"));
        state.discard();
        assert!(state.view().invalidated && state.view().content.is_empty());
        let mut state = State::new(live(&["a"]));
        state.push(insert("b"));
        state.discard();
        assert!(!state.has_log());
        assert_eq!(state.view().content.data.len(), 1);
    }

    #[test]
    fn a_new_id_is_wanted_where_a_new_row_will_be() {
        let wants = |origin: Origin, log: &[Op]| {
            let mut state = State::new(origin);
            log.iter().for_each(|op| state.push(op.clone()));
            state.wants_new_id()
        };
        assert!(!wants(Origin::FRESH, &[]));
        assert!(wants(Origin::FRESH, &[insert("a")]));
        assert!(!wants(live(&["a"]), &[insert("b")]));
        assert!(wants(live(&["a"]), &[Op::Cycle]));
        assert!(!wants(live(&["a"]), &[Op::Invalidate]));
        assert!(wants(live(&["a"]), &[Op::Invalidate, insert("flash")]));
        assert!(!wants(Origin::Superseded, &[insert("a")]));
        assert!(wants(Origin::Superseded, &[Op::Login("ann".into())]));
    }
}
