//! What a session is, and what becomes of it: plain data, and the time as an argument.

pub(crate) mod codec;
pub(crate) mod id;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod state;
