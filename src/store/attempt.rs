//! One request to DynamoDB, attempted until it is answered or its time is up.

use std::error::Error as StdError;
use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::store::bucket::Bucket;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How a request to DynamoDB is attempted.
pub(crate) struct Attempts {
    /// The most attempts that may fail: a 5xx, a broken connection, a time-out.
    pub(crate) most: u32,
    /// The time one attempt may take.
    pub(crate) timeout: Duration,
    /// The pause after the first failed attempt; it doubles from there.
    pub(crate) backoff: Duration,
    /// Pays for all repeats of this process.
    pub(crate) bucket: Bucket,
}

/// What a failed attempt means for the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// DynamoDB's answer: a condition failed.
    Answer,
    /// Throttled, or the row is part of a transaction under way: nothing was done, and the same request goes again.
    Busy,
    /// Nobody knows whether it was done; the same request goes again, a limited number of times.
    Fault,
    /// DynamoDB refuses, and will again.
    Refusal,
}

/// An answer of DynamoDB, and whether an earlier attempt of the same request may have been carried out.
#[derive(Debug)]
pub(crate) struct Answer<T, E> {
    pub(crate) result: Result<T, E>,
    pub(crate) repeated: bool,
}

/// An error of one operation, judged.
pub(crate) trait Judge: ProvideErrorMetadata + StdError + Send + Sync + 'static {
    fn verdict(&self) -> Verdict {
        by_code(self.code())
    }
}

impl Judge for GetItemError {}
impl Judge for PutItemError {}
impl Judge for UpdateItemError {}

impl Judge for TransactWriteItemsError {
    fn verdict(&self) -> Verdict {
        let Self::TransactionCanceledException(cancelled) = self else { return by_code(self.code()) };
        // A failed condition was really evaluated, whatever its neighbour met.
        let verdicts = cancelled.cancellation_reasons().iter().map(|reason| by_code(reason.code()));
        verdicts
            .min_by_key(|verdict| match verdict {
                Verdict::Answer => 0,
                Verdict::Busy => 1,
                Verdict::Fault => 2,
                Verdict::Refusal => 3,
            })
            .unwrap_or(Verdict::Refusal)
    }
}

/// A request's own errors and a transaction's reasons name the same things differently. What else is transient and what
/// throttling, the SDK's own lists say.
pub(crate) fn by_code(code: Option<&str>) -> Verdict {
    match code.unwrap_or_default() {
        "ConditionalCheckFailedException" | "ConditionalCheckFailed" => Verdict::Answer,
        "TransactionConflictException"
        | "TransactionConflict"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException"
        | "ThrottlingError"
        | "ProvisionedThroughputExceeded" => Verdict::Busy,
        // DynamoDB means its own limits by it, such as tables that are made at once: it passes.
        "LimitExceededException" => Verdict::Busy,
        "InternalServerError" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Verdict::Fault
        }
        code if THROTTLING_ERRORS.contains(&code) => Verdict::Busy,
        code if TRANSIENT_ERRORS.contains(&code) => Verdict::Fault,
        _ => Verdict::Refusal,
    }
}

fn verdict<E>(error: &SdkError<E, HttpResponse>) -> Verdict
where
    E: Judge,
{
    match error {
        SdkError::ServiceError(service) => match service.err().verdict() {
            // An answer without a code was not DynamoDB's: a proxy's page, or half an answer.
            Verdict::Refusal if service.err().code().is_none() => Verdict::Fault,
            Verdict::Refusal if service.raw().status().as_u16() >= 500 => Verdict::Fault,
            Verdict::Refusal if service.raw().status().as_u16() == 429 => Verdict::Busy,
            other => other,
        },
        SdkError::DispatchFailure(failure) if failure.is_user() => Verdict::Refusal,
        SdkError::ConstructionFailure(_) => Verdict::Refusal,
        // Includes an answer that could not be read: the request may have been carried out.
        _ => Verdict::Fault,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
struct Late(Duration);

impl Attempts {
    /// Sends a request until DynamoDB answers it, `most` attempts failed, or `deadline` has come.
    pub(crate) async fn send<T, E, F, Fut>(
        &self,
        action: &'static str,
        deadline: Instant,
        mut request: F,
    ) -> Result<Answer<T, E>, Error>
    where
        E: Judge,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let (mut faults, mut repeated, mut pause) = (0, false, self.backoff);
        loop {
            let limit = self.timeout.min(deadline.saturating_duration_since(Instant::now()));
            let attempt = timeout(limit, request()).await;
            let timed_out = attempt.is_err();
            let (verdict, error) = match attempt {
                Ok(Ok(output)) => {
                    self.bucket.earn(repeated);
                    return Ok(Answer { result: Ok(output), repeated });
                }
                Ok(Err(error)) => match (verdict(&error), error) {
                    (Verdict::Answer, SdkError::ServiceError(service)) => {
                        self.bucket.earn(repeated);
                        return Ok(Answer { result: Err(service.into_err()), repeated });
                    }
                    (Verdict::Refusal, error) => return Err(Error::rejected(action, error)),
                    (verdict, error) => (verdict, Error::unavailable(action, error)),
                },
                Err(_) => (Verdict::Fault, Error::unavailable(action, Late(limit))),
            };
            if verdict == Verdict::Fault {
                faults += 1;
                repeated = true;
            }
            // Half of the pause is jitter, so that those who met each other do not meet again.
            let jittered = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            if faults >= self.most || Instant::now() + jittered >= deadline || !self.bucket.pay(timed_out) {
                return Err(error);
            }
            log::debug!("{action}: {}; trying again in {} ms", crate::error::Chain(&error), jittered.as_millis());
            sleep(jittered).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
