//! The place of a request's session in its local cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rocket::Request;
use tokio::sync::OnceCell;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::Error;
use crate::session::ending::Ending;
use crate::web::attached::Attached;

/// The session of one request, loaded once: also that it could not be loaded, so that nobody waits twice.
#[derive(Default)]
pub(crate) struct Slot {
    session: OnceCell<Result<Arc<Ending>, Error>>,
    closed: AtomicBool,
    /// What the shutdown waits for.
    token: Mutex<Option<TaskTrackerToken>>,
}

/// The cache is keyed by type; the clones of a local client's request share it, so its content can be renewed.
#[derive(Default)]
struct SlotCell(Mutex<Arc<Slot>>);

impl Slot {
    pub(crate) fn of(request: &Request<'_>) -> Arc<Self> {
        request.local_cache(SlotCell::default).0.lock().clone()
    }

    /// Starts a request. Only a slot that a response has closed is renewed: a request fairing may have used this one.
    pub(crate) fn open(request: &Request<'_>, attached: &Attached) {
        let mut slot = request.local_cache(SlotCell::default).0.lock();
        if slot.closed.load(Ordering::Relaxed) {
            *slot = Arc::default();
        }
        *slot.token.lock() = Some(attached.sessions.registry.tracker.token());
    }

    /// Ends a request. From now on, holders flush when they drop.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Lets the shutdown go on: the request's body has a known size, so nothing of the application runs any more.
    pub(crate) fn release(&self) {
        self.token.lock().take();
    }

    pub(crate) fn get(&self) -> Option<&Result<Arc<Ending>, Error>> {
        self.session.get()
    }

    pub(crate) async fn load(&self, request: &Request<'_>, attached: &Attached) -> Result<Arc<Ending>, Error> {
        let load = || {
            // First used by a response fairing after ours, the head cannot be changed any more.
            let head_sent = self.closed.load(Ordering::Relaxed);
            attached.load(request, head_sent)
        };
        self.session.get_or_init(load).await.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // No response was made: the dispatch was cancelled, or a response fairing panicked.
        if let (Some(Ok(ending)), false) = (self.session.get(), self.closed.load(Ordering::Relaxed)) {
            ending.abandon();
        }
    }
}
