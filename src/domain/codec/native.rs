//! The codec `native`: a DynamoDB map, for people who read the table in AWS's console, and for other programs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;

use crate::domain::codec::strict;
use crate::domain::codec::watch::{RESERVED, Rules};
use crate::domain::problem::Problem;
use crate::domain::tree::{Scalar, Tree};

const NAME: &str = "native";

/// DynamoDB's limit is 32 levels; one is the map of the data, and one what lies in the last list or map.
const RULES: Rules = Rules { codec: NAME, levels: 30, not_finite: false, wide: false, any_keys: false, counts: false };

/// DynamoDB's numbers have 38 digits, from 1e-130 to just below 1e126.
const DIGITS: usize = 38;
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// Writes a value.
pub(crate) fn encode_value<T>(value: &T) -> Result<AttributeValue, Problem>
where
    T: Serialize + ?Sized,
{
    let mut value: AttributeValue = strict::write(RULES, value, |value| serde_dynamo::to_attribute_value(value))?;
    check(&mut value)?;
    Ok(value)
}

/// Refuses what DynamoDB would not keep to the last digit, or not at all.
fn check(value: &mut AttributeValue) -> Result<(), Problem> {
    match value {
        // DynamoDB's zero has no sign; what is compared with what was read must have none either.
        AttributeValue::N(number) if number == "-0" => "0".clone_into(number),
        AttributeValue::N(number) if !fits(number) => return Err(Problem::OutOfRange(NAME)),
        AttributeValue::Ns(numbers) if !numbers.iter().all(|number| fits(number)) => {
            return Err(Problem::OutOfRange(NAME));
        }
        AttributeValue::Ss(texts) => return check_set(texts),
        AttributeValue::Ns(numbers) => return check_set(numbers),
        AttributeValue::Bs(list) => return check_set(list),
        AttributeValue::L(parts) => return parts.iter_mut().try_for_each(check),
        AttributeValue::M(parts) => {
            parts.keys().try_for_each(|name| check_name(name))?;
            return parts.values_mut().try_for_each(check);
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a name of a part, or of the whole value, that DynamoDB does not take.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    match name.len() {
        // The embedded engine keeps items as JSON, and could not read it.
        _ if name.starts_with(RESERVED) => Err(Problem::Reserved),
        1..=65_535 => Ok(()),
        _ => Err(Problem::Name(NAME)),
    }
}

/// DynamoDB's sets, which a type can ask serde_dynamo for, are not empty and hold nothing twice.
fn check_set<T: Ord>(set: &[T]) -> Result<(), Problem> {
    let distinct: BTreeSet<&T> = set.iter().collect();
    if !set.is_empty() && distinct.len() == set.len() { Ok(()) } else { Err(Problem::Set(NAME)) }
}

/// Whether DynamoDB keeps a number to the last digit.
fn fits(number: &str) -> bool {
    let unsigned = number.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let Ok(exponent) = exponent.parse::<i64>() else { return false };
    if significant.is_empty() {
        return true;
    }
    let leading = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let first = i64::try_from(whole.len()).unwrap_or(i64::MAX) - 1 - leading + exponent;
    significant.trim_end_matches('0').len() <= DIGITS && EXPONENTS.contains(&first)
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
            assert!(super::fits(fits), "{fits}");
        }
        for out in ["1e126", "1e-131", &"9".repeat(39), &u128::MAX.to_string(), &format!("1{}", "0".repeat(126))] {
            assert!(!fits(out), "{out}");
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(encode_value(&number), Err(Problem::NotFinite(NAME)), "{number}");
        }
        assert_eq!(encode_value(&f64::MAX), Err(Problem::OutOfRange(NAME)));
    }
}
