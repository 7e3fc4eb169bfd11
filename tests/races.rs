//! Requests side by side: what loaded the session and is slow meets a sign-out, a rotation, an expiry, a deletion.

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::tokio::join;
use rocket_dynamodb_sessions::testing::Row;
use rocket_dynamodb_sessions::{Config, Lifetime, SessionId};
use serde_json::json;
use support::script::{Node, hear};
use support::{Jar, sessions};

const DAY: u64 = 24 * 60 * 60;

/// More than a tombstone lives.
const SIX_MINUTES: u64 = 6 * 60;

/// All kinds of what a slow request may still write, sign-outs and logins aside. The first only refreshes the lifetime:
/// the tests let two days pass, so that this is due.
const CHANGES: [&str; 12] = [
    "look",
    "insert:k=2",
    "add:n",
    "remove:k",
    "remove:k,remove:n",
    "clear",
    "take:k",
    "set_ttl:60",
    "remember:false",
    "cycle",
    "cycle,insert:k=2",
    "insert:k=2,flush,add:n",
];

const SIGN_OUTS: [&str; 2] = ["invalidate", "invalidate,insert:flash=1"];

/// A session that a refresh is due of.
async fn seed_due(node: &Node) -> SessionId {
    let id = node.seed().await;
    node.bed.advance(2 * DAY);
    id
}

fn slowly(script: &str) -> String {
    format!("wait,{script}")
}

/// A session under this ID has ended: nothing lives, and the one row is the tombstone that says so.
#[track_caller]
fn assert_ended(rows: &[Row]) {
    let kinds: Vec<_> = rows.iter().map(|row| row.text("ended")).collect();
    assert_eq!(kinds, [Some("ended")]);
}

/// Cycles the ID of the one live session as whoever holds it would, whom the tests have not heard of.
async fn cycle_unheard(node: &Node) -> SessionId {
    let [Row(old)] = <[Row; 1]>::try_from(node.live().await).expect("one session lives");
    let id = node.seed().await;
    let mut new = old.clone();
    new.insert("id".into(), node.row(&id).await.0["id"].clone());
    let ttl = AttributeValue::N((node.bed.now() + 300).to_string());
    let successor = ("successor", new["id"].clone());
    let tombstone = [("ended", AttributeValue::S("cycle".into())), successor, ("ttl", ttl)];
    let kept = ["id", "modified", "tokens"].map(|name| (name, old[name].clone()));
    node.bed.put(support::row(&[&tombstone[..], &kept[..]].concat())).await;
    node.bed.put(Row(new)).await;
    id
}

// Sign-out, deletion, expiry.

#[rocket::async_test]
async fn a_slow_request_changes_and_recreates_nothing_after_a_sign_out() {
    let node = Node::new().await;
    for script in CHANGES.into_iter().chain(SIGN_OUTS) {
        let id = seed_due(&node).await;
        let sign_out = async {
            node.ask(&id, "invalidate").await.removes();
            node.rows().await
        };
        let (slow, rows) = node.slow(&id, &slowly(script), sign_out).await;
        slow.silent();
        assert_ended(&rows);
        assert_eq!(node.rows().await, rows, "{script}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_slow_request_recreates_nothing_after_its_row_was_deleted_in_the_table() {
    let node = Node::new().await;
    for script in CHANGES.into_iter().chain(SIGN_OUTS) {
        let id = seed_due(&node).await;
        let (slow, ()) = node.slow(&id, &slowly(script), node.bed.delete(&node.client, &id)).await;
        slow.silent();
        assert_eq!(node.rows().await, [], "{script}");
    }
}

#[rocket::async_test]
async fn a_session_that_expired_meanwhile_is_not_revived_though_its_row_still_stands() {
    let node = Node::new().await;
    for script in CHANGES {
        let id = seed_due(&node).await;
        let before = node.rows().await;
        let (slow, ()) = node.slow(&id, &slowly(script), async { node.bed.advance(12 * DAY) }).await;
        slow.silent();
        assert_eq!(node.rows().await, before, "{script}");
        node.ask(&id, "look").await.silent().says("Unknown nobody {}");
        node.wipe().await;
    }
    for script in SIGN_OUTS {
        let id = seed_due(&node).await;
        let (slow, ()) = node.slow(&id, &slowly(script), async { node.bed.advance(12 * DAY) }).await;
        slow.silent();
        assert_eq!(node.live().await, [], "{script}");
    }
}

#[rocket::async_test]
async fn a_slow_request_leaves_a_session_alone_that_has_taken_the_place_of_its_own() {
    let node = Node::new().await;
    for script in CHANGES.into_iter().chain(SIGN_OUTS) {
        let id = seed_due(&node).await;
        let other = async {
            let id = node.ask(&id, "invalidate,insert:flash=1").await.id();
            (node.rows().await, id)
        };
        let (slow, (rows, new)) = node.slow(&id, &slowly(script), other).await;
        slow.silent();
        assert_eq!(node.rows().await, rows, "{script}");
        node.ask(&new, "look").await.says(r#"Live nobody {"flash":1}"#);
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_refresh_that_finds_the_session_ended_is_not_repeated_and_the_handler_can_see_it() {
    let node = Node::new().await;
    for (end, seen) in [("invalidate", "Gone"), ("cycle", "Live"), ("login:ann", "Superseded")] {
        let id = seed_due(&node).await;
        let ending = async {
            node.ask(&id, end).await.ok();
            node.bed.faults.reset_counts();
        };
        let (slow, ()) = node.slow(&id, "wait,flush,look", ending).await;
        assert!(slow.silent().body.starts_with(&format!("flushed {seen} nobody")), "{end}: {slow:?}");
        assert_eq!(node.bed.faults.count("UpdateItem"), 1, "{end}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn what_is_dropped_is_counted() {
    let node = Node::new().await;
    for (dropped, script) in (1..).zip(["insert:k=2", "add:n", "cycle", "set_ttl:60", "invalidate,insert:flash=1"]) {
        let id = node.seed().await;
        node.slow(&id, &slowly(script), node.wipe()).await.0.silent();
        assert_eq!(node.dropped(), dropped, "{script}");
    }
    let id = node.seed().await;
    node.slow(&id, "wait,invalidate", node.wipe()).await.0.silent();
    assert_eq!(node.dropped(), 5);
}

#[rocket::async_test]
async fn a_slow_sign_out_ends_what_rotations_made_of_the_session() {
    let node = Node::new().await;
    let rotations: [&[&str]; 5] =
        [&["cycle"], &["login:ann"], &["cycle", "login:ann"], &["login:ann", "cycle"], &["cycle"; 4]];
    for rotations in rotations {
        for tombstones_over in [false, true] {
            let id = node.seed().await;
            let jar = Jar::holding(&id);
            let rotate = async {
                for rotation in rotations {
                    node.browse(&jar, rotation).await.id();
                }
                node.bed.advance(if tombstones_over { SIX_MINUTES } else { 0 });
            };
            let (out, ()) = node.slow(&id, "wait,invalidate", rotate).await;
            // The cookie of a login came with another response, and the browser may log in again meanwhile.
            match rotations.contains(&"login:ann") {
                true => drop(out.silent()),
                false => out.removes(),
            }
            assert_eq!(node.live().await, [], "{rotations:?}");
            // Those of the rotations, and that of the end.
            assert_eq!(node.tombstones().await, rotations.len() + 1);
            node.browse(&jar, "look").await.silent().says("Unknown nobody {}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_sign_out_with_an_old_id_ends_what_rotations_made_of_the_session() {
    let node = Node::new().await;
    for rotation in ["cycle", "login:ann"] {
        for seconds in [0, SIX_MINUTES] {
            let id = node.seed().await;
            let new = node.ask(&id, rotation).await.id();
            node.bed.advance(seconds);
            let out = node.ask(&id, "invalidate").await;
            match rotation {
                "cycle" => out.removes(),
                // The browser holds the login's cookie by now, or another one.
                _ => drop(out.silent()),
            }
            assert_eq!(node.live().await, [], "{rotation}");
            node.ask(&new, "look").await.silent().says("Unknown nobody {}");
            node.ask(&id, "invalidate").await.silent();
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_sign_out_that_stores_a_flash_replaces_what_rotations_made_of_the_session() {
    let node = Node::new().await;
    for rotation in ["cycle", "login:ann"] {
        for seconds in [0, SIX_MINUTES] {
            for slow in [true, false] {
                let id = node.seed().await;
                let rotate = async {
                    node.ask(&id, rotation).await.id();
                    node.bed.advance(seconds);
                };
                let out = match slow {
                    true => node.slow(&id, "wait,invalidate,insert:flash=1", rotate).await.0,
                    false => {
                        rotate.await;
                        node.ask(&id, "invalidate,insert:flash=1").await
                    }
                };
                node.ask(&out.id(), "look").await.says(r#"Live nobody {"flash":1}"#);
                // The tombstone of the rotation, and that of the row that it made.
                assert_eq!((node.live().await.len(), node.tombstones().await), (1, 2), "{rotation}, slow: {slow}");
                node.wipe().await;
            }
        }
    }
}

#[rocket::async_test]
async fn a_sign_out_behind_more_than_sixteen_rotations_answers_503_and_not_that_it_was_done() {
    let node = Node::new().await;
    for (rotations, followed) in [(5, true), (16, true), (17, false)] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        let rotate = async {
            for _ in 0..rotations {
                node.browse(&jar, "cycle").await.id();
            }
        };
        let (out, ()) = node.slow(&id, "wait,invalidate", rotate).await;
        if followed {
            out.removes();
            assert_eq!(node.live().await, [], "{rotations}");
        } else {
            assert_eq!((out.status, &out.cookies[..]), (Status::ServiceUnavailable, &[][..]));
            node.browse(&jar, "look").await.says(r#"Live nobody {"k":1,"n":5}"#);
        }
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_sign_out_that_begins_behind_more_than_sixteen_rotations_ends_the_session_all_the_same() {
    let node = Node::new().await;
    for script in ["invalidate", "invalidate,insert:f=1"] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        for _ in 0..18 {
            node.browse(&jar, "cycle").await.id();
        }
        node.ask(&id, "look").await.silent().says("Gone nobody {}");
        node.ask(&id, script).await.ok();
        node.browse(&jar, "look").await.says("Unknown nobody {}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_sign_out_after_a_flush_that_met_an_expired_tombstone_ends_the_successor() {
    // The flush has found the session gone; the sign-out still has to end what the cycle made of it.
    for act in ["insert:x=1,flush", "flush"] {
        let node = Node::new().await;
        let id = seed_due(&node).await;
        let (answer, cycled) = node
            .slow(&id, &format!("wait,{act},invalidate"), async {
                let cycled = node.ask(&id, "cycle").await.id();
                node.bed.advance(301);
                cycled
            })
            .await;
        assert_eq!(node.live().await.len(), 0, "{act}");
        answer.removes();
        node.ask(&cycled, "look").await.says("Unknown nobody {}");
    }
}

#[rocket::async_test]
async fn revoking_the_handle_of_an_old_id_ends_what_rotations_made_of_the_session() {
    let node = Node::new().await;
    for seconds in [0, SIX_MINUTES] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        node.browse(&jar, "cycle").await;
        node.browse(&jar, "login:ann").await;
        node.bed.advance(seconds);
        let revoke = || async { sessions(&node.client).revoke(&sessions(&node.client).handle_of(&id)).await };
        assert!(revoke().await.expect("the store answers"));
        assert_eq!(node.live().await, []);
        assert!(!revoke().await.expect("the store answers"));
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_sign_out_that_finds_nothing_removes_no_cookie() {
    let node = Node::new().await;
    for script in SIGN_OUTS {
        // A row that was deleted, one that is over, one that ended while the request was under way.
        let id = node.seed().await;
        node.slow(&id, &slowly(script), node.ask(&id, "invalidate")).await.0.silent();
        node.slow(&id, "wait,invalidate", async {}).await.0.silent();
        let id = node.seed().await;
        node.bed.advance(14 * DAY);
        node.ask(&id, "invalidate").await.silent();
        assert_eq!(node.live().await, []);
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_sign_out_that_stores_a_flash_replaces_the_session_in_one_transaction() {
    let node = Node::new().await;
    let id = node.seed_user("ann").await;
    node.bed.faults.reset_counts();
    let new = node.ask(&id, "invalidate,insert:flash=1").await.id();
    assert_eq!(node.bed.faults.calls(), ["GetItem", "TransactWriteItems"]);
    assert_eq!(node.live().await, [node.row(&new).await]);
    assert_eq!((node.row(&id).await.text("ended"), node.rows().await.len()), (Some("ended"), 2));
    node.ask(&new, "look").await.says(r#"Live nobody {"flash":1}"#);
    node.ask(&id, "look").await.silent().says("Unknown nobody {}");
}

// Rotations: the ID is cycled.

#[rocket::async_test]
async fn a_request_under_way_while_the_id_is_cycled_writes_to_the_successor() {
    let node = Node::new().await;
    let changes = [
        ("add:n", r#"{"k":1,"n":6}"#),
        ("insert:late=1", r#"{"k":1,"late":1,"n":5}"#),
        ("remove:k", r#"{"n":5}"#),
        ("take:k", r#"{"n":5}"#),
        ("look", r#"{"k":1,"n":5}"#),
    ];
    for (script, data) in changes {
        let id = seed_due(&node).await;
        let (slow, cycled) = node.slow(&id, &slowly(script), node.ask(&id, "cycle")).await;
        slow.silent();
        node.ask(&cycled.id(), "look").await.says(&format!("Live nobody {data}"));
        assert_eq!((node.live().await.len(), node.tombstones().await), (1, 1), "{script}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_request_with_the_old_id_reads_and_writes_the_cycled_session_and_gets_no_cookie() {
    let node = Node::new().await;
    for hops in 1..=4 {
        let id = node.seed_user("ann").await;
        let jar = Jar::holding(&id);
        for _ in 0..hops {
            node.browse(&jar, "cycle").await.id();
        }
        node.ask(&id, "look").await.silent().says(r#"Live ann {"k":1,"n":5}"#);
        node.ask(&id, "add:n,look").await.silent().says(r#"Live ann {"k":1,"n":6}"#);
        node.ask(&id, "add:n,flush,add:n,reload").await.silent();
        node.browse(&jar, "look").await.silent().says(r#"Live ann {"k":1,"n":8}"#);
        assert_eq!((node.live().await.len(), node.tombstones().await), (1, hops));
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_request_with_the_old_id_refreshes_the_cycled_row_and_gets_no_cookie() {
    let ttl = Lifetime::new(Duration::from_secs(600)).expect("a lifetime");
    let node = Node::with(support::Bed::new(), |config| Config { ttl, ..config }).await;
    let id = node.seed().await;
    let new = node.ask(&id, "cycle").await.id();
    node.bed.advance(120);
    node.ask(&id, "look").await.silent();
    let row = node.row(&new).await;
    assert_eq!(row.number("ttl"), Some(node.bed.now() + 600));
    assert_eq!(row.number("cookie"), Some(node.bed.now() + 480), "the last cookie is that of the cycle");
    let cookie = node.ask(&new, "look").await.cookie().expect("the browser's own cookie is due");
    assert_eq!(cookie.max_age().map(|age| age.whole_seconds()), Some(600));
}

#[rocket::async_test]
async fn a_request_slower_than_a_tombstone_after_a_cycle_loses_its_changes() {
    let node = Node::new().await;
    let id = node.seed().await;
    let cycle = async {
        node.ask(&id, "cycle").await.id();
        node.bed.advance(SIX_MINUTES);
        node.rows().await
    };
    let (slow, rows) = node.slow(&id, "wait,insert:k=2", cycle).await;
    slow.silent();
    assert_eq!((node.rows().await, node.dropped()), (rows, 1));
}

#[rocket::async_test]
async fn two_cycles_at_once_are_one_and_leave_one_session_and_two_ids_that_open_it() {
    let node = Node::new().await;
    let id = node.seed().await;
    let (slow, first) = node.slow(&id, "wait,cycle,add:n", node.ask(&id, "cycle,add:n")).await;
    // The second one is led to what the first one made: the browser has its cookie from there.
    slow.silent();
    assert_eq!((node.live().await.len(), node.tombstones().await), (1, 1));
    for id in [id, first.id()] {
        node.ask(&id, "look").await.silent().says(r#"Live nobody {"k":1,"n":7}"#);
    }
}

#[rocket::async_test]
async fn a_response_does_not_bring_a_cycled_id_after_another_request_cycled_it_again() {
    let node = Node::new().await;
    for after in ["add:n", "reload", "reload,add:n", "add:n,flush,reload", "take:k"] {
        let id = node.seed().await;
        let again = cycle_unheard(&node);
        let (slow, again) = node.slow(&id, &format!("cycle,flush,wait,{after}"), again).await;
        let jar = Jar::holding(&again);
        hear(&jar, &slow);
        slow.silent();
        assert_opens_after_all_tombstones(&node, &jar, after).await;
    }
}

#[rocket::async_test]
async fn a_response_brings_its_cycled_id_though_another_request_with_the_old_one_asked_for_a_cycle_too() {
    let node = Node::new().await;
    for after in ["add:n", "reload", "reload,add:n", "add:n,flush,reload", "take:k"] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        let (slow, led) = node.slow(&id, &format!("cycle,flush,wait,{after}"), node.ask(&id, "cycle")).await;
        // It has nothing to cycle, and so the ID of the other one stays the session's.
        led.silent();
        slow.id();
        hear(&jar, &led);
        hear(&jar, &slow);
        assert_opens_after_all_tombstones(&node, &jar, after).await;
    }
}

/// The browser's cookie opens the session itself, with what `change` made of it.
async fn assert_opens_after_all_tombstones(node: &Node, jar: &Jar, change: &str) {
    node.bed.advance(SIX_MINUTES);
    let n = if change.contains("add") { 6 } else { 5 };
    let seen = node.browse(jar, "look").await;
    assert!(seen.silent().body.starts_with("Live") && seen.body.contains(&format!("\"n\":{n}")), "{seen:?}");
    node.wipe().await;
}

// Rotations: a login.

/// The browser is logged in, and its cookie opens a row.
async fn assert_logged_in(node: &Node, jar: &Jar, data: &str) {
    node.browse(jar, "look").await.ok().says(&format!("Live ann {data}"));
}

#[rocket::async_test]
async fn a_slow_request_does_not_undo_a_login_whatever_the_order_of_the_responses() {
    let node = Node::new().await;
    for script in CHANGES {
        for slow_first in [true, false] {
            let id = seed_due(&node).await;
            let login = async {
                let login = node.ask(&id, "login:ann").await;
                (login, node.rows().await)
            };
            let (slow, (login, rows)) = node.slow(&id, &slowly(script), login).await;
            slow.silent();
            assert_eq!(node.rows().await, rows, "{script}");

            let jar = Jar::holding(&id);
            let answers = if slow_first { [&slow, &login] } else { [&login, &slow] };
            answers.iter().for_each(|answer| hear(&jar, answer));
            assert_logged_in(&node, &jar, r#"{"k":1,"n":5}"#).await;
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_request_with_the_pre_login_id_sees_nothing_changes_nothing_and_gets_no_cookie() {
    let node = Node::new().await;
    let id = node.seed().await;
    let jar = Jar::holding(&id);
    node.browse(&jar, "login:ann,insert:secret=1").await.id();
    let rows = node.rows().await;
    node.ask(&id, "look").await.silent().says("Superseded nobody {}");
    for script in CHANGES {
        node.ask(&id, script).await.silent();
        assert_eq!(node.rows().await, rows, "{script}");
    }
    assert_logged_in(&node, &jar, r#"{"k":1,"n":5,"secret":1}"#).await;
}

#[rocket::async_test]
async fn what_a_superseded_request_drops_is_counted() {
    let node = Node::new().await;
    let id = node.seed().await;
    node.slow(&id, "wait,insert:k=2", node.ask(&id, "login:ann")).await.0.silent();
    assert_eq!(node.dropped(), 1);
    node.ask(&id, "insert:k=2").await.silent();
    assert_eq!(node.dropped(), 2);
    node.ask(&id, "look").await.silent();
    assert_eq!(node.dropped(), 2);
}

#[rocket::async_test]
async fn later_the_pre_login_id_opens_nothing() {
    let node = Node::new().await;
    let id = node.seed().await;
    let jar = Jar::holding(&id);
    node.browse(&jar, "login:ann").await.id();
    node.bed.advance(SIX_MINUTES);
    let live = node.live().await;
    for deleted in [false, true] {
        if deleted {
            node.bed.delete(&node.client, &id).await;
        }
        node.ask(&id, "look").await.silent().says("Unknown nobody {}");
        // An unknown ID is never adopted: what is stored goes to a new one.
        let new = node.ask(&id, "insert:planted=1").await.id();
        assert_ne!(new, id);
        node.bed.delete(&node.client, &new).await;
        assert_eq!(node.live().await, live);
    }
    assert_logged_in(&node, &jar, r#"{"k":1,"n":5}"#).await;
}

#[rocket::async_test]
async fn a_login_meeting_a_cycles_tombstone_continues_the_cycled_session_with_its_data() {
    let node = Node::new().await;
    for slow in [true, false] {
        let id = node.seed().await;
        let cycled = Jar::holding(&id);
        let cycle = async {
            node.browse(&cycled, "cycle").await.id();
            node.browse(&cycled, "insert:more=2").await.silent();
        };
        let login = match slow {
            true => node.slow(&id, "wait,insert:own=3,login:ann", cycle).await.0,
            false => {
                cycle.await;
                node.ask(&id, "insert:own=3,login:ann").await
            }
        };
        let jar = Jar::holding(&login.id());
        assert_logged_in(&node, &jar, r#"{"k":1,"more":2,"n":5,"own":3}"#).await;
        assert_eq!((node.live().await.len(), node.tombstones().await), (1, 2));
        // The ID of the cycle is one of before the login.
        node.browse(&cycled, "look").await.silent().says("Superseded nobody {}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_slow_cycle_loses_against_a_login_and_a_sign_out_with_data_wins() {
    let node = Node::new().await;
    let id = node.seed().await;
    let (slow, login) = node.slow(&id, "wait,cycle", node.ask(&id, "login:ann")).await;
    slow.silent();
    let jar = Jar::holding(&login.id());
    let (out, ()) = node.slow(&id, "wait,invalidate,insert:bye=1", async {}).await;
    hear(&jar, &out);
    node.browse(&jar, "look").await.says(r#"Live nobody {"bye":1}"#);
    assert_eq!(node.live().await.len(), 1);
}

#[rocket::async_test]
async fn two_logins_at_once_leave_the_browser_logged_in_whatever_the_order_of_the_responses() {
    let node = Node::new().await;
    for slow_first in [true, false] {
        let id = node.seed().await;
        let (slow, quick) = node.slow(&id, "wait,insert:own=1,login:ann", node.ask(&id, "login:ann")).await;
        let jar = Jar::holding(&id);
        let answers = if slow_first { [&slow, &quick] } else { [&quick, &slow] };
        answers.iter().for_each(|answer| hear(&jar, answer));
        // The second one starts from its own log alone.
        assert_logged_in(&node, &jar, if slow_first { r#"{"k":1,"n":5}"# } else { r#"{"own":1}"# }).await;
        assert_eq!((node.live().await.len(), node.tombstones().await), (2, 1));
        node.wipe().await;
    }

    let id = node.seed().await;
    for login in <[_; 2]>::from(join!(node.ask(&id, "login:ann"), node.ask(&id, "login:ann"))) {
        node.browse(&Jar::holding(&login.id()), "look").await;
        assert!(node.ask(&login.id(), "look").await.silent().body.starts_with("Live ann"));
    }
}

#[rocket::async_test]
async fn a_login_whose_response_was_lost_is_repeated_with_the_old_id() {
    let node = Node::new().await;
    for seconds in [0, SIX_MINUTES] {
        for deleted in [false, true] {
            let jar = Jar::holding(&node.seed().await);
            let old = jar.id().expect("an ID");
            node.ask(&old, "login:ann").await.id();
            node.bed.advance(seconds);
            if deleted {
                node.bed.delete(&node.client, &old).await;
            }
            node.browse(&jar, "insert:own=1,login:ann").await.id();
            assert_logged_in(&node, &jar, r#"{"own":1}"#).await;
            // Nobody holds the first one; it goes when its time is over.
            assert_eq!(node.live().await.len(), 2);
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_superseded_session_can_be_logged_into() {
    let node = Node::new().await;
    let jar = Jar::holding(&node.seed().await);
    node.ask(&jar.id().expect("an ID"), "login:eve").await.id();
    node.browse(&jar, "insert:lost=1,flush,look").await.silent().says("flushed Superseded nobody {}");
    let id = node.browse(&jar, "insert:own=1,login:ann,flush,look").await.id();
    assert_eq!(jar.id(), Some(id));
    assert_logged_in(&node, &jar, r#"{"own":1}"#).await;
}

#[rocket::async_test]
async fn an_undecodable_session_can_be_logged_into_and_a_logins_tombstone_takes_its_place() {
    let node = Node::new().await;
    let jar = Jar::holding(&node.seed().await);
    let old = jar.id().expect("an ID");
    let mut row = node.row(&old).await;
    row.0.insert("data".into(), AttributeValue::S("{broken".into()));
    node.bed.put(row).await;
    node.browse(&jar, "insert:own=1,login:ann").await.id();
    assert_logged_in(&node, &jar, r#"{"own":1}"#).await;
    // Left alone, it would let a late request that knows its ID begin a session over the login.
    assert_eq!((node.row(&old).await.text("ended"), node.rows().await.len()), (Some("login"), 2));
    node.ask(&old, "insert:late=1,flush,look").await.silent().says("flushed Superseded nobody {}");
}

#[rocket::async_test]
async fn a_row_that_became_undecodable_meanwhile_is_left_alone() {
    let node = Node::new().await;
    for script in ["insert:k=2", "cycle", "login:ann", "remove:k,remove:n"] {
        let id = node.seed().await;
        let break_it = async {
            let mut row = node.row(&id).await;
            row.0.insert("data".into(), AttributeValue::S("{broken".into()));
            row.0.insert("modified".into(), AttributeValue::S("another".into()));
            node.bed.put(row).await;
            node.rows().await
        };
        let (slow, rows) = node.slow(&id, &slowly(script), break_it).await;
        assert_eq!((slow.status, &slow.cookies[..]), (Status::InternalServerError, &[][..]), "{script}");
        assert_eq!(node.rows().await, rows, "{script}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_login_after_the_session_ended_starts_one_of_its_own() {
    let node = Node::new().await;
    for end in ["sign-out", "deletion", "expiry"] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        let ending = async {
            match end {
                "sign-out" => node.ask(&id, "invalidate").await.removes(),
                "deletion" => node.wipe().await,
                _ => node.bed.advance(14 * DAY),
            }
        };
        let (login, ()) = node.slow(&id, "wait,insert:own=1,login:ann", ending).await;
        hear(&jar, &login);
        assert_logged_in(&node, &jar, r#"{"own":1}"#).await;
        assert_eq!(node.live().await.len(), 1, "{end}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_replace_beside_a_login_does_not_take_its_cookie_away() {
    let node = Node::new().await;
    // The row ends, a login starts a session of its own, and only then comes the sign-out with data: it finds nothing.
    let id = node.seed().await;
    let jar = Jar::holding(&id);
    let login = async {
        let login = async {
            node.browse(&jar, "invalidate").await.removes();
        };
        // This login has loaded the row before it ended.
        let beside = Box::pin(Node::with(node.bed.clone(), |config| config)).await;
        let (login, ()) = Box::pin(beside.slow(&id, "wait,login:ann", login)).await;
        hear(&jar, &login);
    };
    let (replace, ()) = node.slow(&id, "wait,invalidate,insert:flash=1", login).await;
    hear(&jar, &replace);
    replace.silent();
    assert_eq!(node.live().await.len(), 1);
    assert_logged_in(&node, &jar, "{}").await;

    // The login comes after the sign-out with data, and takes nothing of it along.
    let id = node.seed().await;
    let jar = Jar::holding(&id);
    let (login, _) = node.slow(&id, "wait,login:ann", node.browse(&jar, "invalidate,insert:flash=1")).await;
    hear(&jar, &login);
    assert_logged_in(&node, &jar, "{}").await;
}

#[rocket::async_test]
async fn login_flush_then_the_row_ends_and_no_cookie_of_it_is_sent() {
    let node = Node::new().await;
    let first = ["login:ann,flush", "cycle,flush", "insert:k=2,cycle,flush,add:n,flush", "invalidate,insert:f=1,flush"];
    let ends = ["revoked", "deleted", "expired", "signed out with the old ID"];
    let after =
        ["add:n", "remove:k,remember:true", "cycle", "reload", "invalidate", "reload,add:n", "take:f", "take:k"];
    for first in first {
        for end in ends {
            for after in after {
                // These have nothing to write, so they do not look.
                let blind = (after == "take:f") != first.starts_with("invalidate") && after.starts_with("take");
                if blind || (end == "signed out with the old ID" && first.starts_with("invalidate")) {
                    continue;
                }
                let id = node.seed().await;
                let ending = async {
                    assert_eq!(node.live().await.len(), 1);
                    match end {
                        "revoked" => node.revoke_all().await,
                        "deleted" => node.wipe().await,
                        "expired" => node.bed.advance(14 * DAY),
                        // Not the cookie that the login is about to send.
                        _ if first.starts_with("login") => drop(node.ask(&id, "invalidate").await.silent()),
                        _ => node.ask(&id, "invalidate").await.removes(),
                    }
                };
                let (slow, ()) = node.slow(&id, &format!("{first},wait,{after}"), ending).await;
                slow.silent();
                assert_eq!(node.live().await, [], "{first}, {end}, {after}");
                node.wipe().await;
            }
        }
    }
}

#[rocket::async_test]
async fn a_new_visitors_cookie_is_not_sent_when_the_row_ended_after_a_flush() {
    let node = Node::new().await;
    for after in ["insert:k=2", "reload"] {
        let (slow, ()) = node.slow(None, &format!("insert:k=1,flush,wait,{after}"), node.wipe()).await;
        slow.silent();
        assert_eq!(node.rows().await, []);
    }
}

#[rocket::async_test]
async fn login_flush_then_the_row_ends_then_a_second_login_is_told() {
    let node = Node::new().await;
    let id = node.seed().await;
    let jar = Jar::holding(&id);
    let (slow, ()) = node.slow(&id, "login:ann,flush,wait,login:ann,insert:own=1", node.revoke_all()).await;
    hear(&jar, &slow);
    assert_logged_in(&node, &jar, r#"{"own":1}"#).await;
    assert_eq!(node.live().await.len(), 1);
}

#[rocket::async_test]
async fn login_flush_then_another_login_from_there_and_no_cookie_of_the_first_is_sent() {
    let node = Node::new().await;
    for after in ["add:n", "reload", "cycle"] {
        let id = node.seed().await;
        // The ID of a cycle is told at once to who holds the old one; that request logs in first.
        let (slow, login) = node.slow(&id, &format!("cycle,flush,wait,{after}"), node.ask(&id, "login:ann")).await;
        let jar = Jar::holding(&id);
        hear(&jar, &login);
        hear(&jar, &slow);
        slow.silent();
        assert_logged_in(&node, &jar, r#"{"k":1,"n":5}"#).await;
        node.wipe().await;
    }
}

// Emptied against filled.

#[rocket::async_test]
async fn an_insert_beside_the_removal_of_the_last_key_survives() {
    let node = Node::new().await;
    for removal in ["remove:k", "take:k"] {
        let id = support::seed(&node.client, None, &[("k", 1.into())]).await;
        let (slow, _) = node.slow(&id, &slowly(removal), node.ask(&id, "insert:new=1")).await;
        slow.silent();
        assert_eq!(node.row(&id).await.data(), json!({ "new": 1 }), "{removal}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn an_insert_after_another_request_emptied_the_session_is_dropped_and_counted() {
    let node = Node::new().await;
    let id = support::seed(&node.client, None, &[("k", 1.into())]).await;
    let (slow, emptied) = node.slow(&id, "wait,insert:new=1", node.ask(&id, "remove:k")).await;
    emptied.removes();
    slow.silent();
    assert_ended(&node.rows().await);
    assert_eq!(node.dropped(), 1);
}

#[rocket::async_test]
async fn of_two_requests_that_remove_the_last_two_keys_the_second_ends_the_session() {
    let node = Node::new().await;
    let id = node.seed().await;
    let (slow, first) = node.slow(&id, "wait,remove:k", node.ask(&id, "remove:n")).await;
    first.silent();
    slow.removes();
    assert_ended(&node.rows().await);
}

#[rocket::async_test]
async fn a_login_without_data_and_a_session_with_only_a_lifetime_are_not_empty() {
    let node = Node::new().await;
    for script in ["login:ann", "set_ttl:60", "insert:k=1,login:ann,remove:k", "insert:k=1,set_ttl:60,remove:k"] {
        let id = node.ask(None, script).await.id();
        assert_eq!(node.row(&id).await.data(), json!({}), "{script}");
        node.ask(&id, "insert:k=1").await.silent();
        node.ask(&id, "remove:k").await.silent();
        assert_eq!(node.row(&id).await.data(), json!({}), "{script}");
        node.ask(&id, "clear").await.removes();
        assert_ended(&node.rows().await);
        node.wipe().await;
    }
    node.ask(None, "remember:false").await.silent();
    assert_eq!(node.rows().await, []);
}

// Zombies: rows that another program wrote, and rows that vanish.

/// The three ways in which `modified` can be foreign.
fn foreign_versions() -> [Option<AttributeValue>; 3] {
    [None, Some(AttributeValue::N("5".into())), Some(AttributeValue::S("last tuesday".into()))]
}

/// Makes a row one that another program wrote: with this `modified`, an attribute that we don't know, and no more than
/// another program would write.
async fn make_foreign(node: &Node, id: &SessionId, modified: Option<&AttributeValue>) {
    let Row(mut row) = node.row(id).await;
    row.retain(|name, _| ["id", "data", "ttl"].contains(&name.as_str()));
    row.extend(modified.map(|modified| ("modified".to_owned(), modified.clone())));
    row.insert("colour".into(), AttributeValue::S("blue".into()));
    node.bed.put(Row(row)).await;
}

#[rocket::async_test]
async fn a_row_with_a_foreign_version_is_written_and_keeps_the_attributes_that_are_not_ours() {
    let node = Node::new().await;
    for modified in foreign_versions() {
        for (script, data) in [
            ("look", json!({ "k": 1, "n": 5 })),
            ("add:n", json!({ "k": 1, "n": 6 })),
            ("take:k", json!({ "n": 5 })),
            ("set_ttl:60", json!({ "k": 1, "n": 5 })),
            ("cycle", json!({ "k": 1, "n": 5 })),
            ("login:ann", json!({ "k": 1, "n": 5 })),
        ] {
            let id = node.seed().await;
            make_foreign(&node, &id, modified.as_ref()).await;
            node.bed.advance(2 * DAY);
            let told = node.ask(&id, script).await.id();
            let row = node.row(&told).await;
            let lifetime = if script == "set_ttl:60" { 60 } else { 14 * DAY.cast_signed() };
            assert_eq!((row.data(), row.number("ttl")), (data, Some(node.bed.now() + lifetime)), "{script}");
            assert_eq!(row.text("colour"), Some("blue"), "{script}, {modified:?}");
            assert_eq!(node.tombstones().await, usize::from(["cycle", "login:ann"].contains(&script)));
            node.ask(&told, "add:n").await.silent();
            node.ask(&told, "clear").await.removes();
            assert_eq!(node.live().await, [], "{script}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn parallel_changes_of_a_row_with_a_foreign_version_all_survive() {
    let node = Node::new().await;
    for modified in foreign_versions() {
        let id = node.seed().await;
        make_foreign(&node, &id, modified.as_ref()).await;
        let others = async {
            node.ask(&id, "add:n").await.silent();
            node.ask(&id, "add:n,remove:k").await.silent();
        };
        let (slow, ()) = node.slow(&id, "wait,add:n", others).await;
        slow.silent();
        assert_eq!(node.row(&id).await.data(), json!({ "n": 8 }), "{modified:?}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn no_write_creates_a_row_when_its_own_vanishes_between_load_and_commit() {
    let node = Node::new().await;
    let versions = foreign_versions().into_iter().map(Some).chain([None]);
    for version in versions {
        for (script, write) in [
            ("look", "UpdateItem"),
            ("add:n", "UpdateItem"),
            ("set_ttl:60", "UpdateItem"),
            ("remember:false", "UpdateItem"),
            ("take:k", "UpdateItem"),
            ("cycle", "TransactWriteItems"),
            ("invalidate,insert:flash=1", "TransactWriteItems"),
            // Ends are written.
            ("remove:k,remove:n", "UpdateItem"),
            ("invalidate", "UpdateItem"),
        ] {
            let id = node.seed().await;
            if let Some(version) = &version {
                make_foreign(&node, &id, version.as_ref()).await;
            }
            node.bed.advance(2 * DAY);
            let gate = node.bed.faults.hold(write);
            let vanish = async {
                gate.reached().await;
                node.wipe().await;
                gate.open();
            };
            let (answer, ()) = join!(node.ask(&id, script), vanish);
            answer.silent();
            assert_eq!(node.rows().await, [], "{script}, {version:?}");
        }
    }
}

// One-time values.

#[rocket::async_test]
async fn of_ten_parallel_takes_over_two_nodes_one_gets_the_value() {
    let node = Node::new().await;
    let beside = node.beside().await;
    for keys in [json!({ "once": "x" }), json!({ "once": "x", "other": 1 })] {
        let data: Vec<_> = keys.as_object().into_iter().flatten().map(|(key, value)| (&**key, value.clone())).collect();
        let id = support::seed(&node.client, None, &data).await;
        let takers = join_all([&node, &beside].repeat(5).into_iter().map(|node| node.ask(&id, "wait,take:once")));
        let doors = async {
            for node in [&node, &beside] {
                node.door.reached(5).await;
            }
            for node in [&node, &beside] {
                node.door.open(5);
            }
        };
        let (answers, ()) = join!(takers, doors);
        let mut taken: Vec<_> = answers.iter().map(|answer| &*answer.ok().body).collect();
        taken.sort_unstable();
        assert_eq!(taken, [&["\"x\""][..], &["none"; 9]].concat());
        // The last value that is taken ends the session.
        assert_eq!(node.data().await, if data.len() == 1 { vec![] } else { vec![json!({ "other": 1 })] });
        assert_eq!(node.tombstones().await, usize::from(data.len() == 1));
        node.wipe().await;
    }
}
