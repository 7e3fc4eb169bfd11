//! What is wrong with a configuration.

use std::error::Error;
use std::fmt;

/// A value that its type refuses, such as a lifetime of zero seconds.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::Share;
///
/// let refused = Share::new(1.5).unwrap_err();
/// assert_eq!(refused.to_string(), "invalid value `1.5`, expected a share above 0 and up to 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    found: String,
    expected: &'static str,
}

impl ValueError {
    pub(super) fn new<T: ToString>(found: T, expected: &'static str) -> Self {
        Self { found: found.to_string(), expected }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid value `{}`, expected {}", self.found, self.expected)
    }
}

impl Error for ValueError {}

/// A configuration that contradicts itself, or that DynamoDB or browsers would refuse.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::Config;
///
/// let config = Config { attempts: 0, ..Config::default() };
/// let error = config.validate(false).unwrap_err();
/// assert_eq!(error.key(), "sessions.attempts");
/// assert_eq!(error.to_string(), "0 attempts are not within 1 to 10; mend the number for key `sessions.attempts`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: &'static str,
    problem: String,
}

impl ConfigError {
    pub(super) fn new<T: Into<String>>(key: &'static str, problem: T) -> Self {
        Self { key, problem: problem.into() }
    }

    /// Returns the key that is wrong, or one of those that contradict each other: `sessions.cookie.same_site`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Returns what is wrong and how to mend it, without the key.
    pub(super) fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for key `{}`", self.problem, self.key)
    }
}

impl Error for ConfigError {}
