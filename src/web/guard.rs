//! The guard: one session a request, loaded once, whoever asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};
use tokio::sync::OnceCell;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::OnOutage;
use crate::error::{Chain, Error};
use crate::operator::sessions::{Counters, Sessions};
use crate::session::Session;
use crate::session::ending::Inner;
use crate::store::Loaded;

/// The session of one request, in its local cache: also that it could not be loaded, so that nobody waits twice.
#[derive(Default)]
pub(crate) struct Slot {
    session: OnceCell<Result<Arc<Inner>, Error>>,
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
    pub(crate) fn open(request: &Request<'_>, sessions: &Sessions) {
        let mut slot = request.local_cache(SlotCell::default).0.lock();
        if slot.closed.load(Ordering::Relaxed) {
            *slot = Arc::default();
        }
        *slot.token.lock() = Some(sessions.shared.tracker.token());
    }

    /// Ends a request. From now on, holders flush when they drop.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Lets the shutdown go on: the request's body has a known size, so nothing of the application runs any more.
    pub(crate) fn release(&self) {
        self.token.lock().take();
    }

    pub(crate) fn get(&self) -> Option<&Result<Arc<Inner>, Error>> {
        self.session.get()
    }

    async fn load(&self, request: &Request<'_>, sessions: &Sessions) -> Result<Arc<Inner>, Error> {
        let session = self.session.get_or_init(|| load(request, sessions)).await.clone();
        // First used by a response fairing after ours: the head cannot be changed any more.
        if let (Ok(inner), true) = (&session, self.closed.load(Ordering::Relaxed)) {
            inner.lock().closed = true;
        }
        session
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // No response was made: the dispatch was cancelled, as a dropped future of the local client is.
        if let (Some(Ok(inner)), false) = (self.session.get(), self.closed.load(Ordering::Relaxed)) {
            inner.close();
        }
    }
}

async fn load(request: &Request<'_>, sessions: &Sessions) -> Result<Arc<Inner>, Error> {
    let shared = &sessions.shared;
    let budget = Arc::new(shared.budget());
    let Some(id) = shared.transport.id(request) else {
        return Ok(Inner::new(shared.clone(), None, Loaded::FRESH, budget, None));
    };
    Counters::count(&shared.counters.loads, 1);
    match budget.spend(shared.store.load(&id, &budget)).await {
        Ok(loaded) => Ok(Inner::new(shared.clone(), Some(id), loaded, budget, None)),
        Err(error) => {
            Counters::count(&shared.counters.failed, 1);
            let key = shared.store.row_key(&id);
            log::error!("session {} could not be loaded: {}", key.handle(), Chain(&error));
            match shared.config.on_outage {
                OnOutage::Fail => Err(error),
                OnOutage::Anonymous => {
                    let loaded = Loaded::unavailable(key);
                    Ok(Inner::new(shared.clone(), Some(id), loaded, budget, Some(error)))
                }
            }
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Session {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        // A sentinel misses guards taken inside guards, catchers and hand-made routes.
        let Some(sessions) = request.rocket().state::<Sessions>() else {
            log::error!("{}", Error::NotAttached);
            return Outcome::Error((Status::InternalServerError, Error::NotAttached));
        };
        match Slot::of(request).load(request, sessions).await {
            Ok(inner) => Outcome::Success(Session::new(&inner)),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl Sentinel for Session {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        let missing = rocket.state::<Sessions>().is_none();
        if missing {
            log::error!("a route takes a `Session`: {}", Error::NotAttached);
        }
        missing
    }
}
