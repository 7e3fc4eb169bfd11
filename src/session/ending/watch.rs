//! Who waits for what becomes of operations, and what became of them.

use crate::error::Error;

/// What became of operations that somebody waits for.
#[derive(Clone, Debug)]
pub(in crate::session) enum Outcome {
    /// They are in the table, or nothing had to be done for them.
    Stored,
    /// Their commit ended, and they were not written: the session had ended, or a login superseded it.
    Dropped,
    /// They are not tried any more.
    Lost(Error),
}

/// A wait for the operations with these numbers.
struct Watch {
    id: u64,
    from: u64,
    until: u64,
    outcome: Option<Outcome>,
}

/// All waits of a session.
#[derive(Default)]
pub(super) struct Watches {
    next: u64,
    waiting: Vec<Watch>,
}

impl Watches {
    pub(super) fn begin(&mut self, from: u64, until: u64) -> u64 {
        self.next += 1;
        self.waiting.push(Watch { id: self.next, from, until, outcome: None });
        self.next
    }

    /// Tells what became of operations. A loss is not forgotten for what else was stored.
    pub(super) fn tell(&mut self, numbers: impl Iterator<Item = u64>, outcome: &Outcome) {
        if self.waiting.is_empty() {
            return;
        }
        for number in numbers {
            for watch in self.waiting.iter_mut().filter(|watch| (watch.from..watch.until).contains(&number)) {
                if !matches!(watch.outcome, Some(Outcome::Lost(_))) {
                    watch.outcome = Some(outcome.clone());
                }
            }
        }
    }

    pub(super) fn end(&mut self, id: u64) -> Option<Outcome> {
        let at = self.waiting.iter().position(|watch| watch.id == id)?;
        self.waiting.swap_remove(at).outcome
    }
}
