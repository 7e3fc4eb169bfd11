//! The codecs: how the data of a session is written, and split again into keys and values.

#[cfg(feature = "cbor")]
pub(crate) mod cbor;
mod finite;
pub(crate) mod json;
#[cfg(feature = "native")]
pub(crate) mod native;

use crate::domain::data::Data;

/// How the values of a session are encoded. A session keeps its codec as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Json,
    #[cfg(feature = "cbor")]
    Cbor,
    #[cfg(feature = "native")]
    Native,
}

/// The data of a session as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Encoded {
    Text(String),
    #[cfg_attr(not(any(feature = "cbor", feature = "zstd", feature = "encrypt")), allow(dead_code))]
    Bytes(Vec<u8>),
    #[cfg(feature = "native")]
    Map(std::collections::HashMap<String, serde_dynamo::AttributeValue>),
}

impl Codec {
    /// Writes the data; values go in as they are.
    pub(crate) fn join(self, data: &Data) -> Encoded {
        match self {
            Self::Json => Encoded::Text(json::join(data)),
            #[cfg(feature = "cbor")]
            Self::Cbor => Encoded::Bytes(cbor::join(data)),
            #[cfg(feature = "native")]
            Self::Native => Encoded::Map(native::join(data)),
        }
    }

    /// Splits what is stored into keys and values, and parses no value; the error says what is wrong without quoting data.
    pub(crate) fn split(self, encoded: Encoded) -> Result<Data, String> {
        match (self, encoded) {
            (Self::Json, Encoded::Text(text)) => json::split(&text),
            // Compressed or sealed, a text is bytes.
            (Self::Json, Encoded::Bytes(bytes)) => {
                json::split(std::str::from_utf8(&bytes).map_err(|_| "`data` is not UTF-8".to_owned())?)
            }
            #[cfg(feature = "cbor")]
            (Self::Cbor, Encoded::Bytes(bytes)) => cbor::split(bytes),
            #[cfg(feature = "native")]
            (Self::Native, Encoded::Map(map)) => Ok(native::split(map)),
            #[allow(unreachable_patterns, reason = "with one codec there are no others")]
            (codec, _) => Err(format!("`data` is not as the codec `{}` writes it", codec.name())),
        }
    }

    /// The word for it in the configuration and in rows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            #[cfg(feature = "cbor")]
            Self::Cbor => "cbor",
            #[cfg(feature = "native")]
            Self::Native => "native",
        }
    }
}
