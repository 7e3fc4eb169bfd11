//! Where a session stands in the table, and what the last look at it found.

use std::sync::Arc;

use crate::domain::id::RowKey;
use crate::domain::state::Origin;
use crate::store::row::Stored;

/// How a row is related to the one that the request came with; it decides whether its end may remove the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    /// It is that row.
    #[default]
    Brought,
    /// Cycles alone made it of that row.
    Cycles,
    /// A login made it of that row.
    Login,
    /// This request created it.
    Created,
}

impl Via {
    /// Whether the end of the row may remove the cookie that the request came with: never over a login, whose cookie the
    /// browser may hold by now, and never for a row that this request made.
    pub(crate) fn may_remove(self) -> bool {
        self <= Self::Cycles
    }
}

/// The place of a session in the table: its key, and its row as it was last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) key: Option<RowKey>,
    pub(crate) row: Option<Arc<Stored>>,
    pub(crate) via: Via,
}

/// What a look at the table found.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) origin: Origin,
    pub(crate) place: Place,
}

impl Loaded {
    pub(crate) const FRESH: Self =
        Self { origin: Origin::FRESH, place: Place { key: None, row: None, via: Via::Brought } };

    /// The row is there, but nobody could ask for it.
    pub(crate) fn unavailable(key: RowKey) -> Self {
        Self { origin: Origin::Unavailable, place: Place { key: Some(key), row: None, via: Via::Brought } }
    }

    pub(crate) fn live(row: Arc<Stored>, led: bool, via: Via) -> Self {
        let origin = Origin::Live { snapshot: row.snapshot.clone(), led };
        Self { origin, place: Place { key: Some(row.key.clone()), row: Some(row), via } }
    }
}
