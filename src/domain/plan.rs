//! The plan of a commit: from what was loaded, the view and the age to the one write that follows.

use crate::domain::policy::Policy;
use crate::domain::snapshot::Snapshot;
use crate::domain::state::Origin;
use crate::domain::view::{Rotation, View};

/// What the request allows a commit to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Means {
    /// A cookie can still be sent. Where it cannot, no row is created and no ID rotated: nobody would hold it.
    pub(crate) tell: bool,
    /// The lifetime may be refreshed.
    pub(crate) renew: bool,
}

/// The times of a row to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) started: i64,
    pub(crate) ttl: i64,
    pub(crate) cookie: Option<i64>,
    /// The lifetime of the row is refreshed.
    pub(crate) refreshed: bool,
    /// The client is told, by a cookie or header.
    pub(crate) told: bool,
}

/// The fate of the old row, and whether there is a new one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    Nothing,
    /// Changes that must not be written: the session ended, a login superseded it, or the client could not be told.
    Drop,
    Touch(Times),
    Update(Times),
    /// The row ends because the session was emptied.
    End,
    Create(Times),
    /// A new row, and a tombstone in the place of the old one.
    Rotate(Times, Rotation),
    /// The row ends because its holder said so.
    Invalidate,
    /// As `Invalidate`, and a new row in the same transaction.
    Replace(Times),
}

/// Plans the one write of a commit: pure and total.
pub(crate) fn plan(origin: &Origin, view: &View, means: Means, policy: &Policy, now: i64) -> Plan {
    let empty = view.is_empty();
    let new = fresh(view, policy, now);
    let plan = match origin {
        Origin::Live { snapshot, led } => live(snapshot, *led, view, means, policy, now),
        Origin::Unavailable if view.invalidated => Plan::Invalidate,
        Origin::Unavailable => Plan::Nothing,
        // Whoever still knows the ID of a row that nobody can read must not undo the login.
        Origin::Undecodable if view.login && !empty => Plan::Replace(new),
        Origin::Undecodable | Origin::Fresh { trail: true } | Origin::Superseded | Origin::Gone { trail: true }
            if view.invalidated =>
        {
            if empty {
                Plan::Invalidate
            } else {
                Plan::Replace(new)
            }
        }
        Origin::Undecodable | Origin::Fresh { .. } | Origin::OwnEnd if empty => Plan::Nothing,
        Origin::Undecodable | Origin::Fresh { .. } | Origin::OwnEnd => Plan::Create(new),
        // The old ID ended for a reason: only a login starts a session from there.
        Origin::Superseded | Origin::Gone { .. } if view.login && !empty => Plan::Create(new),
        Origin::Superseded | Origin::Gone { .. } if view.is_changed() => Plan::Drop,
        Origin::Superseded | Origin::Gone { .. } => Plan::Nothing,
    };
    match plan {
        Plan::Create(_) if !means.tell => Plan::Drop,
        Plan::Replace(_) if !means.tell => Plan::Invalidate,
        plan => plan,
    }
}

fn fresh(view: &View, policy: &Policy, now: i64) -> Times {
    let ttl = policy.expiry(view.life(), now, now);
    let cookie = policy.persistent(view.remember).then(|| policy.cookie(ttl, now));
    Times { started: now, ttl, cookie, refreshed: true, told: true }
}

fn live(old: &Snapshot, led: bool, view: &View, means: Means, policy: &Policy, now: i64) -> Plan {
    if view.invalidated {
        return if view.is_empty() { Plan::Invalidate } else { Plan::Replace(fresh(view, policy, now)) };
    }
    if view.rotation == Some(Rotation::Login) && !means.tell {
        // Without a new ID, whoever planted the old one would be signed in too.
        return Plan::Drop;
    }
    // A request that a cycle's tombstone led here has nothing to rotate; and an ID is rotated only for who hears of it.
    let rotation = view.rotation.filter(|rotation| means.tell && !(led && *rotation == Rotation::Cycle));
    let changed = rotation.is_some() || view.is_content_changed();
    if changed && view.is_empty() {
        return Plan::End;
    }
    let started = if view.login { now } else { old.started };
    let life = view.life();
    let target = policy.expiry(life, started, now);
    let until = policy.cookie(target, now);
    let tell = means.tell && (!led || rotation.is_some());
    let persistent = policy.persistent(view.remember);
    // A flush after the head can have switched the row alone: the row remembers which cookie was sent last.
    let untold = if persistent { view.remember.is_some() && old.cookie.is_none() } else { old.cookie.is_some() };
    let switched = policy.cookies && (persistent != policy.persistent(old.remember) || untold && means.renew);
    // The earlier of the two decides: a flush after the head can have refreshed the row alone.
    let cookie_due = tell && persistent && old.cookie.is_some_and(|old| policy.is_cookie_due(life, old, until, now));
    let due = view.lifetime != old.lifetime
        || policy.lifetimes(life) != policy.lifetimes(old.life())
        || policy.exceeds(old.ttl, life, target)
        || means.renew && (cookie_due || policy.is_due(life, old.ttl, target, now));
    let refreshed = rotation.is_some() || (tell && switched) || due;
    // A browser-session cookie and a header have no lifetime, so there is nothing to tell when the row's is refreshed.
    let told = rotation.is_some() || (tell && refreshed && (persistent || switched));
    let cookie = match persistent {
        _ if !told => old.cookie,
        true => Some(until),
        false => None,
    };
    let ttl = if refreshed { target } else { old.ttl };
    let times = Times { started, ttl, cookie, refreshed, told };
    match rotation {
        Some(rotation) => Plan::Rotate(times, rotation),
        None if changed => Plan::Update(times),
        None if refreshed => Plan::Touch(times),
        None => Plan::Nothing,
    }
}

#[cfg(test)]
mod tests;
