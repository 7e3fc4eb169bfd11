//! Deleting expired rows where nobody else does: the embedded engine has no TTL that works by itself.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::error::{Chain, Error};
use crate::store::Store;
use crate::store::item::number;
use crate::store::row::{ID, TTL};

impl Store {
    /// Deletes the expired rows of the table, by the store's clock.
    pub(crate) async fn sweep(&self) {
        if let Err(error) = sweep(self.attempts.link.patient(), &self.settings.table, self.now().timestamp()).await {
            log::warn!("expired sessions could not be deleted: {}", Chain(&error));
        }
    }
}

/// Deletes the rows of a table whose time is over at `now`, in seconds since the Unix epoch, as DynamoDB does within days;
/// tombstones too. Returns how many. Condition: the time is still over.
pub(crate) async fn sweep(client: &Client, table: &str, now: i64) -> Result<usize, Error> {
    let (mut from, mut swept) = (None, 0);
    loop {
        let scan = client.scan().table_name(table).projection_expression(ID).filter_expression("#ttl <= :now");
        let scan = scan.expression_attribute_names("#ttl", TTL).expression_attribute_values(":now", number(now));
        let page =
            scan.set_exclusive_start_key(from).send().await.map_err(|error| Error::unavailable("sweep", error))?;
        for mut item in page.items.unwrap_or_default() {
            let Some(key @ AttributeValue::S(_)) = item.remove(ID) else { continue };
            let delete = client.delete_item().table_name(table).key(ID, key).condition_expression("#ttl <= :now");
            let delete =
                delete.expression_attribute_names("#ttl", TTL).expression_attribute_values(":now", number(now));
            // One that was refreshed meanwhile stays.
            swept += usize::from(delete.send().await.is_ok());
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(swept);
        }
    }
}
