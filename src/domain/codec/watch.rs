//! What is watched while a value is written: what its codec could not read back is refused, with the reason.

use std::cell::{Cell, RefCell};

use serde::ser::Error;

use crate::domain::problem::Problem;

/// What a codec can read back.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) codec: &'static str,
    /// The most levels of lists and maps.
    pub(super) levels: usize,
    /// It has NaN and infinity.
    pub(super) not_finite: bool,
    /// It has integers of 128 bits.
    pub(super) wide: bool,
    /// It has keys of all types; else they are texts.
    pub(super) any_keys: bool,
    /// It writes how many parts there are in front of them.
    pub(super) counts: bool,
}

/// Values that lie in each other without a level of their own, as in `Some` and in newtypes, for each level: what is deeper
/// would exhaust the stack.
const CALLS_PER_LEVEL: usize = 8;

/// How the names begin that serde_json gives to what serde has no word for.
pub(super) const RESERVED: &str = "$serde_json::private::";

pub(super) struct Watch {
    pub(super) rules: Rules,
    levels: Cell<usize>,
    calls: Cell<usize>,
    in_key: Cell<bool>,
    refused: RefCell<Option<Problem>>,
}

impl Watch {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, levels: Cell::new(0), calls: Cell::new(0), in_key: Cell::new(false), refused: RefCell::default() }
    }

    /// Why the value was refused, where it was its codec that did.
    pub(super) fn reason(self) -> Option<Problem> {
        self.refused.into_inner()
    }

    /// Notes the first reason; those after it follow from it.
    pub(super) fn refuse<E: Error>(&self, reason: Problem) -> E {
        self.refused.borrow_mut().get_or_insert(reason);
        E::custom("refused")
    }

    /// Goes down so many levels.
    pub(super) fn down<E: Error>(&self, levels: usize) -> Result<(), E> {
        let (level, Rules { codec, levels: most, .. }) = (self.levels.get() + levels, self.rules);
        if level > most {
            return Err(self.refuse(Problem::TooDeep { codec, most }));
        }
        self.levels.set(level);
        Ok(())
    }

    pub(super) fn up(&self, levels: usize) {
        self.levels.set(self.levels.get().saturating_sub(levels));
    }

    /// Writes a value within another.
    pub(super) fn call<T, E: Error>(&self, write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let (calls, Rules { codec, levels: most, .. }) = (self.calls.get() + 1, self.rules);
        if calls > most * CALLS_PER_LEVEL {
            return Err(self.refuse(Problem::TooDeep { codec, most }));
        }
        self.calls.set(calls);
        let written = write();
        self.calls.set(calls - 1);
        written
    }

    pub(super) fn finite<E: Error>(&self, finite: bool) -> Result<(), E> {
        if finite || self.rules.not_finite {
            return Ok(());
        }
        Err(self.refuse(Problem::NotFinite(self.rules.codec)))
    }

    pub(super) fn wide<E: Error>(&self) -> Result<(), E> {
        if self.rules.wide { Ok(()) } else { Err(self.refuse(Problem::Wide(self.rules.codec))) }
    }

    /// Writes a key that may be of any type.
    pub(super) fn within_key<T>(&self, write: impl FnOnce() -> T) -> T {
        let outer = self.in_key.replace(true);
        let written = write();
        self.in_key.set(outer);
        written
    }

    /// Checks a text, where it is in a key.
    pub(super) fn text<E: Error>(&self, text: &str) -> Result<(), E> {
        if self.in_key.get() { self.name(text) } else { Ok(()) }
    }

    /// Checks a name: `serde_json::Value` takes a map with one of its own for its raw value or its number, in every codec.
    pub(super) fn name<E: Error>(&self, name: &str) -> Result<(), E> {
        if name.starts_with(RESERVED) { Err(self.refuse(Problem::Reserved)) } else { Ok(()) }
    }

    pub(super) fn key<E: Error>(&self) -> E {
        self.refuse(Problem::Key(self.rules.codec))
    }
}

/// How many parts are still to come, where that must be as was said in front of them.
pub(super) struct Parts(Option<usize>);

impl Parts {
    /// A codec that writes no number closes an empty list at once.
    pub(super) fn new(watch: &Watch, said: Option<usize>) -> Self {
        Self(said.filter(|said| watch.rules.counts || *said == 0))
    }

    pub(super) fn next<E: Error>(&mut self, watch: &Watch) -> Result<(), E> {
        match &mut self.0 {
            Some(0) => Err(watch.refuse(Problem::Unwritable)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn end<E: Error>(&self, watch: &Watch) -> Result<(), E> {
        if self.0.is_none_or(|left| left == 0) { Ok(()) } else { Err(watch.refuse(Problem::Unwritable)) }
    }
}
