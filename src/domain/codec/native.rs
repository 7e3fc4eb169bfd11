//! The codec `native`: a DynamoDB map, for people who read the table in AWS's console, and for other programs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;

use crate::domain::problem::Problem;
use crate::domain::tree::{Scalar, Tree};

const NAME: &str = "native";

/// DynamoDB's limit is 32 levels; one is the map of the data.
const MOST_LEVELS: usize = 31;

/// DynamoDB's numbers have 38 digits, from 1e-130 to just below 1e126.
const DIGITS: usize = 38;
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// Writes a value.
pub(crate) fn encode_value<T>(value: &T) -> Result<AttributeValue, Problem>
where
    T: Serialize + ?Sized,
{
    let value: AttributeValue = serde_dynamo::to_attribute_value(value).map_err(|error| {
        let key = error.to_string().to_lowercase().contains("key");
        if key { Problem::Key(NAME) } else { Problem::Unwritable }
    })?;
    check(&value, MOST_LEVELS)?;
    Ok(value)
}

/// Refuses what DynamoDB would not keep to the last digit, or not at all.
fn check(value: &AttributeValue, levels: usize) -> Result<(), Problem> {
    let below = || levels.checked_sub(1).ok_or(Problem::TooDeep { codec: NAME, most: MOST_LEVELS });
    match value {
        AttributeValue::N(number) => match magnitude(number) {
            Magnitude::Fits => Ok(()),
            Magnitude::NotFinite => Err(Problem::NotFinite(NAME)),
            Magnitude::OutOfRange => Err(Problem::OutOfRange(NAME)),
        },
        AttributeValue::Ns(numbers) if numbers.iter().any(|number| !matches!(magnitude(number), Magnitude::Fits)) => {
            Err(Problem::OutOfRange(NAME))
        }
        AttributeValue::L(parts) => {
            let below = below()?;
            parts.iter().try_for_each(|part| check(part, below))
        }
        AttributeValue::M(parts) => {
            let below = below()?;
            parts.values().try_for_each(|part| check(part, below))
        }
        _ => Ok(()),
    }
}

enum Magnitude {
    Fits,
    NotFinite,
    OutOfRange,
}

fn magnitude(number: &str) -> Magnitude {
    let unsigned = number.trim_start_matches('-');
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return Magnitude::NotFinite;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let Ok(exponent) = exponent.parse::<i64>() else { return Magnitude::OutOfRange };
    if significant.is_empty() {
        return Magnitude::Fits;
    }
    let leading = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let first = i64::try_from(whole.len()).unwrap_or(i64::MAX) - 1 - leading + exponent;
    let fits = significant.trim_end_matches('0').len() <= DIGITS && EXPONENTS.contains(&first);
    if fits { Magnitude::Fits } else { Magnitude::OutOfRange }
}

pub(crate) fn decode_value<T>(value: &AttributeValue) -> Result<T, Problem>
where
    T: DeserializeOwned,
{
    serde_dynamo::from_attribute_value(value.clone()).map_err(|error| Problem::misfit(&error))
}

/// Takes a value apart, down to so many levels.
pub(crate) fn tree(value: &AttributeValue, levels: usize) -> Option<Tree> {
    let below = |part: &AttributeValue| tree(part, levels.checked_sub(1)?);
    Some(match value {
        AttributeValue::L(parts) => Tree::List(parts.iter().map(below).collect::<Option<_>>()?),
        AttributeValue::M(parts) => {
            let parts = parts.iter().map(|(key, part)| Some((key.clone().into_bytes(), below(part)?)));
            Tree::Object(parts.collect::<Option<BTreeMap<_, _>>>()?)
        }
        scalar => Tree::Scalar(Scalar::Native(scalar.clone())),
    })
}

/// Writes what was taken apart.
pub(crate) fn write(tree: &Tree) -> Option<AttributeValue> {
    Some(match tree {
        Tree::Scalar(Scalar::Native(value)) => value.clone(),
        Tree::Scalar(_) => return None,
        Tree::List(parts) => AttributeValue::L(parts.iter().map(write).collect::<Option<_>>()?),
        Tree::Object(parts) => {
            let parts = parts.iter().map(|(key, part)| Some((String::from_utf8(key.clone()).ok()?, write(part)?)));
            AttributeValue::M(parts.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_dynamodb_cannot_keep_is_refused() {
        for fits in
            ["0", "-0", "1", "-1.5", "9e125", "1e-130", "0.001", &"9".repeat(38), &format!("1{}", "0".repeat(125))]
        {
            assert!(matches!(magnitude(fits), Magnitude::Fits), "{fits}");
        }
        for out in ["1e126", "1e-131", &"9".repeat(39), &u128::MAX.to_string(), &format!("1{}", "0".repeat(126))] {
            assert!(matches!(magnitude(out), Magnitude::OutOfRange), "{out}");
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(encode_value(&number), Err(Problem::NotFinite(NAME)), "{number}");
        }
        assert_eq!(encode_value(&f64::MAX), Err(Problem::OutOfRange(NAME)));
    }
}
