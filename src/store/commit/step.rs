//! The writes of a commit, and what follows from each.

use std::sync::Arc;

use crate::domain::batch::Attempted;
use crate::domain::codec::Codec;
use crate::domain::id::RowKey;
use crate::domain::plan::Times;
use crate::domain::problem::Problem;
use crate::domain::settle::{Kind, Listed, Stands};
use crate::domain::snapshot::Snapshot;
use crate::domain::state::Origin;
use crate::domain::token::Tokens;
use crate::domain::view::{Rotation, View};
use crate::error::Error;
use crate::store::commit::outcome::{Committed, Telling};
use crate::store::commit::{Run, Step, TooManyHops};
use crate::store::item::Item;
use crate::store::place::{Loaded, Via};
use crate::store::prepared::Prepared;
use crate::store::row::{Body, Row, Stored};
use crate::store::tombstone::Tombstone;
use crate::store::version::Version;
use crate::store::write::{By, Checked, Replaced, Transacted, Written};

impl Run<'_> {
    pub(super) async fn touch(&mut self, times: Times) -> Result<Step, Error> {
        let (old, now) = (self.row(), self.store.now().timestamp());
        let telling = if times.told { Telling::Set { until: times.cookie } } else { Telling::Keep };
        let (led, via) = (self.at.origin.is_led(), self.at.place.via);
        match self.store.touch(&old, &times, now, self.budget).await? {
            Written::Done(_) => {
                let snapshot = Snapshot { ttl: times.ttl, cookie: times.cookie, ..(*old.snapshot).clone() };
                let row = Arc::new(Stored { snapshot: Arc::new(snapshot), ..(*old).clone() });
                Ok(Step::Done(Committed { wrote: true, ..self.done(Loaded::live(row, led, via), telling) }))
            }
            Written::Failed(found) => match (self.stands(found.as_ref()), found) {
                // Somebody refreshed it. If to the very second that we would have written, then it may have been us, and
                // its answer was lost: the same touch once more would change nothing, so its cookie is right as well.
                (Stands::Live, Some(Row { body: Body::Live(row), .. })) => {
                    let same = (row.snapshot.ttl, row.snapshot.cookie) == (times.ttl, times.cookie);
                    let telling = if same { telling } else { Telling::Keep };
                    Ok(Step::Done(self.done(Loaded::live(row, led, via), telling)))
                }
                // Nothing of the application's is lost by a refresh.
                (Stands::Undecodable, _) => Ok(Step::Done(self.done(self.at.clone(), Telling::Silence))),
                (_, found) => self.settle(old.key.clone(), found).await,
            },
        }
    }

    pub(super) async fn update(&mut self, times: Times, view: &View) -> Result<Step, Error> {
        let (old, now) = (self.row(), self.store.now());
        let new = Stored {
            key: old.key.clone(),
            handle: old.handle.clone(),
            snapshot: Arc::new(snapshot(view, &times, old.snapshot.codec)?),
            version: old.version.next(now),
            tokens: old.tokens.with(self.batch.token),
            dated: true,
            data_size: 0,
            word: None,
            extra: kept_extra(&old, view),
        };
        let prepared = self.store.prepare(new, Some(&old))?;
        let new = prepared.row.clone();
        let told = times.told.then_some(times.cookie);
        self.attempted = Some(Attempted { new_row: false, told });
        match self.store.update(&old, prepared, &times, now.timestamp(), self.budget).await? {
            Written::Done(_) => {
                let loaded = Loaded::live(new, self.at.origin.is_led(), self.at.place.via);
                let telling = told.map_or(Telling::Keep, |until| Telling::Set { until });
                Ok(Step::Done(Committed { wrote: true, ..self.done(loaded, telling) }))
            }
            Written::Failed(found) => self.settle_change(old.key.clone(), found).await,
        }
    }

    /// Settles a change of a live row that another writer may have broken meanwhile: the change is refused.
    async fn settle_change(&mut self, key: RowKey, found: Option<Row>) -> Result<Step, Error> {
        if let (Stands::Undecodable, Some(Row { body: Body::Undecodable(reason), .. })) =
            (self.stands(found.as_ref()), &found)
        {
            return Err(Error::Undecodable { reason: reason.clone() });
        }
        self.settle(key, found).await
    }

    pub(super) async fn end_emptied(&mut self) -> Result<Step, Error> {
        let (old, now) = (self.row(), self.store.now());
        let tombstone = Tombstone { extra: Some(&old.extra), ..self.tombstone(Kind::Ended, None) };
        self.attempted = Some(Attempted { new_row: false, told: None });
        match self.store.end_emptied(&old, &tombstone, now.timestamp(), self.budget).await? {
            Written::Done(_) => Ok(self.own_end(old.key.clone())),
            Written::Failed(found) => self.settle_change(old.key.clone(), found).await,
        }
    }

    pub(super) async fn create(&mut self, times: Times, view: &View) -> Result<Step, Error> {
        let new = self.new_row(&times, view, None)?;
        let row = new.row.clone();
        self.attempted = Some(Attempted { new_row: true, told: None });
        match self.store.create(new, self.budget).await? {
            Written::Done(_) => Ok(Step::Done(self.created(row, times.cookie, Via::Created))),
            Written::Failed(found) => self.settle_new(found, Via::Created).await,
        }
    }

    pub(super) async fn rotate(&mut self, times: Times, rotation: Rotation, view: &View) -> Result<Step, Error> {
        let (old, now) = (self.row(), self.store.now());
        let new = self.new_row(&times, view, Some((&old, rotation)))?;
        let (kind, via) = match rotation {
            Rotation::Cycle => (Kind::Cycle, Via::Cycles),
            Rotation::Login => (Kind::Login, Via::Login),
        };
        let via = self.at.place.via.max(via);
        let tombstone = Tombstone { extra: Some(&old.extra), ..self.tombstone(kind, Some(&new.row.key)) };
        self.attempted = Some(Attempted { new_row: true, told: None });
        let replaced = Replaced::Seen(&old);
        match self.store.replace(&old.key, replaced, &tombstone, &new, now.timestamp(), self.budget).await? {
            Transacted::Done { repeated: false } => Ok(Step::Done(self.created(new.row, times.cookie, via))),
            // An attempt whose answer was lost may have been built upon: the new row is looked at first.
            Transacted::Done { repeated: true } => self.see_new(via).await,
            // The old row may have been busy with another transaction: then nothing but the new one says that it was us.
            Transacted::Failed { new: Checked::Failed(Some(found)), .. } if self.lists(&found) => {
                self.settle_new(Some(found), via).await
            }
            Transacted::Failed { old: Checked::Failed(found), .. } => self.settle_change(old.key.clone(), found).await,
            Transacted::Failed { old: Checked::Passed, .. } => Ok(self.another_id()),
        }
    }

    pub(super) async fn invalidate(&mut self) -> Result<Step, Error> {
        let mut key = self.key();
        let mut known = self.at.place.row.clone();
        loop {
            let extra = known.as_ref().map(|row| &row.extra);
            let tombstone = Tombstone { extra, ..self.tombstone(Kind::Ended, None) };
            self.attempted = Some(Attempted { new_row: false, told: None });
            match self.store.end(&key, By::Holder, &tombstone, self.budget).await? {
                Written::Done(old) => {
                    return match self.stands(old.as_ref()) {
                        Stands::Live | Stands::Undecodable => Ok(self.own_end(key)),
                        _ => {
                            let loaded = Loaded { origin: Origin::Gone { trail: false }, place: self.at.place.clone() };
                            Ok(Step::Done(Committed { wrote: true, ..self.done(loaded, Telling::Silence) }))
                        }
                    };
                }
                Written::Failed(found) => match self.successor(found.as_ref())? {
                    Some(successor) => {
                        known = self.known(&successor).await?;
                        key = successor;
                    }
                    None => return self.settle_end(key, found).await,
                },
            }
        }
    }

    /// Settles an end: a tombstone of another's that names no successor is where it ends.
    async fn settle_end(&mut self, key: RowKey, found: Option<Row>) -> Result<Step, Error> {
        if let Some(Row { body: Body::Tombstone { successor: None, .. }, .. }) = &found
            && !found.as_ref().is_some_and(|row| self.lists(row))
        {
            self.attempted = None;
            self.at.origin = Origin::Gone { trail: false };
            return Ok(Step::Again);
        }
        self.settle(key, found).await
    }

    pub(super) async fn replace(&mut self, times: Times, view: &View) -> Result<Step, Error> {
        let mut key = self.key();
        let mut known = self.at.place.row.clone();
        let undecodable = self.at.origin == Origin::Undecodable;
        loop {
            let now = self.store.now().timestamp();
            let new = self.new_row(&times, view, None)?;
            let (kind, successor) = if view.login { (Kind::Login, Some(&new.row.key)) } else { (Kind::Ended, None) };
            let extra = known.as_ref().map(|row| &row.extra);
            let tombstone = Tombstone { extra, ..self.tombstone(kind, successor) };
            let replaced = if undecodable { Replaced::Undecodable } else { Replaced::Live };
            self.attempted = Some(Attempted { new_row: true, told: None });
            match self.store.replace(&key, replaced, &tombstone, &new, now, self.budget).await? {
                Transacted::Done { repeated: false } => {
                    return Ok(Step::Done(self.created(new.row, times.cookie, Via::Created)));
                }
                Transacted::Done { repeated: true } => return self.see_new(Via::Created).await,
                Transacted::Failed { new: Checked::Failed(Some(found)), .. } if self.lists(&found) => {
                    return self.settle_new(Some(found), Via::Created).await;
                }
                Transacted::Failed { old: Checked::Passed, .. } => return Ok(self.another_id()),
                // A login alone ends nobody else's session: it begins its own.
                Transacted::Failed { old: Checked::Failed(found), .. } if !view.invalidated => {
                    return self.settle(key, found).await;
                }
                Transacted::Failed { old: Checked::Failed(found), .. } => match self.successor(found.as_ref())? {
                    Some(successor) => {
                        known = self.known(&successor).await?;
                        key = successor;
                    }
                    None => return self.settle_end(key, found).await,
                },
            }
        }
    }

    /// Where whoever ends a session goes on: at the successor of another's tombstone, expired or not.
    fn successor(&mut self, found: Option<&Row>) -> Result<Option<RowKey>, Error> {
        let Some(Row { body: Body::Tombstone { kind, successor: Some(successor), .. }, .. }) = found else {
            return Ok(None);
        };
        if found.is_some_and(|row| row.lists(self.batch.token) == Listed::Last) {
            return Ok(None);
        }
        if !self.hop() {
            // To say that it was done would be a lie.
            return Err(Error::unavailable("follow tombstones", TooManyHops));
        }
        let over = if *kind == Kind::Cycle { Via::Cycles } else { Via::Login };
        self.at.place.via = self.at.place.via.max(over);
        Ok(Some(successor.clone()))
    }

    /// The live row under a key that a tombstone named: what other programs keep there goes with the session.
    async fn known(&self, key: &RowKey) -> Result<Option<Arc<Stored>>, Error> {
        // While nothing can be read, the end itself matters more.
        if self.at.origin == Origin::Unavailable {
            return Ok(None);
        }
        let row = self.store.get(key, true, self.budget).await?;
        Ok(row.and_then(|row| match row.body {
            Body::Live(row) => Some(row),
            _ => None,
        }))
    }

    /// Settles on the new row of a transaction of ours that was carried out.
    async fn see_new(&mut self, via: Via) -> Result<Step, Error> {
        self.stored = true;
        self.at.place.via = via;
        let key = self.store.row_key(&self.candidate);
        let row = self.store.get(&key, true, self.budget).await?;
        self.settle(key, row).await
    }

    /// Settles on a row that stands under the new key: our own, or somebody else's.
    async fn settle_new(&mut self, found: Option<Row>, via: Via) -> Result<Step, Error> {
        match found {
            Some(row) if self.lists(&row) => {
                self.at.place.via = via;
                self.settle(self.store.row_key(&self.candidate), Some(row)).await
            }
            _ => Ok(self.another_id()),
        }
    }

    /// The candidate names a row of somebody else's.
    fn another_id(&mut self) -> Step {
        self.candidate = crate::domain::id::SessionId::random();
        self.attempted = None;
        Step::Again
    }

    pub(super) fn created(&self, row: Arc<Stored>, until: Option<i64>, via: Via) -> Committed {
        let done = self.done(Loaded::live(row, false, via), Telling::Set { until });
        Committed { wrote: true, new_id: Some(self.candidate), used: true, ..done }
    }

    /// The row of a new session under the candidate, or the successor of a row that is rotated.
    fn new_row(&self, times: &Times, view: &View, rotated: Option<(&Stored, Rotation)>) -> Result<Prepared, Error> {
        let key = self.store.row_key(&self.candidate);
        let (now, token) = (self.store.now(), self.batch.token);
        let seen = rotated.map(|(old, _)| &old.version).or(self.at.place.row.as_ref().map(|row| &row.version));
        let codec = rotated.map_or(self.batch.codec, |(old, _)| old.snapshot.codec);
        let row = Stored {
            // A login is the birth of another session.
            handle: match rotated {
                Some((old, Rotation::Cycle)) => old.handle.clone(),
                _ => key.clone(),
            },
            key,
            snapshot: Arc::new(snapshot(view, times, codec)?),
            version: seen.unwrap_or(&Version(None)).next(now),
            tokens: rotated.map_or(&Tokens::default(), |(old, _)| &old.tokens).with(token),
            dated: true,
            data_size: 0,
            word: None,
            extra: rotated.map(|(old, _)| kept_extra(old, view)).unwrap_or_default(),
        };
        self.store.prepare(row, None)
    }

    fn tombstone<'t>(&self, kind: Kind, successor: Option<&'t RowKey>) -> Tombstone<'t> {
        let now = self.store.now();
        let seen = self.at.place.row.as_ref().map_or(Version(None), |row| row.version.clone());
        let ttl = now.timestamp() + self.store.settings.policy.tombstone;
        Tombstone { kind, successor, token: self.batch.token, ttl, version: seen.next(now), extra: None }
    }

    fn stands(&self, row: Option<&Row>) -> Stands {
        let now = self.store.now().timestamp();
        row.map_or(Stands::Absent, |row| row.stands(&self.store.settings.policy, now))
    }

    fn lists(&self, row: &Row) -> bool {
        row.lists(self.batch.token) != Listed::No
    }

    fn row(&self) -> Arc<Stored> {
        self.at.place.row.clone().expect("a live origin has its row")
    }

    fn key(&self) -> RowKey {
        self.at.place.key.clone().expect("a session that is ended has a key")
    }
}

fn snapshot(view: &View, times: &Times, codec: Codec) -> Result<Snapshot, Error> {
    let data = view.data();
    // A session keeps its codec as long as it lives, and what is stored into it was encoded for it.
    if let Some((key, _)) = data.iter().find(|(_, value)| value.codec() != codec) {
        return Err(Error::value(key, Problem::Codec));
    }
    Ok(Snapshot {
        codec,
        data,
        principal: view.principal.clone(),
        lifetime: view.lifetime,
        remember: view.remember,
        started: times.started,
        ttl: times.ttl,
        cookie: times.cookie,
    })
}

fn kept_extra(old: &Stored, view: &View) -> Item {
    if old.keeps_extra(view.principal.as_ref()) { old.extra.clone() } else { Item::new() }
}
