//! DynamoDB inside the process, behind the SDK's own HTTP-client trait: no port, no TLS, no credentials, no Java.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};

/// Why the embedded engine cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EmbeddedError {
    /// SQLite would answer with "unable to open database file", which names neither the file nor the reason.
    #[error("the folder of the database file `{}` does not exist: create it first", .0.display())]
    NoFolder(PathBuf),
    #[error("the path of the database file `{}` is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    #[error("cannot open the database file `{}`", .0.display())]
    Open(PathBuf, #[source] Box<DynoxideError>),
    #[error("the embedded DynamoDB failed")]
    Engine(#[source] Box<DynoxideError>),
}

/// An embedded DynamoDB, in memory or in a file. Its clones share one database.
#[derive(Clone)]
pub(crate) struct Embedded {
    db: Database,
    /// Calls may wait for the disk.
    blocking: bool,
}

impl Embedded {
    /// Creates a database in memory, gone with the last clone.
    pub(crate) fn memory() -> Result<Self, EmbeddedError> {
        let db = Database::memory().map_err(|cause| EmbeddedError::Engine(Box::new(cause)))?;
        Ok(Self { db, blocking: false })
    }

    /// Opens a database in a file, or creates it, but not its folder: a mistyped path is an error.
    pub(crate) fn file(path: &Path) -> Result<Self, EmbeddedError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(EmbeddedError::NoFolder(path.to_owned()));
        }
        let text = path.to_str().ok_or_else(|| EmbeddedError::NotUtf8(path.to_owned()))?;
        let db = Database::new(text).map_err(|cause| EmbeddedError::Open(path.to_owned(), Box::new(cause)))?;
        Ok(Self { db, blocking: true })
    }

    /// Builds a client of this database: it looks for no credentials, no Region and no endpoint.
    pub(crate) fn client(&self) -> Client {
        Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::from_static("embedded"))
                .endpoint_url("http://embedded.invalid")
                .credentials_provider(Credentials::new("embedded", "embedded", None, None, "embedded"))
                // The SDK's retry quota belongs to the Region, process-wide: one test's faults would drain another's.
                .retry_partition(RetryPartition::custom("embedded").build())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .http_client(self.clone())
                .build(),
        )
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("blocking", &self.blocking).finish_non_exhaustive()
    }
}

impl HttpClient for Embedded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { db, blocking } = self.clone();
        HttpConnectorFuture::new(async move {
            if blocking {
                // Not cancelled with its caller, as a request that has reached a server is not.
                let call = tokio::task::spawn_blocking(move || respond(&db, &request));
                call.await.map_err(|cause| ConnectorError::other(cause.into(), None))
            } else {
                Ok(respond(&db, &request))
            }
        })
    }
}

/// A request that got no answer: DynamoDB's HTTP status and JSON body for it.
struct Refusal {
    status: u16,
    body: String,
}

impl Refusal {
    fn new(kind: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": kind, "message": message }).to_string();
        Self { status: 400, body }
    }

    /// Says what is wrong with a request, without the marks that the engine's deserializers put in front of it.
    fn unreadable(cause: &serde_json::Error) -> Self {
        let message = cause.to_string();
        match message.split_once(':') {
            Some((mark, rest)) if mark.starts_with("VALIDATION") => {
                Self::new("com.amazon.coral.validate#ValidationException", rest)
            }
            Some((mark, rest)) if mark.starts_with("SERIALIZATION") => {
                Self::new("com.amazon.coral.service#SerializationException", rest)
            }
            _ => Self::new("com.amazon.coral.service#SerializationException", &message),
        }
    }
}

impl From<DynoxideError> for Refusal {
    fn from(error: DynoxideError) -> Self {
        Self { status: error.status_code(), body: error.to_json() }
    }
}

fn respond(db: &Database, request: &HttpRequest) -> HttpResponse {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default();
    // The SDK holds a DynamoDB request in memory; a streamed one would be empty here, and refused as no JSON.
    let body = request.body().bytes().unwrap_or_default();
    let (status, body) = match dispatch(db, operation, body) {
        Ok(body) => (200, SdkBody::from(body)),
        Err(Refusal { status, body }) => (status, SdkBody::from(body)),
    };
    let status = StatusCode::try_from(status).expect("the engine's status codes are 200, 400, 500 and 501");
    let mut response = HttpResponse::new(status, body);
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

/// Writes `dispatch`: the engine has a typed method for each operation, and no public way to call one by its name.
macro_rules! operations {
    ($($operation:literal => $method:ident),+ $(,)?) => {
        fn dispatch(db: &Database, operation: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
            match operation {
                $($operation => {
                    let request = serde_json::from_slice(body).map_err(|cause| Refusal::unreadable(&cause))?;
                    let answer = db.$method(request)?;
                    Ok(serde_json::to_vec(&answer).expect("the engine's answers have string keys only"))
                })+
                _ => Err(Refusal::new("com.amazon.coral.service#UnknownOperationException", "")),
            }
        }
    };
}

operations! {
    "CreateTable" => create_table,
    "DeleteTable" => delete_table,
    "DescribeTable" => describe_table,
    "ListTables" => list_tables,
    "UpdateTable" => update_table,
    "PutItem" => put_item,
    "GetItem" => get_item,
    "UpdateItem" => update_item,
    "DeleteItem" => delete_item,
    "Query" => query,
    "Scan" => scan,
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "TransactGetItems" => transact_get_items,
    "TransactWriteItems" => transact_write_items,
    "UpdateTimeToLive" => update_time_to_live,
    "DescribeTimeToLive" => describe_time_to_live,
    "TagResource" => tag_resource,
    "UntagResource" => untag_resource,
    "ListTagsOfResource" => list_tags_of_resource,
    "ExecuteStatement" => execute_statement,
    "ExecuteTransaction" => execute_transaction,
    "BatchExecuteStatement" => batch_execute_statement,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use aws_sdk_dynamodb::error::ProvideErrorMetadata;
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
        ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TransactWriteItem,
    };

    use super::*;

    async fn create_table(client: &Client) {
        client
            .create_table()
            .table_name("things")
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap())
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name("id")
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .unwrap(),
            )
            .send()
            .await
            .unwrap();
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.into())
    }

    async fn put_and_get(client: &Client) {
        create_table(client).await;
        client.put_item().table_name("things").item("id", s("a")).item("n", s("1")).send().await.unwrap();
        let found = client.get_item().table_name("things").key("id", s("a")).send().await.unwrap();
        assert_eq!(found.item().unwrap()["n"], s("1"));
    }

    #[tokio::test]
    async fn what_was_put_is_got_from_memory() {
        put_and_get(&Embedded::memory().unwrap().client()).await;
    }

    #[tokio::test]
    async fn a_file_keeps_its_rows_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.db");
        put_and_get(&Embedded::file(&path).unwrap().client()).await;

        let client = Embedded::file(&path).unwrap().client();
        let found = client.get_item().table_name("things").key("id", s("a")).send().await.unwrap();
        assert_eq!(found.item().unwrap()["n"], s("1"));
    }

    #[test]
    fn a_file_in_a_missing_folder_is_named_in_the_error() {
        let error = Embedded::file(Path::new("/no/such/folder/dev.db")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the folder of the database file `/no/such/folder/dev.db` does not exist: create it first",
        );
    }

    #[test]
    fn a_folder_is_not_opened_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Embedded::file(folder.path()), Err(EmbeddedError::Open(path, _)) if path == folder.path()));
    }

    #[tokio::test]
    async fn a_failed_condition_brings_the_item_back() {
        let client = Embedded::memory().unwrap().client();
        put_and_get(&client).await;
        let put =
            client.put_item().table_name("things").item("id", s("a")).condition_expression("attribute_not_exists(id)");
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = put.send().await.unwrap_err().into_service_error();
        let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.item().unwrap()["n"], s("1"));
    }

    #[tokio::test]
    async fn a_cancelled_transaction_says_which_action_failed_and_brings_its_item() {
        let client = Embedded::memory().unwrap().client();
        put_and_get(&client).await;
        let put = |id: &str| {
            let put =
                Put::builder().table_name("things").item("id", s(id)).condition_expression("attribute_not_exists(id)");
            let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            TransactWriteItem::builder().put(put.build().unwrap()).build()
        };
        let transaction = client.transact_write_items().transact_items(put("b")).transact_items(put("a"));
        let error = transaction.send().await.unwrap_err().into_service_error();
        use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException;
        let TransactionCanceledException(error) = error else { panic!("{error:?}") };
        let codes: Vec<_> = error.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
        assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
        assert_eq!(error.cancellation_reasons()[1].item().unwrap()["n"], s("1"));
    }

    #[tokio::test]
    async fn an_absent_table_is_a_resource_not_found() {
        let client = Embedded::memory().unwrap().client();
        let error = client.describe_table().table_name("things").send().await.unwrap_err();
        assert_eq!(error.code(), Some("ResourceNotFoundException"));
    }

    #[tokio::test]
    async fn an_operation_that_the_engine_lacks_is_unknown() {
        let client = Embedded::memory().unwrap().client();
        let error = client.list_backups().send().await.unwrap_err();
        assert_eq!(error.code(), Some("UnknownOperationException"));
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_read_is_refused_without_the_engines_marks() {
        let client = Embedded::memory().unwrap().client();
        create_table(&client).await;
        let put = client.put_item().table_name("things").item("id", s("a")).item("n", AttributeValue::Ns(vec![]));
        let error = put.send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"));
        assert!(!error.message().unwrap().contains("VALIDATION"), "{error:?}");
    }
}
