//! What an application needs to test its own use of sessions (feature `testing`): a database of its own for each test, a
//! clock to move, faults to inject, and a login to start from.
//!
//! # From nothing
//!
//! The tests need no AWS, no Docker and no network: the embedded DynamoDB is a dependency of the tests alone.
//!
//! ```toml
//! # Cargo.toml
//! [dependencies]
//! rocket = "0.5.2"
//! rocket_dynamodb_sessions = "0.1"
//!
//! [dev-dependencies]
//! rocket_dynamodb_sessions = { version = "0.1", features = ["testing"] }
//! serde_json = "1"
//! ```
//!
//! The application is a function of its fairing, so that `main` and each test can give it their own:
//!
//! ```
//! use std::time::Duration;
//!
//! use rocket::http::Status;
//! use rocket::local::asynchronous::Client;
//! use rocket::{Build, Rocket, get, post, routes};
//! use rocket_dynamodb_sessions::testing::{Database, Effect, Faults, On, TestClock};
//! use rocket_dynamodb_sessions::{Error, Principal, Session, Sessions, SessionsFairing};
//!
//! // The application.
//!
//! #[get("/cart")]
//! fn cart(session: Session) -> Result<String, Error> {
//!     let items: Vec<String> = session.get("cart")?.unwrap_or_default();
//!     Ok(items.join(", "))
//! }
//!
//! #[post("/cart/<item>")]
//! fn add(item: &str, session: Session) -> Result<(), Error> {
//!     let item = item.to_owned();
//!     let add = move |cart: Option<Vec<String>>| [cart.unwrap_or_default(), vec![item.clone()]].concat();
//!     session.update("cart", add).map(drop)
//! }
//!
//! #[get("/account")]
//! fn account(user: Principal) -> String {
//!     format!("the account of {user}")
//! }
//!
//! #[post("/logout")]
//! fn logout(session: Session) {
//!     session.invalidate();
//! }
//!
//! fn application(sessions: SessionsFairing) -> Rocket<Build> {
//!     let rocket = rocket::custom(rocket::Config::figment().merge(("log_level", "off")));
//!     rocket.attach(sessions).mount("/", routes![cart, add, account, logout])
//! }
//!
//! // What its tests share.
//!
//! struct Bed {
//!     database: Database,
//!     clock: TestClock,
//!     faults: Faults,
//!     client: Client,
//! }
//!
//! async fn bed() -> Bed {
//!     let (database, clock, faults) = (Database::new(), TestClock::new(), Faults::new());
//!     let fairing = Sessions::fairing().client(database.client()).config(database.config());
//!     // A tracked client keeps cookies, as a browser does.
//!     let client = Client::tracked(application(fairing.clock(&clock).faults(&faults))).await.expect("a valid rocket");
//!     Bed { database, clock, faults, client }
//! }
//!
//! // In tests/cart.rs, each of these is a `#[rocket::async_test]`.
//!
//! async fn a_cart_is_kept_for_two_weeks() {
//!     let Bed { database, clock, client, .. } = bed().await;
//!     client.post("/cart/tea").dispatch().await;
//!     client.post("/cart/milk").dispatch().await;
//!     assert_eq!(client.get("/cart").dispatch().await.into_string().await.as_deref(), Some("tea, milk"));
//!     assert_eq!(database.rows("sessions").await[0].data(), serde_json::json!({ "cart": ["tea", "milk"] }));
//!
//!     clock.advance(Duration::from_secs(15 * 86_400));
//!     assert_eq!(client.get("/cart").dispatch().await.into_string().await.as_deref(), Some(""));
//!     assert_eq!(database.sweep(&clock).await, 1, "DynamoDB deletes it some day");
//! }
//!
//! async fn the_account_is_for_who_is_signed_in() {
//!     let Bed { client, .. } = bed().await;
//!     assert_eq!(client.get("/account").dispatch().await.status(), Status::Unauthorized);
//!
//!     let sessions = client.rocket().state::<Sessions>().expect("the fairing is attached");
//!     let ann = sessions.seed_login("ann", &[("cart", serde_json::json!(["tea"]))]).await.expect("it is stored");
//!     let account = ann.apply(client.get("/account")).dispatch().await;
//!     assert_eq!(account.into_string().await.as_deref(), Some("the account of ann"));
//!
//!     ann.apply(client.post("/logout")).dispatch().await;
//!     assert_eq!(ann.apply(client.get("/account")).dispatch().await.status(), Status::Unauthorized);
//! }
//!
//! async fn a_cart_that_could_not_be_stored_is_no_success() {
//!     let Bed { database, client, faults, .. } = bed().await;
//!     faults.inject(On::writes(), Effect::AccessDenied);
//!     assert_eq!(client.post("/cart/tea").dispatch().await.status(), Status::ServiceUnavailable);
//!     assert_eq!(client.cookies().get("session"), None);
//!     assert!(database.rows("sessions").await.is_empty());
//!     // What the launch asked of the store is not counted.
//!     assert_eq!(faults.calls(), ["PutItem"]);
//! }
//!
//! # #[rocket::main]
//! # async fn main() {
//! #     a_cart_is_kept_for_two_weeks().await;
//! #     the_account_is_for_who_is_signed_in().await;
//! #     a_cart_that_could_not_be_stored_is_no_success().await;
//! # }
//! ```
//!
//! In a test without a runtime, with Rocket's blocking client, `rocket::execute` waits for what is asynchronous here:
//! `let ann = rocket::execute(sessions.seed_login("ann", &[]))`.

mod clock;
mod database;
mod faults;
mod sign_in;

pub use clock::TestClock;
pub use database::{Database, Row, rows};
pub use faults::{Capacity, Effect, Faults, Gate, On};
pub use sign_in::{LocalRequest, SignIn};
