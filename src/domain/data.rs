//! The data of a session: keys, and values as they were encoded.

use std::collections::BTreeMap;
#[cfg(feature = "native")]
use std::collections::HashMap;

#[cfg(feature = "cbor")]
use crate::domain::codec::cbor;
use crate::domain::codec::{Codec, Encoded, json};
use crate::domain::text::Text;
use crate::domain::value::Value;

/// The values of a session under their keys. Loading and changing it copies no value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Data {
    /// In the order of the keys, each key once.
    entries: Vec<(Text, Value)>,
}

/// What a request changed: a new value, or none any more.
pub(crate) type Changes = BTreeMap<Text, Option<Value>>;

impl Data {
    /// Takes keys and values in any order; of a key that comes twice, the last counts.
    pub(crate) fn new(mut entries: Vec<(Text, Value)>) -> Self {
        if !entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            entries.reverse();
            entries.dedup_by(|(one, _), (other, _)| one == other);
            entries.reverse();
        }
        Self { entries }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let at = self.entries.binary_search_by(|(other, _)| other.as_str().cmp(key)).ok()?;
        Some(&self.entries[at].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// Writes the data; values go in as they are. All are of this codec: no other can be in such a session.
    pub(crate) fn join(&self, codec: Codec) -> Encoded {
        match codec {
            Codec::Json => Encoded::Text(json::join(self.iter().filter_map(|(key, value)| match value {
                Value::Json(text) => Some((key, &**text)),
                #[allow(unreachable_patterns, reason = "with one codec there are no others")]
                _ => None,
            }))),
            #[cfg(feature = "cbor")]
            Codec::Cbor => Encoded::Bytes(cbor::join(self.iter().filter_map(|(key, value)| match value {
                Value::Cbor(bytes) => Some((key, &**bytes)),
                _ => None,
            }))),
            #[cfg(feature = "native")]
            Codec::Native => Encoded::Map(HashMap::from_iter(self.iter().filter_map(|(key, value)| match value {
                Value::Native(value) => Some((key.as_str().to_owned(), (**value).clone())),
                _ => None,
            }))),
        }
    }

    /// Splits what is stored into keys and values, and parses no value; the error says what is wrong without quoting data.
    pub(crate) fn split(codec: Codec, encoded: Encoded) -> Result<Self, String> {
        let json = |text: &str| {
            let entries = json::split(text)?;
            Ok(Self::new(entries.into_iter().map(|(key, text)| (key, Value::Json(text))).collect()))
        };
        match (codec, encoded) {
            (Codec::Json, Encoded::Text(text)) => json(&text),
            // Compressed or sealed, a text is bytes.
            (Codec::Json, Encoded::Bytes(bytes)) => {
                json(std::str::from_utf8(&bytes).map_err(|_| "`data` is not UTF-8".to_owned())?)
            }
            #[cfg(feature = "cbor")]
            (Codec::Cbor, Encoded::Bytes(bytes)) => {
                let entries = cbor::split(bytes)?;
                Ok(Self::new(entries.into_iter().map(|(key, bytes)| (key, Value::Cbor(bytes))).collect()))
            }
            #[cfg(feature = "native")]
            (Codec::Native, Encoded::Map(map)) => {
                Ok(Self::new(map.into_iter().map(|(key, value)| (key.into(), Value::Native(value.into()))).collect()))
            }
            #[allow(unreachable_patterns, reason = "with one codec there are no others")]
            (codec, _) => Err(format!("`data` is not as the codec `{}` writes it", codec.name())),
        }
    }

    /// The data with changes over it.
    pub(crate) fn merged(&self, changes: &Changes) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len() + changes.len());
        let mut changes = changes.iter().peekable();
        for (key, value) in &self.entries {
            while let Some((new, changed)) = changes.next_if(|(new, _)| *new < key) {
                entries.extend(changed.clone().map(|value| (new.clone(), value)));
            }
            match changes.next_if(|(new, _)| *new == key) {
                Some((_, changed)) => entries.extend(changed.clone().map(|value| (key.clone(), value))),
                None => entries.push((key.clone(), value.clone())),
            }
        }
        entries.extend(changes.filter_map(|(new, changed)| Some((new.clone(), changed.clone()?))));
        Self { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> (Text, Value) {
        (Text::from(key), Value::Json(Text::from(value)))
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_counts() {
        let data = Data::new(vec![entry("b", "1"), entry("a", "2"), entry("b", "3")]);
        let keys: Vec<&str> = data.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((keys, data.get("b")), (vec!["a", "b"], Some(&Value::Json(Text::from("3")))));
    }

    #[test]
    fn changes_are_merged_in_the_order_of_the_keys() {
        let data = Data::new(vec![entry("b", "1"), entry("d", "2"), entry("f", "3")]);
        let new = |value: &str| Some(Value::Json(Text::from(value)));
        let changes = [("a", new("4")), ("b", None), ("d", new("5")), ("e", None), ("g", new("6"))];
        let merged = data.merged(&changes.into_iter().map(|(key, value)| (Text::from(key), value)).collect());
        assert_eq!(merged.join(Codec::Json), Encoded::Text(r#"{"a":4,"d":5,"f":3,"g":6}"#.into()));
    }
}
