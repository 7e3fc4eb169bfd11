//! A load that is under way, and what it means for a request.

use tokio::sync::watch;

/// Says that the credentials are being loaded, and tells when that has ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the AWS credentials are still being loaded")]
pub(crate) struct Loading(pub(super) watch::Receiver<()>);

impl Loading {
    /// Waits until the load has ended, one way or the other.
    pub(crate) async fn ended(&self) {
        // An error says that the task has ended, which is an end too.
        let _ = self.0.clone().changed().await;
    }
}

/// What to do after a refusal.
pub(crate) enum Refused {
    /// Who has signed the request has been replaced since.
    TryAgain,
    /// They are being looked up.
    TryAfter(Loading),
    /// They were looked up a moment ago.
    GiveUp,
}
