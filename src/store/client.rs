//! The DynamoDB client that a configuration asks for.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::default_provider::region::DefaultRegionChain;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, Region};

/// Which DynamoDB a client leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// The embedded one, in memory.
    Memory,
    /// The embedded one, in a file.
    File(PathBuf),
    /// A server that speaks DynamoDB's API; one on this machine needs no credentials.
    Url { url: String, loopback: bool },
    /// Amazon's, wherever AWS's own chain says.
    Aws,
}

/// What a client has to be told.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) target: Target,
    pub(crate) region: Option<String>,
    /// For one operation, all its attempts together.
    pub(crate) deadline: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
}

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
pub(crate) async fn connect(connect: &Connect) -> Result<Client, ConnectError> {
    match &connect.target {
        target @ (Target::Memory | Target::File(_)) => embedded(target),
        Target::Url { url, loopback } => Ok(remote(connect, Some(url), *loopback).await),
        Target::Aws => Ok(remote(connect, None, false).await),
    }
}

#[cfg(feature = "embedded")]
fn embedded(target: &Target) -> Result<Client, ConnectError> {
    use crate::store::embedded::Embedded;

    let engine = match target {
        Target::File(path) => Embedded::file(path)?,
        _ => Embedded::memory()?,
    };
    Ok(engine.client())
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &Target) -> Result<Client, ConnectError> {
    Err(ConnectError::NotCompiled)
}

async fn remote(connect: &Connect, url: Option<&String>, loopback: bool) -> Client {
    // What a web request can wait for; the SDK's own defaults have no time-out and a first pause of up to a second.
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(connect.deadline)
        .operation_attempt_timeout(connect.attempt_timeout)
        .connect_timeout(connect.attempt_timeout);
    let retries = RetryConfig::standard().with_max_attempts(connect.attempts).with_initial_backoff(connect.backoff);
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts.build()).retry_config(retries);
    if let Some(region) = &connect.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = url {
        loader = loader.endpoint_url(url);
    }
    if loopback {
        // An emulator takes any credentials; without some in the environment the chain would ask the machine's metadata.
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "loopback"));
        }
        let region = match &connect.region {
            Some(region) => Some(Region::new(region.clone())),
            None if std::env::var_os("AWS_REGION").is_some() => DefaultRegionChain::builder().build().region().await,
            None => None,
        };
        loader = loader.region(region.unwrap_or(Region::from_static("us-east-1")));
    }
    Client::new(&loader.load().await)
}
