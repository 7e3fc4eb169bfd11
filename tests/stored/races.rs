//! Requests that change one value at once.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rocket::http::Status;
use rocket::tokio::sync::Barrier;
use rocket::tokio::time::timeout;
use rocket_dynamodb_sessions::testing::{Effect, Faults, On};
use rocket_dynamodb_sessions::{Config, Session, SessionValue};
use serde::{Deserialize, Serialize};

use crate::support::work::{CODECS, Office, chain};
use crate::support::{Bed, Jar, sessions};
use crate::{Cart, at_once, cart, stored};

/// Two nodes on one table, and a browser that holds a cart with one item; they have time.
async fn two_nodes(codec: rocket_dynamodb_sessions::Codec) -> (Office, Office, Jar) {
    let minute = Duration::from_secs(60);
    let patient = move |config: Config| Config {
        codec,
        deadline: minute,
        attempt_timeout: minute / 2,
        backoff: Duration::from_millis(1),
        ..config
    };
    let one = Office::with(Bed::new(), patient).await;
    let two = Office::with(Bed { faults: Faults::new(), ..one.bed.clone() }, patient).await;
    let jar = Jar::default();
    one.run(&jar, |session| cart(session).items.push("first".into())).await;
    (one, two, jar)
}

#[tokio::test]
async fn of_twenty_parallel_pushes_of_different_items_all_survive() {
    for codec in CODECS {
        let (one, two, jar) = two_nodes(codec).await;
        let statuses = at_once(&[&one, &two], &jar, 20, |n, cart, _| cart.items.push(format!("item {n}"))).await;
        assert_eq!(statuses, [Status::Ok; 20]);
        let items = stored(&one, &jar).await.items;
        assert_eq!((items.len(), &*items[0]), (21, "first"), "{codec}");
        assert!((0..20).all(|n| items.contains(&format!("item {n}"))), "{items:?}");
        // One process writes one after the other, so that each meets at most the other's writes.
        println!(
            "{codec}: 20 pushes on two nodes, {} failed conditions",
            one.bed.faults.failed() + two.bed.faults.failed()
        );
    }
}

#[tokio::test]
async fn of_twenty_parallel_changes_of_one_field_one_wins_and_the_others_are_told() {
    for codec in CODECS {
        let (one, two, jar) = two_nodes(codec).await;
        let change = |n: usize, cart: &mut rocket_dynamodb_sessions::Stored<Cart>, session: &Session| {
            cart.note = Some(format!("{n}"));
            session.insert(format!("beside {n}"), n).expect("a number");
        };
        let statuses = at_once(&[&one, &two], &jar, 20, change).await;
        let won: Vec<usize> = (0..20).filter(|n| statuses[*n] == Status::Ok).collect();
        let [won] = won[..] else { panic!("one wins: {statuses:?}") };
        assert_eq!(statuses.iter().filter(|status| **status == Status::Conflict).count(), 19, "{statuses:?}");
        assert_eq!(stored(&one, &jar).await.note, Some(format!("{won}")), "{codec}");
        // What a refused request did beside is not stored either: it is told that nothing was.
        assert_eq!(one.run(&jar, Session::keys).await, [format!("beside {won}"), "cart".into()]);
        let failed = [&one, &two].map(|office| sessions(&office.client).stats().failed);
        assert_eq!(failed[0] + failed[1], 19);
    }
}

#[tokio::test]
async fn equal_changes_are_made_once_and_changes_of_other_fields_are_all_kept() {
    for codec in CODECS {
        let (one, two, jar) = two_nodes(codec).await;
        let statuses = at_once(&[&one, &two], &jar, 10, |n, cart, _| {
            cart.note = Some("the same".into());
            cart.items.push("the same".into());
            cart.counts.insert(format!("{n}"), 1);
        })
        .await;
        assert_eq!(statuses, [Status::Ok; 10]);
        let cart = stored(&one, &jar).await;
        assert_eq!((cart.note.as_deref(), cart.counts.len()), (Some("the same"), 10), "{codec}");
        assert_eq!(cart.items, ["first", "the same"]);
    }
}

#[tokio::test]
async fn a_conflict_is_a_bare_409_and_the_session_goes_on() {
    let (one, two, jar) = two_nodes(CODECS[0]).await;
    let (status, told) = one
        .ask(&jar, {
            let (jar, rival) = (jar.clone(), two);
            |session: Session| async move {
                let mut ours = cart(&session);
                rival.run(&jar, |session| cart(session).note = Some("theirs".into())).await;
                ours.note = Some("ours".into());
                drop(ours);
                let told = session.flush().await.expect_err("a conflict");
                (told.status(), chain(&told))
            }
        })
        .await;
    // The handler saw it, and cannot make it good: what the client saw is out of date.
    let said = "another request changed `cart` meanwhile in a way that cannot be merged; nothing was stored";
    assert_eq!((status, told), (Status::Conflict, Some((409, said.to_owned()))));
    assert_eq!(stored(&one, &jar).await.note.as_deref(), Some("theirs"));
    one.run(&jar, |session| cart(session).note = Some("later".into())).await;
    assert_eq!(stored(&one, &jar).await.note.as_deref(), Some("later"));
}

#[tokio::test]
async fn of_twenty_parallel_modify_now_each_gets_another_number() {
    for codec in CODECS {
        let (one, two, jar) = two_nodes(codec).await;
        let barrier = Arc::new(Barrier::new(20));
        let requests = (0..20).map(|n| {
            let barrier = barrier.clone();
            [&one, &two][n % 2].ask(&jar, move |session| async move {
                barrier.wait().await;
                let next = |count: &mut u32| {
                    *count += 1;
                    *count
                };
                session.modify_now("tickets", next).await.expect("a number")
            })
        });
        let answers = rocket::futures::future::join_all(requests).await;
        let mut numbers: Vec<u32> = answers.into_iter().map(|(_, number)| number.expect("an answer")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "{codec}");
        assert_eq!(one.run(&jar, |session| session.get("tickets").expect("a number")).await, Some(20));
    }
}

#[tokio::test]
async fn a_modify_now_that_failed_or_was_given_up_has_changed_nothing() {
    let office = Office::with(Bed::new(), |config| Config { attempts: 1, ..config }).await;
    let jar = Jar::default();
    office.run(&jar, |session| session.insert("n", 5).expect("a number")).await;
    for given_up in [false, true] {
        let faults = office.bed.faults.clone();
        let gate = given_up.then(|| faults.hold(On::writes()));
        if !given_up {
            faults.inject(On::writes(), Effect::Status(500));
        }
        let (status, answers) = office
            .ask(&jar, move |session| async move {
                let next = session.modify_now("n", |n: &mut u32| {
                    *n += 1;
                    *n
                });
                let told = match timeout(Duration::from_millis(200), next).await {
                    Ok(told) => told.map_err(|e| e.status()),
                    Err(_) => Err(0),
                };
                if let Some(gate) = gate {
                    gate.open();
                }
                (told, session.get::<u32>("n").expect("a number"))
            })
            .await;
        let expected = if given_up { 0 } else { 503 };
        assert_eq!((status, answers.expect("an answer").0), (Status::Ok, Err(expected)));
        let now = office.run(&jar, |session| session.get::<u32>("n").expect("a number")).await;
        // What was given up while it was under way may have been stored, whole.
        assert!(now == Some(5) || given_up && now == Some(6), "{now:?}");
    }
}

#[tokio::test]
async fn a_take_beside_modify_now_is_before_it_or_after_it() {
    for codec in CODECS {
        let (one, two, jar) = two_nodes(codec).await;
        one.run(&jar, |session| session.insert("seats", vec![1, 2, 3]).expect("a list")).await;
        let barrier = Arc::new(Barrier::new(10));
        let requests = (0..10).map(|n| {
            let barrier = barrier.clone();
            [&one, &two][n % 2].ask(&jar, move |session| async move {
                barrier.wait().await;
                if n == 4 {
                    return session.take::<Vec<u32>>("seats").await.expect("a list").unwrap_or_default();
                }
                let seat = |seats: &mut Vec<u32>| seats.pop();
                session.modify_now("seats", seat).await.expect("a list").into_iter().collect()
            })
        });
        let given = rocket::futures::future::join_all(requests).await;
        let mut given: Vec<u32> = given.into_iter().flat_map(|(_, seats)| seats.expect("an answer")).collect();
        given.sort_unstable();
        assert_eq!(given, [1, 2, 3], "{codec}: each seat is given out once");
    }
}

#[path = "../values/any.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod any;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Both {
    ours: any::Any,
    theirs: any::Any,
}

impl Default for Both {
    fn default() -> Self {
        Self { ours: any::Any::Plain, theirs: any::Any::Plain }
    }
}

impl SessionValue for Both {
    const KEY: &'static str = "both";
}

/// Merging takes values apart and puts them together again: of all shapes, they must come out as they went in.
#[test]
fn random_values_of_all_shapes_are_merged_unchanged() {
    use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for codec in CODECS {
        let office = runtime.block_on(Office::new(codec));
        let office = &office;
        let cases = Cases { cases: 60, failure_persistence: None, max_shrink_iters: 64, ..Cases::default() };
        let mut runner = TestRunner::new_with_rng(cases, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let merged = std::cell::Cell::new(0);
        let outcome = runner.run(&(any::values(), any::values()), |(mut ours, mut theirs)| {
            let fits = |value: &mut any::Any| value.judge(codec).is_empty() && value.levels() < any::most_levels(codec);
            if !fits(&mut ours) || !fits(&mut theirs) {
                return Ok(());
            }
            merged.set(merged.get() + 1);
            let read = runtime.block_on(async {
                let jar = Jar::default();
                office.run(&jar, |session| session.insert("some", 1).expect("a number")).await;
                let barrier = Arc::new(Barrier::new(2));
                let request = |ours: Option<any::Any>, theirs: Option<any::Any>| {
                    let barrier = barrier.clone();
                    office.ask(&jar, move |session| async move {
                        let mut both = session.stored::<Both>().expect("both");
                        barrier.wait().await;
                        let Both { ours: one, theirs: other } = &mut *both;
                        ours.into_iter().for_each(|value| *one = value);
                        theirs.into_iter().for_each(|value| *other = value);
                    })
                };
                let requests =
                    rocket::tokio::join!(request(Some(ours.clone()), None), request(None, Some(theirs.clone())));
                assert_eq!((requests.0.0, requests.1.0), (Status::Ok, Status::Ok));
                office.run(&jar, |session| session.get::<Both>("both").expect("both")).await
            });
            prop_assert_eq!(read, Some(Both { ours, theirs }));
            Ok(())
        });
        println!("{codec}: {} pairs merged", merged.get());
        if let Err(failure) = outcome {
            panic!("{}", format!("{failure:?}").chars().take(3_000).collect::<String>());
        }
        assert!(merged.get() > 20, "{codec}");
    }
}
