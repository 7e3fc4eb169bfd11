//! The DynamoDB client that a configuration asks for.

use aws_config::BehaviorVersion;
use aws_config::default_provider::region::DefaultRegionChain;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, Region};

use crate::config::{Config, Endpoint};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Embedded(#[from] crate::store::embedded::EmbeddedError),
    #[cfg(not(feature = "embedded"))]
    #[error(
        "the embedded DynamoDB is not compiled in; add `features = [\"embedded\"]` to rocket_dynamodb_sessions in Cargo.toml"
    )]
    NotCompiled,
}

/// Makes the client. Asks the environment for region and credentials, and DynamoDB for nothing.
pub(crate) async fn connect(config: &Config, debug: bool) -> Result<Client, ConnectError> {
    match &config.endpoint {
        Some(endpoint) if endpoint.is_embedded() => {
            if !debug {
                log::warn!(
                    "sessions.endpoint is {endpoint}: sessions are in this process alone, outside the debug profile"
                );
            }
            embedded(endpoint)
        }
        endpoint => Ok(remote(config, endpoint.as_ref()).await),
    }
}

#[cfg(feature = "embedded")]
fn embedded(endpoint: &Endpoint) -> Result<Client, ConnectError> {
    use crate::store::embedded::Embedded;

    let engine = match endpoint {
        Endpoint::File(path) => Embedded::file(path)?,
        _ => Embedded::memory()?,
    };
    Ok(engine.client())
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &Endpoint) -> Result<Client, ConnectError> {
    Err(ConnectError::NotCompiled)
}

async fn remote(config: &Config, endpoint: Option<&Endpoint>) -> Client {
    // What a web request can wait for; the SDK's own defaults have no time-out and a first pause of up to a second.
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(config.deadline)
        .operation_attempt_timeout(config.attempt_timeout)
        .connect_timeout(config.attempt_timeout);
    let retries = RetryConfig::standard().with_max_attempts(config.attempts).with_initial_backoff(config.backoff);
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts.build()).retry_config(retries);
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(Endpoint::Url(url)) = endpoint {
        loader = loader.endpoint_url(url);
    }
    if endpoint.is_some_and(Endpoint::is_loopback) {
        // An emulator takes any credentials; without some in the environment the chain would ask the machine's metadata.
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "loopback"));
        }
        let region = match &config.region {
            Some(region) => Some(Region::new(region.clone())),
            None if std::env::var_os("AWS_REGION").is_some() => DefaultRegionChain::builder().build().region().await,
            None => None,
        };
        loader = loader.region(region.unwrap_or(Region::from_static("us-east-1")));
    }
    Client::new(&loader.load().await)
}
