//! JSON where a table belongs: what a person writes into an environment variable at first.

use serde_json::Value;

/// Says what to write in place of a text that looks like JSON or nearly; `None` for another text.
pub(super) fn in_place_of_table(text: &str) -> Option<String> {
    let table = match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => spelt(&value),
        _ if text.trim_start().starts_with('{') => r#"{table="x",ttl="14 days"}"#.to_owned(),
        _ => return None,
    };
    Some(format!("a text where a table belongs; write `{table}`, with `=` and no quotes around the keys"))
}

/// Spells a value as Rocket reads it in an environment variable, and TOML in one line.
fn spelt(value: &Value) -> String {
    match value {
        Value::Object(keys) => {
            let keys: std::collections::BTreeMap<_, _> = keys.iter().filter(|(_, value)| !value.is_null()).collect();
            let keys: Vec<_> = keys.into_iter().map(|(key, value)| format!("{key}={}", spelt(value))).collect();
            format!("{{{}}}", keys.join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(spelt).collect::<Vec<_>>().join(",")),
        value => value.to_string(),
    }
}
