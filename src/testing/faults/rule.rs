//! What a test orders: which requests it is about, what is done to them, and where they wait.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::sync::watch;

const READS: [&str; 5] = ["GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"];
const WRITES: [&str; 5] = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];

pub(super) fn is_write(operation: &str) -> bool {
    WRITES.contains(&operation)
}

/// Chooses requests: by operation, the first of them unless told otherwise.
///
/// A request is one attempt: what the SDK repeats counts again. An operation's name, `"UpdateItem"`, is an `On` too.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::testing::{Effect, Faults, On};
///
/// let faults = Faults::new();
/// faults.inject("GetItem", Effect::Throttle); // the next GetItem
/// faults.inject(On::writes().skip(1).times(3), Effect::Reset); // the second, third and fourth write
/// faults.inject(On::any().always(), Effect::Hang); // all that no earlier fault has taken
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct On {
    which: Which,
    skip: usize,
    times: Option<usize>,
}

#[derive(Clone, Debug)]
enum Which {
    Any,
    Reads,
    Writes,
    Operation(String),
}

impl On {
    const fn new(which: Which) -> Self {
        Self { which, skip: 0, times: Some(1) }
    }

    /// Chooses requests of any operation.
    pub const fn any() -> Self {
        Self::new(Which::Any)
    }

    /// Chooses reads of items: GetItem, BatchGetItem, Query, Scan, TransactGetItems.
    pub const fn reads() -> Self {
        Self::new(Which::Reads)
    }

    /// Chooses writes of items: PutItem, UpdateItem, DeleteItem, BatchWriteItem, TransactWriteItems.
    pub const fn writes() -> Self {
        Self::new(Which::Writes)
    }

    /// Chooses requests of one operation, by DynamoDB's name for it. A misspelt name chooses nothing: see
    /// [`Faults::pending`](super::Faults::pending).
    pub fn operation(name: impl Into<String>) -> Self {
        Self::new(Which::Operation(name.into()))
    }

    /// Lets the first `n` of them pass.
    pub const fn skip(mut self, n: usize) -> Self {
        self.skip = n;
        self
    }

    /// Takes `n` of them instead of one.
    pub const fn times(mut self, n: usize) -> Self {
        self.times = Some(n);
        self
    }

    /// Takes all of them from then on.
    pub const fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Tells whether this request is taken, and counts it.
    pub(super) fn takes(&mut self, operation: &str) -> bool {
        let matches = match &self.which {
            Which::Any => true,
            Which::Reads => READS.contains(&operation),
            Which::Writes => is_write(operation),
            Which::Operation(name) => name == operation,
        };
        if !matches || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }

    /// Tells whether it still waits for a number of requests that it was made for.
    pub(super) fn is_pending(&self) -> bool {
        self.times.is_some_and(|times| times > 0)
    }
}

impl From<&str> for On {
    fn from(operation: &str) -> Self {
        Self::operation(operation)
    }
}

/// Says what goes wrong with a request.
///
/// Unless it says otherwise, the request does not reach the store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Answers `ProvisionedThroughputExceededException`, 400.
    Throttle,
    /// Answers `ThrottlingException`, 400: throttled for another reason than the table's throughput.
    ThrottlingException,
    /// Answers with this HTTP status: `InternalServerError` from 500 on, else `ValidationException`.
    Status(u16),
    /// Answers as while another transaction holds the row: `TransactionConflictException`, 400, and to a transaction
    /// `TransactionCanceledException` with the reason `TransactionConflict` for its last action.
    TransactionConflict,
    /// Answers `TransactionCanceledException` with this reason for the last action, such as `"ThrottlingError"` or
    /// `"ProvisionedThroughputExceeded"`; to another operation than a transaction, the exception of that name.
    CancelledWith(&'static str),
    /// Answers `TransactionInProgressException`, 400.
    TransactionInProgress,
    /// Answers `AccessDeniedException`, 400.
    AccessDenied,
    /// Answers with the exception of this name, 400.
    Exception(&'static str),
    /// Breaks the connection.
    Reset,
    /// Never answers.
    Hang,
    /// Waits this long on tokio's clock, and then lets the request pass.
    Delay(Duration),
    /// Carries the request out, and breaks the connection before its answer.
    LoseAnswer,
    /// Carries the request out, and never answers.
    LoseAnswerAndHang,
    /// Breaks the connection at once, and carries the request out right after the next one of the same operation that
    /// reaches the store: the first attempt arrives after its repeat.
    LateFirst,
    /// Breaks the connection at once; the request is under way until [`Faults::deliver`](super::Faults::deliver).
    Late,
    /// Answers 200 with a body that is no JSON, as a proxy may. The SDK calls it a service error without a code.
    Garbage,
    /// Answers a GetItem as if there were no item, unless it asks for a consistent read, which is not counted either.
    StaleRead,
    /// Carries the request out; where its condition fails, the answer brings no row, as of servers that ignore
    /// `ReturnValuesOnConditionCheckFailure`. It leaves the request to other faults too, which may lose the answer: with
    /// [`On::always`] it makes such a server of the store.
    WithoutRow,
}

impl Effect {
    /// Tells whether this effect can happen to such a request.
    pub(super) fn suits(&self, operation: &str, body: &[u8]) -> bool {
        if *self != Self::StaleRead {
            return true;
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        operation == "GetItem" && request["ConsistentRead"] != true
    }

    /// Makes the answer of an effect that answers in the store's place.
    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> Option<HttpResponse> {
        Some(match self {
            Self::Throttle => exception(400, "ProvisionedThroughputExceededException"),
            Self::ThrottlingException => exception(400, "ThrottlingException"),
            Self::Status(status @ 500..) => exception(*status, "InternalServerError"),
            Self::Status(status) => exception(*status, "ValidationException"),
            Self::TransactionConflict => cancelled("TransactionConflict", operation, body),
            Self::CancelledWith(code) => cancelled(code, operation, body),
            Self::TransactionInProgress => exception(400, "TransactionInProgressException"),
            Self::AccessDenied => exception(400, "AccessDeniedException"),
            Self::Exception(name) => exception(400, name),
            Self::Garbage => response(200, "<html>this is no JSON</html>".to_owned()),
            Self::StaleRead => response(200, "{}".to_owned()),
            Self::Reset
            | Self::Hang
            | Self::Delay(_)
            | Self::LoseAnswer
            | Self::LoseAnswerAndHang
            | Self::LateFirst
            | Self::Late
            | Self::WithoutRow => return None,
        })
    }
}

/// Takes the rows out of an answer that a condition failed, or that a transaction was cancelled because one did; `None`
/// for an answer that has none.
pub(super) fn without_row(body: &[u8]) -> Option<String> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else { return None };
    let error = answer.get("__type").and_then(Value::as_str)?;
    if error.ends_with("#ConditionalCheckFailedException") {
        answer.remove("Item")?;
    } else if error.ends_with("#TransactionCanceledException") {
        for reason in answer.get_mut("CancellationReasons")?.as_array_mut()? {
            reason.as_object_mut()?.remove("Item");
        }
    } else {
        return None;
    }
    Some(Value::Object(answer).to_string())
}

fn response(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("Faults::inject refuses other numbers than 100 to 999");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn exception(status: u16, name: &str) -> HttpResponse {
    let kind = match name {
        "ThrottlingException" => "com.amazon.coral.availability#",
        "ValidationException" => "com.amazon.coral.validate#",
        "AccessDeniedException" => "com.amazon.coral.service#",
        _ => "com.amazonaws.dynamodb.v20120810#",
    };
    response(status, json!({ "__type": format!("{kind}{name}"), "message": "injected by a test" }).to_string())
}

fn cancelled(code: &str, operation: &str, body: &[u8]) -> HttpResponse {
    if !operation.starts_with("Transact") {
        return exception(400, &format!("{}Exception", code.strip_suffix("Error").unwrap_or(code)));
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let actions = request["TransactItems"].as_array().map_or(1, Vec::len);
    let mut codes = vec!["None"; actions.saturating_sub(1)];
    codes.push(code);
    let reasons: Vec<_> = codes
        .iter()
        .map(|code| match *code {
            "None" => json!({ "Code": "None" }),
            code => json!({ "Code": code, "Message": "injected by a test" }),
        })
        .collect();
    let text = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", "),
    );
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    response(400, json!({ "__type": kind, "Message": text, "CancellationReasons": reasons }).to_string())
}

/// Holds requests until the test opens it; made by [`Faults::hold`](super::Faults::hold) and
/// [`Faults::hold_answer`](super::Faults::hold_answer). A gate that is dropped is open.
#[derive(Debug)]
#[must_use = "a gate that is dropped is open"]
pub struct Gate {
    reached: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until a request has come to the gate.
    ///
    /// # Panics
    ///
    /// Where no request can come any more, because of [`Faults::clear`](super::Faults::clear).
    pub async fn reached(&self) {
        self.reached_by(1).await;
    }

    /// Waits until so many requests have come to the gate; [`On::times`] says how many it holds.
    ///
    /// # Panics
    ///
    /// Where no request can come any more, because of [`Faults::clear`](super::Faults::clear).
    pub async fn reached_by(&self, requests: usize) {
        let mut reached = self.reached.clone();
        let result = reached.wait_for(|count| *count >= requests).await;
        assert!(result.is_ok(), "the gate was cleared before a request came to it");
    }

    /// Lets the held requests pass, and all that come later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

/// The requests' side of a gate.
#[derive(Clone, Debug)]
pub(super) struct Barrier {
    reached: watch::Sender<usize>,
    open: watch::Receiver<bool>,
}

impl Barrier {
    pub(super) fn new() -> (Gate, Self) {
        let (came, reached) = watch::channel(0);
        let (opener, open) = watch::channel(false);
        (Gate { reached, open: opener }, Self { reached: came, open })
    }

    pub(super) async fn pass(mut self) {
        self.reached.send_modify(|count| *count += 1);
        // An error says that the gate was dropped, which opens it: a test that panics leaves no request behind.
        let _ = self.open.wait_for(|open| *open).await;
    }
}

/// A gate's place in the way of the requests.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) on: On,
    pub(super) after: bool,
    pub(super) barrier: Barrier,
}
