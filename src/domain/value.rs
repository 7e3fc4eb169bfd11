//! A value of a session, as the codec encoded it.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "cbor")]
use crate::domain::bytes::Bytes;
use crate::domain::codec::{Codec, json};
use crate::domain::problem::Problem;
use crate::domain::text::Text;
use crate::domain::tree::{MOST_LEVELS, Tree};

/// A value stays as it was encoded: it is parsed where the application reads it, and written back as it came.
#[derive(Clone)]
pub(crate) enum Value {
    Json(Text),
    #[cfg(feature = "cbor")]
    Cbor(Bytes),
    #[cfg(feature = "native")]
    Native(std::sync::Arc<serde_dynamo::AttributeValue>),
}

impl Value {
    /// Encodes a value of the application's; its `Serialize` runs here, so no lock may be held. What could not be read back
    /// is refused.
    pub(crate) fn encode<T>(codec: Codec, value: &T) -> Result<Self, Problem>
    where
        T: Serialize + ?Sized,
    {
        match codec {
            Codec::Json => json::encode_value(value).map(|text| Self::Json(text.into())),
            #[cfg(feature = "cbor")]
            Codec::Cbor => crate::domain::codec::cbor::encode_value(value).map(|bytes| Self::Cbor(bytes.into())),
            #[cfg(feature = "native")]
            Codec::Native => crate::domain::codec::native::encode_value(value).map(|value| Self::Native(value.into())),
        }
    }

    /// The same for a value under a key: a codec may not have all keys.
    pub(crate) fn encode_under<T>(codec: Codec, key: &str, value: &T) -> Result<Self, Problem>
    where
        T: Serialize + ?Sized,
    {
        #[cfg(feature = "native")]
        if codec == Codec::Native {
            crate::domain::codec::native::check_name(key)?;
        }
        let _ = key;
        Self::encode(codec, value)
    }

    /// Decodes the value; the application's `Deserialize` runs here, so no lock may be held.
    pub(crate) fn decode<T>(&self) -> Result<T, Problem>
    where
        T: DeserializeOwned,
    {
        match self {
            Self::Json(text) => serde_json::from_str(text).map_err(|e| Problem::misfit(&e)),
            #[cfg(feature = "cbor")]
            Self::Cbor(bytes) => crate::domain::codec::cbor::decode_value(bytes),
            #[cfg(feature = "native")]
            Self::Native(value) => crate::domain::codec::native::decode_value(value),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        match self {
            Self::Json(_) => Codec::Json,
            #[cfg(feature = "cbor")]
            Self::Cbor(_) => Codec::Cbor,
            #[cfg(feature = "native")]
            Self::Native(_) => Codec::Native,
        }
    }

    /// Takes the value apart; `None` where it is too deep, or broken.
    pub(crate) fn tree(&self) -> Option<Tree> {
        match self {
            Self::Json(text) => json::tree(text, MOST_LEVELS),
            #[cfg(feature = "cbor")]
            Self::Cbor(bytes) => crate::domain::codec::cbor::tree(bytes),
            #[cfg(feature = "native")]
            Self::Native(value) => crate::domain::codec::native::tree(value, MOST_LEVELS),
        }
    }

    /// The value that says what was taken apart.
    pub(crate) fn of_tree(codec: Codec, tree: &Tree) -> Option<Self> {
        match codec {
            Codec::Json => json::write(tree).map(|text| Self::Json(text.into())),
            #[cfg(feature = "cbor")]
            Codec::Cbor => crate::domain::codec::cbor::write(tree).map(|bytes| Self::Cbor(bytes.into())),
            #[cfg(feature = "native")]
            Codec::Native => crate::domain::codec::native::write(tree).map(|value| Self::Native(value.into())),
        }
    }

    /// Whether both were encoded to the same.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json(this), Self::Json(other)) => this == other,
            #[cfg(feature = "cbor")]
            (Self::Cbor(this), Self::Cbor(other)) => **this == **other,
            #[cfg(feature = "native")]
            (Self::Native(this), Self::Native(other)) => this == other,
            #[allow(unreachable_patterns, reason = "with one codec there are no two")]
            _ => false,
        }
    }
}

/// Equal is what means the same: `{"a":1,"b":2}` and `{"b": 2, "a": 1}` do.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.tree().is_some_and(|this| Some(this) == other.tree())
    }
}

/// Values are the application's: a log line must not hold them.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::Json(Text::from(text))
    }

    #[test]
    fn a_value_means_the_same_in_another_spelling() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [true, null], "a": 1 }"#),
            (r#""\u00e4""#, "\"ä\""),
            ("[]", "[ ]"),
        ] {
            assert!(value(one) == value(other), "{one}");
        }
        for (one, other) in [("1", "1.0"), ("[1,2]", "[2,1]"), (r#"{"a":1}"#, r#"{"a":2}"#), ("null", "false")] {
            assert!(value(one) != value(other), "{one}");
        }
        let deep = |end: &str| value(&format!("{}{end}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(deep("1") == deep("1") && deep("1") != deep("2"));
    }
}
