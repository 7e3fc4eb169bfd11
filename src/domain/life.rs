//! What a session lives by.

/// What of a session its lifetimes go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) signed_in: bool,
    pub(crate) remember: Option<bool>,
    /// Its own lifetime.
    pub(crate) own: Option<i64>,
}
