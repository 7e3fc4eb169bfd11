//! The transport of a session ID: a cookie, or a header. It knows Rocket's HTTP types and no store.

use rocket::http::{Cookie, Header, SameSite as RocketSameSite};
use rocket::time::{Duration, OffsetDateTime};
use rocket::{Request, Response};

use crate::config::{Config, CookieConfig, SameSite};
use crate::domain::id::SessionId;

/// How many IDs of one request are looked up: cookies of other paths and other domains stand beside ours in few browsers,
/// and each costs a read.
const MOST_IDS: usize = 4;

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

    /// The IDs that a client sent, in the order in which they are to be tried; what is no ID is as if it was not sent.
    pub(crate) fn ids(&self, request: &Request<'_>) -> Vec<SessionId> {
        match self {
            Self::Cookie { config, .. } => {
                let mut ids = Vec::new();
                for id in cookies(request, &config.name).filter_map(|value| parse(&value)) {
                    if !ids.contains(&id) && ids.len() < MOST_IDS {
                        ids.push(id);
                    }
                }
                ids
            }
            Self::Header(name) => {
                let mut ids = request.headers().get(name).map(parse);
                let first = ids.next().flatten();
                // Two different IDs are nobody's: which one counts would be up to each proxy on the way.
                first.filter(|first| ids.all(|id| id == Some(*first))).into_iter().collect()
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
                let mut gone = cookie(config, *secure, String::new(), Some(Duration::ZERO));
                // Not every jar knows `Max-Age`: that of Rocket's own local client goes by `Expires` alone.
                gone.set_expires(OffsetDateTime::UNIX_EPOCH);
                response.adjoin_header(Header::from(&gone));
            }
            Self::Header(name) => {
                response.set_raw_header(name.clone(), "");
            }
        }
    }
}

/// Reads the ID out of what a client sent: `ID`, or `ID.hint` with a hint that this version has no use for.
fn parse(sent: &str) -> Option<SessionId> {
    SessionId::parse(sent.split_once('.').map_or(sent, |(id, _)| id))
}

/// The values of a cookie, in the order sent: the one of the longer path comes first (RFC 6265, 5.4). Rocket's jar keeps
/// the last alone, which may be anybody's of the same domain.
fn cookies<'r>(request: &'r Request<'_>, name: &'r str) -> Box<dyn Iterator<Item = String> + 'r> {
    if !request.headers().contains("Cookie") {
        // A local client fills the jar, and sends no header.
        return Box::new(request.cookies().get(name).into_iter().map(|cookie| cookie.value().to_owned()));
    }
    let pairs =
        request.headers().get("Cookie").flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    Box::new(pairs.filter(move |(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()))
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
        cookie.set_domain(domain.trim_start_matches('.').to_owned());
    }
    cookie
}
