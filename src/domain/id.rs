//! The session ID, and what is derived from it: the row key and the handle.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The length of a row key without its prefix: SHA-256 in base64url.
const HASH_LEN: usize = 43;

/// A session ID: 128 random bits that open one session to whoever holds them.
///
/// Its text, 36 lower-case hyphenated characters, is what travels in the cookie or header; OWASP asks for at least 64
/// bits of entropy. `Debug` prints no value, there is no `Display`, and [`expose`](SessionId::expose) is the only way to
/// the text: what should be logged or shown is the [`Handle`].
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::SessionId;
///
/// let id = SessionId::random();
/// assert_eq!(id.expose().len(), 36);
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Draws a new ID from the operating system's generator.
    ///
    /// # Panics
    ///
    /// Panics when the operating system has no randomness to give, since an ID that can be guessed must not exist.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::from_bytes(random_bytes()))
    }

    /// Parses the text of an ID, and nothing else: 36 characters, lower case, hyphenated.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // `Uuid` also reads upper case, braces, URNs and 32 digits; one spelling an ID keeps the row key unambiguous.
        let strict = text.len() == 36 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        Uuid::try_parse(text).ok().filter(|_| strict).map(Self)
    }

    /// Returns the secret text, to be given to the client that owns the session and to nobody else.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.hyphenated().to_string()
    }

    /// Derives the key of this session's row. The hash makes a copy of the table useless for opening sessions.
    pub(crate) fn row_key(&self, prefix: &str) -> RowKey {
        let mut hash = [0; HASH_LEN];
        URL_SAFE_NO_PAD
            .encode_slice(Sha256::digest(self.0.as_bytes()), &mut hash)
            .expect("32 bytes are 43 characters of base64");
        let hash = std::str::from_utf8(&hash).expect("base64 is ASCII");
        RowKey(if prefix.is_empty() { Arc::from(hash) } else { Arc::from(format!("{prefix}{hash}")) })
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The hash key of a row: the optional prefix and the SHA-256 of the ID, base64url, 43 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowKey(Arc<str>);

impl RowKey {
    /// Takes a key as it stands in the table, in a tombstone's `successor` or in a handle.
    pub(crate) fn stored(text: &str) -> Self {
        Self(Arc::from(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle(self.clone())
    }

    /// Whether a session of the same application can stand under both.
    pub(crate) fn is_kin_of(&self, other: &Self) -> bool {
        let prefix = other.0.len().checked_sub(HASH_LEN).and_then(|end| other.0.get(..end));
        prefix.is_some_and(|prefix| self.is_of(prefix))
    }

    /// Whether a session of this prefix can stand here.
    pub(crate) fn is_of(&self, prefix: &str) -> bool {
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.len() == HASH_LEN && is_hash(rest))
    }
}

fn is_hash(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowKey({})", self.as_str())
    }
}

/// Names a session without opening it: safe to log, to show to the user and to hand to an administrator.
///
/// It is the key of the row that the session was born with, by its creation or a login, and names the session as long as
/// it lives, also when its ID was cycled since.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::Handle;
///
/// let handle: Handle = "kXfzJ4gU3F4LqHrnqSDKbbUlFHQcbMbOg61ljLQbX9w".parse()?;
/// assert_eq!(handle.to_string(), "kXfzJ4gU3F4LqHrnqSDKbbUlFHQcbMbOg61ljLQbX9w");
/// # Ok::<(), rocket_dynamodb_sessions::InvalidHandle>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(RowKey);

impl Handle {
    pub(crate) fn row_key(&self) -> &RowKey {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// The text is no handle: it does not end in 43 characters of base64url (a SHA-256), has a control character, or is longer
/// than DynamoDB's limit on a key (2,048 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handle is a key prefix and 43 characters of base64url, at most 2048 bytes")]
pub struct InvalidHandle;

impl FromStr for Handle {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hash = text.len().checked_sub(HASH_LEN).and_then(|at| text.get(at..));
        let fits = text.len() <= 2048 && hash.is_some_and(is_hash) && !text.chars().any(char::is_control);
        if fits { Ok(Self(RowKey::stored(text))) } else { Err(InvalidHandle) }
    }
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's generator answers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(&id.expose()), Some(id));
    }

    #[test]
    fn nothing_but_the_one_spelling_parses() {
        let text = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert!(SessionId::parse(text).is_some());
        for odd in [
            "",
            "67e5504410b1426f9247bb680e5fe0c8",
            "67E55044-10B1-426F-9247-BB680E5FE0C8",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0c",
            "67e55044-10b1-426f-9247-bb680e5fe0c8 ",
            "67e5504-410b1-426f-9247-bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0cg",
            &"a".repeat(3000),
        ] {
            assert_eq!(SessionId::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn all_128_bits_are_random() {
        // A v4 UUID has six fixed bits; over 64 draws each of our bits is seen set and unset (failing by chance: 2^-56).
        let ids: Vec<[u8; 16]> = (0..64).map(|_| *SessionId::random().0.as_bytes()).collect();
        let ones = ids.iter().fold(0, |seen, id| seen | u128::from_be_bytes(*id));
        let zeroes = ids.iter().fold(0, |seen, id| seen | !u128::from_be_bytes(*id));
        assert_eq!((ones, zeroes), (u128::MAX, u128::MAX));
    }

    #[test]
    fn a_handle_ends_in_a_hash_and_has_no_line_break() {
        let hash = "N0cI__dxndWXnsh11WzSKG9tPPfsMXo7JWMqqyjsN7s";
        for text in [hash.to_owned(), format!("shop:{hash}"), format!("läden:{hash}")] {
            assert_eq!(text.parse::<Handle>().expect(&text).to_string(), text);
        }
        for text in
            ["", "x", &hash[1..], &format!("{hash}\n"), &format!("a\nb{hash}"), &format!("{hash}="), &"ü".repeat(40)]
        {
            assert_eq!(text.parse::<Handle>(), Err(InvalidHandle), "{text:?}");
        }
        assert_eq!(format!("{}{hash}", "p".repeat(2006)).parse::<Handle>(), Err(InvalidHandle));
    }

    #[test]
    fn a_key_is_of_its_prefix_alone() {
        let key = |prefix: &str| SessionId::random().row_key(prefix);
        assert!(key("").is_of("") && key("shop:").is_of("shop:"));
        assert!(!key("").is_of("shop:") && !key("shop:").is_of("") && !key("shop:b:").is_of("shop:"));
    }

    #[test]
    fn the_row_key_is_the_hash_behind_the_prefix() {
        let id = SessionId::parse("00000000-0000-0000-0000-000000000000").expect("an ID");
        // head -c 16 /dev/zero | sha256sum | xxd -r -p | basenc --base64url
        let hash = "N0cI__dxndWXnsh11WzSKG9tPPfsMXo7JWMqqyjsN7s";
        assert_eq!(id.row_key("").as_str(), hash);
        assert_eq!(id.row_key("shop:").as_str(), format!("shop:{hash}"));
    }
}
