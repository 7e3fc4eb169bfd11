//! Who signs the requests: loaded once for all that wait, in a task that no request cancels, outside the time-out of an
//! attempt, and renewed ahead of the end.
//!
//! The SDK's own cache loads within the attempt that asks first, so that a credential helper slower than an attempt never
//! answers: each attempt's time-out throws its work away.

mod keeper;
mod loading;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::identity::{
    IdentityCachePartition, IdentityFuture, ResolveCachedIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::keeper::{Asked, Slot};

pub(crate) use self::loading::{Loading, Refused};

/// The identities of this process's requests, of whichever provider they come.
#[derive(Default)]
pub(crate) struct Identities(Mutex<Vec<(IdentityCachePartition, Arc<Slot>)>>);

/// The identities as a cache of a client.
#[derive(Debug)]
pub(crate) struct Cache {
    identities: Arc<Identities>,
    /// Whether a request waits for a load, or fails with [`Loading`].
    waits: bool,
}

impl Identities {
    /// These identities as the cache of a client whose requests wait for a load, or fail with [`Loading`].
    pub(crate) fn cache(self: &Arc<Self>, waits: bool) -> Cache {
        Cache { identities: Arc::clone(self), waits }
    }

    fn slot(&self, resolver: &SharedIdentityResolver, components: &RuntimeComponents) -> Arc<Slot> {
        let partition = resolver.cache_partition();
        let mut slots = self.0.lock();
        if let Some((_, slot)) = slots.iter().find(|(of, _)| *of == partition) {
            return Arc::clone(slot);
        }
        let slot = Slot::new(resolver, components);
        slots.push((partition, Arc::clone(&slot)));
        slot
    }

    /// DynamoDB refused what they signed in a request sent at that time: they are looked up again.
    pub(crate) fn refused(&self, sent: Instant) -> Refused {
        let slots: Vec<_> = self.0.lock().iter().map(|(_, slot)| Arc::clone(slot)).collect();
        let answers = slots.iter().map(|slot| slot.refused(sent));
        answers.fold(Refused::GiveUp, |last, answer| if let Refused::GiveUp = answer { last } else { answer })
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities(..)")
    }
}

impl ResolveCachedIdentity for Cache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let slot = self.identities.slot(&resolver, components);
        match slot.ask() {
            Asked::Held(identity) => IdentityFuture::ready(Ok(identity)),
            Asked::Failed(failure) => IdentityFuture::ready(Err(failure.into())),
            Asked::Loading(loading) if !self.waits => IdentityFuture::ready(Err(loading.into())),
            Asked::Loading(loading) => IdentityFuture::new(async move {
                let mut loading = loading;
                loop {
                    loading.ended().await;
                    match slot.ask() {
                        Asked::Held(identity) => return Ok(identity),
                        Asked::Failed(failure) => return Err(failure.into()),
                        Asked::Loading(more) => loading = more,
                    }
                }
            }),
        }
    }
}

/// The first error of this type among the causes.
pub(crate) fn cause<'a, T>(error: &'a (dyn StdError + 'static)) -> Option<&'a T>
where
    T: StdError + 'static,
{
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref::<T>())
}
