//! What the table says of a session beside its data.

use std::time::{Duration, SystemTime};

use crate::domain::policy::Policy;
use crate::store::row::Stored;

/// What the table says of a session: see [`Session::info`](crate::Session::info).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// When the absolute timeout began to count: at the login, or at the creation where nobody signed in.
    pub started: SystemTime,
    /// When the session was last changed; `None` in a row of another program that does not say so. A refresh of the
    /// lifetime is no change.
    pub modified: Option<SystemTime>,
    /// When the session expires, unless it is used before.
    pub expires: SystemTime,
    /// Whether the session outlives the browser.
    pub remembered: bool,
    /// The size of its row in bytes, as DynamoDB counts it; 409,600 are the most.
    pub size: usize,
}

impl SessionInfo {
    pub(super) fn of(row: &Stored, policy: &Policy) -> Self {
        Self {
            started: instant(row.snapshot.started),
            modified: row.version.instant().map(instant),
            expires: instant(row.snapshot.ttl),
            remembered: policy.remembers(row.snapshot.remember),
            size: row.size(),
        }
    }
}

/// A time in seconds since the Unix epoch; one that no clock can show is the epoch's.
fn instant(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
