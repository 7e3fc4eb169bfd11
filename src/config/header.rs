//! The header that carries a session ID: `false`, `true` or its name.

use serde::{Deserializer, Serializer};

use super::scalar::Scalar;

/// The name that `true` stands for; flask-dynamodb-sessions has the same.
const NAME: &str = "X-SessionId";

pub(super) fn serialize<S: Serializer>(header: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match header {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_bool(false),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(Scalar {
        text: Some(|name| Some(Some(name.to_owned()))),
        flag: Some(|on| Some(on.then(|| NAME.to_owned()))),
        ..Scalar::expecting("`true`, `false` or the name of a header")
    })
}
