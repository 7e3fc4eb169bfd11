//! What one commit takes along.

use crate::domain::codec::Codec;
use crate::domain::id::SessionId;
use crate::domain::log::Entry;
use crate::domain::token::Token;

/// What one commit takes along, under one token in all its repeats.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) token: Token,
    /// The ID of the new row, where one is made.
    pub(crate) candidate: SessionId,
    /// How its values are encoded.
    pub(crate) codec: Codec,
    /// What the last attempt of an earlier commit of this batch was, where nobody knows whether it was applied.
    pub(crate) attempted: Option<Attempted>,
    /// The client was told that it failed: it is only looked whether it was stored.
    pub(crate) given_up: bool,
    /// It leaves nothing of the session, so that what comes after it needs a new row.
    pub(crate) ends: bool,
}

impl Batch {
    /// A batch of nothing, for who only looks.
    pub(crate) fn empty(candidate: SessionId, codec: Codec) -> Self {
        let token = Token::random();
        Self { entries: Vec::new(), token, candidate, codec, attempted: None, given_up: false, ends: false }
    }

    /// The same batch with other operations, under its token.
    pub(super) fn with(&self, entries: Vec<Entry>) -> Self {
        let Self { token, candidate, codec, attempted, given_up, ends, .. } = *self;
        Self { entries, token, candidate, codec, attempted, given_up, ends }
    }
}

/// The write that a failed commit may have applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attempted {
    /// It made a new row.
    pub(crate) new_row: bool,
    /// What it would have told the client of an updated row: when its cookie expires.
    pub(crate) told: Option<Option<i64>>,
}
