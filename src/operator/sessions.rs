//! What the fairing puts into managed state: the store, and what the requests of one application share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use aws_sdk_dynamodb::Client;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::domain::id::Handle;
use crate::error::Error;
use crate::session::ending::Inner;
use crate::store::table::{self, TableStatus};
use crate::store::{Budget, Clock, Revoked, Store};
use crate::web::fairing::SessionsFairing;
use crate::web::transport::Transport;

/// The sessions of an application, in managed state: reached by `&State<Sessions>` in a route and by
/// `rocket.state::<Sessions>()` elsewhere. Cloning is cheap.
///
/// # Examples
///
/// ```
/// use rocket::{State, get};
/// use rocket_dynamodb_sessions::{Error, Handle, Sessions};
///
/// #[get("/admin/revoke/<handle>")]
/// async fn revoke(handle: &str, sessions: &State<Sessions>) -> Result<&'static str, Error> {
///     let Ok(handle) = handle.parse::<Handle>() else { return Ok("no such session") };
///     Ok(if sessions.revoke(&handle).await? { "signed out" } else { "no such session" })
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) shared: Arc<Shared>,
}

/// What all requests share; nothing of it is state that a second node would have to know.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) transport: Transport,
    pub(crate) config: Config,
    /// Requests in flight and flushes under way, for the shutdown to wait for.
    pub(crate) tracker: TaskTracker,
    /// The sessions in use, for the shutdown to write what is still held then.
    held: Mutex<HashMap<u64, Weak<Inner>>>,
    next: AtomicU64,
    pub(crate) counters: Counters,
    client: Client,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) loads: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cut_off: AtomicU64,
}

/// What this process has done since its launch. Each figure only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions looked up in the table.
    pub loads: u64,
    /// Commits that reached the table.
    pub commits: u64,
    /// Conditional writes that met somebody else's and were planned again; each is billed as a write.
    pub conflicts: u64,
    /// Commits whose changes were dropped because the session had ended or a login superseded it.
    pub dropped: u64,
    /// Loads and commits that ended with an error.
    pub failed: u64,
    /// Writes that a shutdown cut off.
    pub cut_off: u64,
}

impl Sessions {
    /// Makes the fairing, which reads the table `sessions` of Rocket.toml when the application ignites.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use rocket_dynamodb_sessions::Sessions;
    ///
    /// #[rocket::launch]
    /// fn rocket() -> _ {
    ///     rocket::build().attach(Sessions::fairing())
    /// }
    /// ```
    pub fn fairing() -> SessionsFairing {
        SessionsFairing::default()
    }

    pub(crate) fn new(client: Client, config: Config, debug: bool, clock: Clock) -> Self {
        let shared = Shared {
            store: Store::new(&client, &config, clock),
            transport: Transport::new(&config, debug),
            config,
            tracker: TaskTracker::new(),
            held: Mutex::default(),
            next: AtomicU64::new(0),
            counters: Counters::default(),
            client,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the DynamoDB client, for tables of your own. It is also in managed state by itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Returns the configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Creates the table, billed on demand, and switches its TTL on. A table that exists is left as it is, but for its
    /// TTL when that is off.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached or refuses.
    pub async fn create_table(&self) -> Result<(), Error> {
        table::create(&self.shared.client, &self.shared.config.table).await
    }

    /// Looks at the table: whether it exists, its key and its TTL.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached.
    pub async fn table_status(&self) -> Result<TableStatus, Error> {
        table::status(&self.shared.client, &self.shared.config.table).await
    }

    /// Ends the session that a handle names, also when its ID was rotated since. Returns whether there was one.
    ///
    /// A request of that session in flight changes nothing any more; its cookie opens nothing.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached; then nobody knows whether the session has ended.
    pub async fn revoke(&self, handle: &Handle) -> Result<bool, Error> {
        let budget = self.shared.budget();
        let revoked = budget.spend(self.shared.store.revoke(handle, &budget)).await?;
        Ok(revoked == Revoked::Deleted)
    }

    /// Returns what this process has done since its launch.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Counters { loads, commits, conflicts, dropped, failed, cut_off } = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            loads: read(loads),
            commits: read(commits),
            conflicts: read(conflicts),
            dropped: read(dropped),
            failed: read(failed),
            cut_off: read(cut_off),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.config.deadline)
    }

    /// Registers a session in use; the number takes it off again.
    pub(crate) fn hold(&self, session: &Weak<Inner>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.held.lock().insert(number, session.clone());
        number
    }

    pub(crate) fn release(&self, number: u64) {
        self.held.lock().remove(&number);
    }

    /// The sessions in use now.
    pub(crate) fn in_use(&self) -> Vec<Arc<Inner>> {
        self.held.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
