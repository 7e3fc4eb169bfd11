//! How the session of a request is loaded.

use std::sync::Arc;

use crate::domain::id::SessionId;
use crate::domain::state::Origin;
use crate::error::{Chain, Error};
use crate::session::ending::Ending;
use crate::session::registry::{Counters, Registry};
use crate::store::place::Loaded;

impl Ending {
    /// Loads the session of a request: of several IDs that it brought the first that opens a live row, or the first of all
    /// where none does. `anonymous`: where the store cannot be asked, the request goes on without it.
    pub(crate) async fn load(
        registry: &Arc<Registry>,
        ids: &[SessionId],
        head_sent: bool,
        anonymous: bool,
    ) -> Result<Arc<Self>, Error> {
        let budget = registry.budget();
        let mut found: Option<(SessionId, Loaded)> = None;
        for id in ids {
            Counters::count(&registry.counters.loads, 1);
            let spending = budget.spend();
            let loaded = registry.store.load(id, &budget).await;
            drop(spending);
            match loaded {
                Ok(loaded) if matches!(loaded.origin, Origin::Live { .. }) => {
                    found = Some((*id, loaded));
                    break;
                }
                Ok(loaded) => {
                    found.get_or_insert((*id, loaded));
                }
                // Whether this one opens a live row, nobody knows: the next must not be taken for it.
                Err(error) => {
                    Counters::count(&registry.counters.failed, 1);
                    let key = registry.store.row_key(id);
                    log::error!("session {} could not be loaded: {}", key.handle(), Chain(&error));
                    if !anonymous {
                        return Err(error);
                    }
                    let loaded = Loaded::unavailable(key);
                    return Ok(Self::new(registry, Some(*id), loaded, budget, head_sent, Some(error)));
                }
            }
        }
        let (id, loaded) = found.map_or((None, Loaded::FRESH), |(id, loaded)| (Some(id), loaded));
        Ok(Self::new(registry, id, loaded, budget, head_sent, None))
    }
}
