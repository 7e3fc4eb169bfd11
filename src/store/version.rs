//! The version of a row: its `modified`, compared as raw text.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Duration, SecondsFormat, Utc};

use crate::store::item::text;

/// The `modified` of a row as it stands there: the version that a write's condition compares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version(pub(crate) Option<AttributeValue>);

impl Version {
    /// The version that replaces this one: the clock, or just after this one if the clock is not later.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Self {
        let step = Duration::microseconds(1);
        let after = self.time().and_then(|seen| seen.checked_add_signed(step));
        Self(Some(text(after.map_or(now, |after| now.max(after)).to_rfc3339_opts(SecondsFormat::Micros, true))))
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        let Some(AttributeValue::S(text)) = &self.0 else { return None };
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
    }

    /// The time that it names, in seconds since the Unix epoch.
    pub(crate) fn instant(&self) -> Option<i64> {
        self.time().map(|time| time.timestamp())
    }

    pub(crate) fn is_after(&self, other: &Self) -> bool {
        self != other && matches!((self.time(), other.time()), (Some(this), Some(other)) if this > other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn the_version_grows_whatever_the_clock_does() {
        let mut version = Version(None);
        let clock = ["2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"];
        let mut seen = vec![String::new()];
        for now in clock {
            let next = version.next(at(now));
            assert!(version.0.is_none() || next.is_after(&version) && !version.is_after(&next));
            version = next;
            let Some(AttributeValue::S(text)) = &version.0 else { panic!("a text") };
            assert!(*text > seen[seen.len() - 1], "{text} after {seen:?}");
            seen.push(text.clone());
        }
        assert_eq!(seen[1], "2026-01-02T00:00:00.000000Z");
        assert_eq!(seen[3], "2026-01-02T00:00:00.000002Z");
    }
}
