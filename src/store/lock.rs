//! One writer a row and process, and what the last one left.
//!
//! Without it, 64 parallel writers of one row need up to 35 attempts each. Written here because a keyed lock of a library
//! keeps what is handed on for ever, or hands nothing on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::domain::id::RowKey;
use crate::store::row::Row;

/// A row as the last writer of this process left it.
type Left = Option<Row>;

/// The rows that are being written, and nothing of the others.
#[derive(Default)]
pub(crate) struct RowLocks {
    rows: Mutex<HashMap<RowKey, Arc<tokio::sync::Mutex<Left>>>>,
}

/// The turn at one row; it ends when this drops.
pub(crate) struct Turn<'a> {
    locks: &'a RowLocks,
    key: RowKey,
    left: Option<OwnedMutexGuard<Left>>,
}

/// A wait for a turn; a wait that is cancelled leaves nothing behind.
struct Waiting<'a> {
    locks: &'a RowLocks,
    key: &'a RowKey,
}

impl RowLocks {
    /// Waits for the turn; first come, first served.
    pub(crate) async fn turn(&self, key: RowKey) -> Turn<'_> {
        let left = {
            let row = self.rows.lock().entry(key.clone()).or_default().clone();
            let waiting = Waiting { locks: self, key: &key };
            let left = row.lock_owned().await;
            std::mem::forget(waiting);
            left
        };
        Turn { locks: self, key, left: Some(left) }
    }

    /// Forgets a row that nobody waits for. Whoever asks holds no turn at it any more.
    fn tidy(&self, key: &RowKey) {
        if let Entry::Occupied(row) = self.rows.lock().entry(key.clone())
            && Arc::strong_count(row.get()) == 1
        {
            row.remove();
        }
    }
}

impl Turn<'_> {
    pub(crate) fn key(&self) -> &RowKey {
        &self.key
    }

    /// What the last writer left, where somebody waited for it.
    pub(crate) fn take(&mut self) -> Option<Row> {
        self.left.as_mut().and_then(|left| left.take())
    }

    /// Leaves the row to the next writer.
    pub(crate) fn leave(&mut self, row: Row) {
        if let Some(left) = &mut self.left {
            **left = Some(row);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.left = None;
        self.locks.tidy(&self.key);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.tidy(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::item::Item;
    use crate::store::payload::Payloads;

    #[tokio::test]
    async fn a_turn_hands_on_what_it_left_and_an_idle_row_is_forgotten() {
        let locks = RowLocks::default();
        let key = RowKey::stored("a");
        let mut first = locks.turn(key.clone()).await;
        assert!(first.take().is_none());
        let (second, ()) = tokio::join!(locks.turn(key.clone()), async {
            first.leave(Row::decode(&key, Item::new(), &Payloads::JSON));
            drop(first);
        });
        let mut second = second;
        assert!(second.take().is_some());
        second.leave(Row::decode(&key, Item::new(), &Payloads::JSON));
        drop(second);
        assert!(locks.rows.lock().is_empty());
        assert!(locks.turn(key).await.take().is_none());
    }

    #[tokio::test]
    async fn a_wait_that_is_cancelled_leaves_nothing_behind() {
        let locks = RowLocks::default();
        let key = RowKey::stored("a");
        let first = locks.turn(key.clone()).await;
        assert!(futures::FutureExt::now_or_never(locks.turn(key.clone())).is_none());
        drop(first);
        assert!(locks.rows.lock().is_empty());
    }
}
