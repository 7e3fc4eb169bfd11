//! A part of a whole.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::ValueError;
use super::scalar::Scalar;

const EXPECTED: &str = "a share above 0 and up to 1";

/// A share of a whole: above 0, and up to 1.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::{Config, Share};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config { renew_below: Share::new(0.5)?, ..Config::default() };
/// assert_eq!(config.renew_below.get(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Share(f64);

impl Share {
    /// Checks a number.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::Share;
    ///
    /// assert!(Share::new(1.0).is_ok());
    /// assert!(Share::new(90.0).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// Refuses 0 and less, more than 1, and what is no number.
    pub fn new(share: f64) -> Result<Self, ValueError> {
        Self::checked(share).ok_or_else(|| ValueError::new(share, EXPECTED))
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Makes a constant of the crate; it must lie within the bounds.
    pub(super) const fn from_percent(percent: u8) -> Self {
        assert!(0 < percent && percent <= 100);
        Self(percent as f64 / 100.0)
    }

    fn checked(share: f64) -> Option<Self> {
        (0.0 < share && share <= 1.0).then_some(Self(share))
    }
}

impl TryFrom<f64> for Share {
    type Error = ValueError;

    fn try_from(share: f64) -> Result<Self, ValueError> {
        Self::new(share)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            float: Some(Self::checked),
            whole: Some(|number| (number == 1).then_some(Self(1.0))),
            ..Scalar::expecting(EXPECTED)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_above_zero_and_up_to_one() {
        assert_eq!(Share::new(0.9).ok(), Some(Share::from_percent(90)));
        assert_eq!(Share::new(1.0).map(Share::get).ok(), Some(1.0));
        for refused in [0.0, -0.1, 1.01, f64::NAN, f64::INFINITY] {
            let refused = Share::new(refused).expect_err("out of bounds").to_string();
            assert!(refused.ends_with(", expected a share above 0 and up to 1"), "{refused}");
        }
    }
}
