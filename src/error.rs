//! The crate's one error type, split by what the caller can do.

mod chain;
mod told;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::format;
use crate::error::told::Told;

pub(crate) use crate::error::chain::Chain;

/// A cause that can be shared: a failed load is remembered for the whole request.
type Cause = Arc<dyn StdError + Send + Sync>;

/// What can go wrong with a session.
///
/// A missing, unknown or expired session is not an error: it is an empty session. What went wrong below is in
/// [`source`](std::error::Error::source), as text: no form of an error holds a session ID, a value of a session or an answer
/// of DynamoDB, so that it may be logged, also by `{:?}` as Rocket logs the error of a guard.
///
/// As a `Responder` it answers with [`status`](Error::status) and no text: the reason is for the log, not for the client.
/// What an application's clients want to read instead, [`on_failure`](crate::SessionsFairing::on_failure) says.
/// [`Status`](rocket::http::Status) is made from it, for an error type of an application's own.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::Error;
///
/// let error = Error::HeadSent;
/// assert_eq!(error.status(), 500);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be reached, was throttled or took too long: try again later. Answers 503.
    #[non_exhaustive]
    Unavailable {
        /// What was asked of the store.
        action: &'static str,
        /// What the last attempt met.
        cause: Cause,
    },
    /// The store refused for a reason that only the operator can mend: no such table, no permission. Answers 503.
    #[non_exhaustive]
    Rejected {
        /// What was asked of the store.
        action: &'static str,
        /// What the store said.
        cause: Cause,
    },
    /// The row was written by a newer version of this crate, as happens in a rolling deployment. Answers 503.
    #[non_exhaustive]
    NewerFormat {
        /// The format of the row.
        found: u64,
        /// The newest format that this version reads.
        known: u64,
    },
    /// The row was written by a codec that this build of the crate does not have, as happens while a deployment changes
    /// its features. Answers 503.
    UnknownCodec {
        /// What the row is written by.
        codec: String,
        /// The feature of this crate that reads it, where this version has one.
        feature: Option<&'static str>,
    },
    /// The row cannot be decoded any more; another writer has changed it since it was loaded. Answers 500.
    #[non_exhaustive]
    Undecodable {
        /// What is wrong with the row.
        reason: String,
    },
    /// The session would be larger than the 400 KB that DynamoDB stores in an item. Answers 500.
    #[non_exhaustive]
    TooLarge {
        /// The size that the row would have, in bytes.
        size: usize,
        /// The largest size that is stored, in bytes.
        limit: usize,
    },
    /// The value under a key is of another type than asked for, or is one that could not be read back. Answers 500.
    #[non_exhaustive]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it, without the value.
        cause: Cause,
    },
    /// A closure given to `update` panicked when it was replayed over a newer row. Answers 500.
    #[non_exhaustive]
    UpdatePanicked {
        /// The key.
        key: String,
    },
    /// Two requests changed one typed value in different ways that cannot be merged; nothing was written. Answers 409: what
    /// the client saw is out of date.
    Conflict {
        /// The key of the value.
        key: String,
    },
    /// The change was not stored: its session had ended, its request failed, or its holder panicked. Answers 409.
    Dropped,
    /// The change needs a cookie or header of this response, whose head was sent already. Answers 500.
    HeadSent,
    /// The lifetime is shorter than a second, or longer than what is configured for this kind of session. Answers 500.
    #[non_exhaustive]
    Lifetime {
        /// What was asked for.
        asked: Duration,
        /// What is configured.
        longest: Duration,
    },
    /// The principal is empty, or longer than a key of an index. Answers 500.
    #[non_exhaustive]
    Principal {
        /// Its size with the key prefix, in bytes.
        size: usize,
        /// The largest size that a key of an index has, in bytes.
        limit: usize,
    },
    /// The guard was used in an application without the fairing. Answers 500.
    NotAttached,
}

impl Error {
    pub(crate) fn unavailable<E>(action: &'static str, cause: E) -> Self
    where
        E: StdError + Send + Sync + 'static,
    {
        Self::Unavailable { action, cause: Arc::new(Told::by(&cause)) }
    }

    pub(crate) fn rejected<E>(action: &'static str, cause: E) -> Self
    where
        E: StdError + Send + Sync + 'static,
    {
        Self::Rejected { action, cause: Arc::new(Told::by(&cause)) }
    }

    pub(crate) fn value<E>(key: &str, cause: E) -> Self
    where
        E: StdError + Send + Sync + 'static,
    {
        Self::Value { key: key.into(), cause: Arc::new(Told::by(&cause)) }
    }

    /// Returns the HTTP status that the client gets: 503 where trying again later can help, else 500.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unavailable { .. } | Self::Rejected { .. } | Self::NewerFormat { .. } | Self::UnknownCodec { .. } => {
                503
            }
            Self::Conflict { .. } | Self::Dropped => 409,
            _ => 500,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { action, .. } => write!(f, "the session store is unavailable ({action}); try again later"),
            Self::Rejected { action, .. } => {
                write!(f, "the session store refused ({action}); check the table, the region and the permissions")
            }
            Self::NewerFormat { found, known } => {
                write!(f, "the row has format {found}, this version reads up to {known}; finish the deployment")
            }
            Self::UnknownCodec { codec, feature: Some(feature) } => {
                write!(f, "the row is written with `{codec}`; build this node with the feature `{feature}`")
            }
            Self::UnknownCodec { codec, feature: None } => {
                write!(f, "the row is written with `{codec}`, which this version does not know; finish the deployment")
            }
            Self::Undecodable { reason } => write!(f, "the row cannot be decoded: {reason}"),
            Self::TooLarge { size, limit } => {
                write!(f, "the session would take {size} bytes of {limit}; store large values elsewhere and keep their keys")
            }
            Self::Value { key, .. } => write!(f, "the value of `{key}` cannot be written or read"),
            Self::UpdatePanicked { key } => {
                write!(f, "the update of `{key}` panicked when it was replayed; nothing was stored")
            }
            Self::Conflict { key } => {
                write!(f, "another request changed `{key}` meanwhile in a way that cannot be merged; nothing was stored")
            }
            Self::Dropped => f.write_str(
                "the change was not stored: its session had ended, its request failed, or its holder panicked",
            ),
            Self::HeadSent => f.write_str(
                "the head of the response was sent, so the client cannot be told a session ID; change the session before",
            ),
            Self::Lifetime { asked, .. } if *asked < Duration::from_secs(1) => {
                write!(f, "a lifetime of {} is shorter than a second", format(*asked))
            }
            Self::Lifetime { asked, longest } => {
                let (asked, longest) = (format(*asked), format(*longest));
                write!(f, "a lifetime of {asked} is longer than the {longest} that are configured; raise these, or shorten it")
            }
            Self::Principal { size: 0, .. } => f.write_str("a principal is not empty; give the user a name or a number"),
            Self::Principal { size, limit } => {
                write!(f, "the principal would take {size} bytes with the key prefix, of {limit}; give the user a shorter one")
            }
            Self::NotAttached => f.write_str("the sessions are not attached; add `.attach(Sessions::fairing())` at launch"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unavailable { cause, .. } | Self::Rejected { cause, .. } | Self::Value { cause, .. } => {
                Some(&**cause)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_lifetime_names_what_was_asked_for_and_what_is_configured() {
        let lifetime = |asked| Error::Lifetime { asked, longest: Duration::from_secs(14 * 86_400) }.to_string();
        assert_eq!(
            lifetime(Duration::from_secs(365 * 86_400)),
            "a lifetime of 365 days is longer than the 14 days that are configured; raise these, or shorten it"
        );
        assert_eq!(lifetime(Duration::from_millis(500)), "a lifetime of 500 ms is shorter than a second");
    }

    #[test]
    fn the_status_says_whether_trying_again_can_help() {
        let io = || std::io::Error::other("connection refused");
        assert_eq!(Error::unavailable("load", io()).status(), 503);
        assert_eq!(Error::rejected("load", io()).status(), 503);
        assert_eq!(Error::NewerFormat { found: 2, known: 1 }.status(), 503);
        assert_eq!(Error::TooLarge { size: 500_000, limit: 409_600 }.status(), 500);
    }

    #[test]
    fn the_cause_is_in_the_chain_and_not_in_the_text() {
        let error = Error::unavailable("load", std::io::Error::other("connection refused"));
        assert_eq!(error.to_string(), "the session store is unavailable (load); try again later");
        assert_eq!(
            Chain(&error).to_string(),
            "the session store is unavailable (load); try again later: connection refused"
        );
    }
}
