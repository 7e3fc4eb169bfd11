//! What a session is, and what becomes of it: plain data, and the time as an argument.

pub(crate) mod batch;
#[cfg(feature = "cbor")]
mod bytes;
pub(crate) mod codec;
pub(crate) mod data;
pub(crate) mod id;
pub(crate) mod life;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod problem;
pub(crate) mod settle;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod text;
pub(crate) mod token;
pub(crate) mod tree;
pub(crate) mod update;
pub(crate) mod value;
pub(crate) mod view;
