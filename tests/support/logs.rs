//! What is written to the log, caught. Rocket's own logger gives way to one that is set before the first `Rocket` of the
//! process is made: each test of a binary that looks at the log begins with [`catch`] or [`catch_everything`].

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::thread::ThreadId;

use log::{Level, LevelFilter, Log, Metadata, Record};

const CRATE: &str = "rocket_dynamodb_sessions";

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    thread: ThreadId,
    pub level: Level,
    pub target: String,
    pub text: String,
}

impl Line {
    /// Whether this crate wrote the line.
    pub fn is_ours(&self) -> bool {
        self.target.starts_with(CRATE)
    }
}

struct Catcher;

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static EVERYTHING: AtomicBool = AtomicBool::new(false);

impl Log for Catcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        EVERYTHING.load(Ordering::Relaxed) || metadata.target().starts_with(CRATE)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = Line {
                thread: std::thread::current().id(),
                level: record.level(),
                target: record.target().to_owned(),
                text: record.args().to_string(),
            };
            LINES.lock().expect("no panic").push(line);
        }
    }

    fn flush(&self) {}
}

thread_local! {
    /// Where the lines of this thread's test begin: with one test thread, all tests run on it.
    static START: Cell<usize> = const { Cell::new(0) };
}

/// Catches what this crate logs in this process, whatever the level.
pub fn set() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_boxed_logger(Box::new(Catcher)).expect("no `Rocket` was made before");
        log::set_max_level(LevelFilter::Trace);
    });
}

/// Catches what this crate logs from now on.
pub fn catch() {
    set();
    START.set(LINES.lock().expect("no panic").len());
}

/// Catches what all crates log: many lines, and cookies in those of Rocket and hyper.
pub fn catch_everything() {
    catch();
    EVERYTHING.store(true, Ordering::Relaxed);
}

/// All lines so far, of all tests of the process.
pub fn all() -> Vec<Line> {
    LINES.lock().expect("no panic").clone()
}

/// The lines of this level that this crate has logged in this test, if that runs on tokio's current-thread runtime: all
/// of it is then one thread.
pub fn here(level: Level) -> Vec<String> {
    let thread = std::thread::current().id();
    let lines = LINES.lock().expect("no panic");
    let here = lines.iter().skip(START.get());
    let here = here.filter(|line| line.thread == thread && line.level == level && line.is_ours());
    here.map(|line| line.text.clone()).collect()
}
