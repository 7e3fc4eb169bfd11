//! Random values of all shapes: what `insert` takes is read back equal in the next request, and the rest it refuses at once,
//! for the true reason.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use rocket_dynamodb_sessions::Codec;

use crate::any::{Any, values};
use crate::support::Jar;
use crate::support::work::{CODECS, Office, chain};

#[derive(Clone, Copy, Default)]
struct Counts {
    kept: usize,
    refused: usize,
}

/// Runs these values through two requests.
async fn run(office: &Office, codec: Codec, values: Vec<Any>, counts: &Cell<Counts>) -> Result<(), TestCaseError> {
    let jar = Jar::default();
    office.bed.faults.reset_counts();
    let given = values.clone();
    let answers = office.ask(&jar, |session| async move {
        let insert = |(n, value): (usize, &Any)| session.insert(format!("{n}"), value).map_err(|e| chain(&e)).err();
        session.insert("some", 1).expect("a number");
        let answers = given.iter().enumerate().map(insert).collect::<Vec<_>>();
        session.flush().await.map_err(|e| chain(&e)).map(|()| answers)
    });
    let answers = match answers.await.1.expect("the handler has run") {
        Ok(answers) => answers,
        // What was taken and cannot be stored was taken wrongly.
        Err(told) => return Err(TestCaseError::fail(format!("{codec}: {told}"))),
    };
    let given = values.clone();
    let (read, again) = office
        .run(&jar, move |session| {
            let read = (0..given.len()).map(|n| session.get::<Any>(&format!("{n}")).map_err(|e| chain(&e)));
            let read = read.collect::<Vec<_>>();
            let again = given.iter().enumerate().map(|(n, value)| session.insert(format!("{n}"), value).is_ok());
            (read, again.collect::<Vec<_>>())
        })
        .await;
    // An equal value is no change.
    let calls = office.bed.faults.calls();
    prop_assert!(calls == ["PutItem", "GetItem"], "{calls:?}");
    for (n, mut value) in values.into_iter().enumerate() {
        let reasons = value.judge(codec);
        let mut count = counts.get();
        prop_assert_eq!(again[n], answers[n].is_none());
        match &answers[n] {
            None => {
                prop_assert!(reasons.is_empty(), "{codec}: {value:?} was taken: {reasons:?}");
                prop_assert_eq!(&read[n], &Ok(Some(value)), "{}", codec);
                count.kept += 1;
            }
            Some(told) => {
                let start = format!("the value of `{n}` cannot be written or read: ");
                let true_one = told.starts_with(&start) && reasons.iter().any(|reason| told.contains(reason));
                prop_assert!(true_one, "{codec}: {value:?} was refused with {told}, and not for {reasons:?}");
                prop_assert_eq!(&read[n], &Ok(None));
                count.refused += 1;
            }
        }
        counts.set(count);
    }
    Ok(())
}

/// `PROPTEST_CASES` sets the number of sessions, `PROPTEST_RANDOM` draws others than always.
#[test]
fn what_is_taken_is_read_back_equal_and_the_rest_is_refused() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for codec in CODECS {
        let cases_config = Cases { cases, failure_persistence: None, ..Cases::default() };
        // The same values each time, so that a check is red for a change's sake alone; others are drawn on request.
        let mut runner = match std::env::var_os("PROPTEST_RANDOM") {
            Some(_) => TestRunner::new(cases_config),
            None => TestRunner::new_with_rng(cases_config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        };
        let office = runtime.block_on(Office::new(codec));
        let counts = Cell::default();
        let outcome =
            runner.run(&vec(values(), 1..12), |values| runtime.block_on(run(&office, codec, values, &counts)));
        let Counts { kept, refused } = counts.get();
        println!("{codec}: {} values, {kept} read back equal, {refused} refused at insert", kept + refused);
        if let Err(failure) = outcome {
            // Its own text shows the values on a line for each byte.
            panic!("{}", format!("{failure:?}").chars().take(4_000).collect::<String>());
        }
        // JSON and DynamoDB's maps have no word for some, and CBOR only for what is too deep.
        assert!(kept > 3 * cases as usize && refused > cases as usize / 100, "both sides are met");
    }
}
