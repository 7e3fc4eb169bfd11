//! How the session of a request is loaded.

use std::sync::Arc;

use crate::domain::id::SessionId;
use crate::error::{Chain, Error};
use crate::session::ending::Ending;
use crate::session::registry::{Counters, Registry};
use crate::store::place::Loaded;

impl Ending {
    /// Loads the session of a request. `anonymous`: where the store cannot be asked, the request goes on without it.
    pub(crate) async fn load(
        registry: &Arc<Registry>,
        id: Option<SessionId>,
        head_sent: bool,
        anonymous: bool,
    ) -> Result<Arc<Self>, Error> {
        let budget = registry.budget();
        let Some(id) = id else { return Ok(Self::new(registry, None, Loaded::FRESH, budget, head_sent, None)) };
        Counters::count(&registry.counters.loads, 1);
        let spending = budget.spend();
        let loaded = registry.store.load(&id, &budget).await;
        drop(spending);
        match loaded {
            Ok(loaded) => Ok(Self::new(registry, Some(id), loaded, budget, head_sent, None)),
            Err(error) => {
                Counters::count(&registry.counters.failed, 1);
                let key = registry.store.row_key(&id);
                log::error!("session {} could not be loaded: {}", key.handle(), Chain(&error));
                if !anonymous {
                    return Err(error);
                }
                let loaded = Loaded::unavailable(key);
                Ok(Self::new(registry, Some(id), loaded, budget, head_sent, Some(error)))
            }
        }
    }
}
