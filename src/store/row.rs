//! A row of the table, to and from DynamoDB's attributes.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Duration, SecondsFormat, Utc};

use crate::domain::codec;
use crate::domain::id::{RowKey, Token};
use crate::domain::log::{Content, Rotation};
use crate::domain::state::Snapshot;

/// The attributes of an item.
pub(crate) type Item = HashMap<String, AttributeValue>;

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
pub(crate) const SUCCESSOR: &str = "successor";
const ENDED: &str = "ended";
const FORMAT: &str = "format";

/// The newest row format that is read; format 1 is written without the attribute.
pub(crate) const KNOWN_FORMAT: u64 = 1;

/// How many commit tokens a row keeps.
const KEPT_TOKENS: usize = 8;

/// The `modified` of a row as raw text: the version that a write's condition compares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version(pub(crate) Option<AttributeValue>);

impl Version {
    /// The version that replaces this one: the clock, or just after this one if the clock is not later.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> AttributeValue {
        let step = Duration::microseconds(1);
        let seen = match &self.0 {
            Some(AttributeValue::S(text)) => DateTime::parse_from_rfc3339(text).ok(),
            _ => None,
        };
        let after = seen.and_then(|seen| seen.with_timezone(&Utc).checked_add_signed(step));
        text(after.map_or(now, |after| now.max(after)).to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A live row as it stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: RowKey,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) version: Version,
    pub(crate) tokens: String,
    /// Attributes that are not ours; they survive update and rotate.
    pub(crate) extra: Item,
}

/// What a look at a row key found.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    Live(Stored),
    /// A row whose time is over, whether or not DynamoDB has deleted it.
    Expired,
    Tombstone {
        kind: Rotation,
        successor: RowKey,
        expired: bool,
    },
    Undecodable(String),
    Newer(u64),
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Whether the row lists this commit among its last ones.
pub(crate) fn has_token(item: &Item, token: Token) -> bool {
    matches!(item.get(TOKENS), Some(AttributeValue::S(tokens)) if lists(tokens, token))
}

fn lists(tokens: &str, token: Token) -> bool {
    let token = token.text();
    tokens.as_bytes().chunks(Token::LEN).any(|kept| kept == token.as_bytes())
}

/// Appends a token to those a row keeps; the oldest goes.
pub(crate) fn with_token(tokens: &str, token: Token) -> String {
    let mut tokens = tokens.to_owned();
    tokens.push_str(&token.text());
    let excess = tokens.len().saturating_sub(KEPT_TOKENS * Token::LEN);
    tokens.split_off(excess)
}

impl Found {
    /// Reads a row. `now` is in seconds since the Unix epoch.
    pub(crate) fn read(key: &RowKey, item: Option<Item>, now: i64) -> Self {
        let Some(mut item) = item else { return Self::Absent };
        let ttl = integer(&mut item, TTL);
        if let Some(AttributeValue::S(successor)) = item.get(SUCCESSOR) {
            let login = matches!(item.get(ENDED), Some(AttributeValue::S(why)) if why == "login");
            let kind = if login { Rotation::Login } else { Rotation::Cycle };
            let expired = !matches!(ttl, Ok(Some(ttl)) if ttl > now);
            return Self::Tombstone { kind, successor: RowKey::stored(successor), expired };
        }
        match ttl {
            Ok(Some(ttl)) if ttl <= now => Self::Expired,
            Ok(Some(ttl)) => Self::decode(key, item, ttl).unwrap_or_else(Self::Undecodable),
            Ok(None) => Self::Undecodable("`ttl` is missing".into()),
            Err(reason) => Self::Undecodable(reason),
        }
    }

    fn decode(key: &RowKey, mut item: Item, ttl: i64) -> Result<Self, String> {
        let format = integer(&mut item, FORMAT)?.and_then(|format| u64::try_from(format).ok()).unwrap_or(1);
        if format > KNOWN_FORMAT {
            return Ok(Self::Newer(format));
        }
        let data = match item.remove(DATA) {
            Some(AttributeValue::S(data)) => codec::decode(&data)?,
            Some(_) => return Err("`data` is no string".into()),
            None => return Err("`data` is missing".into()),
        };
        let principal = match item.remove(PRINCIPAL) {
            Some(AttributeValue::S(principal)) => Some(principal),
            Some(_) => return Err("`principal` is no string".into()),
            None => None,
        };
        let remember = match item.remove(REMEMBER) {
            Some(AttributeValue::Bool(remember)) => Some(remember),
            Some(_) => return Err("`remember` is no boolean".into()),
            None => None,
        };
        let lifetime = integer(&mut item, LIFETIME)?;
        let cookie = integer(&mut item, COOKIE)?;
        let version = Version(item.remove(MODIFIED));
        // A row that another program wrote has no start; it existed at its last change, and does not move by a touch.
        let started = match integer(&mut item, STARTED)? {
            Some(started) => started,
            None => version.instant().unwrap_or(ttl),
        };
        let tokens = match item.remove(TOKENS) {
            Some(AttributeValue::S(tokens)) if tokens.is_ascii() => tokens,
            _ => String::new(),
        };
        item.remove(ID);
        let content = Content { data, principal, lifetime, remember };
        let snapshot = Arc::new(Snapshot { content, started, ttl, cookie });
        Ok(Self::Live(Stored { key: key.clone(), snapshot, version, tokens, extra: item }))
    }
}

impl Version {
    fn instant(&self) -> Option<i64> {
        let Some(AttributeValue::S(text)) = &self.0 else { return None };
        DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp())
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

impl Stored {
    /// The row of a new session, or the successor of one: what `origin` carries along survives the rotation.
    pub(crate) fn successor(
        key: RowKey,
        snapshot: Snapshot,
        origin: Option<&Stored>,
        token: Token,
        now: DateTime<Utc>,
    ) -> Self {
        let version = origin.map_or(Version(None), |old| old.version.clone()).next(now);
        Self {
            key,
            snapshot: Arc::new(snapshot),
            version: Version(Some(version)),
            tokens: with_token(origin.map_or("", |old| &old.tokens), token),
            extra: origin.map(|old| old.extra.clone()).unwrap_or_default(),
        }
    }

    /// Whether the row lists this commit among its last ones.
    pub(crate) fn has_token(&self, token: Token) -> bool {
        lists(&self.tokens, token)
    }

    /// All attributes of the row.
    pub(crate) fn item(&self) -> Item {
        let Snapshot { content, started, ttl, cookie } = &*self.snapshot;
        let mut item = self.extra.clone();
        item.insert(ID.into(), text(self.key.as_str()));
        item.insert(DATA.into(), text(codec::encode(&content.data)));
        item.insert(TTL.into(), number(*ttl));
        item.insert(STARTED.into(), number(*started));
        item.insert(TOKENS.into(), text(&*self.tokens));
        let optional = [
            (MODIFIED, self.version.0.clone()),
            (PRINCIPAL, content.principal.as_ref().map(text)),
            (LIFETIME, content.lifetime.map(number)),
            (REMEMBER, content.remember.map(AttributeValue::Bool)),
            (COOKIE, cookie.map(number)),
        ];
        item.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        item
    }

    /// The tombstone that takes this row's place; it holds no data.
    pub(crate) fn tombstone(&self, kind: Rotation, successor: &Stored, ttl: i64) -> Item {
        let ended = match kind {
            Rotation::Cycle => "cycle",
            Rotation::Login => "login",
        };
        let mut item = Item::from([
            (ID.to_owned(), text(self.key.as_str())),
            (SUCCESSOR.to_owned(), text(successor.key.as_str())),
            (ENDED.to_owned(), text(ended)),
            (TTL.to_owned(), number(ttl)),
            (TOKENS.to_owned(), text(&*successor.tokens)),
        ]);
        item.extend(successor.version.0.clone().map(|version| (MODIFIED.to_owned(), version)));
        item
    }
}

/// The size of an item as DynamoDB counts it, in bytes: names and values, UTF-8.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // About one byte for two digits and one more; the text is never shorter.
        AttributeValue::N(number) => number.len() + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| number.len() + 1).sum(),
        AttributeValue::Bs(list) => list.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(k, v)| 1 + k.len() + value_size(v)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn the_version_grows_whatever_the_clock_does() {
        let mut version = Version(None);
        let clock = ["2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"];
        let mut seen = vec![String::new()];
        for now in clock {
            version = Version(Some(version.next(at(now))));
            let Some(AttributeValue::S(text)) = &version.0 else { panic!("a text") };
            assert!(*text > seen[seen.len() - 1], "{text} after {seen:?}");
            seen.push(text.clone());
        }
        assert_eq!(seen[1], "2026-01-02T00:00:00.000000Z");
        assert_eq!(seen[3], "2026-01-02T00:00:00.000002Z");
    }

    #[test]
    fn a_row_keeps_its_last_eight_tokens() {
        let drawn: Vec<Token> = (0..10).map(|_| Token::random()).collect();
        let tokens = drawn.iter().fold(String::new(), |tokens, token| with_token(&tokens, *token));
        let item = Item::from([(TOKENS.to_owned(), text(tokens))]);
        let kept: Vec<bool> = drawn.iter().map(|token| has_token(&item, *token)).collect();
        assert_eq!(kept, [[false; 2].as_slice(), &[true; 8]].concat());
    }
}
