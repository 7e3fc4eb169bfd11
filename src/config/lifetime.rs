//! How long something lives.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration;
use super::error::ValueError;
use super::scalar::Scalar;

const EXPECTED: &str = "whole seconds or a text such as \"14 days\", from 1 second to 10 years";

/// A lifetime: whole seconds, from one second to ten years.
///
/// Whole, because DynamoDB's TTL and a cookie's `Max-Age` count seconds. A year has 365.25 days here, as in the text
/// `"10 years"`.
///
/// In Rocket.toml it is an integer, in seconds, or a text such as `"14 days"`, `"90 minutes"` or `"1h 30m"`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use rocket_dynamodb_sessions::Lifetime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lifetime = Lifetime::new(Duration::from_secs(90 * 60))?;
/// assert_eq!(lifetime.as_secs(), 5400);
/// assert_eq!(lifetime.to_string(), "90 minutes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u32);

impl Lifetime {
    /// The shortest lifetime: one second.
    pub const MIN: Self = Self(1);
    /// The longest lifetime: ten years of 365.25 days.
    pub const MAX: Self = Self(315_576_000);

    /// Checks a duration; it is not rounded.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rocket_dynamodb_sessions::Lifetime;
    ///
    /// assert!(Lifetime::new(Duration::from_secs(60)).is_ok());
    /// assert!(Lifetime::new(Duration::from_millis(1500)).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// Refuses less than a second, more than ten years, and fractions of a second.
    pub fn new(duration: Duration) -> Result<Self, ValueError> {
        Self::checked(duration).ok_or_else(|| ValueError::new(duration::format(duration), EXPECTED))
    }

    /// Returns the lifetime in seconds, ready to be added to an epoch time.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::Config;
    ///
    /// assert_eq!(Config::default().ttl.as_secs(), 1_209_600);
    /// ```
    #[must_use]
    pub fn as_secs(self) -> i64 {
        self.0.into()
    }

    /// Makes a constant of the crate; it must lie within the bounds.
    pub(super) const fn from_secs(seconds: u32) -> Self {
        assert!(Self::MIN.0 <= seconds && seconds <= Self::MAX.0);
        Self(seconds)
    }

    fn checked(duration: Duration) -> Option<Self> {
        let seconds = Self(u32::try_from(duration.as_secs()).ok()?);
        (duration.subsec_nanos() == 0 && (Self::MIN..=Self::MAX).contains(&seconds)).then_some(seconds)
    }
}

impl TryFrom<Duration> for Lifetime {
    type Error = ValueError;

    fn try_from(duration: Duration) -> Result<Self, ValueError> {
        Self::new(duration)
    }
}

impl From<Lifetime> for Duration {
    fn from(lifetime: Lifetime) -> Self {
        Self::from_secs(lifetime.0.into())
    }
}

/// Writes the lifetime as Rocket.toml takes it: `14 days`.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration::format((*self).into()))
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(|text| duration::parse(text).and_then(Self::checked)),
            whole: Some(|seconds| Self::checked(Duration::from_secs(seconds))),
            ..Scalar::expecting(EXPECTED)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_whole_seconds_from_one_second_to_ten_years() {
        let years = Duration::from_secs(10 * 31_557_600);
        let new = |duration| Lifetime::new(duration).ok();
        assert_eq!(new(Duration::from_secs(1)), Some(Lifetime::MIN));
        assert_eq!(new(years), Some(Lifetime::MAX));
        assert_eq!(duration::parse("10 years"), Some(years));
        for refused in [Duration::ZERO, Duration::from_millis(1500), years + Duration::from_secs(1), Duration::MAX] {
            assert_eq!(new(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_refused_lifetime_says_what_is_expected() {
        let refused = Lifetime::try_from(Duration::from_millis(1500)).expect_err("half a second too much");
        assert_eq!(
            refused.to_string(),
            "invalid value `1500 ms`, expected whole seconds or a text such as \"14 days\", from 1 second to 10 years"
        );
    }
}
