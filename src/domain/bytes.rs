//! Bytes that share their place with the larger ones they were cut from.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A part of bytes that many may hold, as [`Text`](crate::domain::text::Text) is of a text.
#[derive(Clone)]
pub(crate) struct Bytes {
    whole: Arc<[u8]>,
    range: Range<usize>,
}

impl Bytes {
    /// Takes a part of `whole`; the range lies within it.
    pub(crate) fn part(whole: &Arc<[u8]>, range: Range<usize>) -> Self {
        Self { whole: whole.clone(), range }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), whole: bytes.into() }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.range.clone()]
    }
}
