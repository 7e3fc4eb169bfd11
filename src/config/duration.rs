//! Durations as a person writes them: `"14 days"`, `"1500 ms"`, or whole seconds.

use std::time::Duration;

use serde::{Deserializer, Serializer};

use super::scalar::Scalar;

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Scalar {
        text: Some(parse),
        whole: Some(|seconds| Some(Duration::from_secs(seconds))),
        ..Scalar::expecting("whole seconds or a text such as \"1500 ms\"")
    })
}

/// Reads a text such as `"14 days"`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Writes a duration in the largest unit that gives a whole number; [`parse`] reads it back.
pub(crate) fn format(duration: Duration) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second")];
    let millis = duration.as_millis();
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return humantime::format_duration(duration).to_string();
    }
    match units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit)) {
        Some((unit, name)) if millis == *unit => format!("1 {name}"),
        Some((unit, name)) => format!("{} {name}s", millis / unit),
        None => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_its_largest_whole_unit_and_read_back() {
        let cases = [
            (14 * 86_400_000, "14 days"),
            (86_400_000, "1 day"),
            (36 * 3_600_000, "36 hours"),
            (300_000, "5 minutes"),
            (90_000, "90 seconds"),
            (1000, "1 second"),
            (4500, "4500 ms"),
            (0, "0 ms"),
        ];
        for (millis, text) in cases {
            let duration = Duration::from_millis(millis);
            assert_eq!(format(duration), text);
            assert_eq!(parse(text), Some(duration));
        }
        assert_eq!(parse(&format(Duration::from_nanos(1_000_001))), Some(Duration::from_nanos(1_000_001)));
    }
}
