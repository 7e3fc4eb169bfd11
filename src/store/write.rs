//! The writes of the store: each names its condition, and a failed condition brings the current row back with it.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use crate::domain::id::RowKey;
use crate::error::Error;
use crate::store::attempt::{Answer, Judge};
use crate::store::expression::{Change, Expression};
use crate::store::row::{
    COOKIE, DATA, ID, Item, LIFETIME, MODIFIED, PRINCIPAL, REMEMBER, STARTED, Stored, TOKENS, TTL, number, text,
};
use crate::store::{Budget, Store};

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;
const NEW: &str = "attribute_not_exists(#id)";
/// How a conditional write ended, where DynamoDB answered.
#[derive(Debug)]
pub(crate) enum Written {
    /// Done; `repeated`: perhaps by an earlier attempt. With the row that was there before, where it was asked for.
    Done { old: Option<Item>, repeated: bool },
    /// The condition failed, and this is the row that stands there.
    Failed { found: Option<Item>, new: Option<Item>, repeated: bool },
}

/// The row that a failed single write brings back.
trait Conditional: Judge {
    fn into_found(self) -> Option<Item>;
}

impl Conditional for PutItemError {
    fn into_found(self) -> Option<Item> {
        match self {
            Self::ConditionalCheckFailedException(failed) => failed.item,
            _ => None,
        }
    }
}

impl Conditional for UpdateItemError {
    fn into_found(self) -> Option<Item> {
        match self {
            Self::ConditionalCheckFailedException(failed) => failed.item,
            _ => None,
        }
    }
}

impl Conditional for DeleteItemError {
    fn into_found(self) -> Option<Item> {
        match self {
            Self::ConditionalCheckFailedException(failed) => failed.item,
            _ => None,
        }
    }
}

fn single<T, E>(answer: Answer<T, E>, old: impl FnOnce(T) -> Option<Item>) -> Written
where
    E: Conditional,
{
    let repeated = answer.repeated;
    match answer.result {
        Ok(output) => Written::Done { old: old(output), repeated },
        Err(error) => Written::Failed { found: error.into_found(), new: None, repeated },
    }
}

impl Store {
    /// Writes a new row. Condition: no row stands there.
    pub(super) async fn create(&self, row: &Stored, budget: &Budget) -> Result<Written, Error> {
        let item = self.sized(row.item())?;
        let send = || {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
            let put = put.condition_expression(NEW).expression_attribute_names("#id", ID);
            put.return_values_on_condition_check_failure(ALL_OLD).send()
        };
        Ok(single(self.send("create", budget, send).await?, |_| None))
    }

    /// Writes the data of a live row. Condition: live, and the row that was read.
    pub(super) async fn update(
        &self,
        old: &Stored,
        new: &Stored,
        refreshed: bool,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let mut item = self.sized(new.item())?;
        let mut on = Expression::seen(&old.version, now);
        let mut change = Change::default();
        let mut names = vec![MODIFIED, DATA, TOKENS, STARTED, PRINCIPAL, LIFETIME, REMEMBER, COOKIE];
        if refreshed {
            names.push(TTL);
        }
        // Only what the row has or gets; the other attributes of the row stay.
        let content = &old.snapshot.content;
        let had = |name: &str| match name {
            PRINCIPAL => content.principal.is_some(),
            LIFETIME => content.lifetime.is_some(),
            REMEMBER => content.remember.is_some(),
            COOKIE => old.snapshot.cookie.is_some(),
            _ => false,
        };
        for name in names {
            let value = item.remove(name);
            if value.is_some() || had(name) {
                change.put(&mut on, name, value);
            }
        }
        self.update_item(&old.key, "update", &on, &change.expression(), budget).await
    }

    /// Refreshes the lifetime alone. Condition: live, the row that was read, and not refreshed further by another.
    pub(super) async fn touch(
        &self,
        old: &Stored,
        ttl: i64,
        cookie: Option<i64>,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let mut on = Expression::seen(&old.version, now);
        let mut change = Change::default();
        change.put(&mut on, TTL, Some(number(ttl)));
        if cookie != old.snapshot.cookie {
            change.put(&mut on, COOKIE, cookie.map(number));
        }
        on.condition.push_str(" AND #ttl <= :ttl");
        self.update_item(&old.key, "touch", &on, &change.expression(), budget).await
    }

    async fn update_item(
        &self,
        key: &RowKey,
        action: &'static str,
        on: &Expression,
        change: &str,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let send = || {
            let update = self.client.update_item().table_name(&self.table).key(ID, text(key.as_str()));
            let update = update.update_expression(change).condition_expression(&on.condition);
            let update = update.set_expression_attribute_names(Some(on.names.clone()));
            let update = update.set_expression_attribute_values(Some(on.values.clone()));
            update.return_values_on_condition_check_failure(ALL_OLD).send()
        };
        Ok(single(self.send(action, budget, send).await?, |_| None))
    }

    /// Deletes a row because its session was emptied. Condition: live, and the row that was read.
    pub(super) async fn delete_emptied(&self, old: &Stored, now: i64, budget: &Budget) -> Result<Written, Error> {
        let on = Expression::seen(&old.version, now);
        self.delete_item(&old.key, "delete", &on, budget).await
    }

    /// Deletes a row because its session was invalidated or revoked. Condition: no tombstone.
    pub(super) async fn delete_ended(&self, key: &RowKey, budget: &Budget) -> Result<Written, Error> {
        let on = Expression::no_tombstone();
        self.delete_item(key, "invalidate", &on, budget).await
    }

    async fn delete_item(
        &self,
        key: &RowKey,
        action: &'static str,
        on: &Expression,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let send = || {
            let delete = self.client.delete_item().table_name(&self.table).key(ID, text(key.as_str()));
            let delete = delete.condition_expression(&on.condition).return_values(ReturnValue::AllOld);
            let delete = delete.set_expression_attribute_names(Some(on.names.clone()));
            // An empty map is an error to DynamoDB.
            let values = Some(on.values.clone()).filter(|values| !values.is_empty());
            let delete = delete.set_expression_attribute_values(values);
            delete.return_values_on_condition_check_failure(ALL_OLD).send()
        };
        Ok(single(self.send(action, budget, send).await?, |output| output.attributes))
    }

    /// Writes the new row of a rotation, and a tombstone in the place of the old one, in one transaction. Conditions: no
    /// row stands at the new key; the old one is live, and the row that was read.
    pub(super) async fn rotate(
        &self,
        old: &Stored,
        new: &Stored,
        tombstone: Item,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let on = Expression::seen(&old.version, now);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(tombstone))
            .condition_expression(on.condition)
            .set_expression_attribute_names(Some(on.names))
            .set_expression_attribute_values(Some(on.values))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect("a put has a table and an item");
        self.transact("rotate", TransactWriteItem::builder().put(put).build(), new, budget).await
    }

    /// Deletes a row and writes the one of another session, in one transaction. Conditions: no row stands at the new key;
    /// the old one is live, or, where it could not be decoded, is no tombstone.
    pub(super) async fn replace(
        &self,
        old: &RowKey,
        undecodable: bool,
        new: &Stored,
        now: i64,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let on = if undecodable { Expression::no_tombstone() } else { Expression::live(now) };
        let delete = Delete::builder()
            .table_name(&self.table)
            .key(ID, text(old.as_str()))
            .condition_expression(on.condition)
            .set_expression_attribute_names(Some(on.names))
            .set_expression_attribute_values(Some(on.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect("a delete has a table and a key");
        self.transact("replace", TransactWriteItem::builder().delete(delete).build(), new, budget).await
    }

    async fn transact(
        &self,
        action: &'static str,
        old: TransactWriteItem,
        new: &Stored,
        budget: &Budget,
    ) -> Result<Written, Error> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.sized(new.item())?))
            .condition_expression(NEW)
            .expression_attribute_names("#id", ID)
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect("a put has a table and an item");
        let new = TransactWriteItem::builder().put(put).build();
        // The same for all attempts of this content, so that DynamoDB itself recognises the repeats for ten minutes.
        let idempotency = crate::domain::id::Token::random().text();
        let send = || {
            let transact = self.client.transact_write_items().client_request_token(&idempotency);
            transact.transact_items(old.clone()).transact_items(new.clone()).send()
        };
        let Answer { result, repeated } = self.send(action, budget, send).await?;
        Ok(match result {
            Ok(_) => Written::Done { old: None, repeated },
            Err(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let mut rows = cancelled.cancellation_reasons.unwrap_or_default().into_iter().map(|reason| reason.item);
                let (found, new) = (rows.next().flatten(), rows.next().flatten());
                Written::Failed { found, new, repeated }
            }
            Err(_) => Written::Failed { found: None, new: None, repeated },
        })
    }

    async fn send<T, E, F, Fut>(&self, action: &'static str, budget: &Budget, request: F) -> Result<Answer<T, E>, Error>
    where
        E: Judge,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>>>,
    {
        self.attempts.send(action, budget.deadline(), request).await
    }
}
