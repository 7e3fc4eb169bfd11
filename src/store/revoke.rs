//! Ending a session by its handle.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanError;

use crate::domain::id::{Handle, RowKey};
use crate::domain::settle::{Fate, Kind, Listed, fate};
use crate::domain::token::Token;
use crate::error::Error;
use crate::store::attempt::Judge;
use crate::store::budget::Budget;
use crate::store::commit::TooManyHops;
use crate::store::item::text;
use crate::store::row::{Body, ID, Row};
use crate::store::tombstone::Tombstone;
use crate::store::version::Version;
use crate::store::write::{By, Written};
use crate::store::{MOST_HOPS, Store};

impl Judge for ScanError {}

/// What ending a row led to.
enum Ending {
    /// It was live, or could not be decoded.
    Ended,
    /// It had ended already, and nothing of the session is left.
    Over,
    /// The session's rows are no longer where the handle and the tombstones lead.
    Lost,
}

impl Store {
    /// Ends the session that a handle names, or what rotations made of it. Returns whether there was one.
    ///
    /// Where the tombstones that lead to it are gone, the session is looked for in the whole table: a scan, which costs a
    /// read unit for each 4 KB of it. `budget` makes the time that each look may take.
    pub(crate) async fn revoke(&self, handle: &Handle, budget: &(dyn Fn() -> Budget + Sync)) -> Result<bool, Error> {
        let key = handle.row_key();
        // Other rows than this application's sessions are none of its business.
        if !key.is_of(&self.settings.key_prefix) {
            return Ok(false);
        }
        match self.end_chain(key.clone(), &budget()).await? {
            Ending::Ended => return Ok(true),
            Ending::Over => return Ok(false),
            Ending::Lost => {}
        }
        let mut from = None;
        loop {
            let budget = budget();
            let _spending = budget.spend();
            let send = |client: &Client| {
                let scan = client.scan().table_name(&self.settings.table).set_exclusive_start_key(from.clone());
                let scan = scan.consistent_read(true).projection_expression(ID);
                let scan = scan.filter_expression("handle = :handle");
                scan.expression_attribute_values(":handle", text(key.as_str())).send()
            };
            let answer = self.attempts.send("revoke", budget.deadline(), send).await?;
            let page = answer.result.map_err(|error| Error::rejected("revoke", error))?;
            for mut item in page.items.unwrap_or_default() {
                if let Some(aws_sdk_dynamodb::types::AttributeValue::S(found)) = item.remove(ID)
                    && let Ending::Ended = self.end_chain(RowKey::stored(&found), &budget).await?
                {
                    return Ok(true);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(false);
            }
        }
    }

    async fn end_chain(&self, mut key: RowKey, budget: &Budget) -> Result<Ending, Error> {
        let _spending = budget.spend();
        let token = Token::random();
        for _ in 0..=MOST_HOPS {
            let now = self.now();
            let ttl = now.timestamp() + self.settings.policy.tombstone;
            let version = Version(None).next(now);
            // What other programs keep in the row goes with the session.
            let row = self.get(&key, true, budget).await?;
            let extra = match row.as_ref().map(|row| &row.body) {
                Some(Body::Live(row)) => Some(&row.extra),
                _ => None,
            };
            let tombstone = Tombstone { kind: Kind::Ended, successor: None, token, ttl, version, extra };
            let found = match self.end(&key, By::Administrator, &tombstone, budget).await? {
                Written::Done(old) => {
                    let now = now.timestamp();
                    let fate = old.map(|row| fate(&row.stands(&self.settings.policy, now)));
                    let lived = matches!(fate, Some(Fate::Live | Fate::Undecodable));
                    return Ok(if lived { Ending::Ended } else { Ending::Over });
                }
                Written::Failed(found) => found,
            };
            match found {
                None => return Ok(Ending::Lost),
                // Our own, and its answer was lost.
                Some(row) if row.lists(token) == Listed::Last => return Ok(Ending::Ended),
                Some(Row { body: Body::Tombstone { successor: Some(successor), .. }, .. }) => key = successor,
                Some(_) => return Ok(Ending::Over),
            }
        }
        Err(Error::unavailable("revoke", TooManyHops))
    }
}
