//! What the integration tests share: a store of its own for each test, on the embedded engine or on the server that the
//! environment variable `ROCKET_DYNAMODB_SESSIONS_ENDPOINT` names.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part of it")]

pub mod logs;

pub mod process;

pub mod proxy;

pub mod script;

pub mod server;

pub mod watch;

pub mod work;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::{Cookie, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::{Build, Rocket, Route};
use rocket_dynamodb_sessions::testing::{Database, Faults, Row, TestClock, rows};
use rocket_dynamodb_sessions::{CompressAbove, Config, SessionId, Sessions, SessionsFairing};

/// The server to test against, where it is not the embedded engine.
pub fn endpoint() -> Option<String> {
    std::env::var("ROCKET_DYNAMODB_SESSIONS_ENDPOINT").ok()
}

/// A store of its own for one test: an embedded database, or a table of its own on the endpoint; with faults to inject
/// and a clock to move.
#[derive(Clone)]
pub struct Bed {
    /// Past the faults: for looking at the table.
    pub dynamo: Dynamo,
    pub table: String,
    pub faults: Faults,
    pub clock: TestClock,
}

impl Bed {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (dynamo, table) = match endpoint() {
            None => (Database::new().client(), "sessions".to_owned()),
            Some(url) => {
                let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                (remote(&url), format!("test-{}-{number}-{}", std::process::id(), nanos.subsec_nanos()))
            }
        };
        Self { dynamo, table, faults: Faults::new(), clock: TestClock::new() }
    }

    /// The default configuration on this store.
    pub fn config(&self) -> Config {
        // Rows are looked at as they stand there.
        let compress_above = Some(CompressAbove::NEVER);
        Config { table: self.table.clone(), create_table: true, compress_above, ..Config::default() }
    }

    /// The fairing on this store.
    pub fn fairing(&self, config: Config) -> SessionsFairing {
        Sessions::fairing().client(self.faults.wrap(&self.dynamo)).config(config).clock(&self.clock)
    }

    /// An application on this store; several of them are several nodes.
    pub fn rocket(&self, config: Config, routes: Vec<Route>) -> Rocket<Build> {
        bare_rocket().attach(self.fairing(config)).mount("/", routes)
    }

    /// A client of an application with the default configuration; it keeps no cookies.
    pub async fn client(&self, routes: Vec<Route>) -> Client {
        self.client_with(self.config(), routes).await
    }

    pub async fn client_with(&self, config: Config, routes: Vec<Route>) -> Client {
        let client = Client::untracked(self.rocket(config, routes)).await.expect("a valid rocket");
        self.faults.reset_counts();
        client
    }

    /// All rows of the table, tombstones too.
    pub async fn rows(&self) -> Vec<Row> {
        rows(&self.dynamo, &self.table).await
    }

    /// The row of a session, tombstone or not.
    pub async fn row(&self, client: &Client, id: &SessionId) -> Option<Row> {
        let key = sessions(client).handle_of(id).to_string();
        let output = self.dynamo.get_item().table_name(&self.table).key("id", AttributeValue::S(key));
        output.consistent_read(true).send().await.expect("the table answers").item.map(Row)
    }

    /// Writes a row as another program would.
    pub async fn put(&self, row: Row) {
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(row.0));
        put.send().await.expect("the row is written");
    }

    /// Deletes the row of a session, as another program or DynamoDB's TTL would.
    pub async fn delete(&self, client: &Client, id: &SessionId) {
        self.delete_key(sessions(client).handle_of(id).to_string().as_str()).await;
    }

    /// Deletes a row by its key.
    pub async fn delete_key(&self, key: &str) {
        let key = key.to_owned();
        let delete = self.dynamo.delete_item().table_name(&self.table).key("id", AttributeValue::S(key));
        delete.send().await.expect("the row is deleted");
    }

    /// The clock in seconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// An application without sessions.
pub fn bare_rocket() -> Rocket<Build> {
    rocket::custom(rocket::Config::figment().merge(("log_level", "off")).merge(("shutdown.ctrlc", false)))
}

fn remote(url: &str) -> Dynamo {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::for_tests())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Dynamo::from_conf(config.build())
}

pub fn sessions(client: &Client) -> &Sessions {
    client.rocket().state::<Sessions>().expect("the fairing is attached")
}

/// Stores a session with one value, and returns its ID.
pub async fn seed(client: &Client, principal: Option<&str>, data: &[(&str, serde_json::Value)]) -> SessionId {
    sessions(client).seed(principal, data).await.expect("the store answers")
}

/// A row as another program writes it.
pub fn row(attributes: &[(&str, AttributeValue)]) -> Row {
    Row(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

pub fn cookie(id: &SessionId) -> Cookie<'static> {
    Cookie::new("session", id.expose())
}

/// Sends a GET with a session cookie.
pub async fn get<'c>(client: &'c Client, path: &'c str, id: &SessionId) -> LocalResponse<'c> {
    client.get(path).cookie(cookie(id)).dispatch().await
}

/// The Set-Cookie headers of the session, raw.
pub fn set_cookies(response: &LocalResponse<'_>) -> Vec<String> {
    response.headers().get("Set-Cookie").map(str::to_owned).collect()
}

/// The session cookie that a response sets; an empty value is a removal.
#[track_caller]
pub fn told(response: &LocalResponse<'_>) -> Option<Cookie<'static>> {
    let cookies = set_cookies(response);
    assert!(cookies.len() <= 1, "one cookie at most: {cookies:?}");
    cookies.first().map(|text| Cookie::parse(text.clone()).expect("a cookie"))
}

/// The session ID that a response tells.
#[track_caller]
pub fn new_id(response: &LocalResponse<'_>) -> SessionId {
    let cookie = told(response).expect("a cookie is set");
    Sessions::parse_id(cookie.value()).expect("the cookie holds an ID")
}

/// What a browser holds: it takes over what a response says of the session cookie.
#[derive(Clone, Debug, Default)]
pub struct Jar(pub Arc<Mutex<Option<String>>>);

impl Jar {
    pub fn holding(id: &SessionId) -> Self {
        Self(Arc::new(Mutex::new(Some(id.expose()))))
    }

    pub fn take_over(&self, response: &LocalResponse<'_>) {
        if let Some(cookie) = told(response) {
            let removed = cookie.value().is_empty();
            *self.0.lock().expect("no panic") = (!removed).then(|| cookie.value().to_owned());
        }
    }

    pub fn id(&self) -> Option<SessionId> {
        self.0.lock().expect("no panic").as_deref().and_then(Sessions::parse_id)
    }

    /// Sends a GET as this browser, and takes over the cookie of the answer.
    pub async fn get<'c>(&self, client: &'c Client, path: &'c str) -> LocalResponse<'c> {
        let request = client.get(path);
        let request = match self.id() {
            Some(id) => request.cookie(cookie(&id)),
            None => request,
        };
        let response = request.dispatch().await;
        self.take_over(&response);
        response
    }
}

/// A row that an end left in a session's place: nothing of the session is in it.
#[track_caller]
pub fn assert_ended(row: &Row) {
    assert_eq!((row.text("ended"), row.text("successor")), (Some("ended"), None), "{row:?}");
    assert!(row.data().is_null() && row.text("principal").is_none(), "{row:?}");
}

/// The text of a response that must be 200.
#[track_caller]
pub fn ok(response: &LocalResponse<'_>) {
    assert_eq!(response.status(), Status::Ok);
}
