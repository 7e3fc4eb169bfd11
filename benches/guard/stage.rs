//! Pairs of routes, with the guard and by hand, on a canned connector: what is measured is this crate, Rocket and the SDK,
//! and no store. The benchmark takes their times and instructions, tests/allocations.rs their allocations.

mod canned;
mod hand;
mod own;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rocket::figment::Figment;
use rocket::http::{Cookie, Status};
use rocket::local::asynchronous::Client;
use rocket_dynamodb_sessions::Sessions;
use tokio::runtime::{Builder, Runtime};

use self::canned::Row;

/// How often the routes `flush` change the session and write it.
const CHANGES: usize = 1000;

/// The session ID that the visitor brings.
const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

/// One job, done by a route with the guard and by one without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    guard: &'static str,
    hand: &'static str,
    row: Row,
    /// The visitor brings a session.
    cookie: bool,
}

impl Pair {
    const fn new(name: &'static str, guard: &'static str, hand: &'static str, row: Row) -> Self {
        Self { name, guard, hand, row, cookie: true }
    }
}

const READ: [&str; 2] = ["/guard/read", "/hand/read"];
const CHANGE: [&str; 2] = ["/guard/change", "/hand/change"];
const FLAT_200: Row = Row::Flat { keys: 2, length: 80 };
const FLAT_4K: Row = Row::Flat { keys: 8, length: 500 };
const FLAT_40K: Row = Row::Flat { keys: 8, length: 5000 };
const NESTED_40K: Row = Row::Nested { items: 246 };
const KEYS_1100: Row = Row::Keys(1100);

pub(crate) const PAIRS: [Pair; 16] = [
    Pair::new("read-200b", READ[0], READ[1], FLAT_200),
    Pair::new("read-1kb", READ[0], READ[1], Row::KB),
    Pair::new("read-4kb", READ[0], READ[1], FLAT_4K),
    Pair::new("read-40kb", READ[0], READ[1], FLAT_40K),
    Pair::new("read-40kb-nested", READ[0], READ[1], NESTED_40K),
    Pair::new("read-1100-keys", READ[0], READ[1], KEYS_1100),
    Pair::new("change-200b", CHANGE[0], CHANGE[1], FLAT_200),
    Pair::new("change-1kb", CHANGE[0], CHANGE[1], Row::KB),
    Pair::new("change-4kb", CHANGE[0], CHANGE[1], FLAT_4K),
    Pair::new("change-40kb", CHANGE[0], CHANGE[1], FLAT_40K),
    Pair::new("change-40kb-nested", CHANGE[0], CHANGE[1], NESTED_40K),
    Pair::new("change-1100-keys", CHANGE[0], CHANGE[1], KEYS_1100),
    // Without a cookie, beside the same route without a session.
    Pair { cookie: false, ..Pair::new("visitor", READ[0], "/hand/visitor", Row::KB) },
    // GetItem and UpdateItem of `ttl`.
    Pair::new("refresh", READ[0], "/hand/refresh", Row::Due),
    // GetItem and TransactWriteItems of two puts.
    Pair::new("login", "/guard/login", "/hand/login", Row::KB),
    // GetItem and a thousand times UpdateItem.
    Pair::new("flush-1000", "/guard/flush", "/hand/flush", Row::KB),
];

/// Finds a pair by its name.
pub(crate) fn pair(name: &str) -> Option<Pair> {
    PAIRS.into_iter().find(|pair| pair.name == name)
}

/// Who does the job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    Guard,
    Hand,
}

/// A route, ready to be dispatched: all on the thread that asks.
pub(crate) struct Stage {
    runtime: Runtime,
    client: Client,
    path: &'static str,
    cookie: bool,
    calls: Arc<AtomicUsize>,
}

impl Stage {
    pub(crate) fn new(pair: Pair, by: By) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let calls = Arc::default();
        // Neither Rocket.toml nor the environment; and under callgrind all takes fifty times as long.
        let figment = Figment::from(rocket::Config::default())
            .merge(("log_level", "off"))
            .merge(("sessions.verify", "off"))
            .merge(("sessions.deadline", "60 s"))
            .merge(("sessions.attempt_timeout", "60 s"));
        let rocket = rocket::custom(figment)
            .attach(Sessions::fairing().client(canned::client(pair.row, &calls)))
            .mount("/guard", own::all())
            .mount("/hand", hand::all());
        let client = runtime.block_on(Client::untracked(rocket)).expect("a valid rocket");
        let path = if by == By::Guard { pair.guard } else { pair.hand };
        Self { runtime, client, path, cookie: pair.cookie, calls }
    }

    /// Dispatches the route so many times, one after the other. Returns how often DynamoDB was called.
    pub(crate) fn run(&self, times: usize) -> usize {
        let before = self.calls.load(Ordering::Relaxed);
        self.runtime.block_on(async {
            for _ in 0..times {
                let request = self.client.get(self.path);
                let request = if self.cookie { request.cookie(Cookie::new("session", ID)) } else { request };
                let response = request.dispatch().await;
                assert_eq!(response.status(), Status::Ok, "{}", self.path);
            }
        });
        self.calls.load(Ordering::Relaxed) - before
    }
}
