#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod domain;
mod error;
mod operator;
mod session;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod web;

pub use crate::config::{
    CacheControl, Codec, CompressAbove, Config, ConfigError, ConsistentRead, CookieConfig, Endpoint, InvalidSealKey,
    Lifetime, OnOutage, SameSite, SealKey, Share, ValueError, Verify,
};
pub use crate::domain::id::{Handle, InvalidHandle, SessionId};
pub use crate::error::Error;
pub use crate::operator::sessions::{Sessions, Stats};
pub use crate::session::info::SessionInfo;
pub use crate::session::stored::{SessionValue, Stored};
pub use crate::session::{Session, SessionStatus};
pub use crate::store::table::TableStatus;
pub use crate::web::fairing::SessionsFairing;
pub use crate::web::principal::Principal;
