//! Random programs of requests against a simple model of what a session is.
//!
//! Several browsers send requests to two nodes whose clocks differ. Answers are lost, attempts arrive late, time passes, and
//! goes back, rows expire and are swept, sessions are revoked. The model knows none of the versions, tokens, conditions or
//! replays: a commit is one step on a map of sessions. After each step the table must hold what the model holds, the handler
//! must have seen what the model says, and the browser must have been told it.
//!
//! `PROPTEST_CASES` sets the number of programs, `PROPTEST_RANDOM` is a seed for others than always, or empty for new ones;
//! `utils/check.sh` runs some thousand.

#![allow(unreachable_pub, reason = "modules of one test")]

mod support;

#[path = "model/act.rs"]
mod act;
#[path = "model/app.rs"]
mod app;
#[path = "model/flight.rs"]
mod flight;
#[path = "model/oracle.rs"]
mod oracle;
#[path = "model/programs.rs"]
mod programs;
#[path = "model/request.rs"]
mod request;
#[path = "model/table.rs"]
mod table;
#[path = "model/world.rs"]
mod world;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rocket::futures::FutureExt;

use programs::Program;

/// The seed of this run: always the same, so that a check is red for a change's sake alone; others are drawn on request.
fn seed() -> [u8; 32] {
    let given = match std::env::var("PROPTEST_RANDOM") {
        Err(_) => 0,
        Ok(text) => text.parse().unwrap_or_else(|_| u64::from(rand_seed())),
    };
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&given.to_le_bytes());
    println!("seed: PROPTEST_RANDOM={given}");
    seed
}

fn rand_seed() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.subsec_nanos())
}

/// Runs programs, and says how many, and how many requests they checked.
fn run(name: &str, cases: u32, programs: &BoxedStrategy<Program>) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    // Over HTTP a request costs a hundred times as much.
    let cases = if support::endpoint().is_some() { cases / 20 } else { cases };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shrinks = std::env::var("PROPTEST_MAX_SHRINK_ITERS").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: shrinks, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed()));
    let (ran, checked, started) = (Cell::new(0), Cell::new(0), Instant::now());
    let outcome = runner.run(programs, |Program { steps, silent }| {
        ran.set(ran.get() + 1);
        match runtime.block_on(AssertUnwindSafe(world::run(steps, silent)).catch_unwind()) {
            Ok(requests) => checked.set(checked.get() + requests),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                return Err(TestCaseError::fail(text.unwrap_or_default()));
            }
        }
        Ok(())
    });
    println!("{name}: {} programs, {} requests checked, {:.1?}", ran.get(), checked.get(), started.elapsed());
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(checked.get() > cases as usize / 2, "the programs do something");
}

#[test]
fn random_programs_of_requests_keep_the_promises() {
    run("requests that overlap", 1_000, &programs::overlapping());
}

#[test]
fn random_programs_of_one_rich_request_after_the_other_keep_the_promises() {
    run("one request after the other", 1_000, &programs::sequential());
}

#[test]
fn random_programs_of_acts_on_two_nodes_keep_the_promises() {
    run("acts on two nodes", 1_000, &programs::parallel());
}
