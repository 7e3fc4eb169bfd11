//! One provider's identity: the task that loads it, renews it ahead of its end, and tries again what failed.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::IdentityCache;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::{Identity, ResolveIdentity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::loading::{Loading, Refused};
use crate::error::Chain;
use crate::store::credentials::{self, Unloaded};

/// The longest that a load may take: what a credential helper does that asks for more is lost.
const LONGEST_LOAD: Duration = Duration::from_secs(60);

/// The pause before a load that failed is tried once more, before anybody is told.
const SECOND_TRY: Duration = Duration::from_millis(250);

/// The pause after a load that failed; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Renewed so long before the end, or at three quarters of a short life: EC2 and ECS have new ones five minutes before.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// What has no end is looked up again after so long, as the SDK does: a file may hold other credentials by then.
const WITHOUT_END: Duration = Duration::from_secs(15 * 60);

/// Credentials that DynamoDB refuses are looked up again, not more often than this.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// One provider's identity.
pub(super) struct Slot {
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    state: Mutex<State>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<Unloaded>,
    /// The task that loads and renews, while there is one: its receiver is told of each load's end.
    keeper: Option<watch::Receiver<()>>,
    /// Whether somebody was told of the failure.
    asked: bool,
    /// What the log was told last, until a load succeeds.
    logged: Option<String>,
    /// A load is under way, or ordered.
    loading: bool,
    /// When the last load has ended.
    loaded: Option<Instant>,
}

struct Held {
    identity: Identity,
    end: Option<SystemTime>,
    renew: SystemTime,
}

pub(super) enum Asked {
    Held(Identity),
    Failed(Unloaded),
    Loading(Loading),
}

impl Held {
    /// What has expired when it comes is used for a while all the same: DynamoDB judges by its own clock.
    fn new(identity: Identity, now: SystemTime) -> Self {
        let end = identity.expiration().map(|end| if end > now { end } else { now + LONGEST_PAUSE });
        let life = end.map(|end| end.duration_since(now).unwrap_or_default());
        let renew = now + life.map_or(WITHOUT_END, |life| life - AHEAD.min(life / 4));
        Self { identity, end, renew }
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.end.is_none_or(|end| now < end)
    }
}

impl State {
    /// The task that loads, unless it has ended, or its runtime.
    fn keeper(&self) -> Option<Loading> {
        let mut keeper = self.keeper.clone().filter(|keeper| keeper.has_changed().is_ok())?;
        keeper.mark_unchanged();
        Some(Loading(keeper))
    }
}

impl Slot {
    pub(super) fn new(resolver: &SharedIdentityResolver, components: &RuntimeComponents) -> Arc<Self> {
        // Without what leads back to this slot and to the client: it would outlive its application. No provider of
        // credentials looks at either.
        let alone = components.to_builder().with_identity_cache(Some(IdentityCache::no_cache()));
        let alone = alone.with_http_client(None::<SharedHttpClient>).build();
        Arc::new(Self {
            resolver: resolver.clone(),
            components: alone.expect("components made of complete ones are complete"),
            state: Mutex::default(),
            wake: Arc::default(),
        })
    }

    fn now(&self) -> SystemTime {
        self.components.time_source().map_or(SystemTime::UNIX_EPOCH, |source| source.now())
    }

    pub(super) fn ask(self: &Arc<Self>) -> Asked {
        let now = self.now();
        let mut state = self.state.lock();
        let keeper = state.keeper();
        if let Some(held) = state.held.as_ref().filter(|held| held.is_valid(now)) {
            let identity = held.identity.clone();
            if held.renew <= now && keeper.is_none() {
                self.start(&mut state);
            }
            return Asked::Held(identity);
        }
        match (keeper, state.failure.clone()) {
            (Some(_), Some(failure)) => {
                state.asked = true;
                Asked::Failed(failure)
            }
            (Some(loading), None) => {
                // It may be asleep: what it holds came to its end before its time, or the machine slept.
                if state.held.is_some() && !state.loading {
                    state.loading = true;
                    self.wake.notify_one();
                }
                Asked::Loading(loading)
            }
            (None, _) => Asked::Loading(self.start(&mut state)),
        }
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Loading {
        let (tell, told) = watch::channel(());
        state.failure = None;
        state.loading = true;
        state.keeper = Some(told.clone());
        tokio::spawn(keep(Arc::downgrade(self), tell));
        Loading(told)
    }

    pub(super) fn refused(self: &Arc<Self>, sent: Instant) -> Refused {
        let mut state = self.state.lock();
        match state.keeper() {
            Some(loading) if state.loading => Refused::TryAfter(loading),
            _ if state.loaded.is_some_and(|at| at > sent) => Refused::TryAgain,
            _ if state.loaded.is_some_and(|at| at.elapsed() < REFUSED_PAUSE) => Refused::GiveUp,
            Some(loading) => {
                state.loading = true;
                self.wake.notify_one();
                Refused::TryAfter(loading)
            }
            None => Refused::TryAfter(self.start(&mut state)),
        }
    }

    async fn load(&self) -> Result<Identity, Unloaded> {
        match self.resolve().await {
            Err(error) if credentials::may_pass(&error) => {
                sleep(SECOND_TRY).await;
                self.resolve().await
            }
            result => result,
        }
        .map_err(credentials::explain)
    }

    async fn resolve(&self) -> Result<Identity, BoxError> {
        // Providers of credentials look at neither: a client's settings are not theirs.
        let bag = ConfigBag::base();
        let identity = self.resolver.resolve_identity(&self.components, &bag);
        let caught = AssertUnwindSafe(timeout(LONGEST_LOAD, identity)).catch_unwind().await;
        caught
            .unwrap_or_else(|_| Ok(Err("the provider of credentials panicked".into())))
            .unwrap_or_else(|_| Err(Box::new(TooSlow)))
    }

    /// Takes over what a load has brought, and says how long to wait for the next one; `None` ends the task.
    fn take_over(&self, loaded: Result<Identity, Unloaded>, pause: &mut Duration) -> Option<Duration> {
        let now = self.now();
        let mut state = self.state.lock();
        (state.loading, state.loaded) = (false, Some(Instant::now()));
        match loaded {
            Ok(identity) => {
                state.failure = None;
                if state.logged.take().is_some() {
                    log::info!("the AWS credentials are loaded again");
                }
                *pause = FIRST_PAUSE;
                if identity.expiration().is_some_and(|end| end <= now) {
                    log::warn!("the AWS credentials that were loaded have expired already, by this machine's clock");
                }
                let held = Held::new(identity, now);
                let wait = held.renew.duration_since(now).unwrap_or_default().max(FIRST_PAUSE);
                let wait = held.end.map(|_| wait);
                state.held = Some(held);
                if wait.is_none() {
                    state.keeper = None;
                }
                wait
            }
            Err(failure) => {
                let valid = state.held.as_ref().is_some_and(|held| held.is_valid(now));
                let said = Chain(&failure).to_string();
                if valid {
                    log::warn!("the AWS credentials could not be renewed, the old ones are still valid: {said}");
                    state.logged = Some(said);
                } else {
                    // Once for each cause: those who ask meanwhile are told by their own errors.
                    if state.logged.as_ref() != Some(&said) {
                        log::error!("{said}");
                        state.logged = Some(said);
                    }
                    state.held = None;
                    state.failure = Some(failure);
                }
                state.asked = false;
                let wait = *pause;
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Some(wait)
            }
        }
    }

    /// Whether the load that failed is tried again by itself: not when nobody has asked since.
    fn goes_on(&self) -> bool {
        let mut state = self.state.lock();
        let goes_on = state.failure.is_none() || state.asked;
        state.loading = goes_on;
        if !goes_on {
            state.failure = None;
            state.keeper = None;
        }
        goes_on
    }
}

/// Loads, and goes on to renew what has an end, and to repeat what failed.
async fn keep(slot: Weak<Slot>, tell: watch::Sender<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(kept) = slot.upgrade() else { return };
        let loaded = kept.load().await;
        let wait = kept.take_over(loaded, &mut pause);
        tell.send_replace(());
        let Some(wait) = wait else { return };
        let wake = Arc::clone(&kept.wake);
        drop(kept);
        tokio::select! {
            () = sleep(wait) => {}
            () = wake.notified() => {}
        }
        if !slot.upgrade().is_some_and(|slot| slot.goes_on()) {
            return;
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no credentials within {} s", LONGEST_LOAD.as_secs())]
struct TooSlow;

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{Result as Provided, future};
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, ProvideCredentials, Region};

    use crate::store::connections::Lane;
    use crate::store::embedded::Embedded;
    use crate::store::link::Link;

    use super::*;

    /// Gives what the test says.
    #[derive(Clone, Debug, Default)]
    struct Given(Arc<Mutex<Vec<Provided>>>, Arc<()>);

    impl ProvideCredentials for Given {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let next = self.0.lock().pop();
            future::ProvideCredentials::ready(next.unwrap_or_else(|| Err(CredentialsError::not_loaded("no more"))))
        }
    }

    fn client(given: &Given) -> Client {
        let engine = Embedded::memory().expect("an engine").client();
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("eu-west-1"));
        let config = config.http_client(engine.config().http_client().expect("it has one"));
        Client::from_conf(config.endpoint_url("http://localhost").credentials_provider(given.clone()).build())
    }

    #[tokio::test]
    async fn what_loads_the_credentials_ends_with_the_client() {
        let lives = [None, Some(SystemTime::now() + Duration::from_secs(3600))];
        for end in lives {
            let given = Given::default();
            given.0.lock().push(Ok(Credentials::new("key", "secret", None, end, "test")));
            let link = Link::new(&client(&given), None);
            link.patient().list_tables().send().await.expect("it is signed");
            link.client(Lane::Pooled).list_tables().send().await.expect("one load is enough");
            assert!(Arc::strong_count(&given.1) > 1);
            drop(link);
            tokio::task::yield_now().await;
            assert_eq!(Arc::strong_count(&given.1), 1, "{end:?}: nothing holds the provider");
        }
    }

    #[tokio::test]
    async fn a_client_of_the_applications_own_is_signed_by_its_own_provider() {
        let given = Given::default();
        let link = Link::new(&client(&given), None);
        let error = link.patient().list_tables().send().await.expect_err("nothing is given");
        let unloaded = crate::store::identity::cause::<Unloaded>(&error).expect("it says why");
        assert!(unloaded.to_string().starts_with("no AWS credentials: set AWS_ACCESS_KEY_ID"), "{unloaded}");
        assert!(Chain(unloaded).to_string().ends_with(": no more"), "{}", Chain(unloaded));
    }
}
