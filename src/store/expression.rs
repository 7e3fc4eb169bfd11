//! The expressions of a write: what it changes, and on which condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::item::number;
use crate::store::row::{DATA, MODIFIED, TTL};
use crate::store::version::Version;

/// No row stands there; a tombstone, expired or not, is a row.
pub(super) const NEW: &str = "attribute_not_exists(id)";
const NO_TOMBSTONE: &str = "attribute_exists(id) AND attribute_not_exists(ended) AND attribute_not_exists(successor)";

/// An expression with its names and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Expression {
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
    pub(super) condition: String,
    set: String,
    remove: String,
}

impl Expression {
    /// The row exists and is no tombstone; it may be expired or undecodable.
    pub(super) fn no_tombstone() -> Self {
        Self { condition: NO_TOMBSTONE.into(), ..Self::default() }
    }

    /// As above, and the row is a session's: the handle of whatever else stands in the table ends nothing.
    pub(super) fn session() -> Self {
        let mut on = Self::no_tombstone();
        let data = on.name(DATA);
        on.condition.push_str(&format!(" AND attribute_exists({data})"));
        on
    }

    /// The row is live, when this is sent.
    pub(super) fn live(now: i64) -> Self {
        let mut on = Self::no_tombstone();
        on.also(TTL, ">", ":now", number(now));
        on
    }

    /// The row is live and is the one that was read. Without a `modified`, `attribute_exists` stands beside it.
    pub(super) fn seen(version: &Version, now: i64) -> Self {
        let mut on = Self::live(now);
        match &version.0 {
            Some(modified) => on.also(MODIFIED, "=", ":seen", modified.clone()),
            None => on.condition.push_str(" AND attribute_not_exists(modified)"),
        }
        on
    }

    /// Adds a comparison to the condition.
    pub(super) fn also(&mut self, name: &str, compare: &str, as_value: &str, value: AttributeValue) {
        let name = self.name(name);
        for part in [" AND ", &name, " ", compare, " ", as_value] {
            self.condition.push_str(part);
        }
        self.values.insert(as_value.to_owned(), value);
    }

    /// Sets an attribute, or removes it.
    pub(super) fn put(&mut self, name: &str, value: Option<AttributeValue>) {
        let named = self.name(name);
        let list = if value.is_some() { &mut self.set } else { &mut self.remove };
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&named);
        if let Some(value) = value {
            self.set.push_str(" = :");
            self.set.push_str(name);
            self.values.insert(format!(":{name}"), value);
        }
    }

    /// Removes an attribute of another program's, whatever its name.
    pub(super) fn remove_foreign(&mut self, name: &str) {
        let named = format!("#x{}", self.names.len());
        if !self.remove.is_empty() {
            self.remove.push_str(", ");
        }
        self.remove.push_str(&named);
        self.names.insert(named, name.to_owned());
    }

    /// `SET … REMOVE …`.
    pub(super) fn change(&self) -> String {
        let mut change = String::with_capacity(self.set.len() + self.remove.len() + 12);
        for (word, list) in [("SET ", &self.set), (" REMOVE ", &self.remove)] {
            if !list.is_empty() {
                change.push_str(word);
                change.push_str(list);
            }
        }
        change
    }

    /// The name as expressions want it: of our attributes, DynamoDB reserves `data` and `ttl`.
    fn name(&mut self, name: &str) -> String {
        if !matches!(name, DATA | TTL) {
            return name.to_owned();
        }
        let named = format!("#{name}");
        if !self.names.contains_key(&named) {
            self.names.insert(named.clone(), name.to_owned());
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reserved_words_get_another_name() {
        let mut on = Expression::seen(&Version(None), 7);
        on.put("data", Some(number(1)));
        on.put("started", Some(number(2)));
        on.put("cookie", None);
        on.remove_foreign("a.b");
        assert_eq!(on.change(), "SET #data = :data, started = :started REMOVE cookie, #x2");
        assert_eq!(on.condition, format!("{NO_TOMBSTONE} AND #ttl > :now AND attribute_not_exists(modified)"));
        let mut names: Vec<_> = on.names.iter().map(|(name, of)| (name.as_str(), of.as_str())).collect();
        names.sort_unstable();
        assert_eq!(names, [("#data", "data"), ("#ttl", "ttl"), ("#x2", "a.b")]);
    }
}
