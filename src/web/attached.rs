//! What the fairing attaches for the guard: the sessions, and how their IDs travel.

use std::sync::Arc;

use rocket::Request;
use rocket::response::Result as Responded;

use crate::config::OnOutage;
use crate::error::Error;
use crate::operator::sessions::Sessions;
use crate::session::ending::Ending;
use crate::web::transport::Transport;

/// What an application answers where a session could not be loaded or stored.
pub(crate) type OnFailure = Arc<dyn for<'r> Fn(&Error, &'r Request<'_>) -> Responded<'static> + Send + Sync>;

/// In managed state, beside [`Sessions`].
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) sessions: Sessions,
    pub(crate) transport: Transport,
    pub(crate) on_failure: Option<OnFailure>,
}

impl Attached {
    /// Loads the session that a request brings.
    pub(crate) async fn load(&self, request: &Request<'_>, head_sent: bool) -> Result<Arc<Ending>, Error> {
        let anonymous = self.sessions.config().on_outage == OnOutage::Anonymous;
        Ending::load(&self.sessions.registry, &self.transport.ids(request), head_sent, anonymous).await
    }
}
