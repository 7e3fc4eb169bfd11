//! A value of a session, as the codec encoded it.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::text::Text;

/// A value stays as it was encoded: it is parsed where the application reads it, and written back as it came.
#[derive(Clone)]
pub(crate) struct Value(Text);

impl Value {
    /// Encodes a value of the application's; its `Serialize` runs here, so no lock may be held.
    pub(crate) fn encode<T>(value: &T) -> Result<Self, serde_json::Error>
    where
        T: Serialize + ?Sized,
    {
        serde_json::to_string(value).map(|text| Self(Text::from(text)))
    }

    /// Takes the text of a value as it stands in a row.
    pub(crate) fn stored(text: Text) -> Self {
        Self(text)
    }

    /// Decodes the value; the application's `Deserialize` runs here, so no lock may be held.
    pub(crate) fn decode<T>(&self) -> Result<T, serde_json::Error>
    where
        T: DeserializeOwned,
    {
        serde_json::from_str(&self.0)
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether both mean the same: `{"a":1,"b":2}` and `{"b": 2, "a": 1}` do.
    pub(crate) fn means(&self, other: &Self) -> bool {
        self.0 == other.0 || meaning(&self.0).is_some_and(|this| Some(this) == meaning(&other.0))
    }
}

/// What a JSON text says, whatever its spelling: numbers as they are written, objects without an order.
#[derive(PartialEq)]
enum Meaning {
    Scalar(serde_json::Value),
    Number(String),
    List(Vec<Meaning>),
    Object(std::collections::BTreeMap<String, Meaning>),
}

fn meaning(text: &str) -> Option<Meaning> {
    use std::collections::BTreeMap;

    Some(match text.as_bytes().first()? {
        b'{' => {
            let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let parts = parts.into_iter().map(|(key, raw)| Some((key, meaning(raw.get())?)));
            Meaning::Object(parts.collect::<Option<_>>()?)
        }
        b'[' => {
            let parts: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Meaning::List(parts.into_iter().map(|raw| meaning(raw.get())).collect::<Option<_>>()?)
        }
        b'-' | b'0'..=b'9' => Meaning::Number(text.to_owned()),
        _ => Meaning::Scalar(serde_json::from_str(text).ok()?),
    })
}

/// Values are the application's: a log line must not hold them.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.means(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::stored(Text::from(text))
    }

    #[test]
    fn a_value_means_the_same_in_another_spelling() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [true, null], "a": 1 }"#),
            (r#""\u00e4""#, "\"ä\""),
            ("[]", "[ ]"),
        ] {
            assert!(value(one).means(&value(other)), "{one}");
        }
        for (one, other) in [("1", "1.0"), ("[1,2]", "[2,1]"), (r#"{"a":1}"#, r#"{"a":2}"#), ("null", "false")] {
            assert!(!value(one).means(&value(other)), "{one}");
        }
    }
}
