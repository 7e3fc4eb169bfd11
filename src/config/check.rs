//! The rules that a configuration has to keep, wherever it comes from.

use std::time::Duration;

use super::duration::format;
use super::token::{is_token, not_a_token};
use super::{Codec, CompressAbove, Config, ConfigError, Endpoint, Lifetime, TableArn};

/// DynamoDB's limit for a key (2,048 bytes) less a row key without prefix (SHA-256 in base64url, 43 characters).
const KEY_PREFIX_MAX: usize = 2048 - 43;

impl Config {
    /// Checks what the types of the fields cannot: names, bounds, and keys that contradict each other.
    ///
    /// The fairing calls it at launch. `debug` says whether Rocket's profile is `debug`, in which a cookie is not
    /// `secure` unless the key is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::{Config, CookieConfig, SameSite};
    ///
    /// let cookie = CookieConfig { same_site: SameSite::None, ..CookieConfig::default() };
    /// let config = Config { cookie, ..Config::default() };
    /// assert!(config.validate(false).is_ok());
    /// assert_eq!(config.validate(true).unwrap_err().key(), "sessions.cookie.same_site");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the first rule that is broken, and how to mend it.
    pub fn validate(&self, debug: bool) -> Result<(), ConfigError> {
        self.check_table()?;
        self.check_key_prefix()?;
        self.check_endpoint()?;
        self.check_times()?;
        self.check_values()?;
        self.cookie.check_attributes()?;
        self.cookie.check_secure(debug)?;
        match self.header.as_deref() {
            Some("true" | "false") => {
                Err(ConfigError::new("sessions.header", "`true` and `false` are no names; write them without quotes"))
            }
            Some(name) if !is_token(name) => Err(not_a_token("sessions.header", "header", name)),
            Some(name) if is_taken(name) => {
                let problem = format!(
                    "`{name}` has a meaning of its own in HTTP or for browsers; take a name of yours such as `X-SessionId`"
                );
                Err(ConfigError::new("sessions.header", problem))
            }
            _ => Ok(()),
        }
    }

    fn check_table(&self) -> Result<(), ConfigError> {
        let of_dynamodb = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let is_name = |name: &str| (3..=255).contains(&name.len()) && name.chars().all(of_dynamodb);
        if self.table.starts_with("arn:") {
            let arn = TableArn::parse(&self.table).filter(|arn| is_name(arn.table));
            return self.check_arn(arn.as_ref());
        }
        if !is_name(&self.table) {
            let problem = format!(
                "{:?} is no name of a DynamoDB table; take 3 to 255 characters of `a-z`, `A-Z`, `0-9`, `_`, `.`, `-`, or \
                 the table's ARN",
                self.table
            );
            return Err(ConfigError::new("sessions.table", problem));
        }
        Ok(())
    }

    /// What a table by its ARN, often another account's, contradicts.
    fn check_arn(&self, arn: Option<&TableArn<'_>>) -> Result<(), ConfigError> {
        let table = &self.table;
        let Some(arn) = arn else {
            let problem = format!(
                "{table:?} is no ARN of a DynamoDB table; write one like \
                 \"arn:aws:dynamodb:eu-west-1:123456789012:table/sessions\""
            );
            return Err(ConfigError::new("sessions.table", problem));
        };
        if let Some(region) = self.region.as_deref().filter(|region| *region != arn.region) {
            let problem = format!(
                "the table is in {}, by its ARN, and `region` is {region:?}; leave `region` away, or name the table's",
                arn.region
            );
            return Err(ConfigError::new("sessions.region", problem));
        }
        if self.endpoint.as_ref().is_some_and(Endpoint::is_embedded) {
            let problem = "the embedded DynamoDB has no ARNs; name the table without one";
            return Err(ConfigError::new("sessions.table", problem));
        }
        if self.create_table {
            let problem =
                "a table named by its ARN is not created at launch; create it in its account, with `create_table` off";
            return Err(ConfigError::new("sessions.create_table", problem));
        }
        Ok(())
    }

    fn check_key_prefix(&self) -> Result<(), ConfigError> {
        if self.key_prefix.len() > KEY_PREFIX_MAX {
            let length = self.key_prefix.len();
            let problem = format!("the prefix has {length} bytes, DynamoDB's keys have room for 2005; shorten it");
            return Err(ConfigError::new("sessions.key_prefix", problem));
        }
        Ok(())
    }

    fn check_endpoint(&self) -> Result<(), ConfigError> {
        // The SDK makes a host name of the region.
        let in_host = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if let Some(region) = self.region.as_deref().filter(|region| region.is_empty() || !region.chars().all(in_host))
        {
            let problem =
                format!("{region:?} is no region; write one like \"eu-west-1\", or none for AWS's default chain");
            return Err(ConfigError::new("sessions.region", problem));
        }
        match &self.endpoint {
            Some(endpoint) if !endpoint.is_valid() => {
                let problem =
                    format!("`{endpoint}` is no endpoint; take `memory`, `file:PATH` or a URL without user name");
                Err(ConfigError::new("sessions.endpoint", problem))
            }
            _ => Ok(()),
        }
    }

    fn check_values(&self) -> Result<(), ConfigError> {
        let missing = |key, what: &str, feature: &str| {
            let problem = format!("{what} is not compiled in; add the feature `{feature}` to rocket_dynamodb_sessions");
            Err(ConfigError::new(key, problem))
        };
        match self.codec {
            Codec::Cbor if cfg!(not(feature = "cbor")) => return missing("sessions.codec", "the codec `cbor`", "cbor"),
            Codec::Native if cfg!(not(feature = "native")) => {
                return missing("sessions.codec", "the codec `native`", "native");
            }
            Codec::Native if !self.seal_keys.is_empty() => {
                let problem = "the codec `native` cannot be sealed; take `codec = \"json\"` or `\"cbor\"`, or no keys";
                return Err(ConfigError::new("sessions.seal_keys", problem));
            }
            Codec::Native if self.compress_above.is_some_and(|size| size != CompressAbove::NEVER) => {
                let problem =
                    "the codec `native` cannot be compressed; take another codec, or `compress_above = false`";
                return Err(ConfigError::new("sessions.compress_above", problem));
            }
            Codec::Json | Codec::Cbor | Codec::Native => {}
        }
        if cfg!(not(feature = "zstd")) && self.compress_above.is_some_and(|size| size != CompressAbove::NEVER) {
            return missing("sessions.compress_above", "compression", "zstd");
        }
        if cfg!(not(feature = "encrypt")) && !self.seal_keys.is_empty() {
            return missing("sessions.seal_keys", "sealing", "encrypt");
        }
        Ok(())
    }

    /// Checks the lifetimes against each other, those that follow from others too.
    fn check_lifetimes(&self) -> Result<(), ConfigError> {
        let named = |key, value: Option<Lifetime>| value.map(|value| (key, value));
        let ttl = Some(("ttl", self.ttl));
        let remember_ttl = named("remember_ttl", self.remember_ttl);
        let absolute_ttl = named("absolute_ttl", self.absolute_ttl);
        let remember_absolute_ttl = named("remember_absolute_ttl", self.remember_absolute_ttl);
        let anonymous_ttl = named("anonymous_ttl", self.anonymous_ttl);
        // Of each pair, the first must not be longer than the second.
        let pairs = [
            ("sessions.absolute_ttl", ttl, absolute_ttl),
            ("sessions.anonymous_ttl", anonymous_ttl, absolute_ttl),
            ("sessions.remember_ttl", ttl, remember_ttl),
            ("sessions.remember_ttl", remember_ttl.or(ttl), remember_absolute_ttl.or(absolute_ttl)),
            ("sessions.remember_absolute_ttl", absolute_ttl, remember_absolute_ttl),
        ];
        for (key, shorter, longer) in pairs {
            if let (Some((short, shorter)), Some((long, longer))) = (shorter, longer)
                && shorter > longer
            {
                let problem =
                    format!("`{short}` ({shorter}) is longer than `{long}` ({longer}); lower it or raise the other");
                return Err(ConfigError::new(key, problem));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        self.check_lifetimes()?;
        let waits = [
            ("sessions.deadline", self.deadline),
            ("sessions.attempt_timeout", self.attempt_timeout),
            ("sessions.backoff", self.backoff),
        ];
        for (key, wait) in waits {
            if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&wait) {
                let problem = format!("{} is not within 1 ms to 60 seconds; mend the time", format(wait));
                return Err(ConfigError::new(key, problem));
            }
        }
        if !(1..=10).contains(&self.attempts) {
            let problem = format!("{} attempts are not within 1 to 10; mend the number", self.attempts);
            return Err(ConfigError::new("sessions.attempts", problem));
        }
        Ok(())
    }
}

/// Returns whether a header means something to HTTP, to browsers, to proxies or to this crate, so that an ID in it would
/// break the answer or be read by others.
fn is_taken(name: &str) -> bool {
    const FAMILIES: [&str; 8] =
        ["accept", "access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-", "x-content-type-"];
    const NAMES: &[&str] = &[
        "age",
        "allow",
        "alt-svc",
        "authorization",
        "cache-control",
        "clear-site-data",
        "connection",
        "cookie",
        "cookie2",
        "date",
        "etag",
        "expect",
        "expires",
        "forwarded",
        "from",
        "host",
        "http2-settings",
        "keep-alive",
        "last-modified",
        "link",
        "location",
        "max-forwards",
        "nel",
        "origin",
        "permissions-policy",
        "pragma",
        "priority",
        "range",
        "referer",
        "referrer-policy",
        "refresh",
        "report-to",
        "retry-after",
        "server",
        "server-timing",
        "set-cookie",
        "set-cookie2",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "x-frame-options",
        "x-xss-protection",
    ];

    let name = name.to_ascii_lowercase();
    FAMILIES.iter().any(|family| name.starts_with(family)) || NAMES.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, Lifetime};

    #[track_caller]
    fn refuses(config: Config, key: &str, problem: &str) {
        let error = config.validate(false).expect_err("a broken rule");
        assert_eq!((error.key(), error.problem()), (key, problem));
    }

    fn lifetime(seconds: u64) -> Lifetime {
        Lifetime::new(Duration::from_secs(seconds)).expect("a lifetime")
    }

    #[test]
    fn the_defaults_keep_every_rule_in_every_profile() {
        assert_eq!(Config::default().validate(true), Ok(()));
        assert_eq!(Config::default().validate(false), Ok(()));
    }

    #[test]
    fn a_table_name_has_3_to_255_characters_of_dynamodb() {
        for name in ["ab", "a b", "sitzüng", "", &"x".repeat(256)] {
            let problem = format!(
                "{name:?} is no name of a DynamoDB table; take 3 to 255 characters of `a-z`, `A-Z`, `0-9`, `_`, \
                 `.`, `-`, or the table's ARN"
            );
            refuses(Config { table: name.into(), ..Config::default() }, "sessions.table", &problem);
        }
        for name in ["a.b", "A_-", &"x".repeat(255)] {
            assert_eq!(Config { table: name.into(), ..Config::default() }.validate(false), Ok(()));
        }
    }

    #[test]
    fn a_table_can_be_named_by_its_arn_in_its_region() {
        const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
        let named = |table: &str| Config { table: table.into(), ..Config::default() };
        for table in [ARN, "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/a.b_c-d"] {
            assert_eq!(named(table).validate(false), Ok(()), "{table}");
        }
        assert_eq!(Config { region: Some("eu-west-1".into()), ..named(ARN) }.validate(false), Ok(()));
        for table in [
            "arn:aws:dynamodb:eu-west-1:123456789012:table/",
            "arn:aws:dynamodb:eu-west-1:123456789012:table/ab",
            "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions/index/by-handle",
            "arn:aws:dynamodb:eu-west-1:12345:table/sessions",
            "arn:aws:dynamodb::123456789012:table/sessions",
            "arn:aws:s3:eu-west-1:123456789012:table/sessions",
            "arn:",
        ] {
            let problem = format!(
                "{table:?} is no ARN of a DynamoDB table; write one like \
                 \"arn:aws:dynamodb:eu-west-1:123456789012:table/sessions\""
            );
            refuses(named(table), "sessions.table", &problem);
        }
        refuses(
            Config { region: Some("us-east-1".into()), ..named(ARN) },
            "sessions.region",
            "the table is in eu-west-1, by its ARN, and `region` is \"us-east-1\"; leave `region` away, or name the table's",
        );
        refuses(
            Config { create_table: true, ..named(ARN) },
            "sessions.create_table",
            "a table named by its ARN is not created at launch; create it in its account, with `create_table` off",
        );
        refuses(
            Config { endpoint: Some(Endpoint::Memory), ..named(ARN) },
            "sessions.table",
            "the embedded DynamoDB has no ARNs; name the table without one",
        );
    }

    #[test]
    fn a_key_prefix_leaves_room_for_the_row_key() {
        let with = |length| Config { key_prefix: "p".repeat(length), ..Config::default() };
        assert_eq!(with(2005).validate(false), Ok(()));
        let problem = "the prefix has 2006 bytes, DynamoDB's keys have room for 2005; shorten it";
        refuses(with(2006), "sessions.key_prefix", problem);
    }

    #[test]
    fn a_region_and_an_endpoint_made_by_hand_are_checked() {
        refuses(
            Config { region: Some("".into()), ..Config::default() },
            "sessions.region",
            "\"\" is no region; write one like \"eu-west-1\", or none for AWS's default chain",
        );
        refuses(
            Config { endpoint: Some(Endpoint::Url("localhost".into())), ..Config::default() },
            "sessions.endpoint",
            "`localhost` is no endpoint; take `memory`, `file:PATH` or a URL without user name",
        );
    }

    #[test]
    fn the_idle_timeout_is_no_longer_than_the_absolute_one() {
        let with = |seconds| Config { ttl: lifetime(3600), absolute_ttl: Some(lifetime(seconds)), ..Config::default() };
        assert_eq!(with(3600).validate(false), Ok(()));
        let problem = "`ttl` (1 hour) is longer than `absolute_ttl` (3599 seconds); lower it or raise the other";
        refuses(with(3599), "sessions.absolute_ttl", problem);
    }

    #[test]
    fn the_lifetimes_of_each_kind_do_not_contradict_each_other() {
        let with = |remember, remember_absolute, anonymous, absolute| Config {
            ttl: lifetime(3600),
            absolute_ttl: Option::map(absolute, lifetime),
            remember_ttl: Option::map(remember, lifetime),
            remember_absolute_ttl: Option::map(remember_absolute, lifetime),
            anonymous_ttl: Option::map(anonymous, lifetime),
            ..Config::default()
        };
        for config in [
            with(Some(7200), None, Some(60), None),
            with(Some(7200), Some(7200), Some(7200), Some(7200)),
            with(Some(86_400), Some(86_400), None, Some(3600)),
            with(None, Some(3600), None, None),
        ] {
            assert_eq!(config.validate(false), Ok(()));
        }
        let cases = [
            (
                with(Some(60), None, None, None),
                "remember_ttl",
                "`ttl` (1 hour) is longer than `remember_ttl` (1 minute)",
            ),
            (
                with(Some(7200), None, None, Some(3600)),
                "remember_ttl",
                "`remember_ttl` (2 hours) is longer than `absolute_ttl` (1 hour)",
            ),
            (
                with(Some(7200), Some(3600), None, None),
                "remember_ttl",
                "`remember_ttl` (2 hours) is longer than `remember_absolute_ttl` (1 hour)",
            ),
            (
                with(None, Some(60), None, None),
                "remember_ttl",
                "`ttl` (1 hour) is longer than `remember_absolute_ttl` (1 minute)",
            ),
            (
                with(None, Some(3600), None, Some(7200)),
                "remember_absolute_ttl",
                "`absolute_ttl` (2 hours) is longer than `remember_absolute_ttl` (1 hour)",
            ),
            (
                with(None, None, Some(7200), Some(3600)),
                "anonymous_ttl",
                "`anonymous_ttl` (2 hours) is longer than `absolute_ttl` (1 hour)",
            ),
        ];
        for (config, key, problem) in cases {
            refuses(config, &format!("sessions.{key}"), &format!("{problem}; lower it or raise the other"));
        }
    }

    #[test]
    fn a_header_that_means_something_else_is_refused_however_it_is_spelt() {
        let names = [
            "Content-Length",
            "Transfer-Encoding",
            "Cache-Control",
            "Set-Cookie",
            "Vary",
            "Host",
            "Cookie",
            "Connection",
            "Expires",
            "Date",
            "Location",
            "Content-Type",
            "Content-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Authorization",
            "Sec-Fetch-Mode",
            "Access-Control-Allow-Origin",
            "Origin",
            "Authorization",
            "ETag",
            "If-None-Match",
            "Accept",
            "Accept-Language",
            "Server",
            "Retry-After",
            "X-Forwarded-For",
            "X-Frame-Options",
        ];
        for name in names {
            for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                let problem = format!(
                    "`{name}` has a meaning of its own in HTTP or for browsers; take a name of yours such as `X-SessionId`"
                );
                refuses(Config { header: Some(name), ..Config::default() }, "sessions.header", &problem);
            }
        }
        for name in ["X-SessionId", "X-Shop", "Session", "Session-Id", "X-Cookie", "Hosts", "My-Content-Length"] {
            assert_eq!(Config { header: Some(name.into()), ..Config::default() }.validate(false), Ok(()), "{name}");
        }
    }

    #[test]
    fn waits_and_attempts_are_bounded() {
        let minute = Duration::from_secs(60);
        let config = Config { deadline: minute, attempt_timeout: minute, attempts: 10, ..Config::default() };
        assert_eq!(config.validate(false), Ok(()));

        refuses(
            Config { deadline: Duration::from_secs(61), ..Config::default() },
            "sessions.deadline",
            "61 seconds is not within 1 ms to 60 seconds; mend the time",
        );
        refuses(
            Config { attempt_timeout: Duration::ZERO, ..Config::default() },
            "sessions.attempt_timeout",
            "0 ms is not within 1 ms to 60 seconds; mend the time",
        );
        refuses(
            Config { attempts: 11, ..Config::default() },
            "sessions.attempts",
            "11 attempts are not within 1 to 10; mend the number",
        );
    }

    #[test]
    fn a_header_has_the_name_of_a_header() {
        refuses(
            Config { header: Some("X Session".into()), ..Config::default() },
            "sessions.header",
            "\"X Session\" is no name of a header; take letters, digits, `-` and `_`",
        );
        refuses(
            Config { header: Some("false".into()), ..Config::default() },
            "sessions.header",
            "`true` and `false` are no names; write them without quotes",
        );
    }
}
