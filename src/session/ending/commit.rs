//! The commits of a session, one after the other: which operations go together, and what became of those that wait.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::domain::batch::Batch;
use crate::domain::state::Origin;
use crate::domain::update;
use crate::error::Error;
use crate::session::ending::Ending;
use crate::session::ending::cell::Phase;
use crate::session::ending::cut_off::CutOff;
use crate::session::ending::waste::Waste;
use crate::session::ending::watch::Outcome;
use crate::session::registry::Counters;
use crate::store::commit::outcome::{Committed, Job};

impl Ending {
    /// Commits what the log holds now, and waits for it.
    pub(in crate::session) async fn flush(self: &Arc<Self>) -> Result<(), Error> {
        // A closure that runs again has had its flush when it ran first; to wait for its own commit would be for ever.
        if update::runs_again(self.number) {
            return Ok(());
        }
        let watching = {
            let mut cell = self.cell.lock();
            let until = cell.state.next();
            Watching { ending: self, id: cell.watches.begin(0, until) }
        };
        self.store().await?;
        // Another's commit may have taken it along, and given it up.
        match watching.end() {
            Some(Outcome::Lost(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Commits an operation with all before it, and says what became of it.
    pub(in crate::session) async fn store_now(self: &Arc<Self>, number: u64) -> Result<Outcome, Error> {
        let id = self.cell.lock().watches.begin(number, number.saturating_add(1));
        let watching = Watching { ending: self, id };
        let result = self.store().await;
        match watching.end() {
            Some(Outcome::Lost(error)) => Err(error),
            Some(outcome) => Ok(outcome),
            None => result.map(|()| Outcome::Dropped),
        }
    }

    pub(super) async fn store(self: &Arc<Self>) -> Result<(), Error> {
        let until = {
            let cell = self.cell.lock();
            if !cell.has_work(&self.registry.store) {
                return Ok(());
            }
            cell.state.next()
        };
        self.run(Box::pin(self.clone().commit(until))).await
    }

    /// Runs a commit in a task of its own, which goes on when the caller is cancelled and which the shutdown waits for.
    pub(super) async fn run(self: &Arc<Self>, commit: BoxFuture<'static, Result<(), Error>>) -> Result<(), Error> {
        let task = self.spawn(commit);
        task.await.unwrap_or_else(|_| Err(Error::unavailable("flush", Panicked)))
    }

    /// Boxed by the caller: what is moved on is a pointer, and not the commit.
    pub(super) fn spawn<T>(self: &Arc<Self>, commit: BoxFuture<'static, T>) -> JoinHandle<T>
    where
        T: Send + 'static,
    {
        let this = self.clone();
        let write = CutOff::new(move || this.report_cut_off());
        let commit = async move {
            // Captured whole: it reports also a write that was never polled.
            let write = write;
            let result = commit.await;
            write.done();
            result
        };
        self.runtime.spawn(self.registry.tracker.track_future(commit))
    }

    /// Commits all operations before this number.
    async fn commit(self: Arc<Self>, until: u64) -> Result<(), Error> {
        let turn = self.take_turn().await?;
        let (result, waste) = self.commit_in_turn(until).await;
        // Closures of the application's: what they do when they drop may want the turn.
        drop(turn);
        waste.discard();
        result
    }

    /// Waits for the commits before this one, no longer than one of them may take.
    pub(super) async fn take_turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let turn = tokio::time::timeout(self.registry.deadline(), self.turn.lock()).await;
        turn.map_err(|late| Error::unavailable("wait for the session", late))
    }

    pub(super) async fn commit_in_turn(self: &Arc<Self>, until: u64) -> (Result<(), Error>, Waste) {
        let mut waste = Waste::default();
        if !self.cell.lock().has_work(&self.registry.store) {
            return (Ok(()), waste);
        }
        loop {
            let result = self.commit_batch(&mut waste).await;
            // What was appended meanwhile is another flush's: who goes on changing keeps nobody waiting.
            if result.is_err() || !self.cell.lock().state.has_before(until) {
                return (result, waste);
            }
        }
    }

    async fn commit_batch(self: &Arc<Self>, waste: &mut Waste) -> Result<(), Error> {
        let (batch, job, late) = {
            let mut cell = self.fresh();
            let (at, means) = cell.at();
            let (batch, view) = cell.begin();
            // After the head, a request's deadline is over; each flush has its own.
            let late = (cell.phase == Phase::Closed).then(|| self.registry.budget());
            (batch.clone(), Job { batch, view, at, means }, late)
        };
        let budget = late.as_ref().unwrap_or(&self.budget);
        let spending = budget.spend();
        let result = self.registry.store.commit(job, budget).await;
        drop(spending);
        match result {
            Ok(committed) => {
                waste.add(self.committed(committed));
                waste.batches.push(batch);
                Ok(())
            }
            Err(failed) => {
                let counters = &self.registry.counters;
                Counters::count(&counters.failed, 1);
                Counters::count(&counters.conflicts, failed.conflicts);
                waste.add(self.cell.lock().failed(&batch, &failed));
                waste.batches.push(batch);
                Err(failed.error)
            }
        }
    }

    fn committed(&self, committed: Committed) -> Waste {
        let counters = &self.registry.counters;
        Counters::count(&counters.conflicts, committed.conflicts);
        Counters::count(&counters.commits, committed.wrote.into());
        if committed.wrote {
            self.registry.wrote();
        }
        if committed.dropped {
            Counters::count(&counters.dropped, 1);
            let why = match committed.loaded.origin {
                Origin::Superseded => "a login superseded it",
                Origin::Gone { .. } => "it had ended",
                _ => "the client could not be told of it any more",
            };
            log::warn!("session {}: the changes of a request were dropped, because {why}", self.name());
        }
        self.cell.lock().committed(committed)
    }

    /// Reads the row again; the log stays, over what was found.
    pub(in crate::session) async fn reload(self: &Arc<Self>) -> Result<(), Error> {
        if update::runs_again(self.number) {
            return Ok(());
        }
        let turn = self.take_turn().await?;
        let (job, late) = {
            let mut cell = self.cell.lock();
            let batch = cell.state.sent().cloned();
            if batch.is_none() && !cell.has_key() {
                return Ok(());
            }
            let (at, means) = cell.at();
            let batch = batch.unwrap_or_else(|| {
                let codec = cell.state.codec();
                Arc::new(Batch::empty(cell.state.candidate(), codec))
            });
            let late = (cell.phase == Phase::Closed).then(|| self.registry.budget());
            (Job { batch, view: None, at, means }, late)
        };
        let budget = late.as_ref().unwrap_or(&self.budget);
        let spending = budget.spend();
        let result = self.registry.store.reload(job, budget).await;
        drop(spending);
        let waste = match result? {
            Ok(committed) => self.committed(committed),
            Err(loaded) => {
                self.cell.lock().reloaded(loaded);
                Waste::default()
            }
        };
        drop(turn);
        waste.discard();
        Ok(())
    }
}

/// A wait for what becomes of operations; one that is cancelled is forgotten.
struct Watching<'a> {
    ending: &'a Ending,
    id: u64,
}

impl Watching<'_> {
    fn end(self) -> Option<Outcome> {
        self.ending.cell.lock().watches.end(self.id)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.ending.cell.lock().watches.end(self.id);
    }
}

/// What the panic said is no error's: it can be anything of the application's.
#[derive(Debug, thiserror::Error)]
#[error("the commit panicked, or the runtime was torn down")]
struct Panicked;
