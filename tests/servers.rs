//! Servers and tables that are not as ours: an outage that passes, a row that another program spoiled, a server that
//! brings no row with a failed condition.

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::futures::future::join_all;
use rocket::tokio::join;
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, OnOutage};
use serde_json::{Value, json};
use support::script::Node;
use support::{Bed, seed};

const NOTHING: [Value; 0] = [];

// An outage.

#[rocket::async_test]
async fn emptying_a_session_that_could_not_be_loaded_does_nothing_also_after_a_reload() {
    let node = Node::with(Bed::new(), |config| Config { on_outage: OnOutage::Anonymous, ..config }).await;
    for script in [
        "clear,wait",
        "clear,wait,reload",
        "clear,wait,flush,reload",
        "clear,wait,reload,flush",
        "remove:k,remove:n,wait,reload",
        "remove:k,clear,remove:n,wait,reload,reload",
        "take:k,take:n,clear,wait,reload,take:none",
    ] {
        for principal in [None, Some("ann")] {
            let id = seed(&node.client, principal, &[("k", 1.into()), ("n", 5.into())]).await;
            let rows = node.rows().await;
            node.bed.faults.inject(On::reads().always(), Effect::Reset);
            let well = async { node.bed.faults.clear() };
            let (answer, ()) = node.slow(&id, script, well).await;
            answer.silent();
            assert_eq!(node.rows().await, rows, "{script}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn what_a_request_does_after_an_outage_is_over_is_carried_out_and_so_is_a_sign_out() {
    let node = Node::with(Bed::new(), |config| Config { on_outage: OnOutage::Anonymous, ..config }).await;
    for (script, left) in [
        ("clear,wait,reload,add:n", vec![json!({ "k": 1, "n": 6 })]),
        ("remove:n,wait,reload,remove:k", vec![json!({ "n": 5 })]),
        ("wait,reload,clear", vec![]),
        ("invalidate,wait", vec![]),
        ("invalidate,wait,reload", vec![]),
        ("clear,invalidate,wait,reload,look", vec![]),
    ] {
        let id = node.seed().await;
        node.bed.faults.inject(On::reads().always(), Effect::Reset);
        let well = async { node.bed.faults.clear() };
        node.slow(&id, script, well).await.0.ok();
        assert_eq!(node.data().await, left, "{script}");
        node.wipe().await;
    }
}

// Tombstones and servers that are not as ours.

#[rocket::async_test]
async fn a_tombstone_whose_successor_is_no_string_is_one_like_any_other() {
    let node = Node::with(Bed::new(), |config| Config { deadline: Duration::from_millis(500), ..config }).await;
    let odd = [AttributeValue::N("5".into()), AttributeValue::Bool(true), AttributeValue::L(vec![])];
    for successor in odd {
        // As another program may have written it, into a row that is still there; and in one of ours.
        for ended in [None, Some("cycle"), Some("login")] {
            for script in ["look", "add:n", "clear", "cycle", "take:k", "invalidate", "set_ttl:60"] {
                for slow in [true, false] {
                    let id = node.seed().await;
                    let spoil = async {
                        let mut row = node.row(&id).await;
                        row.0.insert("successor".into(), successor.clone());
                        if let Some(ended) = ended {
                            row.0.remove("data");
                            row.0.insert("ended".into(), AttributeValue::S(ended.into()));
                        }
                        row.0.insert("modified".into(), AttributeValue::S("another".into()));
                        node.bed.put(row).await;
                        node.bed.faults.reset_counts();
                        node.rows().await
                    };
                    let (answer, rows) = match slow {
                        true => node.slow(&id, &format!("wait,{script}"), spoil).await,
                        false => {
                            let rows = spoil.await;
                            (node.ask(&id, script).await, rows)
                        }
                    };
                    let which = format!("{successor:?}, {ended:?}, {script}, slow: {slow}");
                    let writes = node.writes();
                    assert!(writes <= 3, "{which}: {writes} writes");
                    assert_eq!(answer.status.code, 200, "{which}");
                    // What begins there may begin a session of its own; the row stays as it is.
                    let left = node.rows().await;
                    let signed_out = script == "invalidate" && ended.is_none();
                    assert!(signed_out || rows.iter().all(|row| left.contains(row)), "{which}");
                    if slow {
                        assert_eq!((&answer.cookies[..], left.len()), (&[][..], 1), "{which}");
                    }
                    node.wipe().await;
                }
            }
        }
    }
}

#[rocket::async_test]
async fn twenty_parallel_increments_survive_a_server_that_brings_no_rows() {
    let node = Node::new().await;
    let nodes = [node.beside().await, node.beside().await, node.beside().await, node.beside().await];
    nodes.iter().for_each(Node::bring_no_rows);
    let id = node.seed().await;
    let requests = join_all(nodes.iter().cycle().take(20).map(|node| node.ask(&id, "wait,add:n")));
    let doors = async {
        for node in &nodes {
            node.door.reached(5).await;
        }
        nodes.iter().for_each(|node| node.door.open(5));
    };
    let (answers, ()) = join!(requests, doors);
    for answer in &answers {
        answer.silent();
    }
    assert_eq!(node.row(&id).await.data(), json!({ "k": 1, "n": 25 }));
    assert_eq!(nodes.iter().map(Node::dropped).sum::<u64>(), 0);
}

#[rocket::async_test]
async fn what_another_request_did_is_read_where_a_server_brings_no_row() {
    let node = Node::new().await;
    let other = node.beside().await;
    node.bring_no_rows();
    let n = |n| vec![json!({ "k": 1, "n": n })];
    for (script, beside, left, told) in [
        ("add:n", "add:n", n(7), false),
        ("add:n", "cycle", n(6), false),
        ("add:n", "login:ann", n(5), false),
        ("add:n", "invalidate", vec![], false),
        ("add:n", "clear", vec![], false),
        ("cycle,add:n", "add:n", n(7), true),
        ("cycle,add:n", "cycle,add:n", n(7), false),
        ("cycle,add:n", "login:ann", n(5), false),
        ("cycle,add:n", "invalidate", vec![], false),
        ("login:ann,add:n", "add:n", n(7), true),
        ("login:ann,add:n", "cycle,add:n", n(7), true),
        ("login:ann", "invalidate", vec![json!({})], true),
        ("remove:k,remove:n", "insert:m=1", vec![json!({ "m": 1 })], false),
        ("remove:k,remove:n", "cycle,insert:m=1", vec![json!({ "m": 1 })], false),
        ("remove:k,remove:n", "invalidate", vec![], false),
        ("invalidate", "login:ann", vec![], false),
        ("invalidate", "invalidate", vec![], false),
        ("invalidate,insert:f=1", "cycle", vec![json!({ "f": 1 })], true),
        ("invalidate,insert:f=1", "login:ann", vec![json!({ "f": 1 })], true),
        ("invalidate,insert:f=1", "add:n", vec![json!({ "f": 1 })], true),
        ("invalidate,insert:f=1", "invalidate", vec![], false),
    ] {
        let id = node.seed().await;
        let (slow, _) = node.slow(&id, &format!("wait,{script}"), other.ask(&id, beside)).await;
        assert_eq!(node.data().await, left, "{script}; {beside}");
        assert_eq!(slow.ok().cookies.len(), usize::from(told), "{script}; {beside}: {slow:?}");
        node.wipe().await;
    }
    // One that cycles alone made of it is our own: its cookie is removed.
    let id = node.seed().await;
    node.slow(&id, "wait,invalidate", other.ask(&id, "cycle")).await.0.removes();
    assert_eq!(node.data().await, NOTHING);
}
