//! The lifetimes, and when they are refreshed.

use crate::domain::snapshot::Snapshot;
use crate::domain::view::View;

/// The lifetimes in seconds, and when they are refreshed.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) idle: i64,
    pub(crate) absolute: Option<i64>,
    pub(crate) tombstone: i64,
    /// The share of the lifetime that must be left for a refresh not to be due.
    pub(crate) renew_below: f64,
    /// Whether a session's cookie is persistent, where the session does not say.
    pub(crate) remember: bool,
    /// Whether the ID travels in a cookie.
    pub(crate) cookies: bool,
}

impl Policy {
    /// When a session with this lifetime of its own, used now, expires: the earliest of idle, absolute and its own.
    pub(crate) fn expiry(&self, own: Option<i64>, started: i64, now: i64) -> i64 {
        let idle = now + self.lifetime(own);
        self.absolute.map_or(idle, |absolute| idle.min(started.saturating_add(absolute)))
    }

    pub(crate) fn lifetime(&self, own: Option<i64>) -> i64 {
        // Another program can have written any number.
        own.map_or(self.idle, |own| own.clamp(1, self.idle))
    }

    pub(crate) fn persistent(&self, remember: Option<bool>) -> bool {
        self.cookies && remember.unwrap_or(self.remember)
    }

    /// Whether a live row may still be used.
    pub(crate) fn is_live(&self, snapshot: &Snapshot, now: i64) -> bool {
        // Its own lifetime is part of `ttl`, which is written as the earliest of the three.
        snapshot.ttl > now && self.absolute.is_none_or(|absolute| snapshot.started.saturating_add(absolute) > now)
    }

    /// Whether a row lives longer than the configuration in force allows, by more than clocks differ.
    pub(crate) fn exceeds(&self, ttl: i64, own: Option<i64>, allowed: i64) -> bool {
        ttl.saturating_sub(allowed) > self.lifetime(own) / 10
    }

    /// Whether row and cookie get a new lifetime: less than the configured share of it is left, or it became another.
    /// `until` is when the earlier of the two ends, `target` when they would.
    pub(crate) fn is_due(&self, view: &View, until: i64, target: i64, now: i64) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "seconds of at most ten years")]
        let (left, lifetime) = (until.saturating_sub(now) as f64, self.lifetime(view.lifetime) as f64);
        target > until && left < self.renew_below * lifetime
    }
}
