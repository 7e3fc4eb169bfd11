//! AWS's chain of credentials, and what an operator has to do where it has none.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{Result as Provided, future};
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::box_error::BoxError;
use parking_lot::Mutex;

/// AWS's whole chain: environment, profile (keys, process, SSO, a role), web identity, container, machine. For a server on
/// this machine it ends with invented credentials, before the machine's metadata is asked.
#[derive(Debug)]
pub(crate) struct AwsChain {
    pub(crate) region: Option<Region>,
    pub(crate) use_fips: Option<bool>,
    pub(crate) use_dual_stack: Option<bool>,
    pub(crate) loopback: bool,
    /// Kept as long as it works: the SDK's providers read their files once, so that what an operator mends needs a new one.
    pub(crate) built: Mutex<Option<SharedCredentialsProvider>>,
}

impl AwsChain {
    async fn build(&self) -> SharedCredentialsProvider {
        // A client's own settings, such as its time-outs, are not those of what gives credentials.
        let config = ProviderConfig::without_region().with_region(self.region.clone());
        let config = config.with_use_fips(self.use_fips).with_use_dual_stack(self.use_dual_stack);
        if !self.loopback {
            let chain = DefaultCredentialsChain::builder().configure(config).region(self.region.clone());
            return SharedCredentialsProvider::new(chain.build().await);
        }
        let profile = ProfileFileCredentialsProvider::builder().configure(&config).build();
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        let container = EcsCredentialsProvider::builder().configure(&config).build();
        SharedCredentialsProvider::new(
            CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
                .or_else("Profile", profile)
                .or_else("WebIdentityToken", web_identity)
                .or_else("EcsContainer", container)
                .or_else("Loopback", Credentials::new("local", "local", None, None, "loopback")),
        )
    }

    async fn provide(&self) -> Provided {
        let built = self.built.lock().take();
        let chain = match built {
            Some(chain) => chain,
            None => self.build().await,
        };
        let provided = chain.provide_credentials().await;
        if provided.as_ref().is_ok_and(|credentials| credentials.expiry().is_some()) {
            *self.built.lock() = Some(chain);
        }
        provided
    }
}

impl ProvideCredentials for AwsChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// Why there are no credentials, and what the operator can do.
#[derive(Clone)]
pub(crate) struct Unloaded {
    remedy: String,
    cause: Arc<dyn StdError + Send + Sync>,
}

impl fmt::Display for Unloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.remedy)
    }
}

impl fmt::Debug for Unloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unloaded({:?})", self.remedy)
    }
}

impl StdError for Unloaded {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

/// Whether a load that failed so may succeed when it is tried again at once.
pub(crate) fn may_pass(error: &BoxError) -> bool {
    !matches!(
        error.downcast_ref(),
        Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
    )
}

/// Says what to mend.
pub(crate) fn explain(error: BoxError) -> Unloaded {
    let cause: Arc<dyn StdError + Send + Sync> = error.into();
    let told = crate::error::Chain(&*cause).to_string();
    let profile = std::env::var("AWS_PROFILE").map(|name| format!(" --profile {name}")).unwrap_or_default();
    let remedy = if matches!(cause.downcast_ref(), Some(CredentialsError::CredentialsNotLoaded(_))) {
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile that has some in \
         AWS_PROFILE, run `aws sso login`, or give the container or the machine a role"
            .into()
    } else if told.to_ascii_lowercase().contains("sso") {
        format!("no AWS credentials by SSO: run `aws sso login{profile}`")
    } else {
        "the AWS credentials could not be loaded: mend what gives them, or name others by AWS_PROFILE or \
         AWS_ACCESS_KEY_ID"
            .into()
    };
    Unloaded { remedy, cause }
}

/// There are credentials, and AWS does not take them.
#[derive(Debug, thiserror::Error)]
#[error("AWS refuses the credentials: renew them, and check the account, the region and this machine's clock")]
pub(crate) struct Refused(#[source] pub(crate) Arc<dyn StdError + Send + Sync>);

/// The error codes by which AWS refuses a request for who has signed it, not for what it asks.
pub(crate) fn is_refusal(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidClientTokenId"
                | "IncompleteSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationTokenException"
                | "MissingAuthenticationToken"
        )
    )
}
