//! The way of a request: hooks, gates, the fault, the store, gates; and what the store reports about it.

use std::fmt;
use std::future::pending;
use std::ops::AddAssign;
use std::sync::Arc;

use aws_sdk_dynamodb::config::Intercept;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use super::rule::{Barrier, Effect, On, Place, is_write, without_row};

pub(super) type Hook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// A request that its client has given up, and that is still under way.
pub(super) struct Late {
    pub(super) operation: String,
    pub(super) request: HttpRequest,
    pub(super) to: SharedHttpConnector,
    /// It arrives by itself after the next request of its operation.
    pub(super) follows: bool,
}

/// What a test has ordered, and what it may ask about.
#[derive(Default)]
pub(super) struct State {
    pub(super) faults: Vec<(On, Effect)>,
    pub(super) hooks: Vec<(On, Option<Hook>)>,
    pub(super) gates: Vec<Place>,
    pub(super) late: Vec<Late>,
    pub(super) calls: Vec<String>,
    pub(super) capacity: Capacity,
    pub(super) failed: usize,
}

/// What is in store for one request.
struct Fate {
    hooks: Vec<Hook>,
    gates: Vec<Barrier>,
    effect: Option<Effect>,
    /// Beside the effect: the answer brings no row.
    without_row: bool,
    answer_gates: Vec<Barrier>,
}

impl State {
    /// Counts a request and decides its fate, at one go: requests that run in parallel share out the rules cleanly.
    fn decide(&mut self, operation: &str, body: &[u8]) -> Fate {
        self.calls.push(operation.to_owned());
        let mut fate =
            Fate { hooks: Vec::new(), gates: Vec::new(), effect: None, without_row: false, answer_gates: Vec::new() };
        for (on, hook) in &mut self.hooks {
            if hook.is_some() && on.takes(operation) {
                fate.hooks.extend(hook.take());
            }
        }
        for Place { on, after, barrier } in &mut self.gates {
            if on.takes(operation) {
                let gates = if *after { &mut fate.answer_gates } else { &mut fate.gates };
                gates.push(barrier.clone());
            }
        }
        for (on, effect) in &mut self.faults {
            let beside = *effect == Effect::WithoutRow;
            if (beside || fate.effect.is_none()) && effect.suits(operation, body) && on.takes(operation) {
                if beside {
                    fate.without_row = true;
                } else {
                    fate.effect = Some(effect.clone());
                }
            }
        }
        fate
    }

    /// Takes out the late requests that arrive now, in the order in which they were sent.
    pub(super) fn arriving(&mut self, arrives: impl Fn(&Late) -> bool) -> Vec<Late> {
        let (arriving, late) = self.late.drain(..).partition(|late| arrives(late));
        self.late = late;
        arriving
    }
}

/// The HTTP client of a wrapped DynamoDB client.
pub(super) struct FaultyClient {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) inner: SharedHttpClient,
}

impl fmt::Debug for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyClient").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultyConnector {
            state: Arc::clone(&self.state),
            inner: self.inner.http_connector(settings, components),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_base_client_config(&self.inner, components, config)
    }

    fn validate_final_config(&self, components: &RuntimeComponents, config: &ConfigBag) -> Result<(), BoxError> {
        HttpClient::validate_final_config(&self.inner, components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

struct FaultyConnector {
    state: Arc<Mutex<State>>,
    inner: SharedHttpConnector,
}

impl fmt::Debug for FaultyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyConnector").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(lead(Arc::clone(&self.state), self.inner.clone(), request))
    }
}

async fn lead(
    state: Arc<Mutex<State>>,
    to: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let operation = operation_of(&request).to_owned();
    let body = request.body().bytes().unwrap_or_default();
    let fate = state.lock().decide(&operation, body);
    for hook in fate.hooks {
        hook().await;
    }
    for gate in fate.gates {
        gate.pass().await;
    }
    if let Some(answer) = fate.effect.as_ref().and_then(|effect| effect.answer(&operation, body)) {
        return Ok(answer);
    }
    match fate.effect {
        Some(Effect::Reset) => return Err(reset()),
        Some(Effect::Hang) => return pending().await,
        Some(Effect::Delay(time)) => tokio::time::sleep(time).await,
        Some(Effect::LateFirst | Effect::Late) => {
            let follows = fate.effect == Some(Effect::LateFirst);
            state.lock().late.push(Late { operation, request, to, follows });
            return Err(reset());
        }
        _ => {}
    }
    let answer = carry_out(&state, &to, &operation, request).await;
    let arriving = state.lock().arriving(|late| late.follows && late.operation == operation);
    for late in arriving {
        // Nobody waits for this answer any more.
        let _ = carry_out(&state, &late.to, &late.operation, late.request).await;
    }
    for gate in fate.answer_gates {
        gate.pass().await;
    }
    match fate.effect {
        Some(Effect::LoseAnswer) => Err(reset()),
        Some(Effect::LoseAnswerAndHang) => pending().await,
        _ if fate.without_row => answer.map(strip),
        _ => answer,
    }
}

/// Takes the rows out of an answer that a condition failed.
fn strip(mut response: HttpResponse) -> HttpResponse {
    if let Some(body) = response.body().bytes().and_then(without_row) {
        response.headers_mut().remove("x-amz-crc32");
        response.headers_mut().insert("content-length", body.len().to_string());
        *response.body_mut() = SdkBody::from(body);
    }
    response
}

/// Sends a request to the store, and counts what its answer reports.
pub(super) async fn carry_out(
    state: &Mutex<State>,
    to: &SharedHttpConnector,
    operation: &str,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let mut response = to.call(request).await?;
    // The body of an answer over HTTP is a stream: it is read here, and given on from memory.
    let body = ByteStream::new(response.take_body()).collect().await;
    let body = body.map_err(|cause| ConnectorError::io(cause.into()))?.into_bytes();
    let report = Report::of(&body);
    {
        let mut state = state.lock();
        state.capacity += report.capacity(operation);
        state.failed += usize::from(report.is_failed_condition());
    }
    *response.body_mut() = SdkBody::from(body);
    Ok(response)
}

fn reset() -> ConnectorError {
    ConnectorError::io("connection reset, injected by a test".into())
}

/// Counts capacity units, as the store reported them.
///
/// DynamoDB bills a write whose condition failed too, but reports no units for it: such a request is in
/// [`Faults::failed`](super::Faults::failed), not here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Read units: one for 4 KB, half of it for a read that is not consistent, twice for one in a transaction.
    pub read: f64,
    /// Write units: one for 1 KB, twice in a transaction.
    pub write: f64,
}

impl AddAssign for Capacity {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.write += other.write;
    }
}

/// Asks for the consumed capacity in requests of the operations that tell it.
///
/// An interceptor, because it changes the body: the request is signed after this.
#[derive(Debug)]
pub(super) struct AskCapacity;

impl Intercept for AskCapacity {
    fn name(&self) -> &'static str {
        "AskCapacity"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let operation = operation_of(request);
        let telling = operation.ends_with("Item") || operation.ends_with("Items");
        if !telling && !matches!(operation, "Query" | "Scan") {
            return Ok(());
        }
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        if let Some(fields) = body.as_object_mut() {
            fields.entry("ReturnConsumedCapacity").or_insert_with(|| "TOTAL".into());
        }
        let body = body.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }
}

pub(super) fn operation_of(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

/// What is counted of an answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<OneOrMore>,
    #[serde(rename = "__type")]
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Consumed),
    More(Vec<Consumed>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Consumed {
    capacity_units: Option<f64>,
    read_capacity_units: Option<f64>,
    write_capacity_units: Option<f64>,
}

impl Report {
    /// Reads an answer; what is no JSON reports nothing.
    pub(super) fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    pub(super) fn capacity(&self, operation: &str) -> Capacity {
        let consumed = match &self.consumed {
            None => &[][..],
            Some(OneOrMore::One(one)) => std::slice::from_ref(one),
            Some(OneOrMore::More(more)) => more,
        };
        let mut sum = Capacity::default();
        for table in consumed {
            // A transaction that is repeated under its token answers with read units.
            sum += match (table.read_capacity_units, table.write_capacity_units) {
                (None, None) if is_write(operation) => {
                    Capacity { read: 0.0, write: table.capacity_units.unwrap_or(0.0) }
                }
                (None, None) => Capacity { read: table.capacity_units.unwrap_or(0.0), write: 0.0 },
                (read, write) => Capacity { read: read.unwrap_or(0.0), write: write.unwrap_or(0.0) },
            };
        }
        sum
    }

    pub(super) fn is_failed_condition(&self) -> bool {
        self.error.as_deref().is_some_and(|error| {
            error.ends_with("ConditionalCheckFailedException") || error.ends_with("TransactionCanceledException")
        })
    }
}
