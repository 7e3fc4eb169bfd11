//! The codec: a session's data to text and back. JSON, as the Flask package writes it.

use crate::domain::log::Data;

/// Writes the data as JSON text.
pub(crate) fn encode(data: &Data) -> String {
    // A map of JSON values has string keys and finite numbers, so there is nothing that could fail.
    serde_json::to_string(data).expect("a JSON value can be written as text")
}

/// Reads the data from JSON text; the error says what is wrong without quoting the data.
pub(crate) fn decode(text: &str) -> Result<Data, String> {
    if is_pickle(text) {
        return Err("`data` is a Python pickle, which is never parsed".into());
    }
    serde_json::from_str(text).map_err(|e| {
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn data_survives_its_text() {
        let data = Map::from_iter([("a".into(), json!({"b": [1, 2.5, null, "ü\u{0}\""]})), ("".into(), json!(true))]);
        assert_eq!(decode(&encode(&data)), Ok(data));
    }

    #[test]
    fn broken_data_is_told_without_its_content() {
        for (text, said) in [
            ("gASVEgAAAAAAAAB9lIwHc2VjcmV0", "a Python pickle"),
            ("(dp0\nS'secret'\n", "a Python pickle"),
            ("{\"secret\": ", "is not JSON"),
            ("", "is not JSON"),
            ("\"secret\"", "is JSON, but no object"),
            ("[1]", "is JSON, but no object"),
        ] {
            let reason = decode(text).expect_err(text);
            assert!(reason.contains(said) && !reason.contains("secret\""), "{reason}");
        }
    }
}
