//! What the store has to be told; it reads no configuration of its own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::policy::Policy;
use crate::store::payload::Payloads;

/// A clock: time is an argument, and only the glue reads it.
pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How the store goes about its work.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) table: String,
    pub(crate) key_prefix: String,
    pub(crate) consistent_read: bool,
    /// The most attempts of one request that may fail: a 5xx, a broken connection, a time-out.
    pub(crate) attempts: u32,
    /// The time one attempt may take.
    pub(crate) attempt_timeout: Duration,
    /// The pause after the first failed attempt; it doubles from there.
    pub(crate) backoff: Duration,
    /// The size of an item, in bytes, above which the log has a warning.
    pub(crate) warn_size: usize,
    pub(crate) policy: Policy,
    pub(crate) payloads: Payloads,
    pub(crate) clock: Clock,
}
