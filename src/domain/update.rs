//! An `update` of the log: a closure, and what it saw and answered.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;

use crate::domain::text::Text;
use crate::domain::value::Value;
use crate::error::Error;

/// An `update` closure with its types taken off: the stored value in, the new one out.
pub(crate) type Run = Box<dyn Fn(Option<&Value>) -> Result<Value, Error> + Send + Sync>;

thread_local! {
    /// The request whose closure runs again on this thread; 0 is none.
    static RUNS_AGAIN: Cell<u64> = const { Cell::new(0) };
    /// The request whose closure runs for the first time on this thread, and how many operations it appended.
    static RUNS_FIRST: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Runs a closure of a request for the first time. Also says how many operations it appended to the request's log.
pub(crate) fn first<T>(request: u64, run: impl FnOnce() -> T) -> (T, u64) {
    struct Restore(u64, u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            // What a closure within a closure appends is the outer one's too.
            let (request, appended) = RUNS_FIRST.get();
            let within = if request == self.0 { appended } else { 0 };
            RUNS_FIRST.set((self.0, self.1 + within));
        }
    }
    let (outer, count) = RUNS_FIRST.replace((request, 0));
    let _restore = Restore(outer, count);
    let output = run();
    (output, RUNS_FIRST.get().1)
}

/// Notes an operation that was appended to a request's log.
pub(crate) fn appended(request: u64) {
    let (first, count) = RUNS_FIRST.get();
    if first == request {
        RUNS_FIRST.set((first, count + 1));
    }
}

/// Runs a closure of a request again. What it does to that request's session it did when it ran first: that is in the log.
pub(crate) fn again<T>(request: u64, run: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNS_AGAIN.set(self.0);
        }
    }
    let _restore = Restore(RUNS_AGAIN.replace(request));
    run()
}

/// Whether a closure of this request runs again on this thread.
pub(crate) fn runs_again(request: u64) -> bool {
    RUNS_AGAIN.get() == request
}

/// Changes the value under a key by a function of it. The function runs again only over another value than the one it
/// saw: what it answered, and the handler showed, is what is stored.
pub(crate) struct Update {
    pub(crate) key: Text,
    request: u64,
    run: Run,
    memory: Mutex<Memory>,
}

/// The last run.
struct Memory {
    seen: Option<Value>,
    answer: Value,
}

impl Update {
    /// Keeps a closure that has answered `answer` over `seen`.
    pub(crate) fn new(request: u64, key: Text, run: Run, seen: Option<Value>, answer: Value) -> Self {
        Self { request, key, run, memory: Mutex::new(Memory { seen, answer }) }
    }

    /// What it answered last.
    pub(crate) fn answer(&self) -> Value {
        self.memory.lock().answer.clone()
    }

    /// What it answers over this value. The closure may run: no lock may be held.
    pub(crate) fn over(&self, value: Option<&Value>) -> Result<Value, Error> {
        {
            let memory = self.memory.lock();
            if memory.seen.as_ref() == value {
                return Ok(memory.answer.clone());
            }
        }
        let answer = catch_unwind(AssertUnwindSafe(|| again(self.request, || (self.run)(value))))
            .unwrap_or_else(|_| Err(Error::UpdatePanicked { key: self.key.as_str().to_owned() }))?;
        *self.memory.lock() = Memory { seen: value.cloned(), answer: answer.clone() };
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::codec::Codec;

    fn value(number: u64) -> Value {
        Value::encode(Codec::Json, &number).expect("a number")
    }

    #[test]
    fn a_closure_runs_again_only_over_another_value() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let run: Run = Box::new(move |_| Ok(value(10 + counted.fetch_add(1, Ordering::Relaxed) as u64)));
        let update = Update::new(1, Text::from("n"), run, Some(value(1)), value(9));
        let over = |n: Option<u64>| update.over(n.map(value).as_ref()).expect("it answers");
        for (seen, answer) in [(Some(1), 9), (Some(2), 10), (Some(2), 10), (None, 11), (None, 11), (Some(1), 12)] {
            assert_eq!(over(seen), value(answer), "{seen:?}");
        }
        assert_eq!((runs.load(Ordering::Relaxed), update.answer()), (3, value(12)));
    }

    #[test]
    fn a_closure_that_runs_again_is_known_also_after_it_panicked() {
        let update = Update::new(
            7,
            Text::from("n"),
            Box::new(|_| {
                assert!(runs_again(7) && !runs_again(8));
                again(8, || assert!(runs_again(8)));
                assert!(runs_again(7));
                panic!("a bug")
            }),
            None,
            value(1),
        );
        assert!(update.over(Some(&value(2))).is_err());
        assert!(!runs_again(7));
    }

    #[test]
    fn an_update_that_panics_is_an_error_and_names_its_key() {
        let update = Update::new(1, Text::from("n"), Box::new(|_| panic!("a bug")), None, value(1));
        let error = update.over(Some(&value(2))).expect_err("it panicked");
        assert_eq!(error.to_string(), "the update of `n` panicked when it was replayed; nothing was stored");
    }
}
