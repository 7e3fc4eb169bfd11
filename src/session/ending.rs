//! The flush: how a session's log reaches the table, at the response, when asked, and when the last holder drops.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

use crate::domain::id::{Handle, RowKey, SessionId};
use crate::domain::plan::{Means, Plan, plan};
use crate::domain::state::{End, Origin, State, view_of};
use crate::error::{Chain, Error};
use crate::operator::sessions::{Counters, Shared};
use crate::store::commit::{Committed, Telling};
use crate::store::{Budget, Loaded, Place};

/// What the client is to be told when the head is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Nothing,
    Set { id: SessionId, until: Option<i64> },
    Remove,
}

/// The session of one request, shared by all its holders.
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    cell: Mutex<Cell>,
    /// Commits of one session go one after the other.
    turn: tokio::sync::Mutex<()>,
    runtime: Runtime,
    number: u64,
}

/// What changes while the request runs.
pub(crate) struct Cell {
    pub(crate) state: State,
    place: Place,
    /// The ID that the client holds, or will hold when it has read the response.
    id: Option<SessionId>,
    told: Told,
    /// The head was sent, or never will be: what is changed from now on is flushed when the last holder drops.
    pub(crate) closed: bool,
    holders: usize,
    pub(crate) renew: bool,
    budget: Arc<Budget>,
    late: Option<JoinHandle<()>>,
    /// Why the store could not be asked, in a session that goes on without it.
    pub(crate) outage: Option<Error>,
}

impl Cell {
    fn means(&self) -> Means {
        Means { tell: !self.closed, renew: self.renew }
    }

    /// The key of the row that the session has, or will have.
    fn key(&mut self, shared: &Shared) -> Option<RowKey> {
        match self.state.origin() {
            _ if self.state.wants_new_id() => Some(shared.store.row_key(&self.state.candidate())),
            Origin::Live { .. } if !self.state.view().invalidated => self.place.key.clone(),
            _ => None,
        }
    }
}

impl Inner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: Option<SessionId>,
        loaded: Loaded,
        budget: Arc<Budget>,
        outage: Option<Error>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            number: shared.hold(this),
            cell: Mutex::new(Cell {
                state: State::new(loaded.origin),
                place: loaded.place,
                id,
                told: Told::Nothing,
                closed: false,
                holders: 0,
                renew: true,
                budget,
                late: None,
                outage,
            }),
            turn: tokio::sync::Mutex::default(),
            runtime: Runtime::current(),
            shared,
        })
    }

    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, Cell> {
        self.cell.lock()
    }

    /// The ID of the row that the session has, or will have.
    pub(crate) fn id(&self) -> Option<SessionId> {
        let mut cell = self.lock();
        match cell.state.origin() {
            _ if cell.state.wants_new_id() => Some(cell.state.candidate()),
            Origin::Live { .. } if !cell.state.view().invalidated => cell.id,
            _ => None,
        }
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        self.lock().key(&self.shared).map(|key| key.handle())
    }

    /// Whether a commit would write.
    pub(crate) fn is_due(&self) -> bool {
        let cell = self.lock();
        let (policy, now) = (&self.shared.store.policy, self.shared.store.now().timestamp());
        cell.state.has_log() || matches!(plan(cell.state.origin(), &[], cell.means(), policy, now), Ok(Plan::Touch(_)))
    }

    /// Commits in a task of its own, which goes on when the caller is cancelled and which the shutdown waits for.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<(), Error> {
        let task = self.spawn();
        task.await.unwrap_or_else(|panicked| Err(Error::unavailable("flush", panicked)))
    }

    fn spawn(self: &Arc<Self>) -> JoinHandle<Result<(), Error>> {
        let (this, write) = (self.clone(), CutOff { session: self.clone(), done: false });
        let commit = async move {
            // Captured whole: it reports also a write that was never polled.
            let mut write = write;
            let result = this.commit().await;
            write.done = true;
            result
        };
        self.runtime.spawn(self.shared.tracker.track_future(commit))
    }

    /// Commits once, and again for what was appended meanwhile.
    async fn commit(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if !self.is_due() {
            return Ok(());
        }
        loop {
            let (batch, place, means, budget) = {
                let mut cell = self.lock();
                // After the head, a request's deadline is over; each flush has its own.
                if cell.closed {
                    cell.budget = Arc::new(self.shared.budget());
                }
                (cell.state.batch(), cell.place.clone(), cell.means(), cell.budget.clone())
            };
            let committed = budget.spend(self.shared.store.commit(batch, place, means, &budget)).await;
            match committed {
                Ok(committed) => self.committed(committed),
                Err(error) => {
                    Counters::count(&self.shared.counters.failed, 1);
                    self.lock().state.failed(may_be_applied(&error));
                    return Err(error);
                }
            }
            if !self.lock().state.has_log() {
                return Ok(());
            }
        }
    }

    fn committed(&self, committed: Committed) {
        let Committed { loaded, telling, new_id, dropped, conflicts } = committed;
        let counters = &self.shared.counters;
        Counters::count(&counters.conflicts, conflicts.into());
        Counters::count(if dropped { &counters.dropped } else { &counters.commits }, 1);
        {
            let mut cell = self.lock();
            if dropped {
                let handle = cell.id.map(|id| self.shared.store.row_key(&id).handle().to_string());
                let handle = handle.as_deref().unwrap_or("without an ID");
                let why = match loaded.origin {
                    Origin::Superseded => "a login superseded it",
                    _ => "it had ended",
                };
                log::warn!("session {handle}: the changes of a request were dropped, because {why}");
            }
            if new_id.is_some() {
                cell.id = new_id;
            }
            cell.told = match (telling, cell.id) {
                (Telling::Nothing, _) => cell.told.clone(),
                (Telling::Set { until }, Some(id)) => Told::Set { id, until },
                (Telling::Remove, _) => Told::Remove,
                (Telling::Silence | Telling::Set { .. }, _) => Told::Nothing,
            };
        }
        self.rebase(loaded, Some(End { candidate_used: new_id.is_some() }));
    }

    /// Takes what was found in the table as the new base; what is left of the log is replayed without the lock.
    fn rebase(&self, loaded: Loaded, end: Option<End>) {
        loop {
            let (rest, revision) = self.lock().state.rest(end.is_some());
            let view = view_of(&loaded.origin, &rest);
            let mut cell = self.lock();
            if cell.state.rebase(&loaded.origin, view, end, revision) {
                cell.place = loaded.place;
                return;
            }
        }
    }

    /// Reads the row again; the log stays, over the new base.
    pub(crate) async fn reload(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let (key, led) = {
            let cell = self.lock();
            (cell.place.key.clone(), matches!(cell.state.origin(), Origin::Live { led: true, .. }))
        };
        let Some(key) = key else { return Ok(()) };
        let budget = self.shared.budget();
        let mut loaded = budget.spend(self.shared.store.load_row(&key, led, &budget)).await?;
        // This session had a row; where it is absent now, it ended.
        if let (Origin::Fresh { .. }, Origin::Live { .. }) = (&loaded.origin, self.lock().state.origin()) {
            loaded.origin = Origin::Gone { trail: false };
        }
        {
            let mut cell = self.lock();
            cell.outage = None;
            // The ID that an earlier flush was to tell has ended, or is an older one by now.
            if matches!(loaded.origin, Origin::Gone { .. } | Origin::Superseded | Origin::Live { led: true, .. }) {
                cell.told = Told::Nothing;
            }
        }
        self.rebase(loaded, None);
        Ok(())
    }

    /// Ends the request: commits, and from then on leaves changes to the last holder. An error was told to the log.
    pub(crate) async fn respond(self: &Arc<Self>, failed: bool) -> (Told, Result<(), Error>) {
        if failed {
            self.lock().state.discard();
        }
        let mut result = Ok(());
        if self.is_due() {
            let changed = self.lock().state.has_log();
            result = self.flush().await;
            if let Err(error) = &result {
                self.log_failure(if changed { "could not be stored" } else { "could not be refreshed" }, error);
                self.lock().state.discard_all();
                // Nothing of the application's is lost by a refresh that failed; the next request tries again.
                if !changed {
                    result = Ok(());
                }
            }
        }
        let told = self.lock().told.clone();
        (told, result)
    }

    /// Notes that no head can be changed any more. Returns whether somebody still holds the session.
    pub(crate) fn close(self: &Arc<Self>) -> bool {
        let mut cell = self.lock();
        cell.closed = true;
        let held = cell.holders > 0;
        // A refresh alone is for who used the session after the response.
        let left = !held && cell.state.has_log();
        drop(cell);
        if left {
            self.flush_late();
        }
        held
    }

    pub(crate) fn taken(&self) {
        self.lock().holders += 1;
    }

    /// A holder drops; the last one of a request that is over starts the flush.
    pub(crate) fn dropped(self: &Arc<Self>) {
        let mut cell = self.lock();
        // The handler, or what it left running, panicked: what it changed is half done.
        if std::thread::panicking() && !self.shared.config.commit_on_error {
            cell.state.discard();
        }
        cell.holders -= 1;
        let last = cell.holders == 0 && cell.closed;
        drop(cell);
        if last {
            self.flush_late();
        }
    }

    /// Starts a flush that nobody waits for, but the end of a streamed body and the shutdown.
    fn flush_late(self: &Arc<Self>) {
        if !self.is_due() {
            return;
        }
        let (this, task) = (self.clone(), self.spawn());
        let told = self.runtime.spawn(async move {
            if let Ok(Err(error)) = task.await {
                this.log_failure("could not be stored after its response", &error);
            }
        });
        self.lock().late = Some(told);
    }

    /// The flush that a dropped holder started.
    pub(crate) fn late(&self) -> Option<JoinHandle<()>> {
        self.lock().late.take()
    }

    pub(crate) fn log_failure(&self, what: &str, error: &Error) {
        let handle = self.handle().map_or_else(|| "without a row".to_owned(), |handle| handle.to_string());
        log::error!("session {handle} {what}: {}", Chain(error));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.release(self.number);
    }
}

/// Whether an error leaves open if the table was written.
fn may_be_applied(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Rejected { .. })
}

/// Reports a write that was dropped before it ended, even when it was never polled: the runtime was torn down.
struct CutOff {
    session: Arc<Inner>,
    done: bool,
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if !self.done && !std::thread::panicking() {
            self.session.shared.counters.cut_off.fetch_add(1, Ordering::Relaxed);
            let handle = self.session.handle().map_or_else(String::new, |handle| format!(" {handle}"));
            log::error!("session{handle}: a write was cut off; nobody knows whether it reached the table");
        }
    }
}
