//! What is wrong with a value, told without the value.

use std::fmt;

/// Why a value could not be written or read. It holds no data: serde's own texts can quote a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    /// NaN or infinity, and the codec has no word for them.
    NotFinite(&'static str),
    /// A number that the codec cannot keep to the last digit.
    #[cfg(feature = "native")]
    OutOfRange(&'static str),
    /// A set that is empty, or holds something twice.
    #[cfg(feature = "native")]
    Set(&'static str),
    /// The name of a part that DynamoDB does not take.
    #[cfg(feature = "native")]
    Name(&'static str),
    /// The name of a part that serde_json reads as another thing.
    Reserved,
    /// An integer of 128 bits, and the codec has none.
    Wide(&'static str),
    /// More levels than could be read back.
    TooDeep { codec: &'static str, most: usize },
    /// The keys of a map are no strings, and the codec has no others.
    Key(&'static str),
    /// The type's own `Serialize` refused.
    Unwritable,
    /// What is stored is of another type.
    Misfit { expected: Option<String> },
    /// The value is of another codec than the session's.
    Codec,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite(codec) => {
                write!(f, "the codec `{codec}` has no NaN and no infinity; take `codec = \"cbor\"`, or an `Option`")
            }
            #[cfg(feature = "native")]
            Self::OutOfRange(codec) => {
                write!(f, "the codec `{codec}` has numbers of 38 digits from 1e-130 to 1e126; store a text instead")
            }
            #[cfg(feature = "native")]
            Self::Set(codec) => write!(f, "the codec `{codec}` has no set that is empty or holds something twice"),
            #[cfg(feature = "native")]
            Self::Name(codec) => {
                write!(
                    f,
                    "the codec `{codec}` has no empty names, and none of more than 65535 bytes; take another name"
                )
            }
            Self::Reserved => {
                f.write_str("names that begin with `$serde_json::private::` are serde_json's own; take another")
            }
            Self::Wide(codec) => {
                write!(
                    f,
                    "the codec `{codec}` has no integers of 128 bits; store a text instead, or take another codec"
                )
            }
            Self::TooDeep { codec, most } => write!(f, "the codec `{codec}` reads back at most {most} levels"),
            Self::Key(codec) => {
                write!(f, "the codec `{codec}` has no maps with such keys; take `codec = \"cbor\"`, or a list of pairs")
            }
            Self::Unwritable => f.write_str("the type refused to be written"),
            Self::Misfit { expected: Some(expected) } => write!(f, "what is stored is not {expected}"),
            Self::Misfit { expected: None } => f.write_str("what is stored does not fit the type"),
            Self::Codec => f.write_str("it was encoded for a session of another codec"),
        }
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// Says what a deserializer expected, where its error does, and nothing of what it found.
    pub(crate) fn misfit(error: &dyn fmt::Display) -> Self {
        let text = error.to_string();
        let told = ["invalid type: ", "invalid value: ", "invalid length "];
        let expected = text.split_once(", expected ").filter(|_| told.iter().any(|start| text.starts_with(start)));
        // The value that was found is quoted before the comma, and could hold one: the last part is the type's.
        let expected = expected.and_then(|_| text.rsplit_once(", expected ")).map(|(_, expected)| {
            let end = expected.find(" at line ").unwrap_or(expected.len());
            expected[..end].to_owned()
        });
        Self::Misfit { expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_tells_what_was_expected_and_not_what_was_found() {
        for (json, expected) in [
            ("\"secret\"", "what is stored is not u64"),
            ("\"secret, expected secret\"", "what is stored is not u64"),
            ("-1", "what is stored is not u64"),
            ("{\"secret\":1}", "what is stored is not u64"),
            ("x", "what is stored does not fit the type"),
        ] {
            let error = serde_json::from_str::<u64>(json).expect_err(json);
            assert_eq!(Problem::misfit(&error).to_string(), expected);
        }
        #[derive(Debug, serde::Deserialize)]
        enum Kind {
            A,
        }
        let error = serde_json::from_str::<Kind>("\"secret\"").expect_err("no variant");
        assert_eq!(Problem::misfit(&error).to_string(), "what is stored does not fit the type");
        assert!(matches!(serde_json::from_str("\"A\""), Ok(Kind::A)));
    }
}
