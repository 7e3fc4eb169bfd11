#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod codec;
mod config;
mod cookie;
mod error;
mod fairing;
mod flush;
mod guard;
mod id;
mod ops;
mod plan;
mod response;
mod session;
mod sessions;
mod state;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::config::{
    Config, ConfigError, CookieConfig, Endpoint, Lifetime, OnOutage, SameSite, Share, ValueError, Verify,
};
pub use crate::error::Error;
pub use crate::fairing::SessionsFairing;
pub use crate::id::{Handle, InvalidHandle, SessionId};
pub use crate::session::{Session, SessionStatus};
pub use crate::sessions::{Sessions, Stats};
pub use crate::store::table::TableStatus;
