//! The table: how it is created, and what is looked at when the application ignites.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, MultiRegionConsistency, ScalarAttributeType,
    TableStatus as AwsStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::store::attempt::{Verdict, by_code};
use crate::store::credentials::{Refused, Unloaded, is_refusal};
use crate::store::identity::cause;
use crate::store::row::{ID, TTL};

/// How long a new table may take to become active; DynamoDB usually takes some ten seconds.
const LONGEST_CREATION: Duration = Duration::from_secs(60);

/// What is known of the table: see [`Sessions::table_status`](crate::Sessions::table_status).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableStatus {
    /// Whether the table exists.
    pub exists: bool,
    /// What is wrong with the table, each with its remedy; empty when all is as it should be.
    pub problems: Vec<String>,
    /// What could not be looked at, for lack of permission.
    pub notes: Vec<String>,
}

impl TableStatus {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What an error means for a look at the table.
enum Trouble {
    Missing,
    Forbidden,
    Other(Error),
}

fn trouble<E, R>(action: &'static str, error: SdkError<E, R>) -> Trouble
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) => match service.err().code() {
            code @ Some(_) if matches!(by_code(code), Verdict::Busy | Verdict::Fault) => {
                Trouble::Other(Error::unavailable(action, error))
            }
            Some("ResourceNotFoundException") => Trouble::Missing,
            code if is_refusal(code) => Trouble::Other(Error::rejected(action, Refused(Arc::new(error)))),
            Some("AccessDeniedException" | "UnknownOperationException") => Trouble::Forbidden,
            Some(_) => Trouble::Other(Error::rejected(action, error)),
            None => Trouble::Other(Error::unavailable(action, error)),
        },
        // Only the operator can mend it: the log says how.
        _ => match cause::<Unloaded>(&error) {
            Some(unloaded) => Trouble::Other(Error::rejected(action, unloaded.clone())),
            None => Trouble::Other(Error::unavailable(action, error)),
        },
    }
}

/// Looks at the table, its key and its TTL.
pub(crate) async fn status(client: &Client, table: &str) -> Result<TableStatus, Error> {
    let mut status = TableStatus { exists: true, problems: Vec::new(), notes: Vec::new() };
    let described = match client.describe_table().table_name(table).send().await {
        Ok(output) => output.table,
        Err(error) => match trouble("look at the table", error) {
            Trouble::Missing => {
                status.exists = false;
                status.problems.push(format!(
                    "the table `{table}` does not exist; create it with `create_table = true`, or type: {} && {} && {}",
                    aws(client, table, "create-table", CREATE),
                    aws(client, table, "wait table-exists", ""),
                    aws(client, table, "update-time-to-live", TTL_ON),
                ));
                return Ok(status);
            }
            Trouble::Forbidden => {
                status.notes.push("no permission for dynamodb:DescribeTable: its key was not looked at".into());
                None
            }
            Trouble::Other(error) => return Err(error),
        },
    };
    if let Some(described) = described {
        status.problems.extend(key_problem(table, described.key_schema(), described.attribute_definitions()));
        if described.multi_region_consistency == Some(MultiRegionConsistency::Strong) {
            status.problems.push(format!(
                "the table `{table}` has multi-Region strong consistency, and with it neither transactions, without which \
                 `login`, `cycle_id` and what replaces a session answer 503, nor a TTL, so expired sessions are kept; \
                 take a table of one Region, or a global table with multi-Region eventual consistency"
            ));
            return Ok(status);
        }
    }
    match client.describe_time_to_live().table_name(table).send().await {
        Ok(output) => {
            let ttl = output.time_to_live_description;
            let name = ttl.as_ref().and_then(|ttl| ttl.attribute_name.clone());
            let on = ttl.and_then(|ttl| ttl.time_to_live_status);
            status.problems.extend(ttl_problem(client, table, on.as_ref(), name.as_deref()));
        }
        Err(error) => match trouble("look at the table's TTL", error) {
            Trouble::Forbidden => {
                status.notes.push("no permission for dynamodb:DescribeTimeToLive: its TTL was not looked at".into());
            }
            Trouble::Missing => {}
            Trouble::Other(error) => return Err(error),
        },
    }
    Ok(status)
}

fn key_problem(table: &str, keys: &[KeySchemaElement], types: &[AttributeDefinition]) -> Option<String> {
    let is_string = types.iter().any(|a| a.attribute_name == ID && a.attribute_type == ScalarAttributeType::S);
    match keys {
        [key] if key.attribute_name == ID && key.key_type == KeyType::Hash && is_string => None,
        _ => {
            let described = keys.iter().map(|key| {
                let kind = types.iter().find(|kind| kind.attribute_name == key.attribute_name);
                let kind = kind.map_or("?", |kind| kind.attribute_type.as_str());
                format!("`{}` ({kind}, {})", key.attribute_name, key.key_type)
            });
            Some(format!(
                "the table `{table}` has the key {}, sessions need the string hash key `{ID}` alone; name another table",
                described.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}

fn ttl_problem(
    client: &Client,
    table: &str,
    status: Option<&TimeToLiveStatus>,
    attribute: Option<&str>,
) -> Option<String> {
    let on = aws(client, table, "update-time-to-live", TTL_ON);
    match (status, attribute) {
        (Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling), Some(TTL)) => None,
        (Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling), Some(other)) => {
            let off = format!("--time-to-live-specification Enabled=false,AttributeName={other}");
            let off = aws(client, table, "update-time-to-live", &off);
            Some(format!(
                "the TTL of the table `{table}` is on `{other}`, so expired sessions are kept; unless others need it, type: \
                 {off} && {on} (DynamoDB may want an hour between them)"
            ))
        }
        _ => Some(format!(
            "the TTL of the table `{table}` is off, so expired sessions are kept and paid for; type: {on}"
        )),
    }
}

const CREATE: &str = "--attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH \
                      --billing-mode PAY_PER_REQUEST";
const TTL_ON: &str = "--time-to-live-specification Enabled=true,AttributeName=ttl";

/// A command of AWS's command line, as it is to be typed.
fn aws(client: &Client, table: &str, command: &str, options: &str) -> String {
    let mut typed = format!("aws dynamodb {command} --table-name {table}");
    if !options.is_empty() {
        typed = format!("{typed} {options}");
    }
    match client.config().region() {
        // The embedded engine's; nobody types commands for it.
        Some(region) if region.as_ref() != "embedded" => format!("{typed} --region {region}"),
        _ => typed,
    }
}

/// Creates the table, billed on demand, and switches its TTL on; does what of it is not done yet.
pub(crate) async fn create(client: &Client, table: &str) -> Result<(), Error> {
    let error = |trouble| match trouble {
        Trouble::Other(error) => error,
        Trouble::Missing => Error::rejected("create the table", Unfit("the table vanished")),
        Trouble::Forbidden => Error::rejected("create the table", Unfit("no permission")),
    };
    let attribute = AttributeDefinition::builder().attribute_name(ID).attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name(ID).key_type(KeyType::Hash);
    let created = client
        .create_table()
        .table_name(table)
        .attribute_definitions(attribute.build().expect("an attribute has a name and a type"))
        .key_schema(key.build().expect("a key has a name and a type"))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    match created {
        Err(SdkError::ServiceError(service)) if service.err().is_resource_in_use_exception() => {}
        Err(failed) => return Err(error(trouble("create the table", failed))),
        Ok(_) => log::info!("created the table `{table}`"),
    }
    until_active(client, table).await.map_err(error)?;
    let ttl = client.describe_time_to_live().table_name(table).send().await;
    let ttl = ttl.map_err(|failed| error(trouble("look at the table's TTL", failed)))?.time_to_live_description;
    if let Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) = ttl.and_then(|ttl| ttl.time_to_live_status) {
        return Ok(());
    }
    let on = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true);
    let on = on.build().expect("a specification has a name");
    match client.update_time_to_live().table_name(table).time_to_live_specification(on).send().await {
        Ok(_) => Ok(()),
        // Two nodes that start together switch it on together.
        Err(SdkError::ServiceError(service)) if service.err().code() == Some("ValidationException") => Ok(()),
        Err(failed) => Err(error(trouble("switch the table's TTL on", failed))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfit(&'static str);

async fn until_active(client: &Client, table: &str) -> Result<(), Trouble> {
    let latest = Instant::now() + LONGEST_CREATION;
    loop {
        let output = client.describe_table().table_name(table).send().await;
        let output = output.map_err(|error| trouble("look at the table", error))?;
        let status = output.table.and_then(|table| table.table_status);
        if status.is_none_or(|status| matches!(status, AwsStatus::Active | AwsStatus::Updating)) {
            return Ok(());
        }
        if Instant::now() > latest {
            let late = Unfit("the table is not active after 60 s");
            return Err(Trouble::Other(Error::unavailable("create the table", late)));
        }
        sleep(Duration::from_millis(500)).await;
    }
}
