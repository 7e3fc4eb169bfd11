//! The codec: a session's data to text and back. JSON, as the Flask package writes it.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::data::Data;
use crate::domain::text::Text;
use crate::domain::value::Value;

/// Writes the data as JSON text; values go in as they are.
pub(crate) fn encode(data: &Data) -> String {
    let mut text = String::with_capacity(encoded_len(data));
    text.push('{');
    for (key, value) in data.iter() {
        if text.len() > 1 {
            text.push(',');
        }
        if is_plain(key) {
            text.push('"');
            text.push_str(key);
            text.push('"');
        } else {
            text.push_str(&escaped(key));
        }
        text.push(':');
        text.push_str(value.text());
    }
    text.push('}');
    text
}

/// The length of that text.
pub(crate) fn encoded_len(data: &Data) -> usize {
    let key_len = |key: &str| if is_plain(key) { key.len() + 2 } else { escaped(key).len() };
    let entries = data.iter().map(|(key, value)| key_len(key) + value.text().len() + 2).sum::<usize>();
    // Each entry has a comma but the last.
    if entries == 0 { 2 } else { entries + 1 }
}

fn is_plain(key: &str) -> bool {
    key.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\')
}

fn escaped(key: &str) -> String {
    serde_json::to_string(key).expect("a string can be written as JSON")
}

/// Splits JSON text into keys and values, which share its bytes; the error says what is wrong without quoting the data.
pub(crate) fn decode(text: &str) -> Result<Data, String> {
    if is_pickle(text) {
        return Err("`data` is a Python pickle, which is never parsed".into());
    }
    let whole: Arc<str> = Arc::from(text);
    let mut json = serde_json::Deserializer::from_str(&whole);
    let split = Split(&whole).deserialize(&mut json).and_then(|data| json.end().map(|()| data));
    split.map_err(|e| {
        // serde's own text can quote a value: `invalid type: string "secret"`.
        let kind = match e.classify() {
            serde_json::error::Category::Data => "is JSON, but no object",
            _ => "is not JSON",
        };
        format!("`data` {kind} (line {}, column {})", e.line(), e.column())
    })
}

/// Recognises what the Flask package stored before it wrote JSON: a pickle of protocol 0, or base64 of one of 2 to 5.
fn is_pickle(text: &str) -> bool {
    // From protocol 2 on, a pickle begins with the bytes 0x80 and its protocol's number: `gAI` to `gAX`.
    let protocol = text.strip_prefix("gA").and_then(|rest| rest.bytes().next());
    matches!(protocol, Some(b'I'..=b'X')) || text.starts_with("(dp")
}

/// Reads an object as keys and raw values. It does not recurse, whatever the depth of a value.
struct Split<'a>(&'a Arc<str>);

impl<'de> DeserializeSeed<'de> for Split<'_> {
    type Value = Data;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Split<'_> {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Key(self.0))? {
            let value: &RawValue = map.next_value()?;
            entries.push((key, Value::stored(Text::part(self.0, value.get()))));
        }
        Ok(Data::new(entries))
    }
}

/// Reads a key: a part of the text, or a copy where it has escapes.
struct Key<'a>(&'a Arc<str>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Text;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Text, E> {
        Ok(Text::part(self.0, key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Text, E> {
        Ok(Text::from(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_survives_its_text() {
        for text in [r#"{"":true,"a":{"b":[1,2.50,null,"ü\u0000\""]}}"#, "{}", r#"{"ü\"":1e400}"#] {
            let data = decode(text).expect(text);
            assert_eq!((encode(&data).as_str(), encoded_len(&data)), (text, text.len()));
        }
        let spaced = decode("{\"b\" : [1, 2] ,\n \"a\": null}").expect("JSON");
        assert_eq!(encode(&spaced), r#"{"a":null,"b":[1, 2]}"#);
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(encode(&decode(&deep).expect("JSON")), deep);
    }

    #[test]
    fn broken_data_is_told_without_its_content() {
        for (text, said) in [
            ("gASVEgAAAAAAAAB9lIwHc2VjcmV0", "a Python pickle"),
            ("(dp0\nS'secret'\n", "a Python pickle"),
            ("{\"secret\": ", "is not JSON"),
            ("", "is not JSON"),
            ("{} {}", "is not JSON"),
            ("\"secret\"", "is JSON, but no object"),
            ("[1]", "is JSON, but no object"),
        ] {
            let reason = decode(text).expect_err(text);
            assert!(reason.contains(said) && !reason.contains("secret\""), "{reason}");
        }
    }
}
