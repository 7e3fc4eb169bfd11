//! Where DynamoDB is, if not at AWS.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::ValueError;
use super::scalar::Scalar;

const EXPECTED: &str =
    "`memory`, `file:PATH` without `//` before the path, or a URL without user name such as `http://localhost:8000`";

/// A DynamoDB other than AWS's.
///
/// In Rocket.toml it is a text, and so it is parsed and displayed.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::Endpoint;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!("memory".parse::<Endpoint>()?, Endpoint::Memory);
/// assert_eq!("file:sessions.db".parse::<Endpoint>()?, Endpoint::File("sessions.db".into()));
/// assert_eq!("http://localhost:8000".parse::<Endpoint>()?.to_string(), "http://localhost:8000");
/// assert!("localhost:8000".parse::<Endpoint>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `"memory"`: the embedded DynamoDB, in this process's memory; its rows end with the process.
    Memory,
    /// `"file:PATH"`: the embedded DynamoDB, in this file, which is created if need be. A relative path starts at the
    /// working directory of the process.
    File(PathBuf),
    /// `"http://…"` or `"https://…"`: a server that speaks DynamoDB's API.
    Url(String),
}

impl Endpoint {
    /// Returns whether this is the embedded DynamoDB, which needs the feature `embedded`.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::Endpoint;
    ///
    /// assert!(Endpoint::Memory.is_embedded());
    /// assert!(!Endpoint::Url("http://localhost:8000".into()).is_embedded());
    /// ```
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Memory | Self::File(_))
    }

    /// Returns whether this is the URL of a server on this machine (127.0.0.0/8, ::1 or `localhost`), for which no
    /// credentials need to be configured.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::Endpoint;
    ///
    /// assert!(Endpoint::Url("http://127.0.0.1:8000".into()).is_loopback());
    /// assert!(!Endpoint::Url("https://127.0.0.1.example.com".into()).is_loopback());
    /// ```
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let Self::Url(url) = self else { return false };
        host(url).is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost")
                || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
                || host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
        })
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("file:") {
            // Written as a URL, `file://x.db` would be a file in the root of the file system.
            Some(path) if path.is_empty() || path.starts_with("//") => None,
            Some(path) => Some(Self::File(path.into())),
            None if text == "memory" => Some(Self::Memory),
            None => host(text).map(|_| Self::Url(text.into())),
        }
    }

    /// Returns whether the endpoint, which may be made by hand, is one that [`parse`](Self::parse) could have made.
    pub(super) fn is_valid(&self) -> bool {
        match self {
            Self::Memory => true,
            Self::File(path) => !path.as_os_str().is_empty() && !path.to_string_lossy().starts_with("//"),
            Self::Url(url) => host(url).is_some(),
        }
    }
}

/// Returns the host of a URL of HTTP, without an IPv6 address's brackets. A URL with a user name is refused: it would
/// be logged at liftoff, password and all.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (port_fits && !host.is_empty() && !host.contains('@')).then_some(host)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text).ok_or_else(|| ValueError::new(text, EXPECTED))
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar { text: Some(Self::parse), ..Scalar::expecting(EXPECTED) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_and_written_alike() {
        for text in
            ["memory", "file:data/s.db", "file:a b", "http://localhost:8000/x", "https://[::1]:8000", "http://h"]
        {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(endpoint.to_string(), text);
            assert!(endpoint.is_valid(), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_by_hand_too() {
        let refused = [
            "",
            "Memory",
            "file:",
            "file://x.db",
            "file:///var/x.db",
            "localhost:8000",
            "ftp://h",
            "http://",
            "http://:80",
            "http://h:x",
            "http://h:80:80",
            "http://me:pw@h",
            "http://me@h",
            "http://[::1",
            "http://[x]",
            "http://[::1]x",
            "http://a b",
            "http://h\n",
            "http://a\\@h",
        ];
        for text in refused {
            assert_eq!(Endpoint::parse(text), None, "{text}");
            assert!(!Endpoint::Url(text.into()).is_valid(), "{text}");
        }
        assert!(!Endpoint::File("".into()).is_valid() && !Endpoint::File("//x.db".into()).is_valid());
        assert_eq!(
            "localhost:8000".parse::<Endpoint>().expect_err("no scheme").to_string(),
            "invalid value `localhost:8000`, expected `memory`, `file:PATH` without `//` before the path, or a URL \
             without user name such as `http://localhost:8000`"
        );
    }

    #[test]
    fn only_an_address_of_this_machine_is_loopback() {
        for url in ["http://127.9.0.1", "https://LOCALHOST:1/", "http://[::1]:8000", "http://localhost?x"] {
            assert!(Endpoint::Url(url.into()).is_loopback(), "{url}");
        }
        for url in ["http://128.0.0.1", "http://localhost.example.com", "http://[::2]", "http://x/127.0.0.1"] {
            assert!(!Endpoint::Url(url.into()).is_loopback(), "{url}");
        }
        assert!(!Endpoint::Memory.is_loopback());
    }
}
