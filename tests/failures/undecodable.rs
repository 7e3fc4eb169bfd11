//! Rows that cannot be read: broken ones, those that another program wrote, and those of a newer version of this crate.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::testing::Row;
use rocket_dynamodb_sessions::{Config, Error, OnOutage, Session, SessionId};
use serde_json::json;

use crate::support::{Bed, assert_ended, get, logs, new_id, ok, seed, sessions, told};
use crate::{assert_unavailable, bed, bump, login, logout, swap};

#[get("/look")]
fn look(session: Result<Session, Error>) -> Result<String, Error> {
    match session {
        Ok(session) => Ok(format!("{:?} {:?} {:?}", session.status(), session.principal(), session.get::<u64>("n")?)),
        Err(error) => Ok(error.to_string()),
    }
}

fn routes() -> Vec<Route> {
    routes![look, bump, login, logout, swap]
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: &str) -> AttributeValue {
    AttributeValue::N(number.into())
}

/// An attribute, what it is instead (`None`: it is missing), and what the log says about it.
fn broken() -> Vec<(&'static str, Option<AttributeValue>, &'static str)> {
    vec![
        ("data", None, "`data` is missing"),
        ("data", Some(n("5")), "`data` is no string"),
        ("data", Some(AttributeValue::Null(true)), "`data` is no string"),
        ("data", Some(AttributeValue::M([("n".into(), n("5"))].into())), "`data` is no string"),
        ("data", Some(AttributeValue::B(Blob::new("{\"n\":5}"))), "`data` is no string"),
        ("data", Some(s("")), "`data` is not JSON (line 1, column 0)"),
        ("data", Some(s("{\"n\":5")), "`data` is not JSON (line 1, column 6)"),
        ("data", Some(s("{\"n\":5} ")), ""),
        ("data", Some(s("{\"n\":5}}")), "`data` is not JSON (line 1, column 8)"),
        ("data", Some(s("{\"n\":NaN}")), "`data` is not JSON (line 1, column 6)"),
        ("data", Some(s("[5]")), "`data` is JSON, but no object (line 1, column 0)"),
        ("data", Some(s("\"hunter2\"")), "`data` is JSON, but no object (line 1, column 9)"),
        // pickle.dumps({'n': 5}, protocol), in base64 from protocol 2 on, as the Flask package wrote it.
        ("data", Some(s("(dp0\nVn\np1\nI5\ns.")), "`data` is a Python pickle, which is never parsed"),
        ("data", Some(s("gAJ9cQBYAQAAAG5xAUsFcy4=")), "`data` is a Python pickle, which is never parsed"),
        ("data", Some(s("gAN9cQBYAQAAAG5xAUsFcy4=")), "`data` is a Python pickle, which is never parsed"),
        ("data", Some(s("gASVCgAAAAAAAAB9lIwBbpRLBXMu")), "`data` is a Python pickle, which is never parsed"),
        ("data", Some(s("gAWVCgAAAAAAAAB9lIwBbpRLBXMu")), "`data` is a Python pickle, which is never parsed"),
        // An empty dictionary in protocols 4 and 5.
        ("data", Some(s("gAR9lC4=")), "`data` is a Python pickle, which is never parsed"),
        ("data", Some(s("gAV9lC4=")), "`data` is a Python pickle, which is never parsed"),
        ("ttl", None, "`ttl` is missing"),
        ("ttl", Some(s("1999999999")), "`ttl` is no number"),
        ("ttl", Some(AttributeValue::Bool(true)), "`ttl` is no number"),
        ("principal", Some(n("17")), "`principal` is no string"),
        ("remember", Some(s("true")), "`remember` is no boolean"),
        ("lifetime", Some(s("60")), "`lifetime` is no number"),
        ("cookie", Some(s("60")), "`cookie` is no number"),
        ("started", Some(s("2026-01-01")), "`started` is no number"),
        ("format", Some(s("1")), "`format` is no number"),
    ]
}

/// A session whose row has been changed by another program.
async fn with(bed: &Bed, config: Config, name: &str, value: Option<AttributeValue>) -> (Client, SessionId, Row) {
    let client = bed.client_with(config, routes()).await;
    let id = seed(&client, Some("ann"), &[("n", json!(5))]).await;
    let mut row = bed.row(&client, &id).await.expect("the row is there");
    match value {
        Some(value) => row.0.insert(name.into(), value),
        None => row.0.remove(name),
    };
    // The engine may write a number in another way.
    bed.put(row).await;
    let row = bed.row(&client, &id).await.expect("the row is there");
    bed.faults.reset_counts();
    (client, id, row)
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_is_an_empty_session_and_is_left_alone_and_reported_without_its_content() {
    for (name, value, reason) in broken() {
        let (case, bed) = (format!("{name} {value:?}"), bed());
        let (client, id, row) = with(&bed, bed.config(), name, value).await;
        let response = get(&client, "/look", &id).await;
        ok(&response);
        assert_eq!(told(&response), None, "{case}");
        let body = response.into_string().await.expect("a body");
        if reason.is_empty() {
            assert_eq!(body, "Live Some(\"ann\") Some(5)", "{case}");
            continue;
        }
        assert_eq!(body, "Undecodable None None", "{case}");
        assert_eq!(bed.faults.calls(), ["GetItem"], "{case}");
        assert_eq!(bed.row(&client, &id).await, Some(row), "{case}");
        let handle = sessions(&client).handle_of(&id);
        let told = format!("session {handle}: the row cannot be decoded and is left alone: {reason}");
        assert_eq!(logs::here(log::Level::Error), [told], "{case}");
    }
}

#[tokio::test]
async fn what_is_stored_in_place_of_a_broken_row_goes_to_a_new_session() {
    for (name, value, reason) in broken().into_iter().filter(|(.., reason)| !reason.is_empty()) {
        for (path, principal) in [("/bump", None), ("/login", Some("ann"))] {
            let bed = bed();
            let (client, id, row) = with(&bed, bed.config(), name, value.clone()).await;
            let response = get(&client, path, &id).await;
            ok(&response);
            let new = new_id(&response);
            assert!(new != id, "{reason}");
            let old = bed.row(&client, &id).await.expect("the old row is there");
            let stored = bed.row(&client, &new).await.expect("the new row is there");
            if path == "/bump" {
                assert_eq!(bed.faults.calls(), ["GetItem", "PutItem"], "{reason}");
                assert_eq!(old, row, "{reason}");
            } else {
                // Whoever still knows the ID of the broken row must not undo the login.
                assert_eq!(bed.faults.calls(), ["GetItem", "TransactWriteItems"], "{reason}");
                assert_eq!((old.text("ended"), old.text("successor")), (Some("login"), stored.text("id")), "{reason}");
                assert!(!old.0.contains_key("data") && !old.0.contains_key("principal"), "{reason}: {old:?}");
                let late = get(&client, "/bump", &id).await;
                assert_eq!(told(&late), None, "{reason}: a late request is superseded");
                assert_eq!(bed.rows().await.len(), 2, "{reason}");
            }
            assert_eq!(stored.text("principal"), principal, "{reason}");
            assert_eq!(stored.data(), if path == "/bump" { json!({"n": 1}) } else { json!({}) }, "{reason}");
        }
    }
}

#[tokio::test]
async fn an_invalidate_ends_a_row_that_cannot_be_decoded() {
    for (name, value, reason) in broken().into_iter().filter(|(.., reason)| !reason.is_empty()) {
        let bed = bed();
        let (client, id, _) = with(&bed, bed.config(), name, value.clone()).await;
        let response = get(&client, "/logout", &id).await;
        ok(&response);
        assert_eq!(told(&response).expect("the cookie is removed").value(), "", "{reason}");
        assert_ended(&bed.row(&client, &id).await.expect("the tombstone"));
        assert_eq!(bed.rows().await.len(), 1, "{reason}");

        let (client, id, _) = with(&bed, bed.config(), name, value).await;
        let response = get(&client, "/swap", &id).await;
        let new = new_id(&response);
        assert_ended(&bed.row(&client, &id).await.expect("the tombstone"));
        assert_eq!(bed.row(&client, &new).await.expect("the new row").data(), json!({"flash": "bye"}), "{reason}");
        assert_eq!(bed.rows().await.len(), 3, "{reason}");
    }
}

#[tokio::test]
async fn a_broken_row_can_be_revoked() {
    let bed = bed();
    let (client, id, _) = with(&bed, bed.config(), "data", Some(s("{"))).await;
    let handle = sessions(&client).handle_of(&id);
    assert!(sessions(&client).revoke(&handle).await.expect("the store answers"));
    assert_ended(&bed.row(&client, &id).await.expect("the tombstone"));
    assert!(!sessions(&client).revoke(&handle).await.expect("the store answers"));
}

#[tokio::test]
async fn a_broken_row_whose_time_is_over_is_absent() {
    let bed = bed();
    let (client, id, row) = with(&bed, bed.config(), "data", Some(s("{"))).await;
    bed.advance(15 * 86_400);
    assert_eq!(get(&client, "/look", &id).await.into_string().await.as_deref(), Some("Unknown None None"));
    assert_eq!(logs::here(log::Level::Error), [""; 0]);
    assert_eq!(bed.rows().await, [row]);
}

#[tokio::test]
async fn a_row_that_another_writer_breaks_meanwhile_is_not_overwritten() {
    for (name, value, status) in [
        ("data", Some(s("{")), Status::InternalServerError),
        ("ttl", None, Status::InternalServerError),
        ("format", Some(n("2")), Status::ServiceUnavailable),
    ] {
        for (path, operation) in [("/bump", "UpdateItem"), ("/login", "TransactWriteItems")] {
            let bed = bed();
            let client = bed.client(routes()).await;
            let id = seed(&client, Some("ann"), &[("n", json!(5))]).await;
            let mut row = bed.row(&client, &id).await.expect("the row is there");
            row.0.insert("modified".into(), s("2026-01-01T00:00:01.000000Z"));
            match value.clone() {
                Some(value) => row.0.insert(name.into(), value),
                None => row.0.remove(name),
            };
            let (behind, written) = (bed.clone(), row.clone());
            bed.faults.before(operation, move || async move { behind.put(written).await });
            let response = get(&client, path, &id).await;
            assert_eq!((response.status(), told(&response)), (status, None), "{name} {path}");
            assert_eq!(bed.rows().await, [row], "{name} {path}");
        }
    }
}

#[tokio::test]
async fn a_row_of_a_newer_format_is_503_and_untouched() {
    let bed = bed();
    let (client, id, row) = with(&bed, bed.config(), "format", Some(n("2"))).await;
    for path in ["/bump", "/login", "/logout", "/swap"] {
        assert_unavailable(&get(&client, path, &id).await, path);
    }
    let body = get(&client, "/look", &id).await.into_string().await;
    assert_eq!(body.as_deref(), Some("the row has format 2, this version reads up to 1; finish the deployment"));
    assert_eq!(bed.faults.calls(), ["GetItem"; 5]);
    assert_eq!(bed.rows().await, [row]);
}

#[tokio::test]
async fn a_row_of_this_format_may_say_so() {
    let bed = bed();
    let (client, id, _) = with(&bed, bed.config(), "format", Some(n("1"))).await;
    ok(&get(&client, "/bump", &id).await);
    assert_eq!(bed.row(&client, &id).await.expect("the row is there").data(), json!({"n": 6}));
}

#[tokio::test]
async fn an_expired_row_of_a_newer_format_is_just_absent() {
    let bed = bed();
    let (client, id, row) = with(&bed, bed.config(), "format", Some(n("2"))).await;
    bed.advance(15 * 86_400);
    assert_eq!(get(&client, "/look", &id).await.into_string().await.as_deref(), Some("Unknown None None"));
    let response = get(&client, "/bump", &id).await;
    ok(&response);
    assert!(new_id(&response) != id);
    assert_eq!(bed.row(&client, &id).await, Some(row));
}

#[tokio::test]
async fn a_newer_format_is_no_sign_out_where_outages_are_anonymous() {
    let bed = bed();
    let config = Config { on_outage: OnOutage::Anonymous, ..bed.config() };
    let (client, id, row) = with(&bed, config, "format", Some(n("2"))).await;
    let response = get(&client, "/look", &id).await;
    ok(&response);
    assert_eq!(told(&response), None);
    assert_eq!(response.into_string().await.as_deref(), Some("Unavailable None None"));
    assert_eq!(get(&client, "/bump", &id).await.status(), Status::ServiceUnavailable);
    assert_eq!(bed.rows().await, [row]);
}
