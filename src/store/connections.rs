//! The connections to DynamoDB: pools that are given up when they prove dead, so that a request never waits twice for
//! connections that the network has forgotten.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use parking_lot::Mutex;
use tokio::time::Instant;

/// An idle connection is not used after so long, and closed after twice that, when hyper looks: load balancers and proxies
/// give theirs up after 50 s and more, some without a word, and hyper's own 90 s are longer than that.
const IDLE: Duration = Duration::from_secs(20);

/// The longest that a connection may take to open, where no attempt's time-out is shorter.
const CONNECT: Duration = Duration::from_millis(3100);

/// A pool that was replaced so short a time ago is not replaced again: nobody has forgotten its connections, DynamoDB is
/// slow, and all connections made anew would make it slower.
const YOUNG: Duration = Duration::from_secs(5);

/// The pools of this process. Requests use the `current` one. After a time-out, the next attempt of that request uses the
/// `next` one, whose connections are all new; when something is answered there, it becomes the current one.
pub(crate) struct Connections {
    make: Box<dyn Fn() -> SharedHttpConnector + Send + Sync>,
    pools: Mutex<Pools>,
}

struct Pools {
    current: Pool,
    next: Option<Pool>,
    replaced: Option<Instant>,
}

#[derive(Clone)]
struct Pool {
    number: u64,
    since: Instant,
    connector: SharedHttpConnector,
}

/// Which connections an attempt takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lane {
    /// Whatever the pool has.
    Pooled,
    /// None that is older than the last time-out.
    Fresh,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        Self::made_by(|| {
            // As the SDK's own client is made, but for the pool.
            let rustls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
            let connector = Connector::builder().tls_provider(rustls).connector_settings(settings);
            let connector = connector.proxy_config(ProxyConfig::from_env()).pool_idle_timeout(IDLE);
            SharedHttpConnector::new(connector.build())
        })
    }

    fn made_by(make: impl Fn() -> SharedHttpConnector + Send + Sync + 'static) -> Arc<Self> {
        let current = Pool { number: 0, since: Instant::now(), connector: make() };
        Arc::new(Self { make: Box::new(make), pools: Mutex::new(Pools { current, next: None, replaced: None }) })
    }

    /// The HTTP client that takes its connections from this lane.
    pub(crate) fn client(self: &Arc<Self>, lane: Lane) -> SharedHttpClient {
        SharedHttpClient::new(LaneClient { connections: Arc::clone(self), lane })
    }

    fn pool(&self, lane: Lane) -> Pool {
        let pools = self.pools.lock();
        match (lane, &pools.next) {
            (Lane::Fresh, Some(next)) => next.clone(),
            _ => pools.current.clone(),
        }
    }

    /// The number of the pool that an attempt on this lane takes its connection from.
    pub(crate) fn number(&self, lane: Lane) -> u64 {
        self.pool(lane).number
    }

    /// An attempt on this pool was not answered, or its connection broke: the fresh lane leads to connections that were
    /// opened after it.
    pub(crate) fn failed(&self, number: u64) {
        let stale = |pool: &Pool| pool.number <= number || pool.since.elapsed() > YOUNG;
        let newest = {
            let pools = self.pools.lock();
            match &pools.next {
                Some(next) if !stale(next) => return,
                // Others have found it out before.
                None if pools.current.number > number => return,
                next => next.as_ref().map_or(pools.current.number, |next| next.number),
            }
        };
        // Not under the lock: it reads certificates.
        let made = Pool { number: newest + 1, since: Instant::now(), connector: (self.make)() };
        let mut pools = self.pools.lock();
        if pools.current.number < made.number && pools.next.as_ref().is_none_or(|next| next.number < made.number) {
            pools.next = Some(made);
        }
    }

    /// Something was answered on this pool. When it is the next one, all requests use it from now on.
    pub(crate) fn answered(&self, number: u64) {
        let mut pools = self.pools.lock();
        if pools.current.number < number
            && pools.replaced.is_none_or(|at| at.elapsed() >= YOUNG)
            && let Some(next) = pools.next.take_if(|next| next.number == number)
        {
            log::debug!("the pooled connections to DynamoDB did not answer; they are replaced");
            pools.current = next;
            pools.replaced = Some(Instant::now());
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.pools.lock();
        let next = pools.next.as_ref().map(|next| next.number);
        f.debug_struct("Connections").field("current", &pools.current.number).field("next", &next).finish()
    }
}

#[derive(Debug)]
struct LaneClient {
    connections: Arc<Connections>,
    lane: Lane,
}

impl HttpClient for LaneClient {
    /// One pool for all clients, whatever their time-outs: those of the attempts hold.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connections.pool(self.lane).connector
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use tokio::time::advance;

    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl HttpConnector for Nowhere {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Err(ConnectorError::io("nowhere".into())))
        }
    }

    fn connections() -> Arc<Connections> {
        Connections::made_by(|| SharedHttpConnector::new(Nowhere))
    }

    fn lanes(connections: &Connections) -> [u64; 2] {
        [Lane::Pooled, Lane::Fresh].map(|lane| connections.number(lane))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_failed_is_replaced_when_the_next_one_answers() {
        let connections = connections();
        connections.failed(0);
        connections.failed(0);
        assert_eq!(lanes(&connections), [0, 1], "the others go on until something is known");
        connections.answered(0);
        assert_eq!(lanes(&connections), [0, 1]);
        connections.answered(1);
        assert_eq!(lanes(&connections), [1, 1]);
        connections.failed(0);
        assert_eq!(lanes(&connections), [1, 1], "who failed on the old pool finds the new one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_next_pool_that_fails_too_or_has_grown_old_is_made_anew() {
        let connections = connections();
        connections.failed(0);
        connections.failed(1);
        assert_eq!(lanes(&connections), [0, 2]);
        advance(YOUNG * 2).await;
        connections.failed(0);
        assert_eq!(lanes(&connections), [0, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_was_just_replaced_is_not_replaced_again() {
        let connections = connections();
        connections.failed(0);
        connections.answered(1);
        connections.failed(1);
        connections.answered(2);
        assert_eq!(lanes(&connections), [1, 2]);
        advance(YOUNG).await;
        connections.answered(2);
        assert_eq!(lanes(&connections), [2, 2]);
    }
}
