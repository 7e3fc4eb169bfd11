//! The store: DynamoDB as a place for sessions. It knows neither Rocket nor cookies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::domain::id::{RowKey, SessionId};
use crate::domain::settle::{After, Before, Fate, fate, transition};
use crate::domain::state::Origin;
use crate::error::Error;
use crate::store::attempt::Attempts;
use crate::store::bucket::Bucket;
use crate::store::budget::Budget;
use crate::store::item::{ITEM_LIMIT, text};
use crate::store::link::{Link, Shared};
use crate::store::lock::RowLocks;
use crate::store::place::{Loaded, Place, Via};
use crate::store::row::{Body, ID, Row};
use crate::store::settings::Settings;

pub(crate) mod attempt;
mod bucket;
pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod commit;
mod connections;
mod credentials;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
mod expression;
mod identity;
pub(crate) mod item;
pub(crate) mod link;
mod lock;
pub(crate) mod payload;
pub(crate) mod place;
mod prepared;
pub(crate) mod revoke;
pub(crate) mod row;
#[cfg(feature = "encrypt")]
pub(crate) mod seal;
pub(crate) mod settings;
pub(crate) mod sweep;
pub(crate) mod table;
mod tombstone;
mod version;
mod write;

/// The longest that credentials and the first connection may take at launch, in the background.
const WARM_UP: Duration = Duration::from_secs(30);

/// How many tombstones are followed in a row; each is a rotation within the life of a tombstone.
const MOST_HOPS: usize = 16;

/// DynamoDB as the store of one application's sessions.
pub(crate) struct Store {
    attempts: Attempts,
    locks: RowLocks,
    warned: AtomicBool,
    pub(crate) settings: Settings,
}

impl Store {
    /// `shared` comes with a client of this crate.
    pub(crate) fn new(client: &Client, shared: Option<Shared>, settings: Settings) -> Self {
        Self {
            attempts: Attempts {
                link: Link::new(client, shared),
                most: settings.attempts,
                timeout: settings.attempt_timeout,
                backoff: settings.backoff,
                bucket: Bucket::new(),
            },
            locks: RowLocks::default(),
            warned: AtomicBool::new(false),
            settings,
        }
    }

    /// The client for calls about the table.
    pub(crate) fn table_client(&self) -> &Client {
        self.attempts.link.patient()
    }

    /// Opens the first connection and has the credentials loaded, so that the first visitor waits for neither: reads a row
    /// that is none. What fails then fails again for those who need it.
    pub(crate) async fn warm_up(&self) {
        let key = format!("{}warm-up", self.settings.key_prefix);
        let send = |client: &Client| {
            client.get_item().table_name(&self.settings.table).key(ID, text(&key)).consistent_read(false).send()
        };
        if let Err(error) = self.attempts.send("warm up", Instant::now() + WARM_UP, send).await {
            log::debug!("{}", crate::error::Chain(&error));
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.settings.clock)()
    }

    pub(crate) fn row_key(&self, id: &SessionId) -> RowKey {
        id.row_key(&self.settings.key_prefix)
    }

    /// Loads the session under an ID that a client sent, and follows the tombstones of cycles.
    pub(crate) async fn load(&self, id: &SessionId, budget: &Budget) -> Result<Loaded, Error> {
        let (mut key, mut led) = (self.row_key(id), false);
        for _ in 0..=MOST_HOPS {
            let row = self.look(&key, led, budget).await?;
            match self.fate(&key, row.as_ref())? {
                Fate::Led(successor) => (key, led) = (successor, true),
                fate => {
                    let via = if led { Via::Cycles } else { Via::Brought };
                    return Ok(Loaded::after(Before::Load, &fate, led, key, row, via).unwrap_or(Loaded::FRESH));
                }
            }
        }
        // Gone, but for a sign-out, which follows the rest.
        let place = Place { key: Some(key), row: None, via: Via::Cycles };
        Ok(Loaded { origin: Origin::Gone { trail: true }, place })
    }

    /// What became of the session whose row this is. A row of a newer format is an error: a rolling deployment must not
    /// sign everybody out.
    fn fate(&self, key: &RowKey, row: Option<&Row>) -> Result<Fate, Error> {
        let Some(row) = row else { return Ok(Fate::Absent) };
        let fate = fate(&row.stands(&self.settings.policy, self.now().timestamp()));
        match &row.body {
            Body::Newer(newer) if fate == Fate::Undecodable => Err(newer.error()),
            Body::Undecodable(reason) if fate == Fate::Undecodable => {
                log::error!("session {}: the row cannot be decoded and is left alone: {reason}", key.handle());
                Ok(fate)
            }
            _ => Ok(fate),
        }
    }

    /// Reads a row. An eventually consistent read may miss a row that was just written: then it is read again.
    async fn look(&self, key: &RowKey, consistent: bool, budget: &Budget) -> Result<Option<Row>, Error> {
        let consistent = consistent || self.settings.consistent_read;
        let row = self.get(key, consistent, budget).await?;
        match &row {
            _ if consistent => Ok(row),
            Some(Row { body: Body::Newer(_), .. }) => Ok(row),
            Some(found) if fate(&found.stands(&self.settings.policy, self.now().timestamp())) == Fate::Live => Ok(row),
            _ => self.get(key, true, budget).await,
        }
    }

    async fn get(&self, key: &RowKey, consistent: bool, budget: &Budget) -> Result<Option<Row>, Error> {
        let send = |client: &Client| {
            let get = client.get_item().table_name(&self.settings.table).key(ID, text(key.as_str()));
            get.consistent_read(consistent).send()
        };
        let answer = self.attempts.send("load", budget.deadline(), send).await?;
        match answer.result {
            Ok(output) => Ok(output.item.map(|item| Row::decode(key, item, &self.settings.payloads))),
            Err(error) => Err(Error::rejected("load", error)),
        }
    }

    /// Refuses a row over the limit before DynamoDB is asked, and warns once when one comes near.
    fn check_size(&self, size: usize) -> Result<(), Error> {
        if size > ITEM_LIMIT {
            return Err(Error::TooLarge { size, limit: ITEM_LIMIT });
        }
        if size > self.settings.warn_size && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "a session takes {size} bytes of the {ITEM_LIMIT} that DynamoDB stores; each read and write pays for all"
            );
        }
        Ok(())
    }
}

impl Loaded {
    /// What a request knows after a look at the table; `None` where that is what it knew before. Nobody is told of a place
    /// where nothing can be looked up any more.
    pub(crate) fn after(
        before: Before,
        fate: &Fate,
        led: bool,
        key: RowKey,
        row: Option<Row>,
        via: Via,
    ) -> Option<Self> {
        let row = match row {
            Some(Row { body: Body::Live(row), .. }) => Some(row),
            _ => None,
        };
        let origin = match (transition(before, fate, led), &row) {
            (After::AsBefore, _) => return None,
            (After::Fresh { trail: false }, _) => return Some(Self::FRESH),
            (After::Fresh { trail: true }, _) => Origin::Fresh { trail: true },
            (After::Live, Some(row)) => Origin::Live { snapshot: row.snapshot.clone(), led },
            (After::Superseded, _) => Origin::Superseded,
            (After::Gone { trail }, _) => Origin::Gone { trail },
            (After::OwnEnd, _) => Origin::OwnEnd,
            (After::Undecodable | After::Live, _) => Origin::Undecodable,
        };
        let row = row.filter(|_| matches!(origin, Origin::Live { .. }));
        Some(Self { origin, place: Place { key: Some(key), row, via } })
    }
}
