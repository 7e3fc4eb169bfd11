//! The writes of the store: each names its condition, and a failed condition says which row stands there.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::domain::id::RowKey;
use crate::domain::plan::Times;
use crate::domain::token::Token;
use crate::error::Error;
use crate::store::Store;
use crate::store::attempt::{Answer, Judge};
use crate::store::budget::Budget;
use crate::store::expression::{Expression, NEW};
use crate::store::item::{Item, number, text};
use crate::store::payload::Payload;
use crate::store::prepared::Prepared;
use crate::store::row::{
    CODEC, COOKIE, DATA, ID, LIFETIME, MODIFIED, PRINCIPAL, REMEMBER, Row, STARTED, Stored, TOKENS, TTL,
};
use crate::store::tombstone::Tombstone;

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// How a conditional write of one row ended, where DynamoDB answered.
#[derive(Debug)]
pub(crate) enum Written {
    /// Done, with the row that was there before, where it was asked for.
    Done(Option<Row>),
    /// The condition failed on this row, or on none.
    Failed(Option<Row>),
}

/// How a transaction over an old and a new row ended.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one a transaction, and not for long")]
pub(crate) enum Transacted {
    /// `repeated`: perhaps by an earlier attempt, which may have been built upon.
    Done {
        repeated: bool,
    },
    Failed {
        old: Checked,
        new: Checked,
    },
}

/// How the condition on one row of a transaction came out.
#[derive(Debug)]
pub(crate) enum Checked {
    Passed,
    Failed(Option<Row>),
}

/// The condition on the row that a new one takes the place of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Replaced<'a> {
    /// Live, and the row that was read: it is rotated.
    Seen(&'a Stored),
    /// Live: it was invalidated.
    Live,
    /// There, and no tombstone: it could not be decoded.
    Undecodable,
}

/// Whose end it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    /// Its holder: the ID was brought, so the row is a session's.
    Holder,
    /// An administrator, who brought a handle.
    Administrator,
}

impl Store {
    /// Writes a new row. Condition: no row stands there.
    pub(super) async fn create(&self, new: Prepared, budget: &Budget) -> Result<Written, Error> {
        let Prepared { row, payload } = &new;
        let send = |client: &Client| {
            let item = row.item(payload.clone().expect("a new row has its data"));
            let put = client.put_item().table_name(&self.settings.table).set_item(Some(item));
            put.condition_expression(NEW).return_values_on_condition_check_failure(ALL_OLD).send()
        };
        let answer = self.send("create", budget, send).await?;
        match answer.result {
            Ok(_) => Ok(Written::Done(None)),
            Err(error) => {
                let found = match error {
                    PutItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                };
                Ok(Written::Failed(self.found(&row.key, found, budget).await?))
            }
        }
    }

    /// Writes what changed of a live row. Condition: live, and the row that was read.
    pub(super) async fn update(
        &self,
        old: &Stored,
        new: Prepared,
        times: &Times,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let Prepared { row: new, payload } = new;
        let (was, is) = (&*old.snapshot, &*new.snapshot);
        let build = || {
            let mut on = Expression::seen(&old.version, now);
            on.put(MODIFIED, new.version.0.clone());
            on.put(TOKENS, Some(text(new.tokens.as_str())));
            if let Some(Payload { value, word }) = payload.clone() {
                on.put(DATA, Some(value));
                if word != old.word {
                    on.put(CODEC, word.map(text));
                }
            }
            if times.refreshed {
                on.put(TTL, Some(number(is.ttl)));
            }
            if is.cookie != was.cookie {
                on.put(COOKIE, is.cookie.map(number));
            }
            if is.started != was.started || !old.dated {
                on.put(STARTED, Some(number(is.started)));
            }
            if is.principal != was.principal {
                on.put(PRINCIPAL, is.principal.as_ref().map(|principal| text(&**principal)));
            }
            if is.lifetime != was.lifetime {
                on.put(LIFETIME, is.lifetime.map(number));
            }
            if is.remember != was.remember {
                on.put(REMEMBER, is.remember.map(aws_sdk_dynamodb::types::AttributeValue::Bool));
            }
            old.extra.keys().filter(|name| !new.extra.contains_key(*name)).for_each(|name| on.remove_foreign(name));
            on
        };
        self.update_item(&old.key, "update", build, false, budget).await
    }

    /// Refreshes the lifetime alone. Condition: live, the row that was read, and not refreshed by another.
    pub(super) async fn touch(&self, old: &Stored, times: &Times, now: i64, budget: &Budget) -> Result<Written, Error> {
        let was = &*old.snapshot;
        let build = || {
            let mut on = Expression::seen(&old.version, now);
            // One that arrives late moves no lifetime back: it grows, or is cut to the policy as it was seen.
            match times.ttl.cmp(&was.ttl) {
                std::cmp::Ordering::Greater => on.also(TTL, "<", ":ttl", number(times.ttl)),
                std::cmp::Ordering::Equal => on.also(TTL, "=", ":ttl", number(times.ttl)),
                std::cmp::Ordering::Less => on.also(TTL, ">=", ":was", number(was.ttl)),
            }
            on.put(TTL, Some(number(times.ttl)));
            if times.cookie != was.cookie {
                on.put(COOKIE, times.cookie.map(number));
            }
            on
        };
        self.update_item(&old.key, "touch", build, false, budget).await
    }

    /// Ends a session because it was emptied. Condition: live, and the row that was read.
    pub(super) async fn end_emptied(
        &self,
        old: &Stored,
        tombstone: &Tombstone<'_>,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let build = || tombstone.bury(Expression::seen(&old.version, now));
        self.update_item(&old.key, "end", build, false, budget).await
    }

    /// Ends a session because its holder or an administrator said so. Condition: a row that is no tombstone; it may be
    /// expired or undecodable.
    pub(super) async fn end(
        &self,
        key: &RowKey,
        by: By,
        tombstone: &Tombstone<'_>,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let build = || {
            tombstone.bury(match by {
                By::Holder => Expression::no_tombstone(),
                By::Administrator => Expression::session(),
            })
        };
        let action = if by == By::Holder { "invalidate" } else { "revoke" };
        self.update_item(key, action, build, true, budget).await
    }

    async fn update_item(
        &self,
        key: &RowKey,
        action: &'static str,
        build: impl Fn() -> Expression,
        old: bool,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let send = |client: &Client| {
            // A repeat is built anew, the same: most requests have none, and nothing is copied for them.
            let on = build();
            let update = client.update_item().table_name(&self.settings.table).key(ID, text(key.as_str()));
            let update = update.update_expression(on.change()).condition_expression(on.condition);
            let update = update.set_expression_attribute_names(Some(on.names));
            let update = update.set_expression_attribute_values(Some(on.values));
            let update = if old { update.return_values(ReturnValue::AllOld) } else { update };
            update.return_values_on_condition_check_failure(ALL_OLD).send()
        };
        let answer = self.send(action, budget, send).await?;
        match answer.result {
            Ok(output) => {
                Ok(Written::Done(output.attributes.map(|item| Row::decode(key, item, &self.settings.payloads))))
            }
            Err(error) => {
                let found = match error {
                    UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                };
                Ok(Written::Failed(self.found(key, found, budget).await?))
            }
        }
    }

    /// Writes a new row and a tombstone in the place of an old one, in one transaction. Conditions: no row stands at the new
    /// key, and what `replaced` says of the old one.
    pub(super) async fn replace(
        &self,
        key: &RowKey,
        replaced: Replaced<'_>,
        tombstone: &Tombstone<'_>,
        new: &Prepared,
        now: i64,
        budget: &Budget,
    ) -> Result<Transacted, Error> {
        let Prepared { row: new, payload } = new;
        // The same for all attempts of this content, so that DynamoDB itself recognises the repeats for ten minutes.
        let idempotency = Token::random().text();
        let send = |client: &Client| {
            let on = tombstone.bury(match replaced {
                Replaced::Seen(row) => Expression::seen(&row.version, now),
                Replaced::Live => Expression::live(now),
                Replaced::Undecodable => Expression::no_tombstone(),
            });
            let update = Update::builder()
                .table_name(&self.settings.table)
                .key(ID, text(key.as_str()))
                .update_expression(on.change())
                .condition_expression(on.condition)
                .set_expression_attribute_names(Some(on.names))
                .set_expression_attribute_values(Some(on.values))
                .return_values_on_condition_check_failure(ALL_OLD)
                .build()
                .expect("an update has a table, a key and an expression");
            let put = Put::builder()
                .table_name(&self.settings.table)
                .set_item(Some(new.item(payload.clone().expect("a new row has its data"))))
                .condition_expression(NEW)
                .return_values_on_condition_check_failure(ALL_OLD)
                .build()
                .expect("a put has a table and an item");
            let transact = client.transact_write_items().client_request_token(&idempotency);
            let transact = transact.transact_items(TransactWriteItem::builder().update(update).build());
            transact.transact_items(TransactWriteItem::builder().put(put).build()).send()
        };
        let action = if matches!(replaced, Replaced::Seen(_)) { "rotate" } else { "replace" };
        let Answer { result, repeated } = self.send(action, budget, send).await?;
        match result {
            Ok(_) => Ok(Transacted::Done { repeated }),
            Err(error) => {
                let reasons = match error {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons,
                    _ => None,
                };
                let mut reasons = reasons.unwrap_or_default().into_iter();
                let old = self.checked(key, reasons.next(), budget).await?;
                let new = self.checked(&new.key, reasons.next(), budget).await?;
                Ok(Transacted::Failed { old, new })
            }
        }
    }

    async fn checked(
        &self,
        key: &RowKey,
        reason: Option<CancellationReason>,
        budget: &Budget,
    ) -> Result<Checked, Error> {
        match reason {
            Some(reason) if reason.code() != Some("ConditionalCheckFailed") => Ok(Checked::Passed),
            reason => Ok(Checked::Failed(self.found(key, reason.and_then(|reason| reason.item), budget).await?)),
        }
    }

    /// The row on which a condition failed. Not every server of DynamoDB's API brings it: then it is read, consistently.
    async fn found(&self, key: &RowKey, brought: Option<Item>, budget: &Budget) -> Result<Option<Row>, Error> {
        match brought {
            Some(item) => Ok(Some(Row::decode(key, item, &self.settings.payloads))),
            None => self.get(key, true, budget).await,
        }
    }

    async fn send<T, E, F, Fut>(&self, action: &'static str, budget: &Budget, request: F) -> Result<Answer<T, E>, Error>
    where
        E: Judge,
        F: FnMut(&Client) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.attempts.send(action, budget.deadline(), request).await
    }
}
