//! A write that was cut off.

/// Reports a write that was dropped before it ended, even when it was never polled: the runtime was torn down.
pub(super) struct CutOff<F>
where
    F: Fn(),
{
    report: F,
    done: bool,
}

impl<F> CutOff<F>
where
    F: Fn(),
{
    pub(super) fn new(report: F) -> Self {
        Self { report, done: false }
    }

    /// The write ended.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl<F> Drop for CutOff<F>
where
    F: Fn(),
{
    fn drop(&mut self) {
        if !self.done && !std::thread::panicking() {
            (self.report)();
        }
    }
}
