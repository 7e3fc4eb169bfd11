//! The writes that end a session because its holder said so, and what they follow.

use std::sync::Arc;

use crate::domain::id::RowKey;
use crate::domain::plan::Next;
use crate::domain::state::{Origin, Snapshot};
use crate::error::Error;
use crate::store::commit::{Run, Step, Telling};
use crate::store::row::{Found, has_token};
use crate::store::write::Written;
use crate::store::{Loaded, Place};

impl Run<'_> {
    pub(super) async fn invalidate(&mut self) -> Result<Step, Error> {
        match self.store.delete_ended(self.key(), self.budget).await? {
            Written::Done { old, .. } => match self.read(self.key(), old) {
                Found::Live(_) | Found::Undecodable(_) | Found::Newer(_) => {
                    Ok(Step::Done(Loaded::FRESH, Telling::Remove))
                }
                _ => Ok(Step::Done(Loaded::GONE, Telling::Silence)),
            },
            Written::Failed { found, .. } => match self.read(self.key(), found) {
                Found::Tombstone { successor, .. } => self.follow(successor),
                _ => Ok(Step::Done(Loaded::GONE, Telling::Silence)),
            },
        }
    }

    /// Goes on at the successor of a tombstone, expired or not: whoever ends a session ends what became of it.
    fn follow(&mut self, successor: RowKey) -> Result<Step, Error> {
        self.hop()?;
        let place = Place { key: Some(successor), stored: None };
        Ok(Step::Again(Loaded { origin: Origin::Superseded, place }))
    }

    pub(super) async fn replace(&mut self, next: Next) -> Result<Step, Error> {
        let now = self.store.now().timestamp();
        let undecodable = self.at.origin == Origin::Undecodable;
        let (old, new) = (self.key().clone(), self.new_row(next.snapshot, None));
        let telling = Telling::Set { until: new.snapshot.cookie };
        match self.store.replace(&old, undecodable, &new, now, self.budget).await? {
            Written::Done { repeated: false, .. } => Ok(Step::Created(new, telling)),
            Written::Done { .. } => self.look(&new.key, telling).await,
            Written::Failed { new: Some(item), .. } if has_token(&item, self.batch.token) => {
                self.created(&new.key, Some(item), telling).await
            }
            Written::Failed { found: None, repeated: true, .. } => {
                // The old row may be absent because an earlier attempt of ours deleted it.
                let item = self.store.get(&new.key, true, self.budget).await?;
                match item {
                    Some(item) if has_token(&item, self.batch.token) => {
                        self.created(&new.key, Some(item), telling).await
                    }
                    _ => Ok(Step::Again(Loaded::GONE)),
                }
            }
            Written::Failed { found, new: taken, .. } => match self.read(&old, found) {
                Found::Tombstone { successor, .. } => self.follow_replacing(successor),
                Found::Live(row) if taken.is_some() => {
                    self.at = Loaded::live(row, false);
                    Ok(self.another_id())
                }
                _ => Ok(Step::Again(Loaded::GONE)),
            },
        }
    }

    /// As `follow`; what comes after the `invalidate` is still to be stored, so the successor counts as loaded.
    fn follow_replacing(&mut self, successor: RowKey) -> Result<Step, Error> {
        self.hop()?;
        let place = Place { key: Some(successor), stored: None };
        let origin = Origin::Live { snapshot: Arc::new(Snapshot::empty()), led: true };
        Ok(Step::Again(Loaded { origin, place }))
    }
}
