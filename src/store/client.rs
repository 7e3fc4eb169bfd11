//! The DynamoDB client that a configuration asks for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Region};
use aws_types::service_config::ServiceConfigKey;
use parking_lot::Mutex;

use crate::store::connections::{Connections, Lane};
use crate::store::credentials::AwsChain;
use crate::store::link::Shared;

/// Which DynamoDB a client leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// The embedded one, in memory.
    Memory,
    /// The embedded one, in a file.
    File(PathBuf),
    /// A server that speaks DynamoDB's API; one on this machine needs no credentials.
    Url(String),
    /// Amazon's, wherever AWS's own chain says.
    Aws,
}

/// The region for a server on this machine, which has none.
const INVENTED: Region = Region::from_static("us-east-1");

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
    /// Whether a URL leads to this machine, as the configuration sees it.
    pub(crate) is_loopback: fn(&str) -> bool,
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

/// A client, and what is known of it.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// What the store's own clients share with it; nothing, where there is no network between.
    pub(crate) shared: Option<Shared>,
    /// Where it leads, and who has said so.
    pub(crate) place: Option<String>,
}

/// Makes the client. Asks the environment for the region, and DynamoDB for nothing; credentials are loaded when a request
/// needs them.
pub(crate) async fn connect(connect: &Connect) -> Result<Connected, ConnectError> {
    match &connect.target {
        Target::Memory => {
            Ok(Connected { client: embedded(&connect.target)?, shared: None, place: Some("memory".into()) })
        }
        Target::File(path) => {
            let place = format!("file:{}", path.display());
            Ok(Connected { client: embedded(&connect.target)?, shared: None, place: Some(place) })
        }
        Target::Url(url) => Ok(remote(connect, Some(url)).await),
        Target::Aws => Ok(remote(connect, None).await),
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

async fn remote(connect: &Connect, url: Option<&String>) -> Connected {
    // What a web request can wait for; the SDK's own defaults have no time-out and a first pause of up to a second.
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(connect.deadline)
        .operation_attempt_timeout(connect.attempt_timeout)
        .connect_timeout(connect.attempt_timeout);
    let retries = RetryConfig::standard().with_max_attempts(connect.attempts).with_initial_backoff(connect.backoff);
    // Without credentials and without the machine's metadata: where the endpoint leads decides on both.
    let named = RegionProviderChain::first_try(connect.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let named = named.region().await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts.build());
    // Given none, the SDK would ask the metadata for one.
    loader = loader.retry_config(retries).no_credentials().region(named.clone().unwrap_or(INVENTED));
    if let Some(url) = url {
        loader = loader.endpoint_url(url);
    }
    let found = loader.load().await;
    let endpoint = match url {
        Some(url) => Some((url.clone(), None)),
        None => endpoint(&found),
    };
    let loopback = endpoint.as_ref().is_some_and(|(url, _)| (connect.is_loopback)(url));
    let region = region(connect, named, loopback).await;
    if region.is_none() {
        log::error!(
            "no AWS region: set `region` under sessions in Rocket.toml, AWS_REGION, or `region` in the AWS profile"
        );
    }
    let region_name = region.as_ref().map(|(region, _)| region.clone());
    let shared = Shared { connections: Some(Connections::new()), ..Shared::default() };
    let chain = AwsChain {
        region: region_name.clone(),
        use_fips: found.use_fips(),
        use_dual_stack: found.use_dual_stack(),
        loopback,
        built: Mutex::default(),
    };
    let mut config = Builder::from(&found).region(region_name).credentials_provider(chain);
    if let Some((url, _)) = &endpoint {
        config = config.endpoint_url(url);
    }
    if let Some(connections) = &shared.connections {
        config = config.http_client(connections.client(Lane::Pooled));
    }
    let config = config.identity_cache(Arc::clone(&shared.identities).cache(true));
    let place = place(endpoint, region);
    Connected { client: Client::from_conf(config.build()), shared: Some(shared), place: Some(place) }
}

/// The endpoint that AWS's own chain names, and where.
fn endpoint(found: &SdkConfig) -> Option<(String, Option<&'static str>)> {
    const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

    // As the SDK does it: what is said of DynamoDB goes before what is said of all services.
    let key = ServiceConfigKey::builder().service_id("DynamoDB").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let key = key.build().ok()?;
    let of_dynamodb = found.service_config().and_then(|settings| settings.load_config(key));
    let url = of_dynamodb.or_else(|| found.endpoint_url().map(str::to_owned))?;
    let origin = VARIABLES.into_iter().find(|name| std::env::var(name).is_ok_and(|value| value == url));
    Some((url, Some(origin.unwrap_or("the AWS profile"))))
}

/// The region to sign for, and where it is named.
async fn region(connect: &Connect, named: Option<Region>, loopback: bool) -> Option<(Region, &'static str)> {
    const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

    if let Some(region) = named {
        let origin = match connect.region {
            Some(_) => "the configuration",
            None => VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some()).unwrap_or("the AWS profile"),
        };
        return Some((region, origin));
    }
    if loopback {
        return Some((INVENTED, "invented"));
    }
    // A launch does not wait for metadata that are not there: the SDK's own four attempts take seconds.
    let second = Duration::from_secs(1);
    let metadata = imds::Client::builder().max_attempts(2).connect_timeout(second).read_timeout(second);
    let region = ImdsRegionProvider::builder().imds_client(metadata.build()).build().region().await?;
    Some((region, "the machine's metadata"))
}

/// A URL as it may be logged: one from AWS's own chain can hold a user name and a password.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{host}{}", &rest[end..])
}

/// Where the client leads, and who has said so.
fn place(endpoint: Option<(String, Option<&'static str>)>, region: Option<(Region, &'static str)>) -> String {
    let place = match endpoint {
        Some((url, None)) => without_user(&url),
        Some((url, Some(origin))) => format!("{} (from {origin})", without_user(&url)),
        None => "AWS".into(),
    };
    match region {
        Some((region, origin @ ("the configuration" | "invented"))) => format!("{place}, region {region} ({origin})"),
        Some((region, origin)) => format!("{place}, region {region} (from {origin})"),
        None => format!("{place}, no region"),
    }
}
