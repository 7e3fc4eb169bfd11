//! The lifetimes, and when they are refreshed.

use crate::domain::life::Life;
use crate::domain::snapshot::Snapshot;

/// The longest life of a cookie: browsers cap it there (RFC 6265bis, 5.5).
const COOKIE_MAX: i64 = 400 * 24 * 60 * 60;

/// How long one kind of session lives, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lifetimes {
    pub(crate) idle: i64,
    pub(crate) absolute: Option<i64>,
}

/// The lifetimes in seconds, and when they are refreshed.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Of visitors who did not sign in.
    pub(crate) visitor: Lifetimes,
    /// Of those who signed in, for as long as their browser runs.
    pub(crate) signed_in: Lifetimes,
    /// Of those who signed in and are to be remembered.
    pub(crate) remembered: Lifetimes,
    pub(crate) tombstone: i64,
    /// The share of the lifetime that must be left for a refresh not to be due.
    pub(crate) renew_below: f64,
    /// Whether a session is remembered, where it does not say.
    pub(crate) remember: bool,
    /// Whether the ID travels in a cookie.
    pub(crate) cookies: bool,
}

impl Policy {
    /// How long this kind of session lives.
    pub(crate) fn lifetimes(&self, life: Life) -> Lifetimes {
        match (life.signed_in, self.remembers(life.remember)) {
            (false, _) => self.visitor,
            (true, false) => self.signed_in,
            (true, true) => self.remembered,
        }
    }

    /// When such a session, used now, expires: the earliest of idle, absolute and its own.
    pub(crate) fn expiry(&self, life: Life, started: i64, now: i64) -> i64 {
        let idle = now + self.lifetime(life);
        self.lifetimes(life).absolute.map_or(idle, |absolute| idle.min(started.saturating_add(absolute)))
    }

    /// When the cookie that is sent now with a row of this `ttl` expires.
    pub(crate) fn cookie(&self, ttl: i64, now: i64) -> i64 {
        ttl.min(now + COOKIE_MAX)
    }

    fn lifetime(&self, life: Life) -> i64 {
        let idle = self.lifetimes(life).idle;
        // Another program can have written any number, and the configuration can have become stricter.
        life.own.map_or(idle, |own| own.clamp(1, idle))
    }

    pub(crate) fn remembers(&self, remember: Option<bool>) -> bool {
        remember.unwrap_or(self.remember)
    }

    pub(crate) fn persistent(&self, remember: Option<bool>) -> bool {
        self.cookies && self.remembers(remember)
    }

    /// Whether a live row may still be used.
    pub(crate) fn is_live(&self, snapshot: &Snapshot, now: i64) -> bool {
        // Its own lifetime is part of `ttl`, which is written as the earliest of the three.
        let absolute = self.lifetimes(snapshot.life()).absolute;
        snapshot.ttl > now && absolute.is_none_or(|absolute| snapshot.started.saturating_add(absolute) > now)
    }

    /// Whether a row lives longer than the configuration in force allows, by more than clocks differ.
    pub(crate) fn exceeds(&self, ttl: i64, life: Life, allowed: i64) -> bool {
        ttl.saturating_sub(allowed) > self.lifetime(life) / 10
    }

    /// Whether a row gets a new lifetime: less than the configured share of it is left. `until` is when it ends, `target`
    /// when it would.
    pub(crate) fn is_due(&self, life: Life, until: i64, target: i64, now: i64) -> bool {
        self.is_low(until, target, self.lifetime(life), now)
    }

    /// Whether a cookie gets a new lifetime, which can be due before that of a row that outlives all cookies.
    pub(crate) fn is_cookie_due(&self, life: Life, until: i64, target: i64, now: i64) -> bool {
        self.is_low(until, target, self.lifetime(life).min(COOKIE_MAX), now)
    }

    fn is_low(&self, until: i64, target: i64, lifetime: i64, now: i64) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "seconds of at most ten years")]
        let (left, lifetime) = (until.saturating_sub(now) as f64, lifetime as f64);
        target > until && left < self.renew_below * lifetime
    }
}
