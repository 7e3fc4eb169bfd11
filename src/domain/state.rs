//! A session as one request sees it: what the last look at the table found, the log over it, and the commit under way.

use std::sync::Arc;

use crate::domain::batch::{Attempted, Batch};
use crate::domain::codec::Codec;
use crate::domain::id::SessionId;
use crate::domain::log::{Entry, Garbage, Holder, Log, Op};
use crate::domain::settle::Before;
use crate::domain::snapshot::Snapshot;
use crate::domain::token::Token;
use crate::domain::view::{Rotation, View};

/// Where a state comes from: what the last look at the table found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// No row: no ID, an unknown or an expired one. `trail`: an expired tombstone still names a successor.
    Fresh { trail: bool },
    /// A live row. `led`: reached over the tombstone of a cycle, so the client holds another ID.
    Live { snapshot: Arc<Snapshot>, led: bool },
    /// A login gave the session another ID, which this client does not hold.
    Superseded,
    /// There was a row, and it ended. `trail`: an expired tombstone still names a successor.
    Gone { trail: bool },
    /// This request ended the session; what it goes on to store is another one.
    OwnEnd,
    /// A row that cannot be decoded.
    Undecodable,
    /// The store could not be asked, and the configuration says to go on without.
    Unavailable,
}

impl Origin {
    pub(crate) const FRESH: Self = Self::Fresh { trail: false };

    pub(crate) fn base(&self) -> Option<&Arc<Snapshot>> {
        match self {
            Self::Live { snapshot, .. } => Some(snapshot),
            _ => None,
        }
    }

    pub(crate) fn is_led(&self) -> bool {
        matches!(self, Self::Live { led: true, .. })
    }

    /// Whether the request may not say a word of its session: it is not the one that holds it.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Superseded | Self::Gone { .. } | Self::Live { led: true, .. })
    }

    /// How the table of transitions calls it.
    pub(crate) fn before(&self) -> Before {
        match self {
            Self::Unavailable => Before::Load,
            Self::Live { .. } | Self::Undecodable | Self::Fresh { trail: false } => Before::Row,
            Self::Superseded | Self::Gone { .. } => Before::Over,
            Self::OwnEnd => Before::OwnEnd,
            Self::Fresh { trail: true } => Before::Trail,
        }
    }
}

/// The origin and the log over it. A mutator appends one operation and does nothing else.
#[derive(Debug)]
pub(crate) struct State {
    origin: Origin,
    log: Log,
    /// The batch of a commit under way, or of one that ended without an answer.
    sent: Option<Arc<Batch>>,
    /// What the request sees: origin, batch and log.
    view: Arc<View>,
    /// The view is of an older origin or log; the next reader replays.
    stale: bool,
    /// Not all operations are in the view: the commit, which fails by those that are not, replays for itself.
    partial: bool,
    revision: u64,
    candidate: Option<SessionId>,
    /// How values are encoded: as the row's, or as the configuration says.
    codec: Codec,
}

/// What a stale view is made anew of, where no lock is held.
pub(crate) struct Replay {
    base: Option<Arc<Snapshot>>,
    sent: Option<Arc<Batch>>,
    entries: Vec<Entry>,
    revision: u64,
    /// A commit is under way, and replays them over another row.
    in_flight: bool,
}

impl Replay {
    /// Replays; closures may run. Also says whether all of it could be replayed.
    pub(crate) fn view(&self) -> (View, bool) {
        let sent = self.sent.as_ref().map_or(&[][..], |batch| &batch.entries);
        if self.in_flight {
            return (View::of(self.base.as_ref()).recall(sent).recall(&self.entries), false);
        }
        let (view, whole) = View::of(self.base.as_ref()).show(sent);
        let (view, rest) = view.show(&self.entries);
        (view, whole && rest)
    }
}

impl State {
    pub(crate) fn new(origin: Origin, codec: Codec) -> Self {
        let codec = origin.base().map_or(codec, |base| base.codec);
        let view = Arc::new(View::of(origin.base()));
        Self {
            origin,
            log: Log::default(),
            sent: None,
            view,
            stale: false,
            partial: false,
            revision: 0,
            candidate: None,
            codec,
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether operations wait for a commit, or for the answer of one.
    pub(crate) fn has_log(&self) -> bool {
        !self.log.is_empty() || self.sent.is_some()
    }

    /// The batch of a commit that is under way or was not answered.
    pub(crate) fn sent(&self) -> Option<&Arc<Batch>> {
        self.sent.as_ref()
    }

    /// The number of the next operation.
    pub(crate) fn next(&self) -> u64 {
        self.log.next()
    }

    /// Whether an operation older than this number waits.
    pub(crate) fn has_before(&self, number: u64) -> bool {
        self.sent.is_some() || self.log.entries().first().is_some_and(|entry| entry.number < number)
    }

    /// Appends an operation that was done on the view as it is.
    pub(crate) fn push(&mut self, op: Op, holder: Holder) -> Garbage {
        Arc::make_mut(&mut self.view).apply(&op);
        self.partial |= matches!(op, Op::Refuse(_));
        self.revision += 1;
        self.log.push(op, holder)
    }

    /// What to replay where the view is stale.
    pub(crate) fn replay(&self, in_flight: bool) -> Option<Replay> {
        self.stale.then(|| Replay {
            base: self.origin.base().cloned(),
            sent: self.sent.clone(),
            entries: self.log.entries().to_vec(),
            revision: self.revision,
            in_flight,
        })
    }

    /// Takes the view that a replay gave, unless something was changed meanwhile.
    pub(crate) fn replayed(&mut self, replay: &Replay, (view, whole): (View, bool)) {
        if self.stale && self.revision == replay.revision {
            self.view = Arc::new(view);
            (self.stale, self.partial) = (false, !whole);
        }
    }

    /// The view of all operations, where it is that of a commit of them.
    pub(crate) fn whole_view(&self) -> Option<Arc<View>> {
        (self.sent.is_none() && !self.stale && !self.partial).then(|| self.view.clone())
    }

    /// The view is to be made anew: at once where nothing has to be replayed.
    fn renew_view(&mut self) {
        self.revision += 1;
        self.stale = self.has_log();
        if !self.stale {
            self.view = Arc::new(View::of(self.origin.base()));
            self.partial = false;
        }
    }

    /// Whether the view names a session under another ID than the row that was loaded.
    pub(crate) fn wants_new_id(&self) -> bool {
        let view = &self.view;
        let starts = match self.origin {
            Origin::Live { led, .. } => match view.rotation {
                Some(rotation) => !(led && rotation == Rotation::Cycle) || view.invalidated,
                None => view.invalidated,
            },
            Origin::Superseded | Origin::Gone { trail: true } => view.login || view.invalidated,
            Origin::Gone { trail: false } => view.login,
            Origin::Unavailable => false,
            Origin::Fresh { .. } | Origin::OwnEnd | Origin::Undecodable => true,
        };
        starts && !view.is_empty()
    }

    /// Whether the session keeps its handle under the new ID.
    pub(crate) fn keeps_handle(&self) -> bool {
        matches!(self.origin, Origin::Live { .. })
            && !self.view.invalidated
            && self.view.rotation == Some(Rotation::Cycle)
    }

    /// The ID of the next new row; it stays the same until that row is stored.
    pub(crate) fn candidate(&mut self) -> SessionId {
        *self.candidate.get_or_insert_with(SessionId::random)
    }

    /// Whether an operation that is appended once the head is out could need a new row, which nobody would be told of:
    /// there is no live row, or what is under way may end it.
    pub(crate) fn may_need_row(&self) -> bool {
        match self.origin {
            Origin::Live { .. } => self.view.invalidated || self.sent.as_ref().is_some_and(|batch| batch.ends),
            Origin::Superseded | Origin::Gone { .. } => self.view.invalidated,
            Origin::Fresh { .. } | Origin::OwnEnd | Origin::Undecodable | Origin::Unavailable => true,
        }
    }

    /// Starts a commit: of all operations, or of the batch whose earlier commit may have been applied.
    pub(crate) fn batch(&mut self) -> Arc<Batch> {
        if let Some(batch) = &self.sent {
            return batch.clone();
        }
        let candidate = self.candidate();
        let entries = self.log.take();
        let ends = self.view.invalidated || self.view.is_empty();
        let (token, codec) = (Token::random(), self.codec);
        let batch = Arc::new(Batch { entries, token, candidate, codec, attempted: None, given_up: false, ends });
        // A refresh alone has no token, and nothing to repeat.
        if !batch.entries.is_empty() {
            self.sent = Some(batch.clone());
        }
        batch
    }

    /// A commit failed. Where it may have been applied it is repeated as it was, under its token; else its operations are
    /// again like all others.
    pub(crate) fn failed(&mut self, batch: &Batch, candidate: SessionId, attempted: Option<Attempted>) {
        if self.sent.is_none() {
            return;
        }
        self.candidate = Some(candidate);
        let attempted = attempted.or(batch.attempted);
        if attempted.is_some() {
            self.sent = Some(Arc::new(Batch { candidate, attempted, ..batch.with(batch.entries.clone()) }));
        } else {
            self.sent = None;
            self.log.put_back(batch.entries.clone());
        }
        self.renew_view();
    }

    /// A commit ended: the rest of the log lies over `origin` now. `candidate_used`: there is a row under the candidate, so
    /// the next new row needs another.
    #[must_use = "a batch holds closures of the application's"]
    pub(crate) fn committed(&mut self, origin: Origin, candidate_used: bool) -> Option<Arc<Batch>> {
        let batch = self.sent.take();
        if candidate_used {
            self.candidate = None;
        }
        self.rebase(origin);
        batch
    }

    /// Takes another origin under the log.
    pub(crate) fn rebase(&mut self, origin: Origin) {
        if let Some(base) = origin.base() {
            self.codec = base.codec;
        }
        self.origin = origin;
        self.renew_view();
    }

    /// Keeps those operations that `keep` says, also of a batch whose commit was not answered; what is under way goes on.
    pub(crate) fn retain(&mut self, in_flight: bool, keep: impl Fn(&Entry) -> bool) -> (Garbage, Option<Arc<Batch>>) {
        let garbage = self.log.retain(&keep);
        let mut former = None;
        if let Some(batch) = self.sent.as_ref().filter(|batch| !in_flight && !batch.entries.iter().all(&keep)) {
            let kept = batch.with(batch.entries.iter().filter(|entry| keep(entry)).cloned().collect());
            former = self.sent.replace(Arc::new(kept));
        }
        if !garbage.0.is_empty() || former.is_some() {
            self.renew_view();
        }
        (garbage, former)
    }

    /// Gives up what a failed commit took along: its client is told that it failed.
    #[must_use = "a batch holds closures of the application's"]
    pub(crate) fn give_up(&mut self) -> Option<Arc<Batch>> {
        let batch = self.sent.take();
        self.renew_view();
        batch
    }

    /// A commit that was not answered, and of which nothing is left to do, is not repeated: it is only looked whether it
    /// was stored.
    pub(crate) fn only_look(&mut self) {
        if let Some(batch) = self.sent.as_ref().filter(|batch| batch.entries.is_empty()) {
            self.sent = Some(Arc::new(Batch { given_up: true, ..batch.with(Vec::new()) }));
        }
    }
}
