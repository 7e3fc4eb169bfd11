//! A session over the 400 KB that DynamoDB stores in an item is refused before DynamoDB is asked.

use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::{Config, Error, Session, SessionId, Share};
use serde_json::json;

use crate::support::{Bed, get, logs, new_id, ok, seed, sessions, told};
use crate::{Saw, bed};

const LIMIT: usize = 409_600;

#[get("/fill/<length>")]
fn fill(length: usize, session: Session) -> Result<String, Error> {
    session.insert("big", "x".repeat(length))?;
    Ok("filled".into())
}

#[get("/measure/<length>")]
async fn measure(length: usize, session: Session) -> Result<Saw, Error> {
    session.insert("big", "x".repeat(length))?;
    match session.flush().await {
        Ok(()) => Ok(Saw("stored".into())),
        Err(Error::TooLarge { size, limit, .. }) => Ok(Saw(format!("{size}/{limit}"))),
        Err(other) => Err(other),
    }
}

#[get("/shrink")]
async fn shrink(session: Session) -> Result<String, Error> {
    session.insert("big", "x".repeat(LIMIT))?;
    session.insert("kept", 1)?;
    assert!(matches!(session.flush().await, Err(Error::TooLarge { .. })));
    session.remove("big");
    session.flush().await?;
    Ok(session.keys().join(", "))
}

#[get("/late")]
async fn late(session: Session) -> Result<String, Error> {
    session.insert("big", "x".repeat(LIMIT))?;
    assert!(matches!(session.flush().await, Err(Error::TooLarge { .. })));
    session.insert("big", "small")?;
    Ok("shrunk".into())
}

#[get("/login/<length>")]
fn login(length: usize, session: Session) -> Result<&'static str, Error> {
    session.insert("big", "x".repeat(length))?;
    session.login("ann").map(|()| "welcome")
}

#[get("/swap/<length>")]
fn swap(length: usize, session: Session) -> Result<&'static str, Error> {
    session.invalidate();
    session.insert("big", "x".repeat(length)).map(|()| "swapped")
}

fn routes() -> Vec<Route> {
    routes![fill, measure, shrink, late, login, swap]
}

async fn start(bed: &Bed) -> (Client, SessionId) {
    let client = bed.client(routes()).await;
    let id = seed(&client, None, &[("n", json!(5))]).await;
    bed.faults.reset_counts();
    (client, id)
}

/// What the crate says a new session with so long a value would take; it must be over the limit.
async fn measured(client: &Client, length: usize) -> usize {
    let path = format!("/measure/{length}");
    let response = client.get(&path).dispatch().await;
    let saw = response.headers().get_one("X-Saw").expect("the handler flushed").to_owned();
    saw.strip_suffix(&format!("/{LIMIT}")).expect("it is too large").parse().expect("a size")
}

#[tokio::test]
async fn a_session_over_the_limit_is_500_with_size_and_limit_in_the_log_and_dynamodb_is_not_asked() {
    let bed = bed();
    let (client, id) = start(&bed).await;
    let rows = bed.rows().await;
    for (path, calls) in [("/fill/409600", 1), ("/login/409600", 1), ("/swap/409600", 1), ("/measure/409600", 1)] {
        bed.faults.reset_counts();
        let response = get(&client, path, &id).await;
        assert_eq!((response.status(), told(&response)), (Status::InternalServerError, None), "{path}");
        assert_eq!(response.headers().get_one("Retry-After"), None, "{path}");
        assert_eq!(response.into_string().await, None, "{path}");
        assert_eq!(bed.faults.calls(), vec!["GetItem"; calls], "{path}");
        assert_eq!(bed.rows().await, rows, "{path}");
    }
    let handle = sessions(&client).handle_of(&id);
    let said = &logs::here(log::Level::Error)[0];
    let (start, end) = (format!("session {handle} could not be stored: the session would take "), " bytes of 409600; ");
    assert!(said.starts_with(&start) && said.contains(end), "{said}");

    // The session goes on as it was.
    ok(&get(&client, "/fill/10", &id).await);
    assert_eq!(bed.rows().await[0].data(), json!({"n": 5, "big": "xxxxxxxxxx"}));
}

#[tokio::test]
async fn a_new_session_over_the_limit_leaves_no_row_and_no_cookie() {
    let bed = bed();
    let client = bed.client(routes()).await;
    for path in ["/fill/409600", "/login/409600"] {
        let response = client.get(path).dispatch().await;
        assert_eq!((response.status(), told(&response)), (Status::InternalServerError, None));
    }
    assert_eq!((bed.faults.calls(), bed.rows().await), (vec![], vec![]));
}

#[tokio::test]
async fn a_session_that_is_shrunk_after_a_failed_flush_is_stored() {
    let bed = bed();
    let (client, id) = start(&bed).await;
    let response = get(&client, "/shrink", &id).await;
    ok(&response);
    assert_eq!(response.into_string().await.as_deref(), Some("kept, n"));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
    assert_eq!(bed.rows().await[0].data(), json!({"n": 5, "kept": 1}));

    let response = get(&client, "/late", &id).await;
    ok(&response);
    assert_eq!(bed.rows().await[0].data(), json!({"n": 5, "kept": 1, "big": "small"}));

    // The same for a visitor, whose ID is drawn before the first flush.
    let response = client.get("/shrink").dispatch().await;
    let row = bed.row(&client, &new_id(&response)).await.expect("the row is there");
    assert_eq!(row.data(), json!({"kept": 1}));
}

#[tokio::test]
async fn the_size_is_dynamodbs_size_so_the_largest_session_that_is_let_through_is_stored() {
    let bed = bed();
    let client = bed.client(routes()).await;
    // The names and values beside the text: the key, the times, the token, and what JSON puts around the text.
    let overhead = measured(&client, LIMIT).await - LIMIT;
    let largest = LIMIT - overhead;
    assert_eq!(measured(&client, largest + 1).await, LIMIT + 1);
    assert_eq!(bed.faults.calls(), [""; 0]);

    let path = format!("/fill/{largest}");
    let response = client.get(&path).dispatch().await;
    ok(&response);
    let id = new_id(&response);
    let mut row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(row.data()["big"].as_str().map(str::len), Some(largest));

    // How much more DynamoDB would take: our count of a number may be a few bytes over its own, and never under.
    let mut slack = 0;
    loop {
        let data = format!("{{\"big\":\"{}\"}}", "x".repeat(largest + slack + 1));
        row.0.insert("data".into(), aws_sdk_dynamodb::types::AttributeValue::S(data));
        let put = bed.dynamo.put_item().table_name(&bed.table).set_item(Some(row.0.clone()));
        match put.send().await {
            Ok(_) => slack += 1,
            Err(error) => {
                let text = format!("{error:?}");
                assert!(text.contains("size has exceeded the maximum"), "{text}");
                break;
            }
        }
        assert!(slack < 64, "our size is {slack} bytes over DynamoDB's");
    }
    eprintln!("a row of {LIMIT} bytes, as we count, has room for {slack} more, as the store counts");
}

#[tokio::test]
async fn a_session_that_comes_near_the_limit_is_warned_of_once() {
    let bed = bed();
    let config = Config { warn_size: Share::new(0.25).expect("a share"), ..bed.config() };
    let client = bed.client_with(config, routes()).await;
    ok(&client.get("/fill/100000").dispatch().await);
    assert_eq!(logs::here(log::Level::Warn), [""; 0]);
    for _ in 0..3 {
        ok(&client.get("/fill/102400").dispatch().await);
    }
    let warnings = logs::here(log::Level::Warn);
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.starts_with("a session takes 102") && warning.contains(" bytes of the 409600 that "), "{warning}");
}
