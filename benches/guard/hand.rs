//! The same routes with the SDK's calls written by hand: data parsed and written as a whole, conditional writes, cookies.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use rocket::http::{Cookie, CookieJar, SameSite};
use rocket::{Route, State, get, routes, time};
use serde_json::{Map, Value};

use super::CHANGES;
use super::canned::DAY;

/// The row of a visitor: read consistently, and not expired.
struct Row {
    id: String,
    modified: String,
    ttl: i64,
    data: Map<String, Value>,
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

async fn row(cookies: &CookieJar<'_>, dynamo: &Dynamo) -> Option<Row> {
    let id = cookies.get("session")?.value().to_owned();
    let get = dynamo.get_item().table_name("sessions").key("id", AttributeValue::S(id.clone()));
    let item = get.consistent_read(true).send().await.ok()?.item?;
    let ttl = item.get("ttl")?.as_n().ok()?.parse().ok()?;
    let modified = item.get("modified")?.as_s().ok()?.clone();
    let data = serde_json::from_str(item.get("data")?.as_s().ok()?).ok()?;
    (ttl > now()).then_some(Row { id, modified, ttl, data })
}

/// Counts a visit, and writes the row if it is the one that was read.
async fn count(row: &mut Row, dynamo: &Dynamo) -> Option<u64> {
    let visits = row.data.get("visits")?.as_u64()? + 1;
    row.data.insert("visits".into(), visits.into());
    let now = chrono::Utc::now();
    let modified = now.to_rfc3339();
    let update = dynamo
        .update_item()
        .table_name("sessions")
        .key("id", AttributeValue::S(row.id.clone()))
        .update_expression("SET #data = :data, #modified = :modified, #ttl = :ttl")
        .condition_expression("attribute_exists(#id) AND #modified = :seen AND #ttl > :now")
        .expression_attribute_names("#id", "id")
        .expression_attribute_names("#data", "data")
        .expression_attribute_names("#modified", "modified")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":data", AttributeValue::S(serde_json::to_string(&row.data).ok()?))
        .expression_attribute_values(":modified", AttributeValue::S(modified.clone()))
        .expression_attribute_values(":seen", AttributeValue::S(row.modified.clone()))
        .expression_attribute_values(":now", number(now.timestamp()))
        .expression_attribute_values(":ttl", number(now.timestamp() + 14 * DAY));
    update.send().await.ok()?;
    row.modified = modified;
    Some(visits)
}

fn tell(cookies: &CookieJar<'_>, id: String) {
    let cookie = Cookie::build(("session", id)).path("/").http_only(true).same_site(SameSite::Lax);
    cookies.add(cookie.max_age(time::Duration::seconds(14 * DAY)));
}

#[get("/visitor")]
fn visitor() -> String {
    0.to_string()
}

#[get("/read")]
async fn read(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let row = row(cookies, dynamo).await?;
    Some(row.data.get("visits")?.as_u64()?.to_string())
}

#[get("/change")]
async fn change(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let mut row = row(cookies, dynamo).await?;
    count(&mut row, dynamo).await.map(|visits| visits.to_string())
}

#[get("/refresh")]
async fn refresh(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let row = row(cookies, dynamo).await?;
    let now = now();
    if row.ttl - now < 12 * DAY {
        let update = dynamo
            .update_item()
            .table_name("sessions")
            .key("id", AttributeValue::S(row.id.clone()))
            .update_expression("SET #ttl = :ttl")
            .condition_expression("attribute_exists(#id) AND #modified = :seen AND #ttl > :now")
            .expression_attribute_names("#id", "id")
            .expression_attribute_names("#modified", "modified")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":seen", AttributeValue::S(row.modified.clone()))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":ttl", number(now + 14 * DAY));
        update.send().await.ok()?;
        tell(cookies, row.id);
    }
    Some(row.data.get("visits")?.as_u64()?.to_string())
}

#[get("/login")]
async fn login(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<&'static str> {
    let row = row(cookies, dynamo).await?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let id = uuid::Uuid::from_bytes(random).to_string();
    let now = chrono::Utc::now();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = |pairs: Vec<(&str, AttributeValue)>| -> HashMap<String, AttributeValue> {
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let tombstone = Put::builder()
        .table_name("sessions")
        .set_item(Some(item(vec![
            ("id", text(&row.id)),
            ("successor", text(&id)),
            ("ttl", number(now.timestamp() + 5 * 60)),
        ])))
        .condition_expression("attribute_exists(#id) AND #modified = :seen AND #ttl > :now")
        .expression_attribute_names("#id", "id")
        .expression_attribute_names("#modified", "modified")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":seen", AttributeValue::S(row.modified))
        .expression_attribute_values(":now", number(now.timestamp()));
    let new = Put::builder()
        .table_name("sessions")
        .set_item(Some(item(vec![
            ("id", text(&id)),
            ("data", AttributeValue::S(serde_json::to_string(&row.data).ok()?)),
            ("principal", text("alice")),
            ("modified", AttributeValue::S(now.to_rfc3339())),
            ("started", number(now.timestamp())),
            ("ttl", number(now.timestamp() + 14 * DAY)),
        ])))
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", "id");
    let put = |put: Put| TransactWriteItem::builder().put(put).build();
    let transact = dynamo.transact_write_items().transact_items(put(tombstone.build().ok()?));
    transact.transact_items(put(new.build().ok()?)).send().await.ok()?;
    tell(cookies, id);
    Some("welcome")
}

#[get("/flush")]
async fn flush(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let mut row = row(cookies, dynamo).await?;
    let mut visits = 0;
    for _ in 0..CHANGES {
        visits = count(&mut row, dynamo).await?;
    }
    Some(visits.to_string())
}

pub(crate) fn all() -> Vec<Route> {
    routes![visitor, read, change, refresh, login, flush]
}
