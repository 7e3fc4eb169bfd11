//! The defaults are in `Config::default()`; README.md, Rocket.toml and the fields' docs repeat them, and are compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rocket_dynamodb_sessions::Config;
use serde_json::Value;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// Each key with its default, `null` where it has none; the cookie's as `cookie.name`.
fn defaults() -> BTreeMap<String, Value> {
    let mut defaults = BTreeMap::new();
    let Ok(Value::Object(keys)) = serde_json::to_value(Config::default()) else { panic!("a configuration is a table") };
    for (key, value) in keys {
        match value {
            Value::Object(inner) => {
                defaults.extend(inner.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => drop(defaults.insert(key, value)),
        }
    }
    defaults
}

fn keys_without_default() -> BTreeSet<String> {
    defaults().into_iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key).collect()
}

/// Reads a default as a text shows it: a value of TOML, or words where there is none.
fn shown(key: &str, text: &str) -> Value {
    let text = text.trim().replace('`', "");
    match text.as_str() {
        "none" => Value::Null,
        // The one default that depends on the profile.
        "on, off in the debug profile" if key == "cookie.secure" => Value::Null,
        value => {
            let table: toml::Table =
                format!("value = {value}").parse().unwrap_or_else(|e| panic!("{key}: {value}: {e}"));
            serde_json::to_value(&table["value"]).expect("TOML fits into JSON")
        }
    }
}

/// The rows of a table of three columns whose first is a key: the key and its default.
fn rows(markdown: &str) -> Vec<(String, Value)> {
    let cells = |line: &str| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let mut lines = markdown.lines().map(cells).skip_while(|cells: &Vec<String>| {
        cells.len() != 3 || cells[0] != "Key" || cells[1] != "Default" || cells[2] != "Meaning"
    });
    assert!(lines.next().is_some(), "there is a table with the columns Key, Default, Meaning");
    let rows = lines.skip(1).take_while(|cells| cells.len() == 3);
    rows.map(|cells| {
        let key = cells[0].trim_matches('`').to_owned();
        assert!(!cells[2].is_empty(), "{key} has a meaning");
        (key.clone(), shown(&key, &cells[1]))
    })
    .collect()
}

#[track_caller]
fn assert_complete(shown: Vec<(String, Value)>) {
    let count = shown.len();
    let shown: BTreeMap<String, Value> = shown.into_iter().collect();
    assert_eq!(shown, defaults());
    assert_eq!(shown.len(), count, "each key is there once");
}

#[test]
fn the_readme_lists_each_key_once_with_its_default() {
    assert_complete(rows(&file("README.md")));
}

#[test]
fn rocket_toml_sets_each_key_to_its_default() {
    let toml: toml::Table = file("Rocket.toml").parse().expect("TOML");
    let config: Config = toml["default"]["sessions"].clone().try_into().expect("a configuration");
    assert_eq!(config, Config::default());
}

/// The keys that stand in comments, as `# region = "eu-west-1"`, and the text with these comments opened.
fn commented(toml: &str) -> (BTreeSet<String>, String) {
    let (mut section, mut keys, mut opened) = (String::new(), BTreeSet::new(), String::new());
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim_start_matches("default.sessions").trim_start_matches('.').to_owned();
        }
        let setting = line.strip_prefix("# ").filter(|rest| {
            let mut words = rest.split(' ');
            words.next().is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                && words.next() == Some("=")
        });
        if let Some(key) = setting.and_then(|setting| setting.split(' ').next()) {
            let key = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            assert!(keys.insert(key.clone()), "{key} is there once");
        }
        opened.push_str(setting.unwrap_or(line));
        opened.push('\n');
    }
    (keys, opened)
}

#[test]
fn rocket_toml_shows_each_key_without_a_default_in_a_comment_that_can_be_opened() {
    let text = file("Rocket.toml");
    let (keys, opened) = commented(&text);
    assert_eq!(keys, keys_without_default());

    let opened: toml::Table = opened.parse().expect("TOML");
    let config: Config = opened["default"]["sessions"].clone().try_into().expect("a configuration");
    config.validate(false).expect("no rule is broken");

    // With those that are set, these are all keys there are.
    let mut present = BTreeSet::new();
    for (key, value) in opened["default"]["sessions"].as_table().expect("a table") {
        match value.as_table() {
            Some(inner) => present.extend(inner.keys().map(|name| format!("{key}.{name}"))),
            None => drop(present.insert(key.clone())),
        }
    }
    assert_eq!(present, defaults().into_keys().collect());
}

#[test]
fn every_profile_of_rocket_toml_is_a_valid_configuration() {
    let toml: toml::Table = file("Rocket.toml").parse().expect("TOML");
    for (profile, table) in &toml {
        if let Some(sessions) = table.get("sessions") {
            let config: Config = sessions.clone().try_into().unwrap_or_else(|e| panic!("{profile}: {e}"));
            config.validate(profile == "debug").unwrap_or_else(|e| panic!("{profile}: {e}"));
        }
    }
}

/// The public fields of a file with the default that ends their docs.
fn documented(source: &str, prefix: &str) -> Vec<(String, Value)> {
    let (mut docs, mut fields) = (String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text);
        } else if let Some(name) = line.strip_prefix("pub ").and_then(|field| Some(field.split_once(": ")?.0))
            && !name.contains(' ')
            // A field that nobody should name: see `Config`.
            && name != "__more"
        {
            let default = docs.trim_end().strip_suffix(")**").and_then(|docs| docs.rsplit_once("**(default: "));
            let (_, default) = default.unwrap_or_else(|| panic!("the docs of {name} end with its default"));
            let key = format!("{prefix}{name}");
            // The cookie's keys have a file of their own.
            if key != "cookie" {
                fields.push((key.clone(), shown(&key, default)));
            }
            docs.clear();
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    fields
}

#[test]
fn the_docs_of_each_field_end_with_its_default() {
    let mut fields = documented(&file("src/config.rs"), "");
    fields.extend(documented(&file("src/config/cookie.rs"), "cookie."));
    assert_complete(fields);
}

#[test]
fn a_wrong_default_and_a_missing_key_are_noticed() {
    let head = "text | with | bars\n\n| Key | Default | Meaning |\n|---|---|---|\n";
    let table = format!("{head}| `ttl` | `\"13 days\"` | idle |\n| `region` | none | where |\n\nAfter it | x | y |");
    let expected = vec![("ttl".to_owned(), Value::from("13 days")), ("region".to_owned(), Value::Null)];
    assert_eq!(rows(&table), expected);
    assert_ne!(expected[0].1, defaults()["ttl"]);

    let (keys, opened) =
        commented("[default.sessions]\n# region = \"x\" # y\n# a sentence\n[default.sessions.cookie]\n# domain = 1");
    assert_eq!(keys, BTreeSet::from(["region".to_owned(), "cookie.domain".to_owned()]));
    assert!(opened.contains("\nregion = \"x\" # y\n# a sentence\n") && opened.ends_with("\ndomain = 1\n"), "{opened}");

    let source = "/// Ends. **(default:\n/// `5`)**\n#[serde(x)]\npub a: u8,\n";
    assert_eq!(documented(source, "p."), [("p.a".to_owned(), Value::from(5))]);
}
