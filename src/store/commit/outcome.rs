//! What a commit is given, and how it ends.

use std::sync::Arc;

use crate::domain::batch::{Attempted, Batch};
use crate::domain::id::SessionId;
use crate::domain::plan::Means;
use crate::domain::view::View;
use crate::error::Error;
use crate::store::place::Loaded;

/// What a commit says about the client's cookie or header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Telling {
    /// Nothing; what an earlier commit of the request said stands.
    Keep,
    /// The session has this row; `until` is when a persistent cookie expires.
    Set { until: Option<i64> },
    /// This commit ended the session.
    Remove,
    /// The last look showed the session gone or superseded: not a word, also not of an earlier commit.
    Silence,
}

/// What is to be committed, and where it was planned.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) batch: Arc<Batch>,
    /// The batch over the origin, where the request has it already.
    pub(crate) view: Option<Arc<View>>,
    pub(crate) at: Loaded,
    pub(crate) means: Means,
}

/// How a commit ended.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) loaded: Loaded,
    pub(crate) telling: Telling,
    /// The ID of the row that was created.
    pub(crate) new_id: Option<SessionId>,
    /// There is a row under the candidate, so the next new row needs another.
    pub(crate) used: bool,
    /// The changes were not written: the session had ended, or a login superseded it.
    pub(crate) dropped: bool,
    /// Something was written.
    pub(crate) wrote: bool,
    /// Conditional writes that failed on the way.
    pub(crate) conflicts: u64,
}

/// A commit that did not come to its end.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// What may have been applied all the same: then the batch is to be repeated under its token, or given up.
    pub(crate) attempted: Option<Attempted>,
    pub(crate) candidate: SessionId,
    pub(crate) conflicts: u64,
}
