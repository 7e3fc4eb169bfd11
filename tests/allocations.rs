//! What the guard allocates beside the same route with DynamoDB's calls written by hand; the routes are the benchmark's.
//!
//! Counted exactly, on the one thread that does it all. It is one test, so that nothing else of the process is warm or cold
//! by chance.

#[path = "../benches/guard/stage.rs"]
mod stage;

use allocation_counter::measure;

use crate::stage::{By, PAIRS, Pair, Stage, pair};

/// Pair, and how many allocations a dispatch with the guard may make above the one by hand.
const BOUNDS: [(&str, i64); 3] = [("read-1kb", 0), ("change-1kb", 20), ("visitor", 8)];

/// Dispatches that make caches; not counted.
const WARM_UP: usize = 5;

/// The allocations of a dispatch, and how often it called DynamoDB.
fn allocations(pair: Pair, by: By) -> (i64, usize) {
    let stage = Stage::new(pair, by);
    stage.run(WARM_UP);
    // Now and then a map or a queue grows.
    let count = || {
        let mut calls = 0;
        let made = measure(|| calls = stage.run(1));
        (made.count_total.try_into().expect("a count"), calls)
    };
    (0..5).map(|_| count()).min().expect("five counts")
}

#[test]
fn the_guard_allocates_no_more_than_it_may() {
    let mut excess = Vec::new();
    for (name, bound) in BOUNDS {
        let pair = pair(name).expect("a pair of that name");
        let ((guard, _), (hand, _)) = (allocations(pair, By::Guard), allocations(pair, By::Hand));
        let line = format!("{name}: {guard} with the guard, {hand} by hand, {:+}, at most {bound:+}", guard - hand);
        println!("{line}");
        if guard - hand > bound {
            excess.push(line);
        }
    }
    // Else the pairs would compare different things.
    for pair in PAIRS {
        let [guard, hand] = [By::Guard, By::Hand].map(|by| Stage::new(pair, by).run(1));
        assert_eq!(guard, hand, "calls of {}", pair.name);
    }
    assert!(excess.is_empty(), "\n{}", excess.join("\n"));
}
