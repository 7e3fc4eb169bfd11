//! The commit: from a plan to what the table then holds, whoever writes beside it. Here a lost answer is recognised.

pub(crate) mod outcome;
mod step;

use std::sync::Arc;

use crate::domain::batch::{Attempted, Batch};
use crate::domain::id::{RowKey, SessionId};
use crate::domain::plan::{Means, Plan, plan};
use crate::domain::settle::{Before, Fate, Kind, Listed, Settled, settle};
use crate::domain::state::Origin;
use crate::domain::view::View;
use crate::error::Error;
use crate::store::budget::Budget;
use crate::store::commit::outcome::{Committed, Failed, Job, Telling};
use crate::store::lock::Turn;
use crate::store::place::{Loaded, Place, Via};
use crate::store::row::{Body, Row};
use crate::store::{MOST_HOPS, Store};

/// What follows from a write, or from a look at a row.
enum Step {
    Done(Committed),
    /// The table is not as the plan supposed: plan again.
    Again,
}

/// A commit under way.
struct Run<'a> {
    store: &'a Store,
    batch: &'a Batch,
    means: Means,
    budget: &'a Budget,
    at: Loaded,
    candidate: SessionId,
    /// The last write that was sent and may be applied.
    attempted: Option<Attempted>,
    /// The batch was found in the table.
    stored: bool,
    hops: usize,
    conflicts: u64,
    turn: Option<Turn<'a>>,
}

impl Store {
    /// Commits a batch, planning again whenever the table is not as the plan supposed.
    pub(crate) async fn commit(&self, job: Job, budget: &Budget) -> Result<Committed, Failed> {
        let Job { batch, view, at, means } = job;
        let mut run = Run::new(self, &batch, means, at, budget);
        let result = run.run(view).await;
        run.end(result)
    }

    /// Looks at the row again. Where the batch whose commit was not answered is stored there, this is how that commit ended;
    /// else it is what the request knows of its session now.
    pub(crate) async fn reload(&self, job: Job, budget: &Budget) -> Result<Result<Committed, Loaded>, Error> {
        let Job { batch, at, means, .. } = job;
        let mut run = Run::new(self, &batch, means, at, budget);
        match run.look().await? {
            Step::Done(committed) => Ok(Ok(committed)),
            Step::Again => Ok(Err(run.at)),
        }
    }
}

impl<'a> Run<'a> {
    fn new(store: &'a Store, batch: &'a Batch, means: Means, at: Loaded, budget: &'a Budget) -> Self {
        let (candidate, attempted) = (batch.candidate, batch.attempted);
        let (hops, conflicts) = (0, 0);
        Self { store, batch, means, budget, at, candidate, attempted, stored: false, hops, conflicts, turn: None }
    }

    fn end(self, result: Result<Committed, Error>) -> Result<Committed, Failed> {
        let Self { attempted, candidate, conflicts, stored, .. } = self;
        match result {
            Ok(committed) => Ok(Committed { conflicts, ..committed }),
            Err(error) => {
                // What DynamoDB or this crate refused was not done; of all else, nobody knows.
                let open = stored || matches!(error, Error::Unavailable { .. } | Error::Rejected { .. });
                Err(Failed { error, attempted: attempted.filter(|_| open), candidate, conflicts })
            }
        }
    }

    async fn run(&mut self, mut view: Option<Arc<View>>) -> Result<Committed, Error> {
        if self.batch.attempted.is_some() {
            view = None;
            self.take_turn().await?;
            if let Step::Done(committed) = self.look().await? {
                return Ok(committed);
            }
            if self.batch.given_up {
                return Ok(self.done(self.at.clone(), Telling::Keep));
            }
        }
        loop {
            if self.take_turn().await? {
                view = None;
            }
            let now = self.store.now().timestamp();
            let planned = match view.take() {
                Some(view) => view,
                None => Arc::new(View::of(self.at.origin.base()).replay(&self.batch.entries)?),
            };
            let plan = plan(&self.at.origin, &planned, self.means, &self.store.settings.policy, now);
            match self.write(plan, &planned).await? {
                Step::Done(committed) => {
                    self.hand_on(&committed);
                    return Ok(committed);
                }
                Step::Again => {
                    self.conflicts += 1;
                    // Each write is bounded; what they find may change for ever.
                    if self.budget.is_spent() {
                        return Err(Error::unavailable("commit", Contended));
                    }
                }
            }
        }
    }

    /// Waits for the turn at the row. Returns whether the last writer left a later row than the one that was read.
    async fn take_turn(&mut self) -> Result<bool, Error> {
        let key = self.at.place.key.clone();
        if self.turn.as_ref().map(Turn::key) == key.as_ref() {
            return Ok(false);
        }
        self.turn = None;
        let Some(key) = key else { return Ok(false) };
        let locks = &self.store.locks;
        self.turn = Some(self.budget.wait("wait for the row", locks.turn(key.clone())).await?);
        let left = self.turn.as_mut().and_then(Turn::take);
        let (Some(left), Some(read)) = (left, &self.at.place.row) else { return Ok(false) };
        let now = self.store.now().timestamp();
        let Body::Live(row) = &left.body else { return Ok(false) };
        if !left.is_after(read) || !self.store.settings.policy.is_live(&row.snapshot, now) {
            return Ok(false);
        }
        self.at = Loaded::live(row.clone(), self.at.origin.is_led(), self.at.place.via);
        Ok(true)
    }

    /// Leaves the row to the next writer of this process.
    fn hand_on(&mut self, committed: &Committed) {
        if let (Some(turn), Some(row)) = (&mut self.turn, &committed.loaded.place.row)
            && row.key == *turn.key()
        {
            turn.leave(Row::live(row.clone()));
        }
    }

    async fn write(&mut self, plan: Plan, view: &View) -> Result<Step, Error> {
        match plan {
            Plan::Nothing => Ok(self.done_here(false)),
            Plan::Drop => Ok(self.done_here(true)),
            Plan::Touch(times) => self.touch(times).await,
            Plan::Update(times) => self.update(times, view).await,
            Plan::End => self.end_emptied().await,
            Plan::Create(times) => self.create(times, view).await,
            Plan::Rotate(times, rotation) => self.rotate(times, rotation, view).await,
            Plan::Invalidate => self.invalidate().await,
            Plan::Replace(times) => self.replace(times, view).await,
        }
    }

    /// The request looks before it writes, or does not write: where the batch was attempted before, is it stored?
    async fn look(&mut self) -> Result<Step, Error> {
        let new_row = self.attempted.is_some_and(|attempted| attempted.new_row);
        let new = self.store.row_key(&self.candidate);
        let key = match (&self.at.place.key, new_row) {
            // A rotation or a login that is given up shows in its new row; nothing else would be told.
            (_, true) if self.batch.given_up => new.clone(),
            (Some(key), _) => key.clone(),
            (None, true) => new.clone(),
            (None, false) => return Ok(Step::Again),
        };
        if self.batch.given_up && !new_row {
            return Ok(Step::Again);
        }
        let row = self.store.get(&key, true, self.budget).await?;
        let found = row.as_ref().is_some_and(|row| row.lists(self.batch.token) != Listed::No);
        if key == new {
            if !found {
                return Ok(Step::Again);
            }
            self.at.place.via = Via::Created;
        }
        self.settle(key, row).await
    }

    /// Says what a row that was found means for this commit, and follows it to where the session goes on.
    async fn settle(&mut self, mut key: RowKey, mut row: Option<Row>) -> Result<Step, Error> {
        let new = self.store.row_key(&self.candidate);
        let mut led = self.at.origin.is_led() && self.at.place.key.as_ref() == Some(&key);
        loop {
            let new_row = self.attempted.is_some_and(|attempted| attempted.new_row);
            let (fate, listed) = (self.store.fate(&key, row.as_ref())?, self.listed(row.as_ref()));
            let stands = row.as_ref().map(|row| row.stands(&self.store.settings.policy, self.store.now().timestamp()));
            let settled = match &stands {
                Some(stands) => settle(stands, listed, new_row),
                None => Settled::Fate { stored: false, fate },
            };
            let fate = match settled {
                Settled::OwnEnd => return Ok(self.own_end(key)),
                // A tombstone of our own in the new row's place would be no answer: nothing else was written there.
                Settled::SeeNewRow if key == new => Fate::Ended,
                Settled::SeeNewRow => {
                    self.stored = true;
                    self.at.place.via = self.new_via(row.as_ref());
                    (key, led) = (new.clone(), false);
                    row = self.store.get(&key, true, self.budget).await?;
                    continue;
                }
                Settled::Fate { stored, fate } => {
                    self.stored |= stored;
                    fate
                }
            };
            if let Fate::Led(successor) = &fate
                && self.hop()
            {
                self.at.place.via = self.at.place.via.max(Via::Cycles);
                (key, led) = (successor.clone(), true);
                row = self.store.get(&key, true, self.budget).await?;
                continue;
            }
            if self.stored {
                return Ok(self.is_stored(&fate, led, key, row));
            }
            // The old row may be absent because a transaction of ours put its tombstone there, and it was swept since.
            if fate == Fate::Absent && new_row && key != new {
                let found = self.store.get(&new, true, self.budget).await?;
                if self.listed(found.as_ref()) != Listed::No {
                    (key, row, led) = (new.clone(), found, false);
                    self.at.place.via = Via::Created;
                    continue;
                }
            }
            self.attempted = None;
            let via = self.at.place.via;
            if let Some(at) = Loaded::after(self.at.origin.before(), &fate, led, key, row, via) {
                self.at = at;
            }
            return Ok(Step::Again);
        }
    }

    /// The batch is in the table. That does not say that its row still lives.
    fn is_stored(&mut self, fate: &Fate, led: bool, key: RowKey, row: Option<Row>) -> Step {
        let via = self.at.place.via;
        let used = self.attempted.is_some_and(|attempted| attempted.new_row);
        let created = key == self.store.row_key(&self.candidate);
        if let (Fate::Live, Some(Row { body: Body::Live(row), .. })) = (fate, &row) {
            if created {
                return Step::Done(self.created(row.clone(), row.snapshot.cookie, via));
            }
            let told = self.attempted.and_then(|attempted| attempted.told).filter(|_| !led);
            let telling = told.map_or(Telling::Keep, |until| Telling::Set { until });
            let done = self.done(Loaded::live(row.clone(), led, via), telling);
            return Step::Done(Committed { used, wrote: true, ..done });
        }
        let over = Loaded::after(Before::Row, fate, led, key, row, via);
        let done = self.done(over.unwrap_or_else(|| self.at.clone()), Telling::Silence);
        Step::Done(Committed { used, wrote: true, ..done })
    }

    fn listed(&self, row: Option<&Row>) -> Listed {
        row.map_or(Listed::No, |row| row.lists(self.batch.token))
    }

    /// How the new row of our own write is related to the one that the request came with.
    fn new_via(&self, tombstone: Option<&Row>) -> Via {
        match tombstone.map(|row| &row.body) {
            Some(Body::Tombstone { kind: Kind::Cycle, .. }) => self.at.place.via.max(Via::Cycles),
            Some(Body::Tombstone { kind: Kind::Login, .. }) => self.at.place.via.max(Via::Login),
            _ => Via::Created,
        }
    }

    /// Counts a tombstone that is followed. Returns whether it may be.
    fn hop(&mut self) -> bool {
        self.hops += 1;
        self.hops <= MOST_HOPS
    }

    fn own_end(&self, key: RowKey) -> Step {
        let via = self.at.place.via;
        let loaded = Loaded { origin: Origin::OwnEnd, place: Place { key: Some(key), row: None, via } };
        let telling = if via.may_remove() { Telling::Remove } else { Telling::Silence };
        Step::Done(Committed { wrote: true, ..self.done(loaded, telling) })
    }

    fn done_here(&self, dropped: bool) -> Step {
        let telling = if self.at.origin.is_silent() { Telling::Silence } else { Telling::Keep };
        Step::Done(Committed { dropped, ..self.done(self.at.clone(), telling) })
    }

    fn done(&self, loaded: Loaded, telling: Telling) -> Committed {
        // A tombstone led here: an ID that this request was about to tell is an older one.
        let telling = if loaded.origin.is_led() { Telling::Silence } else { telling };
        Committed {
            loaded,
            telling,
            new_id: None,
            used: false,
            dropped: false,
            wrote: false,
            conflicts: self.conflicts,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("other writers changed the row until the time was up")]
struct Contended;

#[derive(Debug, thiserror::Error)]
#[error("the session was rotated more than {MOST_HOPS} times meanwhile")]
pub(super) struct TooManyHops;
