//! A clock that tests move.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// Tells the time that a test has set: it stands still until it is moved, and may go back. Its clones are one clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use rocket_dynamodb_sessions::testing::TestClock;
///
/// let clock = TestClock::new();
/// let start = clock.now();
/// assert_eq!(start.to_rfc3339(), "2026-01-01T00:00:00+00:00");
///
/// clock.advance(Duration::from_secs(14 * 86_400));
/// assert_eq!((clock.now() - start).num_days(), 14);
/// ```
#[derive(Clone, Debug)]
pub struct TestClock {
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl TestClock {
    /// Makes a clock that shows 2026-01-01T00:00:00Z, whatever the real time is: a test reads the same on any day.
    #[must_use]
    pub fn new() -> Self {
        const NEW_YEAR_2026: i64 = 1_767_225_600;
        Self::starting_at(DateTime::from_timestamp(NEW_YEAR_2026, 0).expect("a second of the year 2026 is a date"))
    }

    /// Makes a clock that shows the given time.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::testing::TestClock;
    ///
    /// let now = chrono::Utc::now();
    /// assert_eq!(TestClock::starting_at(now).now(), now);
    /// ```
    #[must_use]
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self { now: Arc::new(Mutex::new(now)) }
    }

    /// Tells the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        *self.now.lock()
    }

    /// Moves the clock on.
    ///
    /// # Panics
    ///
    /// Where the time would be later than chrono's last date, in the year 262142.
    pub fn advance(&self, by: Duration) {
        *self.now.lock() += by;
    }

    /// Sets the clock, forwards or back, as a host's clock may jump.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rocket_dynamodb_sessions::testing::TestClock;
    ///
    /// let clock = TestClock::new();
    /// let earlier = clock.now() - Duration::from_secs(3);
    /// clock.set(earlier);
    /// assert_eq!(clock.now(), earlier);
    /// ```
    pub fn set(&self, now: DateTime<Utc>) {
        *self.now.lock() = now;
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stands_still_and_its_clones_move_with_it() {
        let clock = TestClock::new();
        let clone = clock.clone();
        let start = clock.now();
        assert_eq!(clone.now(), start);

        clone.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), start + Duration::from_millis(1500));
    }
}
