//! The codecs: how the data of a session is written.

#[cfg(feature = "cbor")]
pub(crate) mod cbor;
pub(crate) mod json;
mod key;
#[cfg(feature = "native")]
pub(crate) mod native;
mod strict;
mod watch;

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
