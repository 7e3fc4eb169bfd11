//! One request to DynamoDB, attempted until it is answered or its time is up.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::error::Error;
use crate::store::bucket::Bucket;
use crate::store::connections::Lane;
use crate::store::credentials::{Refused, Unloaded, is_refusal};
use crate::store::identity::{self, Loading, cause};
use crate::store::link::Link;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How a request to DynamoDB is attempted.
pub(crate) struct Attempts {
    pub(crate) link: Link,
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

#[derive(Debug, thiserror::Error)]
#[error("no AWS region: set `region` under sessions in Rocket.toml, AWS_REGION, or `region` in the AWS profile")]
struct NoRegion;

/// How one attempt has ended, other than by an answer.
enum Failed {
    /// There was no attempt yet: who is to sign it is not known.
    Loading(Loading),
    /// The operator has to do something.
    Rejected(Error),
    /// As `Rejected`, because of who has signed it.
    Refused(Error),
    Again {
        verdict: Verdict,
        error: Error,
        /// DynamoDB has said it.
        answered: bool,
    },
}

impl Failed {
    fn of<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: Judge,
    {
        if let Some(loading) = cause::<Loading>(&error) {
            return Self::Loading(loading.clone());
        }
        if let Some(unloaded) = cause::<Unloaded>(&error) {
            return Self::Rejected(Error::rejected(action, unloaded.clone()));
        }
        match verdict(&error) {
            Verdict::Refusal if is_refusal(error.code()) => {
                Self::Refused(Error::rejected(action, Refused(Arc::new(error))))
            }
            Verdict::Refusal => Self::Rejected(Error::rejected(action, error)),
            verdict => {
                let answered = matches!(error, SdkError::ServiceError(_));
                Self::Again { verdict, error: Error::unavailable(action, error), answered }
            }
        }
    }
}

impl Attempts {
    /// Sends a request until DynamoDB answers it, `most` attempts failed, or `deadline` has come. Credentials that are
    /// being loaded are waited for, but not within the time of an attempt.
    pub(crate) async fn send<T, E, F, Fut>(
        &self,
        action: &'static str,
        deadline: Instant,
        mut request: F,
    ) -> Result<Answer<T, E>, Error>
    where
        E: Judge,
        F: FnMut(&Client) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        if !self.link.has_region() {
            return Err(Error::rejected(action, NoRegion));
        }
        let (mut faults, mut repeated, mut pause) = (0, false, self.backoff);
        let (mut lane, mut renewed) = (Lane::Pooled, false);
        loop {
            let limit = self.timeout.min(deadline.saturating_duration_since(Instant::now()));
            let (pool, sent) = (self.link.pool(lane), Instant::now());
            let attempt = timeout(limit, request(self.link.client(lane))).await;
            let timed_out = attempt.is_err();
            let failed = match attempt {
                Ok(Ok(output)) => {
                    self.link.tell(pool, true);
                    self.bucket.earn(repeated);
                    return Ok(Answer { result: Ok(output), repeated });
                }
                Ok(Err(SdkError::ServiceError(service))) if service.err().verdict() == Verdict::Answer => {
                    self.link.tell(pool, true);
                    self.bucket.earn(repeated);
                    return Ok(Answer { result: Err(service.into_err()), repeated });
                }
                Ok(Err(error)) => Failed::of(action, error),
                Err(_) => Failed::Again {
                    verdict: Verdict::Fault,
                    error: Error::unavailable(action, Late(limit)),
                    answered: false,
                },
            };
            let (verdict, error, answered) = match failed {
                Failed::Again { verdict, error, answered } => (verdict, error, answered),
                Failed::Loading(loading) => match timeout_at(deadline, loading.ended()).await {
                    Ok(()) => continue,
                    Err(_) => return Err(Error::unavailable(action, loading)),
                },
                Failed::Rejected(error) => return Err(error),
                // Those of a file, of a process or of the machine may be others by now.
                Failed::Refused(error) if !renewed => {
                    renewed = true;
                    match self.link.shared.identities.refused(sent) {
                        identity::Refused::TryAgain => continue,
                        identity::Refused::TryAfter(loading) if timeout_at(deadline, loading.ended()).await.is_ok() => {
                            continue;
                        }
                        _ => return Err(error),
                    }
                }
                Failed::Refused(error) => return Err(error),
            };
            self.link.tell(pool, answered);
            if verdict == Verdict::Fault {
                faults += 1;
                repeated = true;
                lane = if answered { lane } else { Lane::Fresh };
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
