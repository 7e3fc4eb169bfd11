//! Tests of what may hang a worker for ever: each on a thread and a runtime of its own, with a time-out that no lock and no
//! endless poll can keep back.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What no test takes here.
const LONGEST: Duration = Duration::from_secs(15);

/// Runs a test to its end, on one thread: what hangs the thread fails the test, and not the suite.
#[track_caller]
pub fn watched<F, T>(test: F)
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = ()>,
{
    let (done, end) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test());
        drop(done);
    });
    // A panic drops the sender as well; a thread that hangs is left behind, and ends with the process.
    if end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        panic!("the worker thread hangs");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
