//! What a value says, whatever its spelling, as a tree: for comparing, and for merging what two requests made of it.

use std::collections::BTreeMap;

/// The most levels that are looked into; what is deeper, another program wrote, and is compared as it is spelt.
pub(crate) const MOST_LEVELS: usize = 256;

/// A value, taken apart. Objects have no order; numbers are as they are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Scalar(Scalar),
    List(Vec<Tree>),
    /// By keys as their codec writes them.
    Object(BTreeMap<Vec<u8>, Tree>),
}

/// What has no parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    /// JSON's number, `true`, `false` or `null`.
    Json(String),
    /// JSON's string, without its escapes.
    Text(String),
    #[cfg(feature = "cbor")]
    Cbor(CborScalar),
    #[cfg(feature = "native")]
    Native(serde_dynamo::AttributeValue),
}

/// A scalar of CBOR. Equal is what means the same: NaN too, for what is stored is compared, not computed with.
#[cfg(feature = "cbor")]
#[derive(Clone, Debug)]
pub(crate) struct CborScalar(pub(crate) ciborium::Value);

#[cfg(feature = "cbor")]
impl PartialEq for CborScalar {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (ciborium::Value::Float(this), ciborium::Value::Float(other)) => this.to_bits() == other.to_bits(),
            (this, other) => this == other,
        }
    }
}

impl Tree {
    /// Merges what two requests made of one value: objects key by key, lists that both only appended to, equal changes once.
    /// `None` where both changed the same in different ways.
    pub(crate) fn merge(base: &Self, ours: &Self, theirs: &Self) -> Option<Self> {
        if ours == theirs || ours == base {
            return Some(theirs.clone());
        }
        if theirs == base {
            return Some(ours.clone());
        }
        match (base, ours, theirs) {
            (Self::Object(base), Self::Object(ours), Self::Object(theirs)) => {
                let keys = base.keys().chain(ours.keys()).chain(theirs.keys());
                let keys: std::collections::BTreeSet<&Vec<u8>> = keys.collect();
                let mut merged = BTreeMap::new();
                for key in keys {
                    if let Some(value) = merge_part(base.get(key), ours.get(key), theirs.get(key))? {
                        merged.insert(key.clone(), value);
                    }
                }
                Some(Self::Object(merged))
            }
            (Self::List(base), Self::List(ours), Self::List(theirs)) => {
                let (ours, others) = (ours.strip_prefix(&base[..])?, theirs.strip_prefix(&base[..])?);
                let equal = ours.iter().zip(others).take_while(|(ours, others)| ours == others).count();
                Some(Self::List([&theirs[..], &ours[equal..]].concat()))
            }
            _ => None,
        }
    }
}

/// Merges what may be there under a key; the outer `None` is a conflict.
fn merge_part(base: Option<&Tree>, ours: Option<&Tree>, theirs: Option<&Tree>) -> Option<Option<Tree>> {
    if ours == theirs || ours == base {
        return Some(theirs.cloned());
    }
    if theirs == base {
        return Some(ours.cloned());
    }
    match (base, ours, theirs) {
        (Some(base), Some(ours), Some(theirs)) => Tree::merge(base, ours, theirs).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::codec::json;

    fn tree(text: &str) -> Tree {
        json::tree(text, MOST_LEVELS).expect("JSON")
    }

    fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
        Tree::merge(&tree(base), &tree(ours), &tree(theirs)).map(|tree| json::write(&tree).expect("JSON"))
    }

    #[test]
    fn what_both_changed_elsewhere_is_kept() {
        for (base, ours, theirs, both) in [
            (r#"{"a":1,"b":1}"#, r#"{"a":2,"b":1}"#, r#"{"a":1,"b":3}"#, r#"{"a":2,"b":3}"#),
            (r#"{"a":1}"#, r#"{"a":1,"o":1}"#, r#"{"a":1,"t":1}"#, r#"{"a":1,"o":1,"t":1}"#),
            (r#"{"a":1,"b":1}"#, r#"{"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
            ("[1]", "[1,2]", "[1,3]", "[1,3,2]"),
            ("[]", "[1]", "[1,2]", "[1,2]"),
            ("1", "2", "2", "2"),
            ("1", "1", "2", "2"),
            ("1", "2", "1", "2"),
            (
                r#"{"a":{"l":[]}}"#,
                r#"{"a":{"l":["x"]}}"#,
                r#"{"a":{"l":["y"],"n":1}}"#,
                r#"{"a":{"l":["y","x"],"n":1}}"#,
            ),
        ] {
            assert_eq!(merged(base, ours, theirs).as_deref(), Some(both), "{base} {ours} {theirs}");
        }
    }

    #[test]
    fn what_both_changed_in_different_ways_is_a_conflict() {
        for (base, ours, theirs) in [
            ("1", "2", "3"),
            (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#),
            (r#"{"a":1}"#, r#"{}"#, r#"{"a":3}"#),
            (r#"{}"#, r#"{"a":1}"#, r#"{"a":2}"#),
            ("[1]", "[2]", "[1,3]"),
            ("[1,2]", "[1]", "[1,2,3]"),
            ("[1]", "{}", "[1,2]"),
        ] {
            assert_eq!(merged(base, ours, theirs), None, "{base} {ours} {theirs}");
        }
    }
}
