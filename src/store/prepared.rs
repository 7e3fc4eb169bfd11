//! A row to be written, its data encoded and its size checked.

use std::sync::Arc;

use crate::error::Error;
use crate::store::Store;
use crate::store::item::{size, value_size};
use crate::store::payload::Payload;
use crate::store::row::{
    CODEC, COOKIE, DATA, HANDLE, ID, LIFETIME, MODIFIED, PRINCIPAL, REMEMBER, STARTED, Stored, TOKENS, TTL,
};

/// A row to be written, with its data where that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) row: Arc<Stored>,
    pub(crate) payload: Option<Payload>,
}

impl Store {
    /// Encodes the data of a row to be written, where it is not that of `old`. Refuses a row over the limit before DynamoDB
    /// is asked, and warns once when one comes near.
    pub(super) fn prepare(&self, mut row: Stored, old: Option<&Stored>) -> Result<Prepared, Error> {
        let same = old.filter(|old| old.snapshot.data == row.snapshot.data);
        let payload = match same {
            Some(old) => {
                (row.data_size, row.word) = (old.data_size, old.word.clone());
                None
            }
            None => {
                let payload = self.settings.payloads.write(&row.key, row.snapshot.codec, &row.snapshot.data)?;
                (row.data_size, row.word) = (value_size(&payload.value), payload.word.clone());
                Some(payload)
            }
        };
        self.check_size(row.size())?;
        Ok(Prepared { row: Arc::new(row), payload })
    }
}

impl Stored {
    /// The size of the row's item, in bytes.
    pub(crate) fn size(&self) -> usize {
        let (snapshot, data) = (&*self.snapshot, self.data_size);
        let digits = |number: i64| number.to_string().len() + 1;
        let optional = [
            (LIFETIME, snapshot.lifetime.map(digits)),
            (REMEMBER, snapshot.remember.map(|_| 1)),
            (COOKIE, snapshot.cookie.map(digits)),
            (PRINCIPAL, snapshot.principal.as_ref().map(|principal| principal.len())),
            (HANDLE, (self.handle != self.key).then(|| self.handle.as_str().len())),
            (CODEC, self.word.as_ref().map(String::len)),
        ];
        let optional = optional.iter().filter_map(|(name, size)| Some(name.len() + (*size)?)).sum::<usize>();
        let fixed = [ID, DATA, TTL, STARTED, TOKENS].iter().map(|name| name.len()).sum::<usize>();
        let values = self.key.as_str().len() + data + digits(snapshot.ttl) + digits(snapshot.started);
        let version = self.version.0.as_ref().map_or(0, |version| size([(MODIFIED, version)]));
        let extra = size(self.extra.iter().map(|(name, value)| (name.as_str(), value)));
        fixed + values + self.tokens.as_str().len() + version + optional + extra
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::codec::{Codec, Encoded};
    use crate::domain::data::Data;
    use crate::domain::id::RowKey;
    use crate::domain::snapshot::Snapshot;
    use crate::domain::token::{Token, Tokens};
    use crate::store::item::{Item, text};
    use crate::store::version::Version;

    #[test]
    fn the_size_of_a_row_is_that_of_its_item() {
        let json = r#"{"a":"b","ü\"":[1]}"#;
        let data = Data::split(Codec::Json, Encoded::Text(json.to_owned())).expect("JSON");
        let payload = Payload { value: text(json), word: Some("json+other".into()) };
        let snapshot = Snapshot {
            codec: Codec::Json,
            data,
            principal: Some("ann".into()),
            lifetime: Some(60),
            remember: Some(true),
            started: 1_700_000_000,
            ttl: 1_700_000_060,
            cookie: None,
        };
        let row = Stored {
            key: RowKey::stored("key"),
            handle: RowKey::stored("handle"),
            snapshot: Arc::new(snapshot),
            version: Version(Some(text("2026"))),
            tokens: Tokens::default().with(Token::random()),
            dated: true,
            data_size: value_size(&payload.value),
            word: payload.word.clone(),
            extra: Item::from([("note".to_owned(), text("keep"))]),
        };
        let item = row.item(payload);
        assert_eq!(row.size(), size(item.iter().map(|(name, value)| (name.as_str(), value))));
    }
}
