//! A DynamoDB of its own for each test.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::config::Config;
use crate::domain::id::SessionId;
use crate::error::Error;
use crate::operator::sessions::Sessions;
use crate::store::embedded::Embedded;
use crate::store::row::TTL;
use crate::store::sweep::sweep;
use crate::testing::{SignIn, TestClock};

/// An empty DynamoDB in this process, for one test.
///
/// # Examples
///
/// ```
/// use rocket::local::asynchronous::Client;
/// use rocket_dynamodb_sessions::testing::Database;
/// use rocket_dynamodb_sessions::{Config, Session, Sessions};
///
/// #[rocket::get("/")]
/// fn whoami(session: Session) -> String {
///     session.principal().unwrap_or_default()
/// }
///
/// # #[rocket::main]
/// # async fn main() {
/// let database = Database::new();
/// let fairing = Sessions::fairing().client(database.client()).config(database.config());
/// let rocket = rocket::build().attach(fairing).mount("/", rocket::routes![whoami]);
/// let client = Client::tracked(rocket).await.expect("a valid rocket");
///
/// let sessions = client.rocket().state::<Sessions>().expect("the fairing is attached");
/// let ann = sessions.seed_login("ann", &[("cart", 3.into())]).await.expect("the database answers");
/// let response = ann.apply(client.get("/")).dispatch().await;
/// assert_eq!(response.into_string().await.as_deref(), Some("ann"));
///
/// assert_eq!(database.rows("sessions").await.len(), 1);
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    engine: Embedded,
}

/// A row of the table as it stands there, attribute by attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub HashMap<String, AttributeValue>);

impl Row {
    /// Returns a string attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    /// Returns a number attribute, where it is whole.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    /// Returns the data of the session, or `null` where the row has none: a tombstone.
    #[must_use]
    pub fn data(&self) -> Value {
        self.text("data").and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default()
    }

    /// Returns whether the row is the tombstone of a session that has ended or got another ID.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.0.contains_key("ended") || self.0.contains_key("successor")
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// Opens an empty database in memory.
    ///
    /// # Panics
    ///
    /// Panics when there is no memory for it.
    #[must_use]
    pub fn new() -> Self {
        Self { engine: Embedded::memory().expect("a database in memory opens") }
    }

    /// Returns a client of this database.
    #[must_use]
    pub fn client(&self) -> Client {
        self.engine.client()
    }

    /// Returns the default configuration, with the table created at launch.
    #[must_use]
    pub fn config(&self) -> Config {
        Config { create_table: true, ..Config::default() }
    }

    /// Returns all rows of a table, tombstones and expired ones included.
    ///
    /// # Panics
    ///
    /// Panics when there is no such table.
    pub async fn rows(&self, table: &str) -> Vec<Row> {
        rows(&self.client(), table).await
    }

    /// Deletes the rows whose time is over by a test's clock, as DynamoDB does at some time within days: of each table whose
    /// TTL is on `ttl`. Returns how many.
    ///
    /// # Panics
    ///
    /// Panics when the database fails.
    pub async fn sweep(&self, clock: &TestClock) -> usize {
        let (client, mut swept) = (self.client(), 0);
        let tables = client.list_tables().send().await.expect("the database answers").table_names.unwrap_or_default();
        for table in tables {
            let ttl = client.describe_time_to_live().table_name(&table).send().await.expect("the table is there");
            let attribute = ttl.time_to_live_description.and_then(|ttl| ttl.attribute_name);
            if attribute.as_deref() == Some(TTL) {
                swept += sweep(&client, &table, clock.now().timestamp()).await.expect("the database answers");
            }
        }
        swept
    }
}

/// All rows of a table, from any client.
///
/// # Panics
///
/// Panics when there is no such table.
pub async fn rows(client: &Client, table: &str) -> Vec<Row> {
    let mut pages = client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    let mut rows = Vec::new();
    while let Some(item) = pages.next().await {
        rows.push(Row(item.expect("the table can be read")));
    }
    rows
}

impl Sessions {
    /// The same sessions, with faults between them and their table.
    pub(crate) fn through(&self, faults: &crate::testing::Faults) -> Self {
        let clock = self.registry.store.settings.clock.clone();
        Self::new(faults.wrap(self.client()), None, self.config().clone(), clock)
    }

    /// Stores a session that is signed in, and returns what a request has to bring to be its.
    ///
    /// # Errors
    ///
    /// Fails when the database cannot be reached.
    pub async fn seed_login(&self, principal: &str, data: &[(&str, Value)]) -> Result<SignIn, Error> {
        let id = self.seed(Some(principal), data).await?;
        Ok(SignIn::new(self.config(), id))
    }

    /// Stores a session, and returns its ID.
    ///
    /// # Errors
    ///
    /// Fails when the database cannot be reached.
    pub async fn seed(&self, principal: Option<&str>, data: &[(&str, Value)]) -> Result<SessionId, Error> {
        use crate::domain::log::Op;
        use crate::domain::plan::Means;
        use crate::domain::state::State;
        use crate::domain::value::Value as Encoded;
        use crate::store::commit::outcome::Job;
        use crate::store::place::Loaded;

        let codec = self.registry.store.settings.payloads.codec;
        let mut state = State::new(Loaded::FRESH.origin, codec);
        for (key, value) in data {
            let value = Encoded::encode(codec, value).map_err(|e| Error::value(key, e))?;
            drop(state.push(Op::Insert((*key).into(), value), 0));
        }
        if let Some(principal) = principal {
            drop(state.push(Op::Login(principal.into()), 0));
        }
        let (view, batch, budget) = (state.whole_view(), state.batch(), self.registry.budget());
        let id = batch.candidate;
        let means = Means { tell: true, renew: true };
        let _spending = budget.spend();
        let job = Job { batch, view, at: Loaded::FRESH, means };
        self.registry.store.commit(job, &budget).await.map_err(|failed| failed.error)?;
        Ok(id)
    }

    /// The row of an ID, for tests that look at it.
    #[doc(hidden)]
    #[must_use]
    pub fn handle_of(&self, id: &SessionId) -> crate::Handle {
        self.registry.store.row_key(id).handle()
    }

    #[doc(hidden)]
    #[must_use]
    pub fn parse_id(text: &str) -> Option<SessionId> {
        SessionId::parse(text)
    }
}
