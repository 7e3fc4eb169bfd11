//! The transport of a session ID: a cookie, or a header. It knows Rocket's HTTP types and no store.

use rocket::http::{Cookie, Header, SameSite as RocketSameSite};
use rocket::time::Duration;
use rocket::{Request, Response};

use crate::config::{Config, CookieConfig, SameSite};
use crate::domain::id::SessionId;

/// How session IDs travel.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Cookie { config: CookieConfig, secure: bool },
    Header(String),
}

impl Transport {
    /// `debug`: whether the application runs in the debug profile, where cookies also go over plain HTTP.
    pub(crate) fn new(config: &Config, debug: bool) -> Self {
        match &config.header {
            Some(name) => Self::Header(name.clone()),
            None => Self::Cookie { config: config.cookie.clone(), secure: config.cookie.secure.unwrap_or(!debug) },
        }
    }

    /// The request header that decides what a response holds.
    pub(crate) fn varies_by(&self) -> &str {
        match self {
            Self::Cookie { .. } => "Cookie",
            Self::Header(name) => name,
        }
    }

    /// The ID that a client sent, if it is one: everything else is as if nothing was sent.
    pub(crate) fn id(&self, request: &Request<'_>) -> Option<SessionId> {
        match self {
            Self::Cookie { config, .. } => SessionId::parse(request.cookies().get(&config.name)?.value()),
            Self::Header(name) => {
                let mut values = request.headers().get(name);
                let first = SessionId::parse(values.next()?)?;
                // Two different IDs are nobody's: which one counts would be up to each proxy on the way.
                values.all(|value| SessionId::parse(value) == Some(first)).then_some(first)
            }
        }
    }

    /// Tells the client its session ID; without `max_age`, in seconds, the cookie lives as long as the browser.
    pub(crate) fn set(&self, response: &mut Response<'_>, id: &SessionId, max_age: Option<i64>) {
        match self {
            Self::Cookie { config, secure } => {
                let max_age = max_age.map(Duration::seconds);
                response.adjoin_header(Header::from(&cookie(config, *secure, id.expose(), max_age)));
            }
            Self::Header(name) => {
                response.set_raw_header(name.clone(), id.expose());
            }
        }
    }

    /// Tells the client that its session has ended.
    pub(crate) fn remove(&self, response: &mut Response<'_>) {
        match self {
            Self::Cookie { config, secure } => {
                let gone = cookie(config, *secure, String::new(), Some(Duration::ZERO));
                response.adjoin_header(Header::from(&gone));
            }
            Self::Header(name) => {
                response.set_raw_header(name.clone(), "");
            }
        }
    }
}

/// Builds the cookie, set or removal: a browser removes only what has the same name, path and domain.
fn cookie(config: &CookieConfig, secure: bool, value: String, max_age: Option<Duration>) -> Cookie<'static> {
    let same_site = match config.same_site {
        SameSite::Strict => RocketSameSite::Strict,
        SameSite::Lax => RocketSameSite::Lax,
        SameSite::None => RocketSameSite::None,
    };
    let mut cookie = Cookie::build((config.name.clone(), value))
        .path(config.path.clone())
        .secure(secure)
        .http_only(config.http_only)
        .same_site(same_site)
        .build();
    cookie.set_max_age(max_age);
    if let Some(domain) = &config.domain {
        cookie.set_domain(domain.clone());
    }
    cookie
}
