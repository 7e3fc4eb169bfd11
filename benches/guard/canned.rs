//! A DynamoDB that answers at once, and the rows it answers with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};

pub(crate) const DAY: i64 = 24 * 60 * 60;

/// What the one row of the table holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row {
    /// So many texts of so many characters.
    Flat { keys: usize, length: usize },
    /// A cart with so many items.
    Nested { items: usize },
    /// So many numbers.
    Keys(usize),
    /// 1 KB, and half of its lifetime is over.
    Due,
}

impl Row {
    pub(crate) const KB: Self = Self::Flat { keys: 8, length: 100 };

    fn data(self) -> Map<String, Value> {
        let mut data: Map<String, Value> = match self {
            Self::Flat { keys, length } => (0..keys).map(|n| (format!("key{n}"), json!("x".repeat(length)))).collect(),
            Self::Nested { items } => Map::from_iter([("cart".to_owned(), json!({"items": cart(items)}))]),
            Self::Keys(keys) => (0..keys).map(|n| (format!("key{n}"), json!(n))).collect(),
            Self::Due => Self::KB.data(),
        };
        data.insert("visits".into(), json!(7));
        data
    }

    /// The answer to a GetItem. The row has eight tokens, as one that was written often.
    fn answer(self) -> String {
        let now = chrono::Utc::now();
        let left = if matches!(self, Self::Due) { 7 * DAY } else { 14 * DAY };
        let data = serde_json::to_string(&self.data()).expect("JSON");
        let row = json!({"Item": {
            "id": {"S": "y".repeat(43)},
            "modified": {"S": now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)},
            "ttl": {"N": (now.timestamp() + left).to_string()},
            "started": {"N": now.timestamp().to_string()},
            "tokens": {"S": "z".repeat(88)},
            "data": {"S": data},
        }});
        row.to_string()
    }
}

fn cart(items: usize) -> Vec<Value> {
    let item = |n: usize| {
        let name = format!("article number {n}");
        let price = json!({"amount": 1999 + n, "currency": "EUR", "tax": {"rate": 0.19, "included": true}});
        json!({"id": n, "name": name, "price": price, "tags": ["new", "blue", {"size": [n, 2, 3]}], "note": null})
    };
    (0..items).map(item).collect()
}

/// Answers each GetItem with the same row, and everything else with nothing.
#[derive(Debug)]
struct Canned {
    row: String,
    calls: Arc<AtomicUsize>,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let get = request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".GetItem"));
        let body = if get { self.row.clone() } else { "{}".to_owned() };
        let status = 200.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// A client whose table has this row, whatever the key; it counts its calls.
pub(crate) fn client(row: Row, calls: &Arc<AtomicUsize>) -> Client {
    let connector = SharedHttpConnector::new(Canned { row: row.answer(), calls: calls.clone() });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("canned", "canned", None, None, "canned"))
        .region(Region::from_static("us-east-1"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    Client::from_conf(config.build())
}
