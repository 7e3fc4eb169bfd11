//! The link to DynamoDB: the clients that the store's requests go through, and what they share.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;

use crate::store::connections::{Connections, Lane};
use crate::store::identity::Identities;

/// How long one call about the table may keep an application from starting.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// What the clients of this crate share; a client that the application brought shares its configuration alone.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) identities: Arc<Identities>,
    /// None, where the client has an HTTP client of its own.
    pub(crate) connections: Option<Arc<Connections>>,
}

/// The way to DynamoDB.
pub(crate) struct Link {
    pooled: Client,
    fresh: Client,
    patient: Client,
    has_region: bool,
    pub(crate) shared: Shared,
}

impl Link {
    /// Makes the store's own clients of the one that the application has. `shared` comes with a client of this crate.
    pub(crate) fn new(client: &Client, shared: Option<Shared>) -> Self {
        let config = client.config();
        let shared = shared.unwrap_or_else(|| Shared {
            connections: config.http_client().is_none().then(Connections::new),
            ..Shared::default()
        });
        let on = |lane| {
            let own = config.to_builder();
            match &shared.connections {
                Some(connections) => own.http_client(connections.client(lane)),
                None => own,
            }
        };
        // The attempts are our own: the SDK repeats neither transaction conflicts nor by a request's deadline, and hides
        // whether it repeated a write, on which the meaning of a failed condition depends. Beside a time-out an attempt,
        // its time-outs and its protection against stalled streams cost time and protect nothing.
        let attempted = |lane| {
            let own = on(lane).retry_config(RetryConfig::disabled()).timeout_config(TimeoutConfig::disabled());
            let own = own.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            Client::from_conf(own.identity_cache(shared.identities.cache(false)).build())
        };
        let timeouts = config.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
        let timeouts = timeouts.operation_timeout(LONGEST_CALL).build();
        let patient = on(Lane::Pooled).timeout_config(timeouts).identity_cache(shared.identities.cache(true));
        Self {
            pooled: attempted(Lane::Pooled),
            fresh: attempted(Lane::Fresh),
            patient: Client::from_conf(patient.build()),
            has_region: config.region().is_some(),
            shared,
        }
    }

    /// The client whose requests are one attempt each, on this lane.
    pub(crate) fn client(&self, lane: Lane) -> &Client {
        match lane {
            Lane::Pooled => &self.pooled,
            Lane::Fresh => &self.fresh,
        }
    }

    /// The client for calls about the table: it waits for credentials, and repeats by itself, up to five seconds.
    pub(crate) fn patient(&self) -> &Client {
        &self.patient
    }

    pub(crate) fn has_region(&self) -> bool {
        self.has_region
    }

    /// The number of the pool that an attempt on this lane takes its connection from.
    pub(crate) fn pool(&self, lane: Lane) -> u64 {
        self.shared.connections.as_ref().map_or(0, |connections| connections.number(lane))
    }

    /// Tells whether an attempt on this pool was answered.
    pub(crate) fn tell(&self, pool: u64, answered: bool) {
        match &self.shared.connections {
            Some(connections) if answered => connections.answered(pool),
            Some(connections) => connections.failed(pool),
            None => {}
        }
    }
}
