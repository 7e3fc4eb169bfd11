//! What a closure has answered is what is stored: it runs again only over another value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rocket::tokio::join;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::testing::Effect;
use rocket_dynamodb_sessions::{Error, Session};
use serde_json::json;

use super::support::watch::watched;
use super::support::{get, new_id};
use super::{Probe, Scene, Shared};

pub(super) fn routes() -> Vec<Route> {
    routes![token, flushed, signed_in, reloaded, twice]
}

/// A token that nobody has had before.
fn random() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("token {}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Gets the session's token, or makes one.
fn get_or_create(session: &Session, probe: &Arc<Probe>) -> Result<String, Error> {
    let probe = probe.clone();
    session.update("csrf", move |token: Option<String>| {
        probe.run();
        token.unwrap_or_else(random)
    })
}

#[get("/token")]
fn token(session: Session, probe: &Shared) -> Result<String, Error> {
    get_or_create(&session, probe)
}

#[get("/token/flush")]
async fn flushed(session: Session, probe: &Shared) -> Result<String, Error> {
    get_or_create(&session, probe)?;
    session.flush().await?;
    Ok(session.get("csrf")?.unwrap_or_default())
}

#[get("/token/login")]
fn signed_in(session: Session, probe: &Shared) -> Result<String, Error> {
    let token = get_or_create(&session, probe)?;
    session.login("eve")?;
    Ok(token)
}

#[get("/token/reload")]
async fn reloaded(session: Session, probe: &Shared) -> Result<String, Error> {
    let token = get_or_create(&session, probe)?;
    session.reload().await?;
    assert_eq!(session.get("csrf")?.as_ref(), Some(&token), "what was shown stays, over the row as it is now");
    Ok(token)
}

/// Doubles and counts on, in two steps of which the second rests on the first.
#[get("/twice")]
fn twice(session: Session, probe: &Shared) -> Result<String, Error> {
    let (first, second) = (probe.inner().clone(), probe.inner().clone());
    session.update("n", move |n: Option<u32>| {
        first.run();
        n.unwrap_or(0) * 2
    })?;
    let counted = session.update("n", move |n: Option<u32>| {
        second.run();
        n.unwrap_or(0) + 1
    })?;
    Ok(counted.to_string())
}

#[test]
fn the_token_that_the_page_shows_is_the_one_in_the_row() {
    watched(|| async {
        let scene = Scene::new().await;
        for path in ["/token", "/token", "/token/flush", "/token/reload"] {
            let shown = scene.body(path).await;
            assert_eq!(scene.data().await, json!({ "k": 1, "n": 1, "csrf": shown }), "{path}");
        }
        assert_eq!(scene.probe.runs(), 4, "once a request");
    });
}

#[test]
fn the_token_that_a_visitors_first_page_shows_is_the_one_in_the_row() {
    watched(|| async {
        for path in ["/token", "/token/flush", "/token/login"] {
            let scene = Scene::new().await;
            let response = scene.client.get(path).dispatch().await;
            let row = scene.bed.row(&scene.client, &new_id(&response)).await.expect("the row is there");
            assert_eq!(row.data(), json!({ "csrf": response.into_string().await }), "{path}");
            assert_eq!(scene.probe.runs(), 1, "{path}");
        }
    });
}

#[test]
fn the_token_that_a_login_page_shows_is_the_one_in_the_new_row() {
    watched(|| async {
        let scene = Scene::new().await;
        let response = get(&scene.client, "/token/login", &scene.id).await;
        let row = scene.bed.row(&scene.client, &new_id(&response)).await.expect("the row is there");
        assert_eq!(row.data(), json!({ "k": 1, "n": 1, "csrf": response.into_string().await }));
        assert_eq!(scene.probe.runs(), 1);
    });
}

#[test]
fn the_token_stays_when_another_request_changes_another_key() {
    watched(|| async {
        for path in ["/token", "/token/flush"] {
            let scene = Scene::new().await;
            scene.meanwhile(json!({ "k": 2, "n": 1, "other": true })).await;
            let shown = scene.body(path).await;
            assert_eq!(scene.data().await, json!({ "k": 2, "n": 1, "other": true, "csrf": shown }), "{path}");
            assert_eq!(scene.probe.runs(), 1, "{path}: its value was not changed");
            assert_eq!(scene.bed.faults.failed(), 1, "{path}: they have met");
        }
    });
}

#[test]
fn the_token_stays_when_the_answer_of_its_write_is_lost() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.bed.faults.inject("UpdateItem", Effect::LoseAnswer);
        let shown = scene.body("/token").await;
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 1, "csrf": shown }));
        assert_eq!(scene.probe.runs(), 1);
    });
}

#[test]
fn the_token_of_another_request_is_taken_over_where_that_was_first() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.meanwhile(json!({ "k": 1, "n": 1, "csrf": "another's" })).await;
        assert_eq!(scene.body("/token/flush").await, "another's");
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 1, "csrf": "another's" }));
        assert_eq!(scene.probe.runs(), 2, "again, over the newer value");
    });
}

#[test]
fn two_requests_that_make_a_token_end_with_one() {
    watched(|| async {
        let scene = Scene::new().await;
        let gate = scene.bed.faults.hold_answer("GetItem");
        let (slow, fast) = join!(scene.body("/token/flush"), async {
            gate.reached().await;
            let fast = scene.body("/token/flush").await;
            gate.open();
            fast
        });
        assert_eq!(slow, fast);
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 1, "csrf": fast }));
    });
}

#[test]
fn closures_that_rest_on_each_other_run_once_each_and_again_together() {
    watched(|| async {
        let scene = Scene::new().await;
        scene.meanwhile(json!({ "k": 2, "n": 1 })).await;
        assert_eq!(scene.body("/twice").await, "3");
        assert_eq!(scene.data().await, json!({ "k": 2, "n": 3 }));
        assert_eq!(scene.probe.runs(), 2, "the row was changed, and not their key");

        let scene = Scene::new().await;
        scene.meanwhile(json!({ "k": 1, "n": 10 })).await;
        assert_eq!(scene.body("/twice").await, "3", "a provisional answer");
        assert_eq!(scene.data().await, json!({ "k": 1, "n": 21 }));
        assert_eq!(scene.probe.runs(), 4, "their key was changed");
    });
}
