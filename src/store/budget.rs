//! The time that one request's store work may take.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// The time that one request's store work may still take, all of it together.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<Duration>,
    running: Mutex<Option<Instant>>,
}

/// Store work under way; it is charged when this drops.
#[must_use = "the work is charged until this drops"]
pub(crate) struct Spending<'a>(&'a Budget);

impl Budget {
    pub(crate) fn new(whole: Duration) -> Self {
        Self { left: Mutex::new(whole), running: Mutex::new(None) }
    }

    /// Begins store work on this budget; time that the handler takes is not charged. A guard, since a future that is
    /// handed over is stored twice.
    pub(crate) fn spend(&self) -> Spending<'_> {
        self.running.lock().get_or_insert_with(Instant::now);
        Spending(self)
    }

    /// When the work that runs now must be done.
    pub(crate) fn deadline(&self) -> Instant {
        let start = *self.running.lock();
        start.unwrap_or_else(Instant::now) + *self.left.lock()
    }

    /// Whether the work that runs now has no time left.
    pub(crate) fn is_spent(&self) -> bool {
        Instant::now() >= self.deadline()
    }

    /// Waits until the work is done or the time is up.
    pub(crate) async fn wait<T>(&self, action: &'static str, work: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.deadline(), work).await.map_err(|late| Error::unavailable(action, late))
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        if let Some(start) = self.0.running.lock().take() {
            let mut left = self.0.left.lock();
            *left = left.saturating_sub(start.elapsed());
        }
    }
}
