//! What the guard costs beside the same route with DynamoDB's calls written by hand on the SDK.
//!
//! `cargo bench` prints the times; the ratios are `guard / hand`. `cargo bench --bench guard -- --count guard/read-1kb 20`
//! dispatches one route so many times in [`counted_dispatches`] and prints nothing: that is for utils/count.sh, which has
//! callgrind count its instructions.

#[path = "guard/stage.rs"]
mod stage;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group};

use crate::stage::{By, PAIRS, Stage, pair};

/// Dispatches that make caches and connections; not counted.
const WARM_UP: usize = 3;

/// All that utils/count.sh counts. It holds no closure: callgrind would take one for the function, by its name.
#[inline(never)]
fn counted_dispatches(stage: &Stage, times: usize) {
    // The `black_box` around it keeps it from being a tail call.
    black_box(stage.run(black_box(times)));
}

fn count(route: &str, times: &str) -> Option<()> {
    let (by, name) = route.split_once('/')?;
    let by = match by {
        "guard" => By::Guard,
        "hand" => By::Hand,
        _ => return None,
    };
    let times = times.parse().ok()?;
    let stage = Stage::new(pair(name)?, by);
    stage.run(WARM_UP.min(times));
    counted_dispatches(&stage, times);
    Some(())
}

fn times(c: &mut Criterion) {
    for pair in PAIRS {
        let mut group = c.benchmark_group(pair.name);
        for (by, name) in [(By::Hand, "hand"), (By::Guard, "guard")] {
            let stage = Stage::new(pair, by);
            group.bench_function(name, |b| b.iter(|| stage.run(1)));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).sample_size(30);
    targets = times
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == "--count") else {
        benches();
        Criterion::default().configure_from_args().final_summary();
        return;
    };
    let counted = match &arguments[at + 1..] {
        [route, times, ..] => count(route, times),
        _ => None,
    };
    if counted.is_none() {
        eprintln!("--count wants guard/PAIR or hand/PAIR, and how often; the pairs: {:?}", PAIRS.map(|pair| pair.name));
        std::process::exit(2);
    }
}
