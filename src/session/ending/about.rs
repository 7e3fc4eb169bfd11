//! What is known of a session beside its data, and what it is told of.

use crate::domain::state::Origin;
use crate::error::Error;
use crate::session::ending::Ending;
use crate::session::info::SessionInfo;
use crate::store::settings::Settings;

impl Ending {
    pub(in crate::session) fn settings(&self) -> &Settings {
        &self.registry.store.settings
    }

    /// Whether the client brought an ID.
    pub(in crate::session) fn brought(&self) -> bool {
        self.cell.lock().id.is_some()
    }

    /// Why the store could not be asked, where the request goes on without it.
    pub(crate) fn outage(&self) -> Option<Error> {
        let cell = self.cell.lock();
        cell.outage.clone().filter(|_| *cell.state.origin() == Origin::Unavailable)
    }

    /// What the table says of the session.
    pub(in crate::session) fn info(&self) -> Option<SessionInfo> {
        let row = self.fresh().row()?;
        Some(SessionInfo::of(&row, &self.settings().policy))
    }
}
