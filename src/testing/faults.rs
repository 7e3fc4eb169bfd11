//! Faults between the SDK and the store, on order, and a count of what was asked of the store.

mod connector;
mod rule;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use parking_lot::Mutex;

use self::connector::{AskCapacity, FaultyClient, State, carry_out};
use self::rule::{Barrier, Place};

pub use self::connector::Capacity;
pub use self::rule::{Effect, Gate, On};

/// Lets a test break what no emulator breaks: it stands between a DynamoDB client and its store, injects faults, holds
/// requests, and counts them. Its clones are one.
///
/// A request first runs its hooks ([`before`](Faults::before)), then waits at its gates ([`hold`](Faults::hold)), then
/// meets the first injected fault that chooses it ([`inject`](Faults::inject)); faults after that one neither see nor
/// count it, but for [`Effect::WithoutRow`], which goes along with any. Its answer waits at the gates of [`hold_answer`](Faults::hold_answer).
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::testing::{Database, Effect, Faults, On};
///
/// # #[tokio::main]
/// # async fn main() {
/// let faults = Faults::new();
/// let client = faults.wrap(&Database::new().client());
/// faults.inject(On::any().skip(1), Effect::Status(500));
///
/// client.list_tables().send().await.expect("the first request passes");
/// client.list_tables().send().await.expect("the SDK repeats the second, which failed");
/// assert_eq!(faults.calls(), ["ListTables"; 3]);
/// assert_eq!(faults.pending(), 0);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

impl Faults {
    /// Makes a set of faults with nothing in it: requests pass, and are counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a client like this one whose requests go through these faults; the given client's do not, and serve a test
    /// to write behind the other's back. Both share one store and one configuration.
    ///
    /// # Panics
    ///
    /// Where the client has the SDK's default HTTP client, which cannot be wrapped: give its configuration an
    /// `http_client`. A client of the embedded DynamoDB has one.
    #[must_use]
    pub fn wrap(&self, client: &Client) -> Client {
        let config = client.config();
        let inner =
            config.http_client().expect("only a client whose configuration has an `http_client` can be wrapped");
        let faulty = FaultyClient { state: Arc::clone(&self.state), inner };
        Client::from_conf(config.to_builder().http_client(faulty).interceptor(AskCapacity).build())
    }

    /// Does this to the requests that `on` chooses.
    ///
    /// # Panics
    ///
    /// Where an [`Effect::Status`] is not in 100 to 999.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::testing::{Effect, Faults, On};
    ///
    /// let faults = Faults::new();
    /// faults.inject("TransactWriteItems", Effect::LoseAnswer);
    /// faults.inject(On::any().always(), Effect::Status(500));
    /// assert_eq!(faults.pending(), 1); // a fault for ever is never pending
    /// faults.clear();
    /// assert_eq!(faults.pending(), 0);
    /// ```
    pub fn inject(&self, on: impl Into<On>, effect: Effect) {
        if let Effect::Status(status) = effect {
            assert!((100..1000).contains(&status), "{status} is not an HTTP status");
        }
        self.state.lock().faults.push((on.into(), effect));
    }

    /// Holds the requests that `on` chooses, before they are sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: aws_sdk_dynamodb::Client, faults: rocket_dynamodb_sessions::testing::Faults) {
    /// let gate = faults.hold("UpdateItem");
    /// // ... a request begins in another task ...
    /// gate.reached().await;
    /// // ... its row changes behind its back ...
    /// gate.open();
    /// # }
    /// ```
    pub fn hold(&self, on: impl Into<On>) -> Gate {
        self.place(on.into(), false)
    }

    /// Holds the answers to the requests that `on` chooses: they have been carried out.
    pub fn hold_answer(&self, on: impl Into<On>) -> Gate {
        self.place(on.into(), true)
    }

    fn place(&self, on: On, after: bool) -> Gate {
        let (gate, barrier) = Barrier::new();
        self.state.lock().gates.push(Place { on, after, barrier });
        gate
    }

    /// Runs `hook`, once, before the first request that `on` chooses is sent; the request waits for it. What the hook
    /// asks through a wrapped client is subject to the faults too.
    pub fn before<H, F>(&self, on: impl Into<On>, hook: H)
    where
        H: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.state.lock().hooks.push((on.into(), Some(Box::new(|| Box::pin(hook())))));
    }

    /// Carries out the requests that are under way because of [`Effect::Late`], or [`Effect::LateFirst`] where no other
    /// request came after; answers how many.
    pub async fn deliver(&self) -> usize {
        let arriving = self.state.lock().arriving(|_| true);
        let count = arriving.len();
        for late in arriving {
            // Nobody waits for this answer any more.
            let _ = carry_out(&self.state, &late.to, &late.operation, late.request).await;
        }
        count
    }

    /// Takes away all faults, gates and hooks: the store is well again. Requests that are held stay held until their
    /// [`Gate`] opens.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.gates.clear();
        state.hooks.clear();
    }

    /// Counts the faults, gates and hooks that still wait for a request. A test that ends with none knows that all it
    /// ordered has happened, and that it misspelt no operation.
    #[must_use]
    pub fn pending(&self) -> usize {
        let state = self.state.lock();
        let faults = state.faults.iter().filter(|(on, _)| on.is_pending()).count();
        let gates = state.gates.iter().filter(|place| place.on.is_pending()).count();
        let hooks = state.hooks.iter().filter(|(_, hook)| hook.is_some()).count();
        faults + gates + hooks
    }

    /// Lists the operations that were asked for, in order. Each attempt is one, also one that a fault has kept from the
    /// store.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    /// Counts the requests of one operation.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.state.lock().calls.iter().filter(|call| *call == operation).count()
    }

    /// Sums up what the store reported as consumed.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.state.lock().capacity
    }

    /// Counts the store's answers that a condition failed or a transaction was cancelled, without the injected ones.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.state.lock().failed
    }

    /// Begins to count again: calls, capacity and failed conditions. Faults, gates and hooks stay.
    pub fn reset_counts(&self) {
        let mut state = self.state.lock();
        state.calls.clear();
        state.capacity = Capacity::default();
        state.failed = 0;
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
