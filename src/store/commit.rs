//! The commit: from a plan to what the table then holds, whoever writes beside it.

mod end;

use std::sync::Arc;

use crate::domain::id::{RowKey, SessionId};
use crate::domain::log::Rotation;
use crate::domain::plan::{Means, Next, Plan, plan};
use crate::domain::state::{Batch, Origin, Snapshot};
use crate::error::Error;
use crate::store::row::{Found, Item, Stored, has_token, with_token};
use crate::store::write::Written;
use crate::store::{Budget, Loaded, MOST_HOPS, Place, Store};

/// What a commit says about the client's cookie or header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Telling {
    /// Nothing; what an earlier commit of the request said stands.
    Nothing,
    /// The session has this row; `until` is when a persistent cookie expires.
    Set { until: Option<i64> },
    /// This commit deleted a live row.
    Remove,
    /// The last look showed the session gone or superseded: not a word, also not of an earlier commit.
    Silence,
}

/// How a commit ended.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) loaded: Loaded,
    pub(crate) telling: Telling,
    /// The ID of the row that was created.
    pub(crate) new_id: Option<SessionId>,
    /// The changes were not written: the session had ended, or a login superseded it.
    pub(crate) dropped: bool,
    /// Conditional writes that failed on the way.
    pub(crate) conflicts: u32,
}

/// What follows from one write.
enum Step {
    Done(Loaded, Telling),
    Created(Stored, Telling),
    /// The table is not as the plan supposed: plan again.
    Again(Loaded),
}

/// A commit under way.
struct Run<'a> {
    store: &'a Store,
    batch: Batch,
    means: Means,
    budget: &'a Budget,
    at: Loaded,
    hops: usize,
}

impl Store {
    /// Commits a batch, planning again whenever the table is not as the plan supposed.
    ///
    /// An error leaves open whether the batch was applied: it is to be repeated with the same token, or given up.
    pub(crate) async fn commit(
        &self,
        batch: Batch,
        place: Place,
        means: Means,
        budget: &Budget,
    ) -> Result<Committed, Error> {
        let at = Loaded { origin: batch.origin.clone(), place };
        Run { store: self, batch, means, budget, at, hops: 0 }.run().await
    }
}

impl Run<'_> {
    async fn run(mut self) -> Result<Committed, Error> {
        let (mut conflicts, mut locked, mut guard) = (0, None, None);
        loop {
            // One writer a row and process: without it, 64 parallel writers need up to 35 attempts.
            if self.at.place.key != locked {
                drop(guard.take());
                locked.clone_from(&self.at.place.key);
                if let Some(key) = &locked {
                    guard = Some(self.budget.wait("wait for the row", self.store.locks.async_lock(key.clone())).await?);
                }
            }
            let now = self.store.now();
            let plan = plan(&self.at.origin, &self.batch.log, self.means, &self.store.policy, now.timestamp())?;
            let dropped = plan == Plan::Drop;
            let (loaded, telling, new_id) = match self.write(plan).await? {
                Step::Done(loaded, telling) => (loaded, telling, None),
                Step::Created(row, telling) => (Loaded::live(row, false), telling, Some(self.batch.candidate)),
                Step::Again(at) => {
                    conflicts += 1;
                    // Each write is bounded; what they find may change for ever.
                    if self.budget.is_spent() {
                        return Err(Error::unavailable("commit", Contended));
                    }
                    self.at = at;
                    continue;
                }
            };
            // A tombstone led here: an ID that this request was about to tell is an older one.
            let led = matches!(loaded.origin, Origin::Live { led: true, .. });
            let telling = if led && telling == Telling::Nothing { Telling::Silence } else { telling };
            return Ok(Committed { loaded, telling, new_id, dropped, conflicts });
        }
    }

    async fn write(&mut self, plan: Plan) -> Result<Step, Error> {
        let silent = matches!(self.at.origin, Origin::Superseded | Origin::Gone { .. });
        match plan {
            Plan::Nothing if !silent => Ok(Step::Done(self.at.clone(), Telling::Nothing)),
            Plan::Nothing | Plan::Drop => Ok(Step::Done(self.at.clone(), Telling::Silence)),
            Plan::Touch(next) => self.touch(next).await,
            Plan::Update(next) => self.update(next).await,
            Plan::Delete => self.delete().await,
            Plan::Create(next) => self.create(next).await,
            Plan::Rotate(next, rotation) => self.rotate(next, rotation).await,
            Plan::Invalidate => self.invalidate().await,
            Plan::Replace(next) => self.replace(next).await,
        }
    }

    fn stored(&self) -> &Stored {
        self.at.place.stored.as_ref().expect("a live origin has its row")
    }

    fn key(&self) -> &RowKey {
        self.at.place.key.as_ref().expect("a session that is ended has a key")
    }

    fn led(&self) -> bool {
        matches!(self.at.origin, Origin::Live { led: true, .. })
    }

    fn read(&self, key: &RowKey, item: Option<Item>) -> Found {
        self.store.read(key, item)
    }

    /// The row of a new session under the candidate; `origin` is the row that it succeeds.
    fn new_row(&self, snapshot: Snapshot, origin: Option<&Stored>) -> Stored {
        let key = self.store.row_key(&self.batch.candidate);
        Stored::successor(key, snapshot, origin, self.batch.token, self.store.now())
    }

    async fn touch(&mut self, next: Next) -> Result<Step, Error> {
        let (old, now) = (self.stored(), self.store.now().timestamp());
        let Snapshot { ttl, cookie, .. } = next.snapshot;
        let telling = if next.told { Telling::Set { until: cookie } } else { Telling::Nothing };
        let refreshed = |mut row: Stored| {
            row.snapshot = Arc::new(Snapshot { ttl, cookie, ..(*row.snapshot).clone() });
            row
        };
        match self.store.touch(old, ttl, cookie, now, self.budget).await? {
            Written::Done { .. } => Ok(Step::Done(Loaded::live(refreshed(old.clone()), self.led()), telling)),
            Written::Failed { found, .. } => match self.read(&old.key, found.clone()) {
                // Somebody refreshed it. If to the very second that we would have written, then it may have been us, and
                // its answer was lost: the same touch once more would change nothing, so its cookie is right as well.
                Found::Live(row) => {
                    let same = (row.snapshot.ttl, row.snapshot.cookie) == (ttl, cookie);
                    let telling = if same { telling } else { Telling::Nothing };
                    Ok(Step::Done(Loaded::live(row, self.led()), telling))
                }
                Found::Undecodable(_) | Found::Newer(_) => Ok(Step::Done(self.at.clone(), Telling::Silence)),
                _ => self.conflict(found).await,
            },
        }
    }

    async fn update(&mut self, next: Next) -> Result<Step, Error> {
        let (old, now) = (self.stored(), self.store.now());
        let new = Stored {
            key: old.key.clone(),
            snapshot: Arc::new(next.snapshot),
            version: crate::store::row::Version(Some(old.version.next(now))),
            tokens: with_token(&old.tokens, self.batch.token),
            extra: old.extra.clone(),
        };
        let telling = match next.told {
            true => Telling::Set { until: new.snapshot.cookie },
            false => Telling::Nothing,
        };
        match self.store.update(old, &new, next.refreshed, now.timestamp(), self.budget).await? {
            Written::Done { .. } => Ok(Step::Done(Loaded::live(new, self.led()), telling)),
            Written::Failed { found: Some(item), .. } if has_token(&item, self.batch.token) => {
                self.own(&old.key.clone(), item, telling).await
            }
            Written::Failed { found, .. } => self.conflict(found).await,
        }
    }

    /// Our own write whose answer was lost, perhaps already built upon: a success.
    async fn own(&mut self, key: &RowKey, item: Item, telling: Telling) -> Result<Step, Error> {
        match self.read(key, Some(item)) {
            Found::Live(row) => Ok(Step::Done(Loaded::live(row, self.led()), telling)),
            _ => Ok(Step::Done(self.store.load_row(key, true, self.budget).await?, Telling::Silence)),
        }
    }

    async fn delete(&mut self) -> Result<Step, Error> {
        let (old, now) = (self.stored(), self.store.now().timestamp());
        match self.store.delete_emptied(old, now, self.budget).await? {
            Written::Done { .. } => Ok(Step::Done(Loaded::FRESH, Telling::Remove)),
            // Deleted by an attempt whose answer was lost, or by another: in neither case is a cookie to be removed.
            Written::Failed { found: None, repeated: true, .. } => Ok(Step::Done(Loaded::GONE, Telling::Silence)),
            Written::Failed { found, .. } => self.conflict(found).await,
        }
    }

    async fn create(&mut self, next: Next) -> Result<Step, Error> {
        let row = self.new_row(next.snapshot, None);
        let telling = Telling::Set { until: row.snapshot.cookie };
        match self.store.create(&row, self.budget).await? {
            Written::Done { .. } => Ok(Step::Created(row, telling)),
            Written::Failed { found: Some(item), .. } if has_token(&item, self.batch.token) => {
                self.created(&row.key, Some(item), telling).await
            }
            Written::Failed { .. } => Ok(self.another_id()),
        }
    }

    /// A row under the candidate that this commit created, as it is now: it may have ended meanwhile.
    async fn created(&self, key: &RowKey, item: Option<Item>, telling: Telling) -> Result<Step, Error> {
        match self.read(key, item) {
            Found::Live(row) => Ok(Step::Created(row, telling)),
            Found::Tombstone { .. } => {
                Ok(Step::Done(self.store.load_row(key, true, self.budget).await?, Telling::Silence))
            }
            _ => Ok(Step::Done(Loaded::GONE, Telling::Silence)),
        }
    }

    /// The candidate names a row of somebody else's.
    fn another_id(&mut self) -> Step {
        self.batch.candidate = SessionId::random();
        Step::Again(self.at.clone())
    }

    async fn rotate(&mut self, next: Next, rotation: Rotation) -> Result<Step, Error> {
        let (old, now) = (self.stored(), self.store.now().timestamp());
        let new = self.new_row(next.snapshot, Some(old));
        let telling = Telling::Set { until: new.snapshot.cookie };
        let tombstone = old.tombstone(rotation, &new, now + self.store.policy.tombstone);
        let written = self.store.rotate(old, &new, tombstone, now, self.budget).await?;
        let token = self.batch.token;
        match written {
            Written::Done { repeated: false, .. } => Ok(Step::Created(new, telling)),
            // An attempt whose answer was lost may have been built upon: the new row is looked at first.
            Written::Done { .. } => self.look(&new.key, telling).await,
            Written::Failed { found: Some(item), .. } if has_token(&item, token) => self.look(&new.key, telling).await,
            // The old row may have been busy with another transaction: then nothing but the new one says that it was us.
            Written::Failed { new: Some(item), .. } if has_token(&item, token) => {
                self.created(&new.key, Some(item), telling).await
            }
            Written::Failed { new: Some(_), found: None, .. } => Ok(self.another_id()),
            Written::Failed { found, .. } => self.conflict(found).await,
        }
    }

    async fn look(&mut self, key: &RowKey, telling: Telling) -> Result<Step, Error> {
        let item = self.store.get(key, true, self.budget).await?;
        self.created(key, item, telling).await
    }

    /// A condition failed, and not because of our own write: what the row has become decides.
    async fn conflict(&mut self, found: Option<Item>) -> Result<Step, Error> {
        let key = self.key().clone();
        let led = self.led();
        Ok(Step::Again(match self.read(&key, found) {
            Found::Live(row) => Loaded::live(row, led),
            Found::Tombstone { kind: Rotation::Cycle, successor, expired: false } => {
                self.hop()?;
                let loaded = self.store.load_row(&successor, true, self.budget).await?;
                match &loaded.place.stored {
                    Some(row) if row.has_token(self.batch.token) => return Ok(self.built_on(row.clone())),
                    _ => loaded,
                }
            }
            Found::Tombstone { kind: Rotation::Login, expired: false, .. } => {
                Loaded { origin: Origin::Superseded, place: Place { key: Some(key), stored: None } }
            }
            Found::Undecodable(reason) => return Err(Error::Undecodable { reason }),
            Found::Newer(found) => return Err(Error::newer(found)),
            Found::Tombstone { .. } => Loaded::gone_with_trail(key),
            Found::Absent | Found::Expired => Loaded::GONE,
        }))
    }

    /// A successor lists our token: an earlier commit of the batch, whose answers were all lost, was applied there.
    fn built_on(&self, row: Stored) -> Step {
        if row.key == self.store.row_key(&self.batch.candidate) {
            let until = row.snapshot.cookie;
            return Step::Created(row, Telling::Set { until });
        }
        Step::Done(Loaded::live(row, true), Telling::Silence)
    }

    fn hop(&mut self) -> Result<(), Error> {
        self.hops += 1;
        if self.hops > MOST_HOPS { Err(Error::unavailable("follow tombstones", TooManyHops)) } else { Ok(()) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("other writers changed the row until the time was up")]
struct Contended;

#[derive(Debug, thiserror::Error)]
#[error("the session was rotated more than {MOST_HOPS} times meanwhile")]
pub(super) struct TooManyHops;
