//! What the requests of one application share: the store, the sessions in use, the counters.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::domain::id::SessionId;
use crate::error::{Chain, Error};
use crate::session::ending::Ending;
use crate::store::Store;
use crate::store::budget::Budget;
use crate::store::place::Loaded;

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
    held: Mutex<HashMap<u64, Weak<Ending>>>,
    next: AtomicU64,
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
        }
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.deadline)
    }

    /// Loads the session of a request. `anonymous`: where the store cannot be asked, the request goes on without it.
    pub(crate) async fn load(
        self: &Arc<Self>,
        id: Option<SessionId>,
        head_sent: bool,
        anonymous: bool,
    ) -> Result<Arc<Ending>, Error> {
        let budget = self.budget();
        let Some(id) = id else { return Ok(Ending::new(self, None, Loaded::FRESH, budget, head_sent, None)) };
        Counters::count(&self.counters.loads, 1);
        let spending = budget.spend();
        let loaded = self.store.load(&id, &budget).await;
        drop(spending);
        match loaded {
            Ok(loaded) => Ok(Ending::new(self, Some(id), loaded, budget, head_sent, None)),
            Err(error) => {
                Counters::count(&self.counters.failed, 1);
                let key = self.store.row_key(&id);
                log::error!("session {} could not be loaded: {}", key.handle(), Chain(&error));
                if !anonymous {
                    return Err(error);
                }
                let loaded = Loaded::unavailable(key);
                Ok(Ending::new(self, Some(id), loaded, budget, head_sent, Some(error)))
            }
        }
    }

    /// Registers a session in use; the number takes it off again. No request has the number 0.
    pub(super) fn hold(&self, session: &Weak<Ending>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.held.lock().insert(number, session.clone());
        number
    }

    pub(super) fn release(&self, number: u64) {
        self.held.lock().remove(&number);
    }

    /// The sessions in use now.
    pub(crate) fn in_use(&self) -> Vec<Arc<Ending>> {
        self.held.lock().values().filter_map(Weak::upgrade).collect()
    }
}
