//! What the requests of one application share: the store, the sessions in use, the counters.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::domain::id::Handle;
use crate::store::Store;
use crate::store::budget::Budget;

/// A session in use, as the shutdown knows it.
pub(crate) trait InUse: Send + Sync {
    /// Stores what it holds, or abandons a request that was cut off.
    fn shut_down(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// Takes over that an administrator has ended the session of this handle.
    fn revoked(&self, handle: &Handle);
}

/// After how many writes an embedded database is swept: a scan of what lives, now and then.
const SWEEP_EVERY: u64 = 256;

/// Nothing of it is state that a second node would have to know.
pub(crate) struct Registry {
    pub(crate) store: Store,
    /// Requests in flight and flushes under way, for the shutdown to wait for.
    pub(crate) tracker: TaskTracker,
    pub(crate) counters: Counters,
    /// For all store work of one request.
    deadline: Duration,
    /// Changes are stored although their request failed.
    pub(crate) commit_on_error: bool,
    /// The sessions in use, for the shutdown to write what is still held then.
    held: Mutex<HashMap<u64, Weak<dyn InUse>>>,
    next: AtomicU64,
    /// The writes since the launch, where the database has nobody else to delete what has expired.
    unswept: OnceLock<AtomicU64>,
}

/// The counters behind [`Stats`](crate::Stats).
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) loads: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cut_off: AtomicU64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

impl Registry {
    pub(crate) fn new(store: Store, deadline: Duration, commit_on_error: bool) -> Self {
        Self {
            store,
            tracker: TaskTracker::new(),
            counters: Counters::default(),
            deadline,
            commit_on_error,
            held: Mutex::default(),
            next: AtomicU64::new(1),
            unswept: OnceLock::new(),
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.deadline)
    }

    /// Deletes expired rows from now on, whenever some hundred writes were made: nobody else does in an embedded database.
    pub(crate) fn sweep_now_and_then(&self) {
        self.unswept.get_or_init(AtomicU64::default);
    }

    /// A commit has written.
    pub(super) fn wrote(self: &Arc<Self>) {
        let Some(unswept) = self.unswept.get() else { return };
        if (unswept.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(SWEEP_EVERY) {
            let this = self.clone();
            self.tracker.spawn(async move { this.store.sweep().await });
        }
    }

    /// Registers a session in use; the number takes it off again. No request has the number 0.
    pub(super) fn hold(&self, session: Weak<dyn InUse>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.held.lock().insert(number, session);
        number
    }

    pub(super) fn release(&self, number: u64) {
        self.held.lock().remove(&number);
    }

    /// The sessions in use now.
    pub(crate) fn in_use(&self) -> Vec<Arc<dyn InUse>> {
        self.held.lock().values().filter_map(Weak::upgrade).collect()
    }
}
