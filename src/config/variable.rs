//! Environment variables that Rocket ignores.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Value};

use super::{Config, CookieConfig, Endpoint};

/// Returns the environment variables that Rocket ignores, each with the spelling that it reads.
///
/// Rocket takes what follows `ROCKET_` for one key, so `ROCKET_SESSIONS_TABLE` sets a key `sessions_table` that nobody
/// asks for. Only names that spell a key of [`Config`] are returned: another crate may own the others.
pub(crate) fn misspelt_variables<I>(variables: I) -> Vec<(String, String)>
where
    I: IntoIterator<Item = String>,
{
    const PREFIX: &str = "ROCKET_SESSIONS_";

    let spellings = spellings();
    let spelling = |name: &str| {
        let rest = name.get(PREFIX.len()..)?;
        name.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX))?;
        // ROCKET_SESSIONS__COOKIE__NAME and ROCKET_SESSIONS_COOKIE.NAME mean the same.
        let words: Vec<_> = rest.split(['_', '.']).filter(|word| !word.is_empty()).collect();
        Some(format!("ROCKET_SESSIONS={}", spellings.get(&words.join("_").to_ascii_lowercase())?))
    };
    variables.into_iter().filter_map(|name| spelling(&name).map(|spelling| (name, spelling))).collect()
}

/// Returns each key, joined by `_`, with the text that sets it: `cookie_name` and `{cookie={name="…"}}`.
fn spellings() -> BTreeMap<String, String> {
    fn shape(value: &Value) -> &'static str {
        match value {
            Value::String(..) => "\"…\"",
            Value::Dict(..) => "{…}",
            _ => "…",
        }
    }

    let mut spellings = BTreeMap::new();
    for (key, value) in filled() {
        spellings.insert(key.clone(), format!("{{{key}={}}}", shape(&value)));
        for (inner, value) in value.into_dict().unwrap_or_else(Dict::new) {
            spellings.insert(format!("{key}_{inner}"), format!("{{{key}={{{inner}={}}}}}", shape(&value)));
        }
    }
    spellings
}

/// Returns the names of all keys.
pub(super) fn keys() -> BTreeSet<String> {
    filled().into_keys().collect()
}

/// Returns a configuration in which every optional key has a value, so that its shape shows.
fn filled() -> Dict {
    let example = || Some(String::new());
    let filled = Config {
        region: example(),
        endpoint: Some(Endpoint::Memory),
        absolute_ttl: Some(Config::default().ttl),
        remember_ttl: Some(Config::default().ttl),
        remember_absolute_ttl: Some(Config::default().ttl),
        anonymous_ttl: Some(Config::default().ttl),
        header: example(),
        cookie: CookieConfig { domain: example(), secure: Some(true), ..CookieConfig::default() },
        ..Config::default()
    };
    let value = Value::serialize(filled).expect("a configuration has texts, numbers, flags and one table");
    value.into_dict().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_rocket_ignores_are_returned_with_the_right_spelling() {
        let cases = [
            ("ROCKET_SESSIONS_TABLE", r#"ROCKET_SESSIONS={table="…"}"#),
            ("rocket_sessions_ttl", r#"ROCKET_SESSIONS={ttl="…"}"#),
            ("ROCKET_SESSIONS_ATTEMPTS", "ROCKET_SESSIONS={attempts=…}"),
            ("ROCKET_SESSIONS_ENDPOINT", r#"ROCKET_SESSIONS={endpoint="…"}"#),
            ("ROCKET_SESSIONS_COOKIE", "ROCKET_SESSIONS={cookie={…}}"),
            ("ROCKET_SESSIONS_COOKIE_NAME", r#"ROCKET_SESSIONS={cookie={name="…"}}"#),
            ("ROCKET_SESSIONS_COOKIE.SAME_SITE", r#"ROCKET_SESSIONS={cookie={same_site="…"}}"#),
            ("ROCKET_SESSIONS__COOKIE__SECURE", "ROCKET_SESSIONS={cookie={secure=…}}"),
        ];
        let expected: Vec<_> = cases.iter().map(|(name, right)| ((*name).to_owned(), (*right).to_owned())).collect();
        assert_eq!(misspelt_variables(cases.iter().map(|(name, _)| (*name).to_owned())), expected);

        let others =
            ["ROCKET_SESSIONS", "ROCKET_SESSIONS.TABLE", "ROCKET_SESSIONS_", "ROCKET_SESSIONS_POOL", "PÄTH", ""];
        assert_eq!(misspelt_variables(others.map(String::from)), []);
    }
}
