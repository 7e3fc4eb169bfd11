//! The codec `json`: a session's data as one JSON text, as the Flask package writes it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::codec::strict;
use crate::domain::codec::watch::Rules;
use crate::domain::problem::Problem;
use crate::domain::text::Text;
use crate::domain::tree::{Scalar, Tree};

const NAME: &str = "json";

/// serde_json reads 127 levels.
const RULES: Rules = Rules { codec: NAME, levels: 127, not_finite: false, wide: true, any_keys: false, counts: false };

/// Writes a value as JSON text.
pub(crate) fn encode_value<T>(value: &T) -> Result<String, Problem>
where
    T: Serialize + ?Sized,
{
    let mut text = Vec::with_capacity(32);
    strict::write(RULES, value, |value| serde_json::to_writer(&mut text, value))?;
    Ok(String::from_utf8(text).expect("serde_json writes UTF-8"))
}

/// Takes a value apart, down to so many levels.
pub(crate) fn tree(text: &str, levels: usize) -> Option<Tree> {
    let below = |raw: &RawValue| tree(raw.get(), levels.checked_sub(1)?);
    Some(match text.as_bytes().first()? {
        b'{' => {
            let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let parts = parts.into_iter().map(|(key, raw)| Some((key.into_bytes(), below(raw)?)));
            Tree::Object(parts.collect::<Option<_>>()?)
        }
        b'[' => {
            let parts: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Tree::List(parts.into_iter().map(below).collect::<Option<_>>()?)
        }
        b'"' => Tree::Scalar(Scalar::Text(serde_json::from_str(text).ok()?)),
        _ => Tree::Scalar(Scalar::Json(text.to_owned())),
    })
}

/// Writes what was taken apart.
pub(crate) fn write(tree: &Tree) -> Option<String> {
    let mut text = String::new();
    write_to(tree, &mut text)?;
    Some(text)
}

fn write_to(tree: &Tree, text: &mut String) -> Option<()> {
    match tree {
        Tree::Scalar(Scalar::Json(word)) => text.push_str(word),
        Tree::Scalar(Scalar::Text(string)) => text.push_str(&escaped(string)),
        #[allow(unreachable_patterns, reason = "with one codec there are no other scalars")]
        Tree::Scalar(_) => return None,
        Tree::List(parts) => {
            text.push('[');
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_to(part, text)?;
            }
            text.push(']');
        }
        Tree::Object(parts) => {
            text.push('{');
            for (at, (key, part)) in parts.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&escaped(std::str::from_utf8(key).ok()?));
                text.push(':');
                write_to(part, text)?;
            }
            text.push('}');
        }
    }
    Some(())
}

/// Writes keys and values as one JSON text; values go in as they are.
pub(crate) fn join<'a>(entries: impl Iterator<Item = (&'a Text, &'a str)> + Clone) -> String {
    let len = entries.clone().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>();
    let mut text = String::with_capacity(len + 2);
    text.push('{');
    for (key, value) in entries {
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
        text.push_str(value);
    }
    text.push('}');
    text
}

fn is_plain(key: &str) -> bool {
    key.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\')
}

fn escaped(key: &str) -> String {
    serde_json::to_string(key).expect("a string can be written as JSON")
}

/// Splits JSON text into keys and values, which share its bytes; the error says what is wrong without quoting the data.
pub(crate) fn split(text: &str) -> Result<Vec<(Text, Text)>, String> {
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
    type Value = Vec<(Text, Text)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Split<'_> {
    type Value = Vec<(Text, Text)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Key(self.0))? {
            let value: &RawValue = map.next_value()?;
            entries.push((key, Text::part(self.0, value.get())));
        }
        Ok(entries)
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

    fn joined(text: &str) -> String {
        let entries = split(text).expect(text);
        join(entries.iter().map(|(key, value)| (key, &**value)))
    }

    #[test]
    fn data_survives_its_text() {
        for text in [r#"{"":true,"a":{"b":[1,2.50,null,"ü\u0000\""]}}"#, "{}", r#"{"ü\"":1e400}"#] {
            assert_eq!(joined(text), text);
        }
        assert_eq!(joined("{\"b\" : [1, 2] ,\n \"a\": null}"), r#"{"b":[1, 2],"a":null}"#);
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(joined(&deep), deep);
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
            let reason = split(text).expect_err(text);
            assert!(reason.contains(said) && !reason.contains("secret\""), "{reason}");
        }
    }
}
