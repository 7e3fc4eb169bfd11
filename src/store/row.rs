//! A row of the table, to and from DynamoDB's attributes.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::id::RowKey;
use crate::domain::policy::Policy;
use crate::domain::settle::{Kind, Listed, Stands};
use crate::domain::snapshot::Snapshot;
use crate::domain::token::{Token, Tokens};
use crate::error::Error;
use crate::store::item::{Item, number, text, value_size};
use crate::store::payload::{Payload, Payloads, Unread, feature_of};
use crate::store::version::Version;

pub(crate) const ID: &str = "id";
pub(crate) const MODIFIED: &str = "modified";
pub(crate) const TTL: &str = "ttl";
pub(crate) const DATA: &str = "data";
pub(crate) const PRINCIPAL: &str = "principal";
pub(crate) const STARTED: &str = "started";
pub(crate) const LIFETIME: &str = "lifetime";
pub(crate) const REMEMBER: &str = "remember";
pub(crate) const COOKIE: &str = "cookie";
pub(crate) const TOKENS: &str = "tokens";
pub(crate) const HANDLE: &str = "handle";
pub(crate) const CODEC: &str = "codec";
/// Why the session ended; it and [`SUCCESSOR`] make a row a tombstone.
pub(crate) const ENDED: &str = "ended";
pub(crate) const SUCCESSOR: &str = "successor";
/// The token of who ended it.
pub(crate) const ENDER: &str = "ender";
const FORMAT: &str = "format";

/// The newest row format that is read; format 1 is written without the attribute.
pub(crate) const KNOWN_FORMAT: u64 = 1;

/// A live row as it stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: RowKey,
    /// The row key that the session was born with.
    pub(crate) handle: RowKey,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) version: Version,
    pub(crate) tokens: Tokens,
    /// The row says when it started; what another program wrote does not.
    pub(crate) dated: bool,
    /// The size of `data` as it is stored, in bytes, and what the row says of how it was written.
    pub(crate) data_size: usize,
    pub(crate) word: Option<String>,
    /// Attributes that are not ours.
    pub(crate) extra: Item,
}

/// A row, decoded; its age is not judged yet, for a row may be judged again later.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) body: Body,
    pub(crate) tokens: Tokens,
    pub(crate) version: Version,
    ttl: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Live(Arc<Stored>),
    Tombstone { kind: Kind, successor: Option<RowKey>, ender: Option<String> },
    Undecodable(String),
    Newer(Newer),
}

/// What another version or build wrote, and can read.
#[derive(Clone, Debug)]
pub(crate) enum Newer {
    Format(u64),
    Codec(String),
}

impl Newer {
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Format(found) => Error::NewerFormat { found: *found, known: KNOWN_FORMAT },
            Self::Codec(codec) => Error::UnknownCodec { codec: codec.clone(), feature: feature_of(codec) },
        }
    }
}

fn string(item: &mut Item, name: &str) -> Result<Option<String>, String> {
    match item.remove(name) {
        None => Ok(None),
        Some(AttributeValue::S(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no string")),
    }
}

fn integer(item: &mut Item, name: &str) -> Result<Option<i64>, String> {
    match item.remove(name) {
        None => Ok(None),
        // Another program can have written a fraction: `ttl` is 1700000000.0 for some.
        #[allow(clippy::cast_possible_truncation, reason = "saturates, and is then expired or far away")]
        Some(AttributeValue::N(text)) => match text.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => text.parse::<f64>().map(|n| Some(n as i64)).map_err(|_| format!("`{name}` is no number")),
        },
        Some(_) => Err(format!("`{name}` is no number")),
    }
}

impl Row {
    /// A live row as this process has just written it.
    pub(crate) fn live(stored: Arc<Stored>) -> Self {
        let (tokens, version) = (stored.tokens.clone(), stored.version.clone());
        Self { ttl: Some(stored.snapshot.ttl), body: Body::Live(stored), tokens, version }
    }

    pub(crate) fn decode(key: &RowKey, mut item: Item, payloads: &Payloads) -> Self {
        let version = Version(item.remove(MODIFIED));
        let tokens = string(&mut item, TOKENS).ok().flatten().map(Tokens::stored).unwrap_or_default();
        let ttl = integer(&mut item, TTL);
        let (until, body) = match (&ttl, item.remove(ENDED), item.remove(SUCCESSOR)) {
            (Ok(None), None, None) => (None, Body::Undecodable("`ttl` is missing".into())),
            (Err(reason), None, None) => (None, Body::Undecodable(reason.clone())),
            (Ok(Some(ttl)), None, None) => {
                let body =
                    Self::decode_live(key, item, *ttl, &version, &tokens, payloads).unwrap_or_else(Body::Undecodable);
                (Some(*ttl), body)
            }
            (ttl, kind, successor) => {
                let kind = match kind {
                    Some(AttributeValue::S(kind)) if kind == "login" => Kind::Login,
                    Some(AttributeValue::S(kind)) if kind == "cycle" => Kind::Cycle,
                    _ => Kind::Ended,
                };
                let successor = match successor {
                    // Of the same application, and another row: else it leads nowhere, or in a circle.
                    Some(AttributeValue::S(successor)) => Some(RowKey::stored(&successor))
                        .filter(|successor| successor != key && successor.is_kin_of(key)),
                    _ => None,
                };
                let ender = string(&mut item, ENDER).ok().flatten();
                // A tombstone without an end has none to wait for.
                (ttl.as_ref().ok().copied().flatten().or(Some(0)), Body::Tombstone { kind, successor, ender })
            }
        };
        Self { body, tokens, version, ttl: until }
    }

    fn decode_live(
        key: &RowKey,
        mut item: Item,
        ttl: i64,
        version: &Version,
        tokens: &Tokens,
        payloads: &Payloads,
    ) -> Result<Body, String> {
        let format = integer(&mut item, FORMAT)?.and_then(|format| u64::try_from(format).ok()).unwrap_or(1);
        if format > KNOWN_FORMAT {
            return Ok(Body::Newer(Newer::Format(format)));
        }
        let word = string(&mut item, CODEC)?;
        let Some(data) = item.remove(DATA) else { return Err("`data` is missing".into()) };
        let data_size = value_size(&data);
        let (codec, data) = match payloads.read(key, word.as_deref(), data) {
            Ok(read) => read,
            Err(Unread::Undecodable(reason)) => return Err(reason),
            Err(Unread::Unknown(codec)) => return Ok(Body::Newer(Newer::Codec(codec))),
        };
        let principal = string(&mut item, PRINCIPAL)?.map(Arc::from);
        let remember = match item.remove(REMEMBER) {
            Some(AttributeValue::Bool(remember)) => Some(remember),
            Some(_) => return Err("`remember` is no boolean".into()),
            None => None,
        };
        let lifetime = integer(&mut item, LIFETIME)?;
        let cookie = integer(&mut item, COOKIE)?;
        // A row that another program wrote has no start; it existed at its last change, and does not move by a touch.
        let started = integer(&mut item, STARTED)?;
        let dated = started.is_some();
        let started = started.unwrap_or_else(|| version.instant().unwrap_or(ttl));
        let handle = string(&mut item, HANDLE)?.map_or_else(|| key.clone(), |handle| RowKey::stored(&handle));
        for ours in [ID, ENDER] {
            item.remove(ours);
        }
        let snapshot = Arc::new(Snapshot { codec, data, principal, lifetime, remember, started, ttl, cookie });
        let (key, version, tokens) = (key.clone(), version.clone(), tokens.clone());
        Ok(Body::Live(Arc::new(Stored { key, handle, snapshot, version, tokens, dated, data_size, word, extra: item })))
    }

    /// Judges the row's age. `now` is in seconds since the Unix epoch.
    pub(crate) fn stands(&self, policy: &Policy, now: i64) -> Stands {
        let expired = self.ttl.is_some_and(|ttl| ttl <= now);
        match &self.body {
            Body::Tombstone { kind, successor, .. } => {
                Stands::Tombstone { kind: *kind, successor: successor.clone(), expired }
            }
            _ if expired => Stands::Absent,
            Body::Live(stored) if !policy.is_live(&stored.snapshot, now) => Stands::Absent,
            Body::Live(_) => Stands::Live,
            Body::Undecodable(_) | Body::Newer(_) => Stands::Undecodable,
        }
    }

    /// Whether the row lists this commit among its last ones.
    pub(crate) fn lists(&self, token: Token) -> Listed {
        match &self.body {
            Body::Tombstone { ender: Some(ender), .. } if *ender == token.text() => Listed::Last,
            _ if self.tokens.list(token) => Listed::Yes,
            _ => Listed::No,
        }
    }

    /// Whether this row is a later state of the session's than the one that was read.
    pub(crate) fn is_after(&self, read: &Stored) -> bool {
        let touched = matches!(&self.body, Body::Live(row) if row.snapshot.ttl > read.snapshot.ttl);
        self.version.is_after(&read.version) || self.version == read.version && touched
    }
}

impl Stored {
    /// Whether attributes that are not ours go with the session: not to another principal.
    pub(crate) fn keeps_extra(&self, principal: Option<&Arc<str>>) -> bool {
        self.snapshot.principal.is_none() || self.snapshot.principal.as_ref() == principal
    }

    /// All attributes of the row, with this payload.
    pub(crate) fn item(&self, payload: Payload) -> Item {
        let Snapshot { principal, lifetime, remember, started, ttl, cookie, .. } = &*self.snapshot;
        let mut item = self.extra.clone();
        item.reserve(12);
        item.insert(ID.into(), text(self.key.as_str()));
        item.insert(DATA.into(), payload.value);
        item.insert(TTL.into(), number(*ttl));
        item.insert(STARTED.into(), number(*started));
        item.insert(TOKENS.into(), text(self.tokens.as_str()));
        let optional = [
            (MODIFIED, self.version.0.clone()),
            (CODEC, payload.word.map(AttributeValue::S)),
            (PRINCIPAL, principal.as_ref().map(|principal| text(&**principal))),
            (LIFETIME, lifetime.map(number)),
            (REMEMBER, remember.map(AttributeValue::Bool)),
            (COOKIE, cookie.map(number)),
            (HANDLE, (self.handle != self.key).then(|| text(self.handle.as_str()))),
        ];
        item.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        item
    }
}
