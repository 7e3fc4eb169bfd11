//! How the values of sessions are written: the codec, the compression, the sealing.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ubyte::ByteUnit;

use super::error::ValueError;
use super::scalar::Scalar;
use super::word::words;

words! {
    /// How the data of new sessions is encoded; a session keeps its codec as long as it lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::{Codec, Config};
    ///
    /// let config = Config { codec: Codec::Json, ..Config::default() };
    /// assert_eq!(config.codec.to_string(), "json");
    /// ```
    pub enum Codec {
        /// One JSON text, as the Flask package writes it: for everybody, and for who reads the table.
        Json = "json",
        /// CBOR (RFC 8949), with the feature `cbor`: NaN, bytes, maps with any keys, fewer bytes.
        Cbor = "cbor",
        /// A DynamoDB map, with the feature `native`: for people who read the table in AWS's console, and other programs.
        Native = "native",
    }
}

const EXPECTED: &str = "a size such as `2 KiB` or `2048`, or `false`";

/// From which size on the data of a session is compressed.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::{CompressAbove, Config};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config { compress_above: Some("4 KiB".parse()?), ..Config::default() };
/// assert_eq!(config.compress_above, Some(CompressAbove::bytes(4096)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressAbove(Option<u64>);

impl CompressAbove {
    /// Compresses nothing.
    pub const NEVER: Self = Self(None);

    /// Compresses data of more bytes than this, where that makes it smaller.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(Some(bytes))
    }

    #[cfg(feature = "zstd")]
    pub(crate) fn get(self) -> Option<u64> {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse::<ByteUnit>().ok().map(|size| Self(Some(size.as_u64())))
    }
}

impl FromStr for CompressAbove {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text).ok_or_else(|| ValueError::new(text, EXPECTED))
    }
}

impl Serialize for CompressAbove {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(bytes) => serializer.serialize_u64(bytes),
            None => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for CompressAbove {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(Self::parse),
            whole: Some(|bytes| Some(Self(Some(bytes)))),
            flag: Some(|on| (!on).then_some(Self(None))),
            ..Scalar::expecting(EXPECTED)
        })
    }
}

/// A key that seals the data of sessions: 32 random bytes, written in base64. It is never printed.
///
/// ```sh
/// head -c 32 /dev/urandom | base64
/// ```
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::SealKey;
///
/// let key: SealKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse()?;
/// assert_eq!(format!("{key:?}"), "SealKey(..)");
/// # Ok::<(), rocket_dynamodb_sessions::InvalidSealKey>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

/// The text is no seal key. It is not part of the error: it may be one with a typing mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seal key is 32 random bytes in base64; make one with `head -c 32 /dev/urandom | base64`")]
pub struct InvalidSealKey;

impl SealKey {
    #[cfg(feature = "encrypt")]
    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for SealKey {
    type Err = InvalidSealKey;

    fn from_str(text: &str) -> Result<Self, InvalidSealKey> {
        let alphabets = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let bytes = alphabets.iter().find_map(|alphabet| alphabet.decode(text.trim()).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidSealKey)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// Writes that there is a key, and not the key.
impl Serialize for SealKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for SealKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own errors quote what they refuse.
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(InvalidSealKey))?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_a_text_or_false() {
        for (json, size) in [("2048", Some(2048)), ("\"2 KiB\"", Some(2048)), ("\"2KB\"", Some(2000)), ("false", None)]
        {
            assert_eq!(serde_json::from_str::<CompressAbove>(json).ok(), Some(CompressAbove(size)), "{json}");
        }
        for json in ["true", "\"many\"", "-1", "[]"] {
            assert!(serde_json::from_str::<CompressAbove>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_key_is_never_in_an_error() {
        for text in ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ==", "secret", ""] {
            let error = serde_json::from_str::<SealKey>(&format!("{text:?}")).expect_err(text).to_string();
            assert!(error.starts_with(&InvalidSealKey.to_string()), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        let error = serde_json::from_str::<SealKey>("1234567890").expect_err("a number").to_string();
        assert!(!error.contains("1234567890"), "{error}");
        for text in ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"] {
            let key: SealKey = text.parse().expect(text);
            assert_eq!(serde_json::to_string(&key).expect("JSON"), "\"(secret)\"");
        }
    }
}
