//! The token bucket that pays for repeats: an outage must not multiply the load.

use parking_lot::Mutex;
use tokio::time::Instant;

/// The figures of the AWS SDKs' standard mode: a hundred repeats from the full bucket, and a bit for each success.
const CAPACITY: f64 = 500.0;
const REPEAT: f64 = 5.0;
const REPEAT_AFTER_TIMEOUT: f64 = 10.0;
const SUCCESS: f64 = 1.0;
/// Two repeats a second come back by themselves, so that what an outage drained does not stay so in a quiet application.
const A_SECOND: f64 = 10.0;

/// What this process may spend on repeating requests, all of its sessions together.
pub(crate) struct Bucket(Mutex<Level>);

struct Level {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Level { tokens: CAPACITY, at: Instant::now() }))
    }

    /// Pays for a repeat. Returns whether there was enough.
    pub(crate) fn pay(&self, timed_out: bool) -> bool {
        let price = if timed_out { REPEAT_AFTER_TIMEOUT } else { REPEAT };
        let mut level = self.0.lock();
        let now = Instant::now();
        let refilled = level.tokens + A_SECOND * now.duration_since(level.at).as_secs_f64();
        *level = Level { tokens: refilled.min(CAPACITY), at: now };
        let enough = level.tokens >= price;
        if enough {
            level.tokens -= price;
        }
        enough
    }

    /// A request was answered at its first attempt, or at a later one.
    pub(crate) fn earn(&self, repeated: bool) {
        let mut level = self.0.lock();
        if level.tokens < CAPACITY {
            level.tokens = (level.tokens + if repeated { REPEAT } else { SUCCESS }).min(CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_repeats_are_paid_at_once_and_two_a_second_after_that() {
        let bucket = Bucket::new();
        let paid = |bucket: &Bucket| (0..1000).filter(|_| bucket.pay(false)).count();
        assert_eq!(paid(&bucket), 100);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(paid(&bucket), 6);
        (0..10).for_each(|_| bucket.earn(false));
        assert_eq!(paid(&bucket), 2);
        bucket.earn(true);
        assert_eq!((bucket.pay(true), bucket.pay(false)), (false, true));
    }
}
