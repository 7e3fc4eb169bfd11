//! The way from Rocket's figment to a checked configuration.

use figment::value::Value;
use figment::{Error, Figment};

use super::json;
use super::{Config, ConfigError};

pub(super) const ROOT: &str = "sessions";

#[expect(clippy::result_large_err, reason = "figment's own error, made once a launch")]
impl Config {
    /// Reads and checks the configuration of the selected profile; without a table `sessions` it is the default one.
    ///
    /// # Errors
    ///
    /// Names profile, key and file of what cannot be read or breaks a rule.
    pub(crate) fn checked(figment: &Figment, debug: bool) -> Result<Self, Error> {
        let config = Self::extract(figment)?;
        config.validate(debug).map_err(|error| located(figment, &error))?;
        Ok(config)
    }

    pub(crate) fn extract(figment: &Figment) -> Result<Self, Error> {
        match figment.find_value(ROOT) {
            Ok(Value::Dict(..)) => figment.extract_inner(ROOT).map_err(in_order),
            Ok(value) => Err(no_table(figment, &value)),
            Err(error) if error.missing() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

/// Puts the root in front of an error's path: figment 0.10.19 appends it, as in `default.ttl.sessions`.
fn in_order(mut error: Error) -> Error {
    if error.path.last().is_some_and(|last| last == ROOT) {
        error.path.rotate_right(1);
    }
    error
}

/// Says what to write where `sessions` is no table.
fn no_table(figment: &Figment, value: &Value) -> Error {
    let (metadata, tag) = (figment.get_metadata(value.tag()), value.tag());
    let profile = tag.profile().unwrap_or_else(|| figment.profile().clone());
    let json = match value {
        Value::String(_, text) => json::in_place_of_table(text),
        _ => None,
    };
    let problem = json.unwrap_or_else(|| {
        let found = value.to_actual();
        let right = if metadata.is_some_and(|metadata| metadata.name.contains("environment")) {
            "`ROCKET_SESSIONS={table=\"sessions\"}`".to_owned()
        } else {
            format!("`[{profile}.{ROOT}]`, and below it keys such as `table = \"sessions\"`")
        };
        format!("found {found} where a table belongs; write {right}")
    });
    let mut error = Error::from(problem);
    error.profile = Some(profile);
    error.metadata = metadata.cloned();
    error.with_path(ROOT)
}

/// Turns a broken rule into figment's error, with the profile and the file that set the key or, if none did, the
/// nearest table around it.
fn located(figment: &Figment, error: &ConfigError) -> Error {
    let mut key = error.key();
    let tag = loop {
        match (figment.find_value(key), key.rsplit_once('.')) {
            (Ok(value), _) => break value.tag(),
            (Err(_), Some((table, _))) => key = table,
            (Err(_), None) => return Error::from(error.to_string()),
        }
    };
    let Some(metadata) = figment.get_metadata(tag) else { return Error::from(error.to_string()) };

    let mut located = Error::from(error.problem().to_owned());
    located.profile = tag.profile().or_else(|| Some(figment.profile().clone()));
    located.metadata = Some(metadata.clone());
    located.with_path(error.key())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use figment::providers::{Format, Serialized, Toml};

    use super::*;
    use crate::config::{
        CacheControl, Codec, CompressAbove, ConsistentRead, CookieConfig, Endpoint, Lifetime, OnOutage, SameSite,
        Share, Verify,
    };

    /// Reads a Rocket.toml as Rocket does, with the release profile selected.
    fn rocket_toml(text: &str) -> Figment {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("Rocket.toml");
        fs::write(&path, text).expect("a file");
        Figment::from(Toml::file(path).nested()).select("release")
    }

    #[track_caller]
    fn read(text: &str) -> Config {
        Config::checked(&rocket_toml(text), false).expect(text)
    }

    /// Asserts an error's clause and key, and that it names the file.
    #[track_caller]
    fn refuses(text: &str, clause: &str, key: &str) {
        let error = Config::checked(&rocket_toml(text), false).expect_err(text).to_string();
        assert!(error.starts_with(&format!("{clause} for key \"{key}\" in ")), "{error}");
        assert!(error.ends_with("Rocket.toml TOML file"), "{error}");
    }

    #[test]
    fn without_a_table_the_defaults_hold() {
        assert_eq!(read(""), Config::default());
        assert_eq!(read("[default.sessions]"), Config::default());
        assert_eq!(read("[default.sessions.cookie]"), Config::default());
    }

    #[test]
    fn every_key_can_be_set() {
        let config = read(
            r#"
            [default.sessions]
            table = "shop"
            key_prefix = "shop/"
            region = "eu-west-1"
            endpoint = "file:shop.db"
            create_table = true
            verify = "off"
            ttl = 3600
            absolute_ttl = "1 day"
            remember_ttl = "2 days"
            remember_absolute_ttl = "3 days"
            anonymous_ttl = 60
            tombstone_ttl = "1m 30s"
            renew_below = 1
            consistent_read = false
            cookie = { name = "id", path = "/a", domain = "a.b", secure = true, http_only = false, same_site = "none" }
            remember = false
            header = "X-Id"
            cache_control = "no-store"
            deadline = 2
            attempt_timeout = "500ms"
            attempts = 1
            backoff = "10 ms"
            commit_on_error = true
            on_outage = "anonymous"
            codec = "cbor"
            compress_above = "4 KiB"
            seal_keys = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
            warn_size = 0.25
            "#,
        );
        let expected = Config {
            table: "shop".into(),
            key_prefix: "shop/".into(),
            region: Some("eu-west-1".into()),
            endpoint: Some(Endpoint::File("shop.db".into())),
            create_table: true,
            verify: Verify::Off,
            ttl: lifetime(3600),
            absolute_ttl: Some(lifetime(86_400)),
            remember_ttl: Some(lifetime(2 * 86_400)),
            remember_absolute_ttl: Some(lifetime(3 * 86_400)),
            anonymous_ttl: Some(lifetime(60)),
            tombstone_ttl: lifetime(90),
            renew_below: Share::from_percent(100),
            consistent_read: ConsistentRead::Off,
            cookie: CookieConfig {
                name: "id".into(),
                path: "/a".into(),
                domain: Some("a.b".into()),
                secure: Some(true),
                http_only: false,
                same_site: SameSite::None,
                __more: (),
            },
            remember: false,
            header: Some("X-Id".into()),
            cache_control: CacheControl::NoStore,
            deadline: Duration::from_secs(2),
            attempt_timeout: Duration::from_millis(500),
            attempts: 1,
            backoff: Duration::from_millis(10),
            commit_on_error: true,
            on_outage: OnOutage::Anonymous,
            codec: Codec::Cbor,
            compress_above: Some(CompressAbove::bytes(4096)),
            seal_keys: vec!["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse().expect("a key")],
            warn_size: Share::from_percent(25),
            __more: (),
        };
        assert_eq!(config, expected);
    }

    fn lifetime(seconds: u64) -> Lifetime {
        Lifetime::new(Duration::from_secs(seconds)).expect("a lifetime")
    }

    #[test]
    fn what_is_written_is_read_back() {
        for config in [Config::default(), read("[default.sessions]\nheader = true\nttl = 61\ndeadline = \"1ms\"")] {
            assert_eq!(Config::extract(&Figment::from(("sessions", &config))), Ok(config));
        }
    }

    #[test]
    fn true_names_the_header_and_false_means_the_cookie() {
        assert_eq!(read("[default.sessions]\nheader = true").header.as_deref(), Some("X-SessionId"));
        assert_eq!(read("[default.sessions]\nheader = false").header, None);
        let clause = "invalid type: found unsigned int `1`, expected `true`, `false` or the name of a header";
        refuses("[default.sessions]\nheader = 1", clause, "default.sessions.header");
    }

    #[test]
    fn an_unknown_key_is_named_with_the_known_ones() {
        let clause = "unknown field: found `tabel`, expected `one of `table`, `key_prefix`, `region`, `endpoint`, \
                      `create_table`, `verify`, `ttl`, `absolute_ttl`, `remember_ttl`, `remember_absolute_ttl`, \
                      `anonymous_ttl`, `tombstone_ttl`, `renew_below`, `consistent_read`, `cookie`, `remember`, \
                      `header`, `cache_control`, `deadline`, `attempt_timeout`, `attempts`, `backoff`, `commit_on_error`, `on_outage`, \
                      `codec`, `compress_above`, `seal_keys`, `warn_size``";
        refuses("[default.sessions]\ntabel = \"x\"", clause, "default.sessions.tabel");
        let clause = "unknown field: found `nam`, expected `one of `name`, `path`, `domain`, `secure`, `http_only`, \
                      `same_site``";
        refuses("[default.sessions.cookie]\nnam = \"x\"", clause, "default.sessions.cookie.nam");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_expected() {
        let lifetime = "whole seconds or a text such as \"14 days\", from 1 second to 10 years";
        let cases = [
            ("ttl = \"soon\"", format!("invalid value string \"soon\", expected {lifetime}")),
            ("ttl = \"1500ms\"", format!("invalid value string \"1500ms\", expected {lifetime}")),
            ("ttl = 0", format!("invalid value unsigned int `0`, expected {lifetime}")),
            ("ttl = -1", format!("invalid value signed int `-1`, expected {lifetime}")),
            ("ttl = true", format!("invalid type: found bool true, expected {lifetime}")),
            (
                "deadline = \"soon\"",
                "invalid value string \"soon\", expected whole seconds or a text such as \"1500 ms\"".into(),
            ),
            ("renew_below = 90", "invalid value unsigned int `90`, expected a share above 0 and up to 1".into()),
            ("renew_below = 1.5", "invalid value float `1.5`, expected a share above 0 and up to 1".into()),
            ("renew_below = \"x\"", "invalid type: found string \"x\", expected a share above 0 and up to 1".into()),
            (
                "endpoint = \"localhost:8000\"",
                "invalid value string \"localhost:8000\", expected `memory`, `file:PATH` without `//` before \
                 the path, or a URL without user name such as `http://localhost:8000`"
                    .into(),
            ),
            (
                "endpoint = \"file://x.db\"",
                "invalid value string \"file://x.db\", expected `memory`, `file:PATH` without `//` before the path, or a \
                 URL without user name such as `http://localhost:8000`"
                    .into(),
            ),
            ("consistent_read = \"auto\"", "invalid type: found string \"auto\", expected `true` or `false`".into()),
            (
                "cache_control = \"public\"",
                "invalid value string \"public\", expected one of `private`, `no-store`".into(),
            ),
            ("cookie = \"sid\"", "a text where a table belongs: write `cookie = { name = \"sid\" }`".into()),
            ("cookie = true", "invalid type: found bool true, expected a table such as `{ name = \"session\" }`".into()),
            ("verify = false", "invalid type: found bool false, expected one of `off`, `warn`, `fail`".into()),
            ("verify = 1", "invalid type: found unsigned int `1`, expected one of `off`, `warn`, `fail`".into()),
            ("on_outage = \"\"", "invalid value string \"\", expected one of `fail`, `anonymous`".into()),
        ];
        for (line, clause) in cases {
            let key = line.split(' ').next().expect("a key");
            refuses(&format!("[default.sessions]\n{line}"), &clause, &format!("default.sessions.{key}"));
            refuses(&format!("[release.sessions]\n{line}"), &clause, &format!("release.sessions.{key}"));
        }
    }

    #[test]
    fn a_nested_key_is_named_in_the_right_order() {
        let clause = "invalid type: found signed int `5`, expected a string";
        refuses("[default.sessions.cookie]\nname = 5", clause, "default.sessions.cookie.name");
        let clause = "invalid value string \"sloppy\", expected one of `strict`, `lax`, `none`";
        refuses("[default.sessions.cookie]\nsame_site = \"sloppy\"", clause, "default.sessions.cookie.same_site");
    }

    #[test]
    fn sessions_that_is_no_table_is_refused_with_what_to_write() {
        let said = |found: &str, profile: &str| {
            format!(
                "found {found} where a table belongs; write `[{profile}.sessions]`, and below it keys such as `table = \
                 \"sessions\"`"
            )
        };
        let sessions = "default.sessions";
        refuses("[default]\nsessions = 5", &said("signed int `5`", "default"), sessions);
        refuses("[default]\nsessions = \"shop\"", &said("string \"shop\"", "default"), sessions);
        refuses("[default]\nsessions = [\"shop\"]", &said("sequence", "default"), sessions);
        let both = "[default.sessions]\nttl = 60\n[release]\nsessions = true";
        refuses(both, &said("bool true", "release"), "release.sessions");
    }

    #[test]
    fn json_in_the_environment_is_refused_with_its_spelling_for_rocket() {
        let cases = [
            (r#"{"table":"x"}"#, r#"{table="x"}"#),
            (
                r#"{"table":"x","ttl":3600,"cookie":{"name":"a b","secure":true}}"#,
                r#"{cookie={name="a b",secure=true},table="x",ttl=3600}"#,
            ),
            (r#"{table:"x"}"#, r#"{table="x",ttl="14 days"}"#),
            (r#"{table=x"#, r#"{table="x",ttl="14 days"}"#),
        ];
        for (variable, right) in cases {
            // As Rocket's provider for the environment reads it.
            let value: Value = variable.parse().expect("infallible");
            let figment = rocket_toml("").merge(Serialized::global("sessions", value));
            let error = Config::checked(&figment, false).expect_err(variable).to_string();
            assert!(error.contains(&format!("; write `{right}`, with `=` and no quotes around the keys")), "{error}");
        }
    }

    #[test]
    fn a_broken_rule_is_told_with_profile_key_and_file() {
        refuses(
            "[default.sessions]\ntable = \"ab\"",
            "\"ab\" is no name of a DynamoDB table; take 3 to 255 characters of `a-z`, `A-Z`, `0-9`, `_`, `.`, `-`, or \
             the table's ARN",
            "default.sessions.table",
        );
        refuses(
            "[release.sessions.cookie]\nsame_site = \"none\"\nsecure = false",
            "browsers drop a `none` cookie that is not secure; set `secure = true`, or take `lax`",
            "release.sessions.cookie.same_site",
        );
        refuses(
            "[default.sessions]\nabsolute_ttl = \"1 day\"",
            "`ttl` (14 days) is longer than `absolute_ttl` (1 day); lower it or raise the other",
            "default.sessions.absolute_ttl",
        );
    }

    #[test]
    fn a_broken_rule_without_its_key_is_told_with_the_table_around_it() {
        let figment = rocket_toml("[default.sessions]\nttl = 60");
        let error = located(&figment, &ConfigError::new("sessions.cookie.name", "wrong")).to_string();
        assert!(error.starts_with("wrong for key \"default.sessions.cookie.name\" in "), "{error}");
        let error = located(&Figment::new(), &ConfigError::new("sessions.table", "wrong")).to_string();
        assert_eq!(error, "wrong for key `sessions.table`");
    }

    #[test]
    fn an_environment_variable_is_merged_key_by_key() {
        let variable: Value = r#"{table="from-env",ttl=60,cookie={name=env}}"#.parse().expect("infallible");
        let figment =
            rocket_toml("[default.sessions]\nttl = 5\nattempts = 2\n[release.sessions.cookie]\npath = \"/app\"")
                .merge(Serialized::global("sessions", variable));
        let config = Config::checked(&figment, false).expect("a configuration");
        assert_eq!((config.table.as_str(), config.ttl, config.attempts), ("from-env", lifetime(60), 2));
        assert_eq!((config.cookie.name.as_str(), config.cookie.path.as_str()), ("env", "/app"));
    }

    #[test]
    fn a_file_that_is_no_toml_is_named() {
        let error = Config::checked(&rocket_toml("[default.sessions"), false).expect_err("an open bracket").to_string();
        assert!(error.contains("Rocket.toml"), "{error}");
    }
}
