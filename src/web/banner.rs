//! What is in force, as the log has it at liftoff.

use rocket::figment::Figment;

use crate::config::{Config, described};
use crate::web::attached::Attached;
use crate::web::transport::Transport;

/// What the banner is made of.
pub(super) struct Banner<'a> {
    pub(super) attached: &'a Attached,
    /// Where the client leads; of the application's own client nobody knows.
    pub(super) place: Option<&'a str>,
    pub(super) figment: &'a Figment,
}

impl Banner<'_> {
    /// A line a subject, as Rocket prints its own configuration.
    pub(super) fn lines(&self) -> Vec<String> {
        let config = self.attached.sessions.config();
        let mut lines = vec![format!("table: {} at {}", config.table, self.place(config)), idle(config)];
        lines.extend(kinds(config));
        lines.push(match &self.attached.transport {
            Transport::Header(name) => format!("header: {name}"),
            Transport::Cookie { secure, .. } => cookie(config, *secure),
        });
        lines.push(format!("caching: {}", config.cache_control));
        lines.push(format!("store deadline: {} ms, attempts: {}", config.deadline.as_millis(), config.attempts));
        lines
    }

    /// Where DynamoDB is, and who says so.
    fn place(&self, config: &Config) -> String {
        match config.endpoint {
            Some(_) if self.place.is_some() => format!("{} ({})", self.leads(), self.source("sessions.endpoint")),
            _ => self.leads(),
        }
    }

    fn leads(&self) -> String {
        self.place.map_or_else(|| "the application's own client".to_owned(), str::to_owned)
    }

    /// Where a key was set.
    fn source(&self, key: &str) -> String {
        let set = self.figment.find_metadata(key).map(described);
        set.unwrap_or_else(|| "the application's own `Config`".to_owned())
    }
}

fn idle(config: &Config) -> String {
    let absolute = config.absolute_ttl.map_or_else(|| "none".to_owned(), |absolute| absolute.to_string());
    format!("idle timeout: {}, absolute timeout: {absolute}", config.ttl)
}

/// The lifetimes of other kinds of sessions, where they differ.
fn kinds(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if config.remember_ttl.is_some() || config.remember_absolute_ttl.is_some() {
        let idle = config.remember_ttl.unwrap_or(config.ttl);
        let absolute = config.remember_absolute_ttl.or(config.absolute_ttl);
        let absolute = absolute.map_or_else(|| "none".to_owned(), |absolute| absolute.to_string());
        lines.push(format!("remembered: idle timeout: {idle}, absolute timeout: {absolute}"));
    }
    lines.extend(config.anonymous_ttl.map(|idle| format!("visitors: idle timeout: {idle}")));
    lines
}

fn cookie(config: &Config, secure: bool) -> String {
    let cookie = &config.cookie;
    let why = match (cookie.secure, secure) {
        (Some(_), _) => "configured",
        (None, true) => "not the debug profile",
        (None, false) => "the debug profile",
    };
    let on = |on| if on { "on" } else { "off" };
    let domain =
        cookie.domain.as_ref().map_or_else(|| "this host only".to_owned(), |domain| format!("domain {domain}"));
    let end = if config.remember { "outlives the browser" } else { "ends with the browser" };
    format!(
        "cookie: {} (path {}, same-site {}, {domain}, http-only {}, secure {}: {why}; {end})",
        cookie.name,
        cookie.path,
        cookie.same_site,
        on(cookie.http_only),
        on(secure),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CookieConfig, SameSite};

    #[test]
    fn all_attributes_of_the_cookie_are_told_and_why_it_is_secure() {
        let line = |secure, on| {
            let cookie = CookieConfig { secure, ..CookieConfig::default() };
            cookie_line(cookie, true, on)
        };
        fn cookie_line(cookie: CookieConfig, remember: bool, on: bool) -> String {
            super::cookie(&Config { cookie, remember, ..Config::default() }, on)
        }
        let before = "cookie: session (path /, same-site lax, this host only, http-only on, secure";
        assert_eq!(line(None, true), format!("{before} on: not the debug profile; outlives the browser)"));
        assert_eq!(line(None, false), format!("{before} off: the debug profile; outlives the browser)"));
        assert_eq!(line(Some(false), false), format!("{before} off: configured; outlives the browser)"));
        let cookie = CookieConfig {
            name: "id".into(),
            path: "/a".into(),
            domain: Some("example.com".into()),
            http_only: false,
            same_site: SameSite::Strict,
            ..CookieConfig::default()
        };
        assert_eq!(
            cookie_line(cookie, false, true),
            "cookie: id (path /a, same-site strict, domain example.com, http-only off, secure on: not the debug profile; \
             ends with the browser)"
        );
    }
}
