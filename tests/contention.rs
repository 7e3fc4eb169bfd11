//! Many writers of one session at once, on two nodes: what is answered 200 counts, and what is answered 503 does not.

mod support;

use std::time::Duration;

use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::tokio::join;
use rocket::tokio::task::yield_now;
use rocket_dynamodb_sessions::testing::{Faults, On};
use rocket_dynamodb_sessions::{Config, SessionId};
use serde_json::json;
use support::script::{Answer, Node};
use support::{Bed, sessions};

/// Runs a script so often on each node, all at once: each request loads the session before any of them writes.
async fn storm(nodes: &[&Node], each: u32, id: &SessionId, script: &str) -> Vec<Answer> {
    let script = &format!("wait,{script}");
    let requests = nodes.iter().flat_map(|node| (0..each).map(move |_| node.ask(id, script)));
    let doors = async {
        for node in nodes {
            node.door.reached(each).await;
        }
        for node in nodes {
            node.door.open(each as usize);
        }
    };
    join!(join_all(requests), doors).0
}

/// How many requests were answered 200; the others, 503.
#[track_caller]
fn counted(answers: &[Answer]) -> usize {
    let ok = answers.iter().filter(|answer| answer.status == Status::Ok).count();
    let late = answers.iter().filter(|answer| answer.status == Status::ServiceUnavailable).count();
    assert_eq!(ok + late, answers.len(), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.cookies.is_empty()));
    ok
}

/// A node with the default deadline.
fn hurried(config: Config) -> Config {
    let Config { deadline, attempt_timeout, .. } = Config::default();
    Config { deadline, attempt_timeout, ..config }
}

#[rocket::async_test]
async fn of_64_parallel_updates_over_two_nodes_none_that_was_answered_200_is_lost() {
    let one = Node::with(Bed::new(), hurried).await;
    // Its own faults, which only count here.
    let two = Node::with(Bed { faults: Faults::new(), ..one.bed.clone() }, hurried).await;
    let id = one.seed().await;
    one.bed.faults.reset_counts();
    let start = std::time::Instant::now();
    let answers = storm(&[&one, &two], 32, &id, "add:n").await;
    let took = start.elapsed();
    let ok = counted(&answers);
    assert_eq!(one.row(&id).await.data(), json!({ "k": 1, "n": 5 + ok }));
    assert!(ok > 0);

    let sent = [&one, &two].map(|node| node.bed.faults.count("UpdateItem"));
    let failed = [&one, &two].map(|node| node.bed.faults.failed());
    println!(
        "64 parallel updates on two nodes: {ok} answered 200, {} answered 503, in {} ms; writes sent {} ({} + {}), \
         conditions failed {} ({} + {})",
        64 - ok,
        took.as_millis(),
        sent[0] + sent[1],
        sent[0],
        sent[1],
        failed[0] + failed[1],
        failed[0],
        failed[1],
    );
    assert_eq!(sent[0] + sent[1] - failed[0] - failed[1], ok, "each that counts was written once");
}

#[rocket::async_test]
async fn of_64_parallel_inserts_over_two_nodes_all_keys_survive() {
    let one = Node::new().await;
    let two = one.beside().await;
    let id = one.seed().await;
    let requests = (0..64).map(|n| {
        let node = [&one, &two][n % 2];
        let id = &id;
        async move { node.ask(id, &format!("wait,insert:key{n}={n}")).await }
    });
    let doors = async {
        for node in [&one, &two] {
            node.door.reached(32).await;
        }
        for node in [&one, &two] {
            node.door.open(32);
        }
    };
    let (answers, ()) = join!(join_all(requests), doors);
    assert_eq!(counted(&answers), 64);
    let data = one.row(&id).await.data();
    assert!((0..64).all(|n| data[format!("key{n}")] == n), "{data}");
}

/// On one thread, so that the test knows when all wait for the first.
#[tokio::test]
async fn of_64_parallel_updates_on_one_node_each_is_one_write_and_no_condition_fails() {
    let node = Node::new().await;
    let id = node.seed().await;
    node.bed.faults.reset_counts();
    let before = sessions(&node.client).stats();
    // A row that nobody waits for is forgotten: the first write goes on when the others stand behind it.
    let first = node.bed.faults.hold(On::writes());
    let beside = async {
        first.reached().await;
        for _ in 0..1000 {
            yield_now().await;
        }
        first.open();
    };
    let nodes = [&node];
    let (answers, ()) = join!(storm(&nodes, 64, &id, "add:n"), beside);
    assert_eq!((counted(&answers), node.row(&id).await.data()["n"].clone()), (64, json!(69)));
    // All but the first have loaded an older row; who writes hands on what it left.
    assert_eq!((node.writes(), node.bed.faults.count("UpdateItem"), node.bed.faults.failed()), (64, 64, 0));
    assert_eq!(node.bed.faults.count("GetItem"), 64);
    let after = sessions(&node.client).stats();
    assert_eq!((after.commits - before.commits, after.conflicts, after.dropped, after.failed), (64, 0, 0, 0));
}

#[rocket::async_test]
async fn updates_that_cannot_be_written_within_the_deadline_answer_503_and_do_not_count() {
    let deadline = Duration::from_millis(200);
    let node = Node::with(Bed::new(), |config| Config { deadline, attempt_timeout: deadline, ..config }).await;
    let beside = node.beside().await;
    let id = beside.seed().await;
    let gate = node.bed.faults.hold(On::writes().always());
    let (held, free) = ([&node], [&beside]);
    let (late, quick) = join!(storm(&held, 8, &id, "add:n"), storm(&free, 8, &id, "add:n"));
    assert_eq!((counted(&late), counted(&quick)), (0, 8));
    drop(gate);
    node.bed.faults.clear();
    assert_eq!(node.row(&id).await.data()["n"], 13);
    let answers = storm(&[&node], 8, &id, "add:n").await;
    assert_eq!(node.row(&id).await.data()["n"], 13 + counted(&answers));
}
