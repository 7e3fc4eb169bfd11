//! The store: DynamoDB as a place for sessions. It knows neither Rocket nor cookies.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use chrono::{DateTime, Utc};
use lockable::LockPool;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::domain::id::{Handle, RowKey, SessionId};
use crate::domain::log::Rotation;
use crate::domain::plan::Policy;
use crate::domain::state::Origin;
use crate::error::Error;
use crate::store::attempt::Attempts;
use crate::store::row::{Found, ID, Item, KNOWN_FORMAT, Stored, text};

pub(crate) mod attempt;
pub(crate) mod client;
pub(crate) mod commit;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
mod expression;
pub(crate) mod row;
pub(crate) mod table;
mod write;

/// The most bytes that DynamoDB stores in an item.
pub(crate) const ITEM_LIMIT: usize = 400 * 1024;

/// How many tombstones are followed in a row; each is a rotation within the life of a tombstone.
const MOST_HOPS: usize = 4;

/// A clock: time is an argument, and only the glue reads it.
pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The time that one request's store work may still take, all of it together.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<Duration>,
    running: Mutex<Option<Instant>>,
}

impl Budget {
    pub(crate) fn new(whole: Duration) -> Self {
        Self { left: Mutex::new(whole), running: Mutex::new(None) }
    }

    /// Runs store work on this budget; time that the handler takes is not charged.
    pub(crate) async fn spend<T>(&self, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        *self.running.lock() = Some(start);
        let output = work.await;
        *self.running.lock() = None;
        let mut left = self.left.lock();
        *left = left.saturating_sub(start.elapsed());
        output
    }

    /// When the work that runs now must be done.
    pub(crate) fn deadline(&self) -> Instant {
        let start = *self.running.lock();
        start.unwrap_or_else(Instant::now) + *self.left.lock()
    }

    /// Whether the work that runs now has no time left.
    fn is_spent(&self) -> bool {
        Instant::now() >= self.deadline()
    }

    async fn wait<T>(&self, action: &'static str, work: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.deadline(), work).await.map_err(|late| Error::unavailable(action, late))
    }
}

/// The place of a session in the table: its key, and its row as it was last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) key: Option<RowKey>,
    pub(crate) stored: Option<Stored>,
}

/// What a look at the table found.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) origin: Origin,
    pub(crate) place: Place,
}

impl Loaded {
    pub(crate) const FRESH: Self = Self { origin: Origin::FRESH, place: Place { key: None, stored: None } };
    const GONE: Self = Self { origin: Origin::Gone { trail: false }, place: Place { key: None, stored: None } };

    /// The session ended for this request; the tombstone under `key` still names what became of it.
    fn gone_with_trail(key: RowKey) -> Self {
        Self { origin: Origin::Gone { trail: true }, place: Place { key: Some(key), stored: None } }
    }

    fn live(row: Stored, led: bool) -> Self {
        let origin = Origin::Live { snapshot: row.snapshot.clone(), led };
        Self { origin, place: Place { key: Some(row.key.clone()), stored: Some(row) } }
    }

    /// The row is there, but nobody could ask for it.
    pub(crate) fn unavailable(key: RowKey) -> Self {
        Self { origin: Origin::Unavailable, place: Place { key: Some(key), stored: None } }
    }
}

/// What came of revoking a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Deleted,
    Absent,
}

/// DynamoDB as the store of one application's sessions.
pub(crate) struct Store {
    client: Client,
    table: String,
    prefix: String,
    consistent: bool,
    attempts: Attempts,
    locks: LockPool<RowKey>,
    clock: Clock,
    warn_size: usize,
    warned: std::sync::atomic::AtomicBool,
    pub(crate) policy: Policy,
}

impl Store {
    pub(crate) fn new(client: &Client, config: &Config, clock: Clock) -> Self {
        // The attempts are our own: the SDK repeats neither transaction conflicts nor by a request's deadline, and hides
        // whether it repeated a write, on which the meaning of a failed condition depends.
        let own = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self {
            client: Client::from_conf(own),
            table: config.table.clone(),
            prefix: config.key_prefix.clone(),
            consistent: config.consistent_read,
            attempts: Attempts { most: config.attempts, timeout: config.attempt_timeout, backoff: config.backoff },
            locks: LockPool::new(),
            clock,
            warn_size: share_of_limit(config.warn_size.get()),
            warned: std::sync::atomic::AtomicBool::new(false),
            policy: Policy {
                idle: config.ttl.as_secs(),
                absolute: config.absolute_ttl.map(|lifetime| lifetime.as_secs()),
                tombstone: config.tombstone_ttl.as_secs(),
                renew_below: config.renew_below.get(),
                remember: config.remember,
                cookies: config.header.is_none(),
            },
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    pub(crate) fn row_key(&self, id: &SessionId) -> RowKey {
        id.row_key(&self.prefix)
    }

    /// Loads the session under an ID that a client sent.
    pub(crate) async fn load(&self, id: &SessionId, budget: &Budget) -> Result<Loaded, Error> {
        self.load_row(&self.row_key(id), false, budget).await
    }

    /// Loads a row and follows the tombstones of cycles. `led`: a tombstone led here, so an absent row is one that ended.
    pub(crate) async fn load_row(&self, key: &RowKey, led: bool, budget: &Budget) -> Result<Loaded, Error> {
        let (mut key, mut led) = (key.clone(), led);
        for _ in 0..=MOST_HOPS {
            let found = self.look(&key, led, budget).await?;
            match found {
                Found::Live(row) => return Ok(Loaded::live(row, led)),
                Found::Tombstone { kind: Rotation::Cycle, successor, expired: false } => {
                    (key, led) = (successor, true);
                }
                Found::Tombstone { kind: Rotation::Login, expired: false, .. } => {
                    return Ok(Loaded { origin: Origin::Superseded, place: Place { key: Some(key), stored: None } });
                }
                Found::Absent | Found::Expired if led => return Ok(Loaded::GONE),
                Found::Tombstone { .. } if led => return Ok(Loaded::gone_with_trail(key)),
                // To everybody but an `invalidate`, which ends what became of the session, this ID is unknown.
                Found::Tombstone { .. } => {
                    let place = Place { key: Some(key), stored: None };
                    return Ok(Loaded { origin: Origin::Fresh { trail: true }, place });
                }
                Found::Absent | Found::Expired => return Ok(Loaded::FRESH),
                Found::Undecodable(reason) => {
                    log::error!("session {}: the row cannot be decoded and is left alone: {reason}", key.handle());
                    return Ok(Loaded { origin: Origin::Undecodable, place: Place { key: Some(key), stored: None } });
                }
                Found::Newer(found) => return Err(Error::newer(found)),
            }
        }
        Err(Error::unavailable("load", commit::TooManyHops))
    }

    /// Reads a row. An eventually consistent read may miss a row that was just written: then it is read again.
    async fn look(&self, key: &RowKey, consistent: bool, budget: &Budget) -> Result<Found, Error> {
        let consistent = consistent || self.consistent;
        let found = self.read(key, self.get(key, consistent, budget).await?);
        match found {
            Found::Live(_) | Found::Newer(_) => Ok(found),
            _ if consistent => Ok(found),
            _ => Ok(self.read(key, self.get(key, true, budget).await?)),
        }
    }

    async fn get(&self, key: &RowKey, consistent: bool, budget: &Budget) -> Result<Option<Item>, Error> {
        let send = || {
            let get = self.client.get_item().table_name(&self.table).key(ID, text(key.as_str()));
            get.consistent_read(consistent).send()
        };
        let answer = self.attempts.send("load", budget.deadline(), send).await?;
        match answer.result {
            Ok(output) => Ok(output.item),
            Err(error) => Err(Error::rejected("load", error)),
        }
    }

    /// Reads what DynamoDB brought; a row past its absolute timeout counts as expired.
    fn read(&self, key: &RowKey, item: Option<Item>) -> Found {
        let now = self.now().timestamp();
        match Found::read(key, item, now) {
            Found::Live(row) if !self.policy.is_live(&row.snapshot, now) => Found::Expired,
            found => found,
        }
    }

    /// Ends the session that a handle names, or what a rotation made of it.
    pub(crate) async fn revoke(&self, handle: &Handle, budget: &Budget) -> Result<Revoked, Error> {
        let mut key = handle.row_key().clone();
        for _ in 0..=MOST_HOPS {
            let found = match self.delete_ended(&key, budget).await? {
                write::Written::Done { old, .. } => match self.read(&key, old) {
                    Found::Absent | Found::Expired => return Ok(Revoked::Absent),
                    _ => return Ok(Revoked::Deleted),
                },
                write::Written::Failed { found, .. } => self.read(&key, found),
            };
            match found {
                Found::Tombstone { successor, .. } => key = successor,
                _ => return Ok(Revoked::Absent),
            }
        }
        Err(Error::unavailable("revoke", commit::TooManyHops))
    }

    /// Refuses an item over the limit before DynamoDB is asked, and warns once when one comes near.
    fn sized(&self, item: Item) -> Result<Item, Error> {
        use std::sync::atomic::Ordering;

        let size = row::size(&item);
        if size > ITEM_LIMIT {
            return Err(Error::TooLarge { size, limit: ITEM_LIMIT });
        }
        if size > self.warn_size && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "a session takes {size} bytes of the {ITEM_LIMIT} that DynamoDB stores; each read and write pays for all"
            );
        }
        Ok(item)
    }
}

/// A share of the item limit, in bytes.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share is between 0 and 1"
)]
fn share_of_limit(share: f64) -> usize {
    (share * ITEM_LIMIT as f64) as usize
}

impl Error {
    pub(crate) fn newer(found: u64) -> Self {
        Self::NewerFormat { found, known: KNOWN_FORMAT }
    }
}
