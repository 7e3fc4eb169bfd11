//! What the guard costs beside the same route with GetItem and UpdateItem written by hand on the SDK.
//!
//! Both run through Rocket's local client on a canned connector, which answers at once: what is measured is this crate,
//! Rocket and the SDK, and no store. `cargo bench` prints the times; the ratios are `guard / by hand`.

use std::collections::HashMap;
use std::hint::black_box;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use criterion::{Criterion, criterion_group, criterion_main};
use rocket::http::{Cookie, CookieJar};
use rocket::local::asynchronous::Client;
use rocket::{State, get, routes};
use rocket_dynamodb_sessions::{Config, Error, Session, Sessions, Verify};
use serde_json::{Value, json};

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

/// Answers each GetItem with the same row, of about 1 KB, and everything else with nothing.
#[derive(Debug)]
struct Canned {
    row: String,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let get = request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".GetItem"));
        let body = if get { self.row.clone() } else { "{}".to_owned() };
        let status = 200.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn canned() -> Dynamo {
    let mut data: HashMap<String, Value> = (0..8).map(|n| (format!("key{n}"), json!("x".repeat(100)))).collect();
    data.insert("visits".into(), json!(7));
    let data = serde_json::to_string(&data).expect("JSON");
    let now = chrono::Utc::now();
    let row = json!({"Item": {
        "id": {"S": "y".repeat(43)},
        "modified": {"S": now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)},
        "ttl": {"N": (now.timestamp() + 14 * 24 * 60 * 60).to_string()},
        "started": {"N": now.timestamp().to_string()},
        "tokens": {"S": "z".repeat(88)},
        "data": {"S": data},
    }});
    let connector = SharedHttpConnector::new(Canned { row: row.to_string() });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("canned", "canned", None, None, "canned"))
        .region(Region::from_static("us-east-1"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    Dynamo::from_conf(config.build())
}

#[get("/guard/read")]
fn guard_read(session: Session) -> Result<String, Error> {
    Ok(session.get::<u64>("visits")?.unwrap_or(0).to_string())
}

#[get("/guard/change")]
fn guard_change(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// The row of a visitor, as one would write it by hand: read consistently, and not expired.
async fn row(cookies: &CookieJar<'_>, dynamo: &Dynamo) -> Option<(String, String, serde_json::Map<String, Value>)> {
    let id = cookies.get("session")?.value().to_owned();
    let get = dynamo.get_item().table_name("sessions").key("id", AttributeValue::S(id.clone()));
    let item = get.consistent_read(true).send().await.ok()?.item?;
    let ttl: i64 = item.get("ttl")?.as_n().ok()?.parse().ok()?;
    let modified = item.get("modified")?.as_s().ok()?.clone();
    let data = serde_json::from_str(item.get("data")?.as_s().ok()?).ok()?;
    (ttl > chrono::Utc::now().timestamp()).then_some((id, modified, data))
}

#[get("/hand/read")]
async fn hand_read(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let (_, _, data) = row(cookies, dynamo).await?;
    Some(data.get("visits")?.as_u64()?.to_string())
}

#[get("/hand/change")]
async fn hand_change(cookies: &CookieJar<'_>, dynamo: &State<Dynamo>) -> Option<String> {
    let (id, modified, mut data) = row(cookies, dynamo).await?;
    let visits = data.get("visits")?.as_u64()? + 1;
    data.insert("visits".into(), visits.into());
    let now = chrono::Utc::now();
    let update = dynamo
        .update_item()
        .table_name("sessions")
        .key("id", AttributeValue::S(id))
        .update_expression("SET #data = :data, #modified = :modified, #ttl = :ttl")
        .condition_expression("attribute_exists(#id) AND #modified = :seen AND #ttl > :now")
        .expression_attribute_names("#id", "id")
        .expression_attribute_names("#data", "data")
        .expression_attribute_names("#modified", "modified")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":data", AttributeValue::S(serde_json::to_string(&data).ok()?))
        .expression_attribute_values(":modified", AttributeValue::S(now.to_rfc3339()))
        .expression_attribute_values(":seen", AttributeValue::S(modified))
        .expression_attribute_values(":now", AttributeValue::N(now.timestamp().to_string()))
        .expression_attribute_values(":ttl", AttributeValue::N((now.timestamp() + 1_209_600).to_string()));
    update.send().await.ok()?;
    Some(visits.to_string())
}

async fn rocket() -> Client {
    let config = Config { verify: Verify::Off, ..Config::default() };
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment)
        .attach(Sessions::fairing().client(canned()).config(config))
        .mount("/", routes![guard_read, guard_change, hand_read, hand_change]);
    Client::untracked(rocket).await.expect("a valid rocket")
}

fn routes(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = runtime.block_on(rocket());
    for kind in ["read", "change"] {
        let mut group = c.benchmark_group(kind);
        for by in ["hand", "guard"] {
            let path = format!("/{by}/{kind}");
            group.bench_function(by, |b| {
                b.to_async(&runtime).iter(|| async {
                    let response = client.get(path.as_str()).cookie(Cookie::new("session", ID)).dispatch().await;
                    assert_eq!(response.status(), rocket::http::Status::Ok);
                    black_box(response);
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(8));
    targets = routes
}
criterion_main!(benches);
