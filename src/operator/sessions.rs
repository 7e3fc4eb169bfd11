//! What the fairing puts into managed state: the store, and what the requests of one application share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;

use crate::config::{Config, ConsistentRead, Endpoint, Lifetime, TableArn};
use crate::domain::codec::Codec;
use crate::domain::id::Handle;
use crate::domain::policy::{Lifetimes, Policy};
use crate::error::Error;
use crate::session::registry::{Counters, Registry};
use crate::store::Store;
use crate::store::client::{Connect, Target};
use crate::store::item::ITEM_LIMIT;
use crate::store::link::Shared;
use crate::store::payload::Payloads;
use crate::store::settings::{Clock, Settings};
use crate::store::table::{self, TableStatus};

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
    pub(crate) registry: Arc<Registry>,
    config: Arc<Config>,
    client: Client,
}

/// What this process has done since its launch. Each figure only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions looked up in the table.
    pub loads: u64,
    /// Writes that reached the table.
    pub commits: u64,
    /// Conditional writes that met somebody else's and were planned again; each is billed as a write.
    pub conflicts: u64,
    /// Changes that were dropped because the session had ended, a login superseded it, or their holder panicked.
    pub dropped: u64,
    /// Loads and commits that ended with an error.
    pub failed: u64,
    /// Writes that a shutdown cut off.
    pub cut_off: u64,
}

impl Sessions {
    /// `shared` comes with a client of this crate.
    pub(crate) fn new(client: Client, shared: Option<Shared>, config: Config, clock: Clock) -> Self {
        let store = Store::new(&client, shared, settings(&config, clock));
        let registry = Arc::new(Registry::new(store, config.deadline, config.commit_on_error));
        Self { registry, config: Arc::new(config), client }
    }

    /// Returns the DynamoDB client, for tables of your own. It is also in managed state by itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Creates the table, billed on demand, and switches its TTL on. A table that exists is left as it is, but for its
    /// TTL when that is off.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached or refuses.
    pub async fn create_table(&self) -> Result<(), Error> {
        table::create(self.registry.store.table_client(), &self.config.table).await
    }

    /// Looks at the table: whether it exists, its key and its TTL.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached.
    pub async fn table_status(&self) -> Result<TableStatus, Error> {
        table::status(self.registry.store.table_client(), &self.config.table).await
    }

    /// Ends the session that a handle names, also when its ID was rotated since. Returns whether there was one.
    ///
    /// A request of that session in flight changes nothing any more; its cookie opens nothing. Where that is the request
    /// that asked for it, its guard says [`SessionStatus::Gone`](crate::SessionStatus::Gone) from then on; to sign out the
    /// one who asks, [`Session::invalidate`](crate::Session::invalidate) is the way, which removes the cookie too.
    ///
    /// # Errors
    ///
    /// Fails when DynamoDB cannot be reached; then nobody knows whether the session has ended.
    pub async fn revoke(&self, handle: &Handle) -> Result<bool, Error> {
        let ended = self.registry.store.revoke(handle, &|| self.registry.budget()).await?;
        // Requests of this process that use the session know it at once: also the one that asked for it.
        self.registry.in_use().iter().for_each(|session| session.revoked(handle));
        Ok(ended)
    }

    /// Returns what this process has done since its launch.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Counters { loads, commits, conflicts, dropped, failed, cut_off } = &self.registry.counters;
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
        f.debug_struct("Sessions").field("config", &self.config).finish_non_exhaustive()
    }
}

/// From which size on data is compressed where nothing else is configured: less costs one write unit in any case.
#[cfg(feature = "zstd")]
const COMPRESS_ABOVE: crate::config::CompressAbove = crate::config::CompressAbove::bytes(1024);

/// What the store has to be told of a configuration.
fn settings(config: &Config, clock: Clock) -> Settings {
    Settings {
        table: config.table.clone(),
        key_prefix: config.key_prefix.clone(),
        consistent_read: config.consistent_read == ConsistentRead::On,
        attempts: config.attempts,
        attempt_timeout: config.attempt_timeout,
        backoff: config.backoff,
        warn_size: share_of_limit(config.warn_size.get()),
        policy: policy(config),
        payloads: payloads(config),
        clock,
    }
}

/// How data is put into rows.
fn payloads(config: &Config) -> Payloads {
    let codec = match config.codec {
        #[cfg(feature = "cbor")]
        crate::config::Codec::Cbor => Codec::Cbor,
        #[cfg(feature = "native")]
        crate::config::Codec::Native => Codec::Native,
        // The check at launch lets no codec through that is not compiled in.
        _ => Codec::Json,
    };
    Payloads {
        codec,
        #[cfg(feature = "zstd")]
        compress_above: config
            .compress_above
            .unwrap_or(COMPRESS_ABOVE)
            .get()
            .map(|size| size.try_into().unwrap_or(usize::MAX)),
        #[cfg(feature = "encrypt")]
        seal: (!config.seal_keys.is_empty()).then(|| {
            crate::store::seal::Seal::new(
                &config.seal_keys.iter().map(crate::config::SealKey::bytes).collect::<Vec<_>>(),
            )
        }),
    }
}

fn policy(config: &Config) -> Policy {
    let lifetimes = |idle: Option<Lifetime>, absolute: Option<Lifetime>| Lifetimes {
        idle: idle.unwrap_or(config.ttl).as_secs(),
        absolute: absolute.or(config.absolute_ttl).map(Lifetime::as_secs),
    };
    Policy {
        visitor: lifetimes(config.anonymous_ttl, None),
        signed_in: lifetimes(None, None),
        remembered: lifetimes(config.remember_ttl, config.remember_absolute_ttl),
        tombstone: config.tombstone_ttl.as_secs(),
        renew_below: config.renew_below.get(),
        remember: config.remember,
        cookies: config.header.is_none(),
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

/// What a client has to be told of a configuration.
pub(crate) fn connection(config: &Config) -> Connect {
    let target = match &config.endpoint {
        None => Target::Aws,
        Some(Endpoint::Memory) => Target::Memory,
        Some(Endpoint::File(path)) => Target::File(path.clone()),
        Some(Endpoint::Url(url)) => Target::Url(url.clone()),
    };
    Connect {
        target,
        region: config.region.clone().or_else(|| TableArn::parse(&config.table).map(|arn| arn.region.into())),
        deadline: config.deadline,
        attempt_timeout: config.attempt_timeout,
        attempts: config.attempts,
        backoff: config.backoff,
        is_loopback: |url| url.parse::<Endpoint>().is_ok_and(|endpoint| endpoint.is_loopback()),
    }
}
