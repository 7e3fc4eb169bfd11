//! What changes while a request runs: its session's state, and what of it the client is told.

use std::sync::Arc;

use parking_lot::MutexGuard;
use tokio::task::JoinHandle;

use crate::domain::batch::Batch;
use crate::domain::codec::Codec;
use crate::domain::id::{Handle, SessionId};
use crate::domain::log::{Entry, Holder, Op};
use crate::domain::plan::{Means, Plan, plan};
use crate::domain::state::{Origin, Replay, State};
use crate::domain::view::View;
use crate::error::Error;
use crate::session::ending::waste::Waste;
use crate::session::ending::watch::{Outcome, Watches};
use crate::store::Store;
use crate::store::commit::outcome::{Committed, Failed, Telling};
use crate::store::place::{Loaded, Place};
use crate::store::row::Stored;

/// What the client is to be told when the head is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Nothing,
    Set { id: SessionId, until: Option<i64> },
    Remove,
}

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The response is not made yet.
    Open,
    /// The last commit before the head is under way: what it does not take along cannot be told any more.
    Finishing,
    /// The head was sent, or never will be.
    Closed,
}

/// The parts of an ending, behind its lock.
pub(super) struct Cell {
    pub(super) state: State,
    place: Place,
    /// The ID that the client holds, or will hold when it has read the response.
    pub(super) id: Option<SessionId>,
    pub(super) told: Told,
    pub(super) phase: Phase,
    /// A commit is under way.
    in_flight: bool,
    regrets: Vec<Regret>,
    pub(super) watches: Watches,
    /// The handle of a session of this request that an administrator has ended.
    revoked: Option<Handle>,
    pub(super) renew: bool,
    pub(super) holders: Holders,
    /// A flush will come a second after the first change that waits for it.
    pub(super) timer: bool,
    pub(super) late: Option<JoinHandle<()>>,
    /// Why the store could not be asked, in a session that goes on without it.
    pub(super) outage: Option<Error>,
}

/// What was taken back while a commit was under way that has it along.
enum Regret {
    Number(u64),
    Holder(Holder),
    All,
}

/// The handles of a session.
#[derive(Default)]
pub(super) struct Holders {
    next: Holder,
    pub(super) count: u32,
    /// Those that are clones: after the response they are in a task or a stream.
    clones: Vec<Holder>,
}

impl Holders {
    pub(super) fn add(&mut self, clone: bool) -> Holder {
        self.next += 1;
        self.count += 1;
        if clone {
            self.clones.push(self.next);
        }
        self.next
    }

    pub(super) fn remove(&mut self, holder: Holder) {
        self.count -= 1;
        self.clones.retain(|clone| *clone != holder);
    }
}

impl Cell {
    pub(super) fn new(
        id: Option<SessionId>,
        loaded: Loaded,
        codec: Codec,
        phase: Phase,
        outage: Option<Error>,
    ) -> Self {
        Self {
            state: State::new(loaded.origin, codec),
            place: loaded.place,
            id,
            told: Told::Nothing,
            phase,
            in_flight: false,
            regrets: Vec::new(),
            watches: Watches::default(),
            revoked: None,
            renew: true,
            holders: Holders::default(),
            timer: false,
            late: None,
            outage,
        }
    }

    fn means(&self) -> Means {
        Means { tell: self.phase != Phase::Closed, renew: self.renew }
    }

    /// Where a commit starts from.
    pub(super) fn at(&self) -> (Loaded, Means) {
        (Loaded { origin: self.state.origin().clone(), place: self.place.clone() }, self.means())
    }

    pub(super) fn has_key(&self) -> bool {
        self.place.key.is_some()
    }

    /// Whether a commit would do something: operations wait, or a refresh is due.
    pub(super) fn has_work(&self, store: &Store) -> bool {
        self.state.has_log() || self.is_due(store)
    }

    fn is_due(&self, store: &Store) -> bool {
        let Origin::Live { .. } = self.state.origin() else { return false };
        let (policy, now) = (&store.settings.policy, store.now().timestamp());
        matches!(plan(self.state.origin(), self.state.view(), self.means(), policy, now), Plan::Touch(_))
    }

    /// Whether an operation may be appended: `Ok(false)` where it would mean nothing.
    pub(super) fn allows(&self, op: &Op) -> Result<bool, Error> {
        if *self.state.origin() == Origin::Unavailable {
            return match op {
                Op::Invalidate => Ok(true),
                // What was not loaded cannot be emptied.
                Op::Remove(_) | Op::Clear | Op::Remember(_) => Ok(false),
                _ => Err(self.outage.clone().unwrap_or(Error::HeadSent)),
            };
        }
        let untold = match op {
            _ if self.phase == Phase::Open => false,
            Op::Login(_) | Op::Cycle => true,
            Op::Insert(..) | Op::Update(_) | Op::Take(..) | Op::SetTtl(_) => self.state.may_need_row(),
            Op::Remove(_) | Op::Clear | Op::Invalidate | Op::Remember(_) | Op::Refuse(_) => false,
        };
        if untold { Err(Error::HeadSent) } else { Ok(true) }
    }

    /// Begins a commit; the first plan needs no replay where the view is that of the batch.
    pub(super) fn begin(&mut self) -> (Arc<Batch>, Option<Arc<View>>) {
        let view = self.state.whole_view();
        self.in_flight = true;
        (self.state.batch(), view)
    }

    /// Takes over how a commit ended.
    pub(super) fn committed(&mut self, committed: Committed) -> Waste {
        let Committed { loaded, telling, new_id, used, dropped, .. } = committed;
        self.in_flight = false;
        if new_id.is_some() {
            self.id = new_id;
        }
        self.told = match (telling, self.id) {
            (Telling::Keep, _) => self.told.clone(),
            (Telling::Set { until }, Some(id)) => Told::Set { id, until },
            (Telling::Remove, _) => Told::Remove,
            (Telling::Silence | Telling::Set { .. }, _) => Told::Nothing,
        };
        self.place = loaded.place;
        self.regrets.clear();
        let batch = self.state.committed(loaded.origin, used);
        self.end_if_revoked();
        let outcome = if dropped { Outcome::Dropped } else { Outcome::Stored };
        self.watches.tell(batch.iter().flat_map(|batch| batch.entries.iter().map(|entry| entry.number)), &outcome);
        Waste { batches: batch.into_iter().collect(), ..Waste::default() }
    }

    /// An administrator has ended the session of this handle. A commit under way may have been before it.
    pub(super) fn revoked(&mut self, handle: &Handle) {
        self.revoked = Some(handle.clone());
        if !self.in_flight {
            self.end_if_revoked();
        }
    }

    fn end_if_revoked(&mut self) {
        let handle = self.place.row.as_ref().map(|row| row.handle.handle());
        if handle.is_some() && handle == self.revoked && matches!(self.state.origin(), Origin::Live { .. }) {
            self.told = Told::Nothing;
            self.place.row = None;
            self.state.rebase(Origin::Gone { trail: false });
        }
    }

    /// The row of the session as it was last seen.
    pub(super) fn row(&self) -> Option<Arc<Stored>> {
        let live = matches!(self.state.origin(), Origin::Live { .. }) && !self.state.view().invalidated;
        self.place.row.clone().filter(|_| live)
    }

    /// Takes over that a commit failed. What was taken back while it was under way is taken back now.
    pub(super) fn failed(&mut self, batch: &Batch, failed: &Failed) -> Waste {
        self.in_flight = false;
        self.state.failed(batch, failed.candidate, failed.attempted);
        self.end_if_revoked();
        let mut waste = Waste::default();
        for regret in std::mem::take(&mut self.regrets) {
            waste.add(match regret {
                Regret::Number(number) => self.withdraw(number),
                Regret::Holder(holder) => self.drop_of(holder),
                Regret::All => self.discard_all(),
            });
        }
        waste
    }

    /// Takes over what a reload found.
    pub(super) fn reloaded(&mut self, loaded: Loaded) {
        self.outage = None;
        // The ID that an earlier flush was to tell has ended, or is an older one by now.
        if loaded.origin.is_silent() {
            self.told = Told::Nothing;
        }
        self.place = loaded.place;
        self.state.rebase(loaded.origin);
        self.end_if_revoked();
    }

    fn retain(&mut self, error: &Error, keep: impl Fn(&Entry) -> bool) -> Waste {
        let (garbage, batch) = self.state.retain(self.in_flight, &keep);
        let lost = batch.iter().flat_map(|batch| batch.entries.iter().filter(|entry| !keep(entry)));
        let numbers = garbage.0.iter().chain(lost).map(|entry| entry.number);
        self.watches.tell(numbers, &Outcome::Lost(error.clone()));
        Waste { batches: batch.into_iter().collect(), ..garbage.into() }
    }

    /// What to replay where the view is stale.
    pub(super) fn replay(&self) -> Option<Replay> {
        self.state.replay(self.in_flight)
    }

    /// Remembers for a commit under way what is to be taken back if it fails.
    fn regret(&mut self, regret: Regret) {
        if self.in_flight {
            self.regrets.push(regret);
        }
    }

    /// Takes back one operation, where no commit has stored it.
    pub(super) fn withdraw(&mut self, number: u64) -> Waste {
        self.regret(Regret::Number(number));
        self.retain(&Error::Dropped, |entry| entry.number != number)
    }

    /// The holder panicked: what it changed is half done. A sign-out stands.
    pub(super) fn drop_of(&mut self, holder: Holder) -> Waste {
        self.regret(Regret::Holder(holder));
        self.retain(&Error::Dropped, |entry| entry.holder != holder || matches!(entry.op, Op::Invalidate))
    }

    /// The request failed: what it changed goes, but a sign-out, and what a task or a stream of its own changed.
    pub(super) fn discard(&mut self) -> Waste {
        let clones = self.holders.clones.clone();
        let waste =
            self.retain(&Error::Dropped, |entry| matches!(entry.op, Op::Invalidate) || clones.contains(&entry.holder));
        if !self.in_flight {
            self.state.only_look();
        }
        waste
    }

    /// Nobody will hear of the session: all goes but a sign-out.
    pub(super) fn discard_all(&mut self) -> Waste {
        self.regret(Regret::All);
        let mut waste = self.retain(&Error::Dropped, |entry| matches!(entry.op, Op::Invalidate));
        if !self.in_flight && self.state.sent().is_some_and(|batch| batch.entries.is_empty()) {
            waste.batches.extend(self.state.give_up());
        }
        waste
    }

    /// Gives up what a failed commit took along, and nothing that was appended since.
    pub(super) fn give_up(&mut self, until: u64, error: &Error) -> Waste {
        let mut waste = self.retain(error, |entry| entry.number >= until);
        let batch = self.state.give_up();
        let numbers = batch.iter().flat_map(|batch| batch.entries.iter().map(|entry| entry.number));
        self.watches.tell(numbers, &Outcome::Lost(error.clone()));
        waste.batches.extend(batch);
        waste
    }

    /// The ID of the row that the session has, or will have.
    pub(super) fn current_id(&mut self) -> Option<SessionId> {
        match self.state.origin() {
            _ if self.state.wants_new_id() => Some(self.state.candidate()),
            Origin::Live { .. } if !self.state.view().invalidated => self.id,
            _ => None,
        }
    }

    /// What names the session that there is, or will be.
    pub(super) fn handle(&mut self, store: &Store) -> Option<Handle> {
        let born = || self.place.row.as_ref().map(|row| row.handle.handle());
        match self.state.origin() {
            _ if self.state.wants_new_id() && !self.state.keeps_handle() => {
                Some(store.row_key(&self.state.candidate()).handle())
            }
            Origin::Live { .. } if !self.state.view().invalidated => born(),
            _ => None,
        }
    }
}

/// The lock of a cell, held.
pub(super) type Held<'a> = MutexGuard<'a, Cell>;
