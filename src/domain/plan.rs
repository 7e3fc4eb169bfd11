//! The plan of a commit: from what was loaded, the log and the age to the one write that follows.

use crate::domain::log::{Content, Op, Rotation, View};
use crate::domain::state::{Origin, Snapshot};
use crate::error::Error;

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
    /// When a session with this content, used now, expires: the earliest of idle, absolute and its own lifetime.
    fn expiry(&self, content: &Content, started: i64, now: i64) -> i64 {
        let idle = now + self.lifetime(content);
        self.absolute.map_or(idle, |absolute| idle.min(started.saturating_add(absolute)))
    }

    fn lifetime(&self, content: &Content) -> i64 {
        // Another program can have written any number.
        content.lifetime.map_or(self.idle, |own| own.clamp(1, self.idle))
    }

    fn persistent(&self, content: &Content) -> bool {
        self.cookies && content.remember.unwrap_or(self.remember)
    }

    /// Whether a live row may still be used.
    pub(crate) fn is_live(&self, snapshot: &Snapshot, now: i64) -> bool {
        // Its own lifetime is part of `ttl`, which is written as the earliest of the three.
        snapshot.ttl > now && self.absolute.is_none_or(|absolute| snapshot.started.saturating_add(absolute) > now)
    }
}

/// What the request allows a commit to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Means {
    /// A cookie can still be sent.
    pub(crate) tell: bool,
    /// The lifetime may be refreshed.
    pub(crate) renew: bool,
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Next {
    pub(crate) snapshot: Snapshot,
    /// The lifetime of the row is refreshed.
    pub(crate) refreshed: bool,
    /// The client is told, by a cookie or header.
    pub(crate) told: bool,
}

/// What becomes of the old row, and whether there is a new one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    Nothing,
    /// Changes that must not be written: the session ended, or a login superseded it.
    Drop,
    Touch(Next),
    Update(Next),
    /// The row is deleted because the session was emptied.
    Delete,
    Create(Next),
    /// A new row, and a tombstone in the place of the old one.
    Rotate(Next, Rotation),
    /// The session is deleted because its holder said so.
    Invalidate,
    /// As `Invalidate`, and a new row in the same transaction.
    Replace(Next),
}

/// Plans the one write of a commit: pure and total. The error is an `update` that failed on replay.
pub(crate) fn plan(origin: &Origin, log: &[Op], means: Means, policy: &Policy, now: i64) -> Result<Plan, Error> {
    let view = View::of(origin.base()).replay(log)?;
    let empty = view.content.is_empty();
    let create = |view: &View| {
        let next = fresh(view, policy, now);
        if view.invalidated { Plan::Replace(next) } else { Plan::Create(next) }
    };
    Ok(match origin {
        Origin::Live { snapshot, led } => live(snapshot, *led, &view, means, policy, now),
        Origin::Unavailable if view.invalidated => Plan::Invalidate,
        Origin::Unavailable => Plan::Nothing,
        Origin::Fresh { trail: false } if empty => Plan::Nothing,
        Origin::Fresh { trail: false } => Plan::Create(fresh(&view, policy, now)),
        Origin::Undecodable if empty && view.invalidated => Plan::Invalidate,
        Origin::Undecodable if empty => Plan::Nothing,
        Origin::Undecodable => create(&view),
        // The old ID ended for a reason: only a login starts a session from there.
        Origin::Fresh { trail: true } if !view.invalidated && !empty => Plan::Create(fresh(&view, policy, now)),
        Origin::Superseded | Origin::Gone { trail: true } | Origin::Fresh { trail: true }
            if (view.login || view.invalidated) && !empty =>
        {
            create(&view)
        }
        Origin::Superseded | Origin::Gone { trail: true } | Origin::Fresh { trail: true } if view.invalidated => {
            Plan::Invalidate
        }
        Origin::Gone { .. } if view.login && !empty => Plan::Create(fresh(&view, policy, now)),
        Origin::Superseded | Origin::Gone { .. } if view != View::default() && !(view.invalidated && empty) => {
            Plan::Drop
        }
        Origin::Superseded | Origin::Gone { .. } | Origin::Fresh { trail: true } => Plan::Nothing,
    })
}

fn fresh(view: &View, policy: &Policy, now: i64) -> Next {
    let ttl = policy.expiry(&view.content, now, now);
    let cookie = policy.persistent(&view.content).then_some(ttl);
    let snapshot = Snapshot { content: view.content.clone(), started: now, ttl, cookie };
    Next { snapshot, refreshed: true, told: true }
}

fn live(old: &Snapshot, led: bool, view: &View, means: Means, policy: &Policy, now: i64) -> Plan {
    let content = &view.content;
    if view.invalidated {
        return if content.is_empty() { Plan::Invalidate } else { Plan::Replace(fresh(view, policy, now)) };
    }
    let changed = view.rotation.is_some() || *content != old.content;
    if changed && content.is_empty() {
        return Plan::Delete;
    }
    let started = if view.login { now } else { old.started };
    let ttl = policy.expiry(content, started, now);
    let tell = means.tell && (!led || view.rotation.is_some());
    let persistent = policy.persistent(content);
    // A flush after the head can have switched the row alone: the row remembers which cookie was sent last.
    let untold = if persistent { content.remember.is_some() && old.cookie.is_none() } else { old.cookie.is_some() };
    let switched = policy.cookies && (persistent != policy.persistent(&old.content) || untold && means.renew);
    let refreshed = view.rotation.is_some() || (tell && switched) || due(old, content, tell, means, policy, ttl, now);
    // A browser-session cookie and a header have no lifetime, so there is nothing to tell when the row's is refreshed.
    let told = view.rotation.is_some() || (tell && refreshed && (persistent || switched));
    let cookie = match persistent {
        _ if !told => old.cookie,
        true => Some(ttl),
        false => None,
    };
    let ttl = if refreshed { ttl } else { old.ttl };
    let next = Next { snapshot: Snapshot { content: content.clone(), started, ttl, cookie }, refreshed, told };
    match view.rotation {
        Some(rotation) => Plan::Rotate(next, rotation),
        None if changed => Plan::Update(next),
        None if refreshed => Plan::Touch(next),
        None => Plan::Nothing,
    }
}

/// Whether row and cookie get a new lifetime: less than the configured share of it is left, or it became another.
fn due(old: &Snapshot, new: &Content, tell: bool, means: Means, policy: &Policy, target: i64, now: i64) -> bool {
    if new.lifetime != old.content.lifetime {
        return true;
    }
    // The earlier of the two decides: a flush after the head can have refreshed the row alone.
    let until = match old.cookie {
        Some(cookie) if tell && policy.persistent(new) => cookie.min(old.ttl),
        _ => old.ttl,
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds of at most ten years")]
    let left = until.saturating_sub(now) as f64;
    #[allow(clippy::cast_precision_loss, reason = "seconds of at most ten years")]
    let lifetime = policy.lifetime(new) as f64;
    means.renew && target > until && left < policy.renew_below * lifetime
}

#[cfg(test)]
mod tests;
