//! The ending of a request: how its session's log reaches the table, at the response, when asked, when the last holder
//! drops, and within a second of a change after the head. Here it is decided what the client is told.

mod cell;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

use crate::domain::codec::Codec;
use crate::domain::id::{Handle, SessionId};
use crate::domain::log::{Garbage, Holder, Op};
use crate::domain::state::{Batch, Origin};
use crate::domain::update;
use crate::domain::view::View;
use crate::error::{Chain, Error};
use crate::session::ending::cell::{Cell, Held, Phase};
use crate::session::registry::{Counters, Registry};
use crate::store::budget::Budget;
use crate::store::commit::{Committed, Job};
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
    pub(crate) fn new(
        registry: &Arc<Registry>,
        id: Option<SessionId>,
        loaded: Loaded,
        budget: Budget,
        head_sent: bool,
        outage: Option<Error>,
    ) -> Arc<Self> {
        let phase = if head_sent { Phase::Closed } else { Phase::Open };
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            number: registry.hold(this),
            registry: registry.clone(),
            runtime: Runtime::current(),
            budget,
            turn: tokio::sync::Mutex::default(),
            cell: Mutex::new(Cell::new(id, loaded, registry.store.settings.payloads.codec, phase, outage)),
        })
    }

    /// Which request this is, for closures that run again.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Locks the parts, the view as new as the log. What has to be replayed for it is replayed without the lock.
    fn fresh(&self) -> Held<'_> {
        loop {
            let cell = self.cell.lock();
            // A closure that runs again sees its session as it was.
            let Some(replay) = cell.state.replay().filter(|_| !update::runs_again(self.number)) else { return cell };
            drop(cell);
            let view = replay.view();
            self.cell.lock().state.replayed(&replay, view);
        }
    }

    /// Looks at the session: the row that was loaded, with the log over it. No code of the application's may run in `look`.
    pub(super) fn look<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(self.fresh().state.view())
    }

    /// Looks at the session, and at the number of the next operation.
    pub(super) fn look_before<T>(&self, look: impl FnOnce(&View) -> T) -> (T, u64) {
        let cell = self.fresh();
        (look(cell.state.view()), cell.state.next())
    }

    /// How values of this session are encoded.
    pub(super) fn codec(&self) -> Codec {
        self.cell.lock().state.codec()
    }

    pub(super) fn origin(&self) -> Origin {
        self.cell.lock().state.origin().clone()
    }

    pub(super) fn id(&self) -> Option<SessionId> {
        self.fresh().current_id()
    }

    pub(super) fn handle(&self) -> Option<Handle> {
        self.fresh().handle(&self.registry)
    }

    /// Fails where a value could not be stored.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.fresh().allows(&Op::SetTtl(None)).map(|_| ())
    }

    /// Appends an operation; its number takes it back.
    pub(super) fn append(self: &Arc<Self>, holder: Holder, op: Op) -> Result<u64, Error> {
        self.append_as(holder, |_, _| Some(op)).map(|number| number.unwrap_or(u64::MAX))
    }

    /// Appends the operation that `make` says of the view and the number of the next operation, under one lock; `None`
    /// where it says none.
    pub(super) fn append_as(
        self: &Arc<Self>,
        holder: Holder,
        make: impl FnOnce(&View, u64) -> Option<Op>,
    ) -> Result<Option<u64>, Error> {
        if update::runs_again(self.number) {
            return Ok(Some(u64::MAX));
        }
        let (number, waste, refused) = {
            let mut cell = self.fresh();
            let number = cell.state.next();
            let Some(op) = make(cell.state.view(), number) else { return Ok(None) };
            match cell.allows(&op) {
                Ok(true) => {
                    let waste = cell.state.push(op, holder);
                    self.arm(&mut cell);
                    (Ok(number), waste, None)
                }
                Ok(false) => (Ok(u64::MAX), Garbage::default(), Some(op)),
                Err(error) => (Err(error), Garbage::default(), Some(op)),
            }
        };
        drop((waste, refused));
        update::appended(self.number);
        number.map(Some)
    }

    /// Takes an operation back, where no commit has taken it along.
    pub(super) fn withdraw(&self, number: u64) {
        let waste = self.cell.lock().withdraw(number);
        drop(waste);
    }

    pub(super) fn skip_renewal(&self) {
        self.cell.lock().renew = false;
    }

    /// Another handle of the session.
    pub(super) fn hold(&self, clone: bool) -> Holder {
        self.cell.lock().holders.add(clone)
    }

    /// A handle drops; the last one of a request that is over starts the flush.
    pub(super) fn dropped(self: &Arc<Self>, holder: Holder) {
        let (last, waste) = {
            let mut cell = self.cell.lock();
            cell.holders.remove(holder);
            let panics = std::thread::panicking() && !self.registry.commit_on_error;
            let waste = panics.then(|| cell.drop_of(holder));
            (cell.holders.count == 0 && cell.phase == Phase::Closed, waste)
        };
        if waste.as_ref().is_some_and(|waste| !waste.is_empty()) {
            Counters::count(&self.registry.counters.dropped, 1);
            log::warn!("session {}: the changes of a holder were dropped, because it panicked", self.name());
        }
        drop(waste);
        if last {
            self.flush_late();
        }
    }

    /// Commits what the log holds now, and waits for it.
    pub(super) async fn flush(self: &Arc<Self>) -> Result<(), Error> {
        let until = {
            let cell = self.cell.lock();
            if !cell.has_work(&self.registry) {
                return Ok(());
            }
            cell.state.next()
        };
        self.run(move |this| async move { this.commit(until).await }).await
    }

    /// Runs a commit in a task of its own, which goes on when the caller is cancelled and which the shutdown waits for.
    async fn run<F, Fut>(self: &Arc<Self>, commit: F) -> Result<(), Error>
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let task = self.spawn(commit(self.clone()));
        task.await.unwrap_or_else(|panicked| Err(Error::unavailable("flush", panicked)))
    }

    fn spawn<Fut>(self: &Arc<Self>, commit: Fut) -> JoinHandle<Fut::Output>
    where
        Fut: Future + Send + 'static,
        Fut::Output: Send,
    {
        let write = CutOff { session: self.clone(), done: false };
        let commit = async move {
            // Captured whole: it reports also a write that was never polled.
            let mut write = write;
            let result = commit.await;
            write.done = true;
            result
        };
        self.runtime.spawn(self.registry.tracker.track_future(Box::pin(commit)))
    }

    /// Commits all operations before this number.
    async fn commit(self: &Arc<Self>, until: u64) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.commit_in_turn(until).await
    }

    async fn commit_in_turn(self: &Arc<Self>, until: u64) -> Result<(), Error> {
        if !self.cell.lock().has_work(&self.registry) {
            return Ok(());
        }
        loop {
            self.commit_batch().await?;
            // What was appended meanwhile is another flush's: who goes on changing keeps nobody waiting.
            if !self.cell.lock().state.has_before(until) {
                return Ok(());
            }
        }
    }

    async fn commit_batch(self: &Arc<Self>) -> Result<(), Error> {
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
                self.committed(committed);
                Ok(())
            }
            Err(failed) => {
                let counters = &self.registry.counters;
                Counters::count(&counters.failed, 1);
                Counters::count(&counters.conflicts, failed.conflicts);
                let waste = self.cell.lock().failed(&batch, &failed);
                drop(waste);
                Err(failed.error)
            }
        }
    }

    fn committed(&self, committed: Committed) {
        let counters = &self.registry.counters;
        Counters::count(&counters.conflicts, committed.conflicts);
        Counters::count(&counters.commits, committed.wrote.into());
        if committed.dropped {
            Counters::count(&counters.dropped, 1);
            let why = match committed.loaded.origin {
                Origin::Superseded => "a login superseded it",
                Origin::Gone { .. } => "it had ended",
                _ => "the client could not be told of it any more",
            };
            log::warn!("session {}: the changes of a request were dropped, because {why}", self.name());
        }
        let waste = self.cell.lock().committed(committed);
        drop(waste);
    }

    /// Reads the row again; the log stays, over what was found.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
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
        match result? {
            Ok(committed) => self.committed(committed),
            Err(loaded) => self.cell.lock().reloaded(loaded),
        }
        Ok(())
    }

    /// Ends the request: commits exactly what the log holds, and under one lock closes it and takes what is to be told. What
    /// is appended meanwhile goes to the late flush; what would have to be told is refused from now on.
    pub(crate) async fn finish(self: &Arc<Self>, failed: bool) -> Finished {
        let (mut busy, waste) = {
            let mut cell = self.cell.lock();
            cell.phase = Phase::Finishing;
            let waste = failed.then(|| cell.discard());
            (cell.has_work(&self.registry), waste)
        };
        drop(waste);
        let mut result = Ok(());
        loop {
            if busy {
                result = self.run(move |this| async move { this.commit_last(failed).await }).await;
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
    async fn commit_last(self: &Arc<Self>, failed: bool) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if failed {
            let waste = self.cell.lock().discard();
            drop(waste);
        }
        let (until, changed) = {
            let cell = self.cell.lock();
            (cell.state.next(), cell.state.has_log())
        };
        let Err(error) = self.commit_in_turn(until).await else { return Ok(()) };
        let what = if changed { "could not be stored" } else { "could not be refreshed" };
        self.log_failure(what, &error);
        let waste = self.cell.lock().give_up(until);
        drop(waste);
        // Nothing of the application's is lost by a refresh that failed; the next request tries again.
        if changed { Err(error) } else { Ok(()) }
    }

    /// Ends a request of which no response is made: no row is rotated or created for a client that will not hear of it.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let (left, waste) = {
            let mut cell = self.cell.lock();
            if cell.phase == Phase::Closed {
                return;
            }
            cell.phase = Phase::Closed;
            let waste = cell.discard_all();
            (cell.state.has_log(), waste)
        };
        drop(waste);
        if left {
            self.flush_late();
        }
    }

    /// Stores at the shutdown what a session that is still held has changed, and abandons a request that was cut off.
    pub(crate) async fn shut_down(self: &Arc<Self>) {
        self.abandon();
        if let Err(error) = self.flush().await {
            self.log_failure("could not be stored at the shutdown", &error);
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
            if !cell.has_work(&self.registry) {
                return;
            }
            cell.state.next()
        };
        let this = self.clone();
        let late = self.spawn(async move {
            if let Err(error) = this.commit(until).await {
                this.log_failure("could not be stored after its response", &error);
                let waste = this.cell.lock().give_up(until);
                drop(waste);
            }
        });
        self.cell.lock().late = Some(late);
    }

    /// Stores what a streamed body has changed, when it ends; whoever else holds the session keeps nothing back.
    pub(crate) fn body_ended(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        self.flush_late();
        self.cell.lock().late.take()
    }

    fn name(&self) -> String {
        let mut cell = self.cell.lock();
        let handle = cell.handle(&self.registry);
        let brought = || cell.id.map(|id| self.registry.store.row_key(&id).handle());
        handle.or_else(brought).map_or_else(|| "without a row".to_owned(), |handle| handle.to_string())
    }

    fn log_failure(&self, what: &str, error: &Error) {
        log::error!("session {} {what}: {}", self.name(), Chain(error));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.registry.release(self.number);
    }
}

/// Reports a write that was dropped before it ended, even when it was never polled: the runtime was torn down.
struct CutOff {
    session: Arc<Ending>,
    done: bool,
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if !self.done && !std::thread::panicking() {
            let counters = &self.session.registry.counters;
            Counters::count(&counters.cut_off, 1);
            let name = self.session.name();
            log::error!("session {name}: a write was cut off; nobody knows whether it reached the table");
        }
    }
}
