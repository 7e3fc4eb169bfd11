//! Names of cookies and headers.

use super::ConfigError;

/// Returns whether a text is a token of RFC 9110, 5.6.2: what RFC 6265 calls a cookie's name, and HTTP a header's.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

pub(super) fn not_a_token(key: &'static str, what: &str, name: &str) -> ConfigError {
    ConfigError::new(key, format!("{name:?} is no name of a {what}; take letters, digits, `-` and `_`"))
}
