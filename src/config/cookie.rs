//! The cookie's attributes.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::ConfigError;
use super::json;
use super::token::{is_token, not_a_token};
use super::word::words;

/// The cookie that holds the session ID: the table `sessions.cookie` of a Rocket profile.
///
/// Name, path and domain are what a removal repeats, so that it removes the same cookie: change one of them, and the
/// cookies sent before stay in the browsers until they expire.
///
/// # Examples
///
/// A cookie that no other host, no subdomain and no plain HTTP answer can plant:
///
/// ```
/// use rocket_dynamodb_sessions::{Config, CookieConfig};
///
/// let cookie = CookieConfig { name: "__Host-session".into(), secure: Some(true), ..CookieConfig::default() };
/// let config = Config { cookie, ..Config::default() };
/// assert!(config.validate(true).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CookieConfig {
    /// Names the cookie: a token of RFC 6265, so letters, digits and `` !#$%&'*+-.^_`|~ ``. Browsers accept a name that
    /// begins with `__Host-` only with `secure`, path `/` and no domain, and one with `__Secure-` only with `secure`
    /// (RFC 6265bis, 4.1.3). **(default: `"session"`)**
    pub name: String,

    /// Limits the cookie to paths below this one. No protection: pages of one host reach each other's cookies.
    /// **(default: `"/"`)**
    pub path: String,

    /// Sends the cookie to this domain and all its subdomains; without it only to the host that set it, which is safer.
    /// Browsers drop a cookie for a domain of one label, as `com` or `localhost`, and for an address, so these are refused; a
    /// dot in front means nothing (RFC 6265, 5.2.3).
    /// **(default: none)**
    pub domain: Option<String>,

    /// Sends the cookie over HTTPS only. Without a value it is on, but off in the debug profile, where there is no
    /// HTTPS. **(default: on, off in the debug profile)**
    pub secure: Option<bool>,

    /// Hides the cookie from the page's scripts, so that a script injected into a page cannot send the session ID away.
    /// **(default: `true`)**
    pub http_only: bool,

    /// Says whether the browser sends the cookie with requests that other sites start. See [`SameSite`].
    /// **(default: `"lax"`)**
    pub same_site: SameSite,

    /// As in [`Config`](crate::Config#a-key-more-is-no-break).
    #[doc(hidden)]
    #[serde(skip)]
    pub __more: (),
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: "session".into(),
            path: "/".into(),
            domain: None,
            secure: None,
            http_only: true,
            same_site: SameSite::Lax,
            __more: (),
        }
    }
}

impl CookieConfig {
    /// Returns whether the cookie is for HTTPS only, in the debug profile or in another.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::CookieConfig;
    ///
    /// let cookie = CookieConfig::default();
    /// assert!(cookie.is_secure(false));
    /// assert!(!cookie.is_secure(true));
    /// ```
    #[must_use]
    pub fn is_secure(&self, debug: bool) -> bool {
        self.secure.unwrap_or(!debug)
    }
}

words! {
    /// With which requests of other sites the browser sends the cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::SameSite;
    ///
    /// assert_eq!(SameSite::Lax.to_string(), "lax");
    /// ```
    pub enum SameSite {
        /// `"strict"`: with none, so that a visitor who follows a link to the application arrives signed out.
        Strict = "strict",
        /// `"lax"`: with links that are followed, not with posted forms, images or scripts.
        Lax = "lax",
        /// `"none"`: with all, as an application inside another site's frame needs. It wants `secure`, and the
        /// application must guard itself against forged requests.
        None = "none",
    }
}

impl CookieConfig {
    /// Checks that the attributes can stand in a `Set-Cookie` header, and nothing beside them.
    pub(super) fn check_attributes(&self) -> Result<(), ConfigError> {
        if !is_token(&self.name) {
            return Err(not_a_token("sessions.cookie.name", "cookie", &self.name));
        }
        if !self.path.starts_with('/') || self.path.contains(|c: char| c.is_control() || !c.is_ascii() || c == ';') {
            let problem = format!("{:?} is no path; begin with `/`, and take ASCII without `;`", self.path);
            return Err(ConfigError::new("sessions.cookie.path", problem));
        }
        match self.domain.as_deref().and_then(domain_problem) {
            Some(problem) => Err(ConfigError::new("sessions.cookie.domain", problem)),
            None => Ok(()),
        }
    }

    /// Checks what browsers ask of a cookie, and would drop it without a word for (RFC 6265bis, 5.7).
    pub(super) fn check_secure(&self, debug: bool) -> Result<(), ConfigError> {
        let remedy = match self.secure {
            None => "set `secure = true`, which is off by default in the debug profile",
            Some(_) => "set `secure = true`",
        };
        let begins = |prefix: &str| self.name.get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix));
        let host = begins("__Host-");
        let wrong = |problem: String| Err(ConfigError::new("sessions.cookie.name", problem));

        if host && (self.domain.is_some() || self.path != "/") {
            return wrong(
                "browsers drop a `__Host-` cookie with `domain` or a `path` but \"/\"; remove these keys".into(),
            );
        }
        if self.is_secure(debug) {
            return Ok(());
        }
        if host || begins("__Secure-") {
            let prefix = if host { "__Host-" } else { "__Secure-" };
            return wrong(format!("browsers drop a `{prefix}` cookie that is not secure; {remedy}"));
        }
        if self.same_site == SameSite::None {
            let problem = format!("browsers drop a `none` cookie that is not secure; {remedy}, or take `lax`");
            return Err(ConfigError::new("sessions.cookie.same_site", problem));
        }
        Ok(())
    }
}

/// Says why browsers would drop a cookie with this domain.
fn domain_problem(domain: &str) -> Option<String> {
    const REMEDY: &str = "write one like \"example.com\", or none for this host only";

    let labels: Vec<_> = domain.strip_prefix('.').unwrap_or(domain).split('.').collect();
    let in_label = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = |label: &&str| (1..=63).contains(&label.len()) && label.chars().all(in_label);
    if !labels.iter().all(fits) {
        return Some(format!("{domain:?} is no domain; {REMEDY}"));
    }
    // What ends with a number is read as an address of IPv4.
    if labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(format!("browsers drop a cookie for the address {domain:?}; remove the key, for this host only"));
    }
    (labels.len() == 1).then(|| format!("browsers drop a cookie for all of {domain:?}; {REMEDY}"))
}

/// Reads the table, and tells who wrote a name in its place what to write.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CookieConfig, D::Error> {
    struct Table;

    impl<'de> Visitor<'de> for Table {
        type Value = CookieConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table such as `{ name = \"session\" }`")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<CookieConfig, E> {
            let name = || format!("a text where a table belongs: write `cookie = {{ name = {text:?} }}`");
            Err(E::custom(json::in_place_of_table(text).unwrap_or_else(name)))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CookieConfig, A::Error> {
            CookieConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[track_caller]
    fn refuses(config: Config, key: &str, problem: &str) {
        let error = config.validate(false).expect_err("a broken rule");
        assert_eq!((error.key(), error.problem()), (key, problem));
    }

    fn with_cookie(cookie: CookieConfig) -> Config {
        Config { cookie, ..Config::default() }
    }

    #[test]
    fn no_attribute_smuggles_another_into_set_cookie() {
        refuses(
            with_cookie(CookieConfig { name: "a;b".into(), ..CookieConfig::default() }),
            "sessions.cookie.name",
            "\"a;b\" is no name of a cookie; take letters, digits, `-` and `_`",
        );
        for path in ["", "app", "/;Secure", "/\r\nX: y"] {
            let problem = format!("{path:?} is no path; begin with `/`, and take ASCII without `;`");
            let cookie = CookieConfig { path: path.into(), ..CookieConfig::default() };
            refuses(with_cookie(cookie), "sessions.cookie.path", &problem);
        }
        let long = format!("{}.com", "a".repeat(64));
        for domain in ["", ".", "..", "a;b", "a b", "http://a", "a..b", "..a.b", "a.b.", "[::1]", "a.b:80", &long] {
            let problem =
                format!("{domain:?} is no domain; write one like \"example.com\", or none for this host only");
            let cookie = CookieConfig { domain: Some(domain.into()), ..CookieConfig::default() };
            refuses(with_cookie(cookie), "sessions.cookie.domain", &problem);
        }
    }

    #[test]
    fn a_domain_is_one_that_browsers_accept() {
        let with = |domain: &str| {
            with_cookie(CookieConfig { domain: Some(domain.into()), ..CookieConfig::default() }).validate(false)
        };
        for domain in ["example.com", ".example.com", "EXAMPLE.com", "a-b.1c.io", "xn--bcher-kva.example"] {
            assert_eq!(with(domain), Ok(()));
        }
        for domain in ["com", "localhost", ".com"] {
            let remedy = "write one like \"example.com\", or none for this host only";
            let said =
                format!("browsers drop a cookie for all of {domain:?}; {remedy} for key `sessions.cookie.domain`");
            assert_eq!(with(domain).expect_err("a single label").to_string(), said);
        }
        for domain in ["127.0.0.1", "10.1", "1"] {
            let said = format!("browsers drop a cookie for the address {domain:?}; remove the key, for this host only");
            assert_eq!(with(domain).expect_err("an address").problem(), said);
        }
    }

    #[test]
    fn a_prefixed_cookie_has_the_attributes_that_browsers_ask_for() {
        let named = |name: &str| CookieConfig { name: name.into(), ..CookieConfig::default() };
        assert_eq!(with_cookie(named("__host-id")).validate(false), Ok(()));
        assert_eq!(with_cookie(named("__Secure-id")).validate(false), Ok(()));

        let problem = "browsers drop a `__Host-` cookie with `domain` or a `path` but \"/\"; remove these keys";
        for cookie in [
            CookieConfig { domain: Some("example.com".into()), ..named("__Host-id") },
            CookieConfig { path: "/app".into(), ..named("__host-id") },
        ] {
            refuses(with_cookie(cookie), "sessions.cookie.name", problem);
        }
        for prefix in ["__Host-", "__Secure-"] {
            let cookie = CookieConfig { secure: Some(false), ..named(&format!("{prefix}id")) };
            let problem = format!("browsers drop a `{prefix}` cookie that is not secure; set `secure = true`");
            refuses(with_cookie(cookie), "sessions.cookie.name", &problem);
        }
    }

    #[test]
    fn same_site_none_wants_a_secure_cookie_in_every_profile() {
        let cookie =
            |secure| with_cookie(CookieConfig { same_site: SameSite::None, secure, ..CookieConfig::default() });
        assert_eq!(cookie(Some(true)).validate(true), Ok(()));
        assert_eq!(cookie(None).validate(false), Ok(()));
        assert_eq!(
            cookie(None).validate(true).expect_err("not secure in the debug profile").to_string(),
            "browsers drop a `none` cookie that is not secure; set `secure = true`, which is off by default in the \
             debug profile, or take `lax` for key `sessions.cookie.same_site`"
        );
        refuses(
            cookie(Some(false)),
            "sessions.cookie.same_site",
            "browsers drop a `none` cookie that is not secure; set `secure = true`, or take `lax`",
        );
    }
}
