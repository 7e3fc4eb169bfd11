//! A value that is read from whichever scalar the configuration holds.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};

/// Reads a value from a text, a number or a flag; what it refuses, the error names beside what was expected.
pub(super) struct Scalar<T> {
    /// What the error says was expected.
    pub(super) expected: &'static str,
    pub(super) text: Option<fn(&str) -> Option<T>>,
    pub(super) whole: Option<fn(u64) -> Option<T>>,
    pub(super) float: Option<fn(f64) -> Option<T>>,
    pub(super) flag: Option<fn(bool) -> Option<T>>,
}

impl<T> Scalar<T> {
    /// Returns a scalar that refuses all; its owner adds what it reads.
    pub(super) const fn expecting(expected: &'static str) -> Self {
        Self { expected, text: None, whole: None, float: None, flag: None }
    }

    fn read<V, E>(&self, read: Option<fn(V) -> Option<T>>, value: V, found: Unexpected<'_>) -> Result<T, E>
    where
        E: Error,
    {
        match read {
            Some(read) => read(value).ok_or_else(|| E::invalid_value(found, self)),
            None => Err(E::invalid_type(found, self)),
        }
    }
}

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match self.text {
            Some(read) => read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self)),
            None => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(self.whole, number, Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) if self.whole.is_some() => Err(E::invalid_value(Unexpected::Signed(number), &self)),
            Err(_) => Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.read(self.float, number, Unexpected::Float(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T, E> {
        self.read(self.flag, flag, Unexpected::Bool(flag))
    }
}
