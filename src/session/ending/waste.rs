//! What was taken out of a log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::domain::batch::Batch;
use crate::domain::log::{Entry, Garbage};

/// What was taken out of a cell, closures of the application's with it: to be discarded where no lock is held.
#[must_use = "dropped under a lock, a closure that captured its session never returns"]
#[derive(Default)]
pub(super) struct Waste {
    pub(super) entries: Vec<Entry>,
    pub(super) batches: Vec<Arc<Batch>>,
}

impl Waste {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.batches.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.batches.extend(other.batches);
    }

    /// Drops the application's closures. A destructor of theirs that panics costs no response, and no session of others.
    pub(super) fn discard(self) {
        let Self { entries, batches } = self;
        let batches = batches.into_iter().filter_map(Arc::into_inner).flat_map(|batch| batch.entries);
        for entry in entries.into_iter().chain(batches) {
            if catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err() {
                log::error!("a value that an `update` had captured panicked when it was dropped");
            }
        }
    }
}

impl From<Garbage> for Waste {
    fn from(garbage: Garbage) -> Self {
        Self { entries: garbage.0, batches: Vec::new() }
    }
}
