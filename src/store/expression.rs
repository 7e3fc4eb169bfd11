//! The expressions of a write: what it changes, and on which condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::row::{ID, MODIFIED, SUCCESSOR, TTL, Version, number};

const NO_TOMBSTONE: &str = "attribute_not_exists(#successor)";
const LIVE: &str = "attribute_exists(#id) AND attribute_not_exists(#successor) AND #ttl > :now";

/// An expression with its names and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Expression {
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
    pub(super) condition: String,
}

impl Expression {
    /// The row is live, when this is sent.
    pub(super) fn live(now: i64) -> Self {
        let mut live = Self { condition: LIVE.into(), ..Self::default() };
        live.name(ID).name(SUCCESSOR).name(TTL).value(":now", number(now));
        live
    }

    /// The row is no tombstone; it may be absent or expired.
    pub(super) fn no_tombstone() -> Self {
        let mut on = Self { condition: NO_TOMBSTONE.into(), ..Self::default() };
        on.name(SUCCESSOR);
        on
    }

    /// The row is live and is the one that was read. Without a `modified`, `attribute_exists` stands beside it in `LIVE`.
    pub(super) fn seen(version: &Version, now: i64) -> Self {
        let mut seen = Self::live(now);
        seen.name(MODIFIED);
        match &version.0 {
            Some(modified) => {
                seen.condition.push_str(" AND #modified = :seen");
                seen.value(":seen", modified.clone());
            }
            None => seen.condition.push_str(" AND attribute_not_exists(#modified)"),
        }
        seen
    }

    fn name(&mut self, name: &str) -> &mut Self {
        self.names.insert(format!("#{name}"), name.to_owned());
        self
    }

    fn value(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        self.values.insert(name.to_owned(), value);
        self
    }
}

/// Builds `SET … REMOVE …`.
#[derive(Debug, Default)]
pub(super) struct Change {
    set: Vec<String>,
    remove: Vec<String>,
}

impl Change {
    pub(super) fn put(&mut self, on: &mut Expression, name: &str, value: Option<AttributeValue>) {
        on.name(name);
        match value {
            Some(value) => {
                on.value(&format!(":{name}"), value);
                self.set.push(format!("#{name} = :{name}"));
            }
            None => self.remove.push(format!("#{name}")),
        }
    }

    pub(super) fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.remove.join(", "));
        }
        expression
    }
}
