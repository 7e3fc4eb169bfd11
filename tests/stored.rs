//! Typed values: what a request changes of one is stored when it drops, and merged with what others have stored meanwhile.

mod support;

#[path = "stored/changes.rs"]
mod changes;
#[path = "stored/ends.rs"]
mod ends;
#[path = "stored/races.rs"]
mod races;
#[path = "stored/shapes.rs"]
mod shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use rocket::http::Status;
use rocket::tokio::sync::Barrier;
use rocket_dynamodb_sessions::{Session, SessionValue, Stored};
use serde::{Deserialize, Serialize};
use support::Jar;
use support::work::Office;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    counts: BTreeMap<String, u32>,
}

impl SessionValue for Cart {
    const KEY: &'static str = "cart";
}

fn cart(session: &Session) -> Stored<Cart> {
    session.stored().expect("a cart, or none")
}

/// The cart as the next request finds it.
async fn stored(office: &Office, jar: &Jar) -> Cart {
    office.run(jar, |session| Cart::clone(&cart(session))).await
}

/// Lets so many requests change the cart, all of which have loaded it before one is stored.
async fn at_once<F>(offices: &[&Office], jar: &Jar, requests: usize, change: F) -> Vec<Status>
where
    F: Fn(usize, &mut Stored<Cart>, &Session) + Clone + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(requests));
    let requests = (0..requests).map(|n| {
        let (barrier, change) = (barrier.clone(), change.clone());
        offices[n % offices.len()].ask(jar, move |session| async move {
            let mut cart = cart(&session);
            barrier.wait().await;
            change(n, &mut cart, &session);
        })
    });
    rocket::futures::future::join_all(requests).await.into_iter().map(|(status, _)| status).collect()
}
