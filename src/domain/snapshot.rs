//! A live row, decoded.

use std::sync::Arc;

use crate::domain::codec::Codec;
use crate::domain::data::Data;
use crate::domain::life::Life;

/// What a live row says. Times are seconds since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// How the values of the data are encoded.
    pub(crate) codec: Codec,
    pub(crate) data: Data,
    pub(crate) principal: Option<Arc<str>>,
    /// The session's own lifetime in seconds.
    pub(crate) lifetime: Option<i64>,
    /// The session's own choice between a persistent cookie and a browser-session cookie.
    pub(crate) remember: Option<bool>,
    /// When the absolute clock started: the creation or the login.
    pub(crate) started: i64,
    /// When the row expires.
    pub(crate) ttl: i64,
    /// When the last cookie that was sent expires; `None` where none was, or it lives as long as the browser.
    pub(crate) cookie: Option<i64>,
}

impl Snapshot {
    pub(crate) fn life(&self) -> Life {
        Life { signed_in: self.principal.is_some(), remember: self.remember, own: self.lifetime }
    }
}
