//! Sessions as their operator sees them.

pub(crate) mod prepare;
pub(crate) mod sessions;
