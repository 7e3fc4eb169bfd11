//! The ending of a request: how its session's log reaches the table, at the response, when asked, when the last holder
//! drops, and within a second of a change after the head. Here it is decided what the client is told.

mod about;
mod access;
mod cell;
mod commit;
mod cut_off;
mod load;
mod waste;
pub(super) mod watch;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

use crate::domain::id::{Handle, SessionId};
use crate::error::{Chain, Error};
use crate::session::ending::cell::{Cell, Held, Phase};
use crate::session::ending::waste::Waste;
use crate::session::registry::{Counters, InUse, Registry};
use crate::store::budget::Budget;
use crate::store::place::Loaded;

pub(crate) use crate::session::ending::cell::Told;

/// How long a change after the head waits at most for its flush.
const LATEST: Duration = Duration::from_secs(1);

/// The session of one request, shared by all its holders, and the one owner of how the request ends.
pub(crate) struct Ending {
    registry: Arc<Registry>,
    number: u64,
    runtime: Runtime,
    /// For all store work before the head.
    budget: Budget,
    /// Commits of one session go one after the other.
    turn: tokio::sync::Mutex<()>,
    cell: Mutex<Cell>,
}

/// What a finished request has to say.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) told: Told,
    pub(crate) result: Result<(), Error>,
    /// Somebody still holds the session.
    pub(crate) held: bool,
}

impl Ending {
    /// `head_sent`: the session is first used when the head cannot be changed any more.
    fn new(
        registry: &Arc<Registry>,
        id: Option<SessionId>,
        loaded: Loaded,
        budget: Budget,
        head_sent: bool,
        outage: Option<Error>,
    ) -> Arc<Self> {
        let phase = if head_sent { Phase::Closed } else { Phase::Open };
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            number: registry.hold(this.clone()),
            registry: registry.clone(),
            runtime: Runtime::current(),
            budget,
            turn: tokio::sync::Mutex::default(),
            cell: Mutex::new(Cell::new(id, loaded, registry.store.settings.payloads.codec, phase, outage)),
        })
    }

    /// Ends the request: commits exactly what the log holds, and under one lock closes it and takes what is to be told. What
    /// is appended meanwhile goes to the late flush; what would have to be told is refused from now on.
    pub(crate) async fn finish(self: &Arc<Self>, failed: bool) -> Finished {
        let (mut busy, waste) = {
            let mut cell = self.cell.lock();
            cell.phase = Phase::Finishing;
            let waste = failed.then(|| cell.discard());
            (cell.has_work(&self.registry.store), waste.unwrap_or_default())
        };
        waste.discard();
        let mut result = Ok(());
        loop {
            if busy {
                result = self.run(Box::pin(self.clone().commit_last(failed))).await;
            }
            let mut cell = self.fresh();
            // What a commit left of a session that it ended needs another row, and that another word.
            busy = result.is_ok() && cell.state.has_log() && cell.state.wants_new_id();
            if !busy {
                cell.phase = Phase::Closed;
                let (told, held) = (std::mem::replace(&mut cell.told, Told::Nothing), cell.holders.count > 0);
                let left = cell.state.has_log();
                if left && held {
                    self.arm(&mut cell);
                }
                drop(cell);
                if left && !held {
                    self.flush_late();
                }
                return Finished { told, result, held };
            }
        }
    }

    /// The commit before the head: it waits for one that is under way, also one whose caller gave up.
    async fn commit_last(self: Arc<Self>, failed: bool) -> Result<(), Error> {
        let turn = self.turn.lock().await;
        let mut waste = if failed { self.cell.lock().discard() } else { Waste::default() };
        let (until, changed) = {
            let cell = self.cell.lock();
            (cell.state.next(), cell.state.has_log())
        };
        let (mut result, more) = self.commit_in_turn(until).await;
        waste.add(more);
        if let Err(error) = &result {
            let what = if changed { "could not be stored" } else { "could not be refreshed" };
            waste.add(self.give_up(until, what, error));
        }
        drop(turn);
        waste.discard();
        // Nothing of the application's is lost by a refresh that failed; the next request tries again.
        if !changed {
            result = Ok(());
        }
        result
    }

    /// Ends a request of which no response is made: no row is rotated or created for a client that will not hear of it.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let (left, waste) = {
            let mut cell = self.cell.lock();
            if cell.phase == Phase::Closed {
                return;
            }
            cell.phase = Phase::Closed;
            // Who hung up is not active either: the last holder that drops refreshes nothing.
            cell.renew = false;
            let waste = cell.discard_all();
            (cell.state.has_log(), waste)
        };
        waste.discard();
        if left {
            self.flush_late();
        }
    }

    /// Lets a flush come a second after a change that follows the head: a holder that never drops keeps nothing back.
    fn arm(self: &Arc<Self>, cell: &mut Held<'_>) {
        if cell.phase != Phase::Closed || std::mem::replace(&mut cell.timer, true) {
            return;
        }
        let this = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(LATEST).await;
            if let Some(this) = this.upgrade() {
                this.cell.lock().timer = false;
                this.flush_late();
            }
        });
    }

    /// Starts a flush that nobody waits for, but the end of a streamed body and the shutdown.
    fn flush_late(self: &Arc<Self>) {
        let until = {
            let cell = self.cell.lock();
            if !cell.has_work(&self.registry.store) {
                return;
            }
            cell.state.next()
        };
        let late = self.spawn(Box::pin(self.clone().commit_late(until)));
        self.cell.lock().late = Some(late);
    }

    async fn commit_late(self: Arc<Self>, until: u64) {
        // Who waits too long for the commits before leaves what it has to the next flush.
        let Ok(turn) = self.take_turn().await else { return };
        let (result, mut waste) = self.commit_in_turn(until).await;
        if let Err(error) = result {
            waste.add(self.give_up(until, "could not be stored after its response", &error));
        }
        drop(turn);
        waste.discard();
    }

    /// Gives up what a failed commit took along, and nothing that was appended since; the turn at the commits is held.
    fn give_up(&self, until: u64, what: &str, error: &Error) -> Waste {
        self.log_failure(what, error);
        self.cell.lock().give_up(until, error)
    }

    /// Stores what a streamed body has changed, when it ends; whoever else holds the session keeps nothing back.
    pub(crate) fn body_ended(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        self.flush_late();
        self.cell.lock().late.take()
    }

    fn report_cut_off(&self) {
        Counters::count(&self.registry.counters.cut_off, 1);
        log::error!("session {}: a write was cut off; nobody knows whether it reached the table", self.name());
    }

    fn log_failure(&self, what: &str, error: &Error) {
        log::error!("session {} {what}: {}", self.name(), Chain(error));
    }
}

impl InUse for Ending {
    fn shut_down(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.abandon();
            if let Err(error) = self.store().await {
                self.log_failure("could not be stored at the shutdown", &error);
            }
        })
    }

    fn revoked(&self, handle: &Handle) {
        self.cell.lock().revoked(handle);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.registry.release(self.number);
    }
}
