//! Sessions as their operator sees them.

pub(crate) mod sessions;
