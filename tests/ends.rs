//! The end of a session is written: a tombstone says who ended it and what became of it, nothing brings it back, and
//! the client's cookie is removed by the request whose own session it was, and by no other.

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket_dynamodb_sessions::Sessions;
use rocket_dynamodb_sessions::testing::{Effect, On};
use serde_json::{Value, json};
use support::script::{AGES, Age, Answer, Node, hear};
use support::{Jar, seed, sessions};

const NOTHING: [Value; 0] = [];

/// No look at the table says of the session that it is new.
#[track_caller]
fn assert_not_new(answer: &Answer) {
    assert!(!answer.body.contains("Fresh") && !answer.body.contains("Unknown"), "{answer:?}");
}

// What is written.

#[rocket::async_test]
async fn an_end_leaves_a_tombstone_that_says_what_happened_and_holds_nothing_of_the_session() {
    let node = Node::new().await;
    for (script, kind, goes_on) in [
        ("invalidate", "ended", false),
        ("clear", "ended", false),
        ("remove:k,remove:n", "ended", false),
        ("remove:k,take:n", "ended", false),
        ("invalidate,insert:f=1", "ended", false),
        ("cycle", "cycle", true),
        ("login:ann", "login", true),
        ("login:bob", "login", true),
        ("invalidate,login:bob", "login", true),
        ("invalidate,insert:f=1,login:bob", "login", true),
        // A session that asked to go on without its data ends as well.
        ("clear,login:bob", "login", true),
        ("revoke", "ended", false),
    ] {
        // A visitor's session has no principal to take away: `clear` ends it, and of a principal all the same.
        let id = if script.starts_with("remove") { node.seed().await } else { node.seed_user("ann").await };
        let mut row = node.row(&id).await;
        row.0.insert("role".into(), AttributeValue::S("admin".into()));
        node.bed.put(row).await;
        let told = match script {
            "revoke" => {
                node.revoke_all().await;
                None
            }
            _ => node.ask(&id, script).await.ok().cookie(),
        };
        let Some(tombstone) = node.bed.row(&node.client, &id).await else { panic!("{script}: the row has vanished") };
        assert_eq!(tombstone.text("ended"), Some(kind), "{script}");
        assert_eq!(tombstone.number("ttl"), Some(node.bed.now() + 300), "{script}");
        for absent in ["data", "principal", "role"] {
            assert!(!tombstone.0.contains_key(absent), "{script}: {tombstone:?}");
        }
        let successor = goes_on.then(|| {
            let told = told.and_then(|cookie| Sessions::parse_id(cookie.value()));
            sessions(&node.client).handle_of(&told.expect("the new ID is told")).to_string()
        });
        assert_eq!(tombstone.text("successor"), successor.as_deref(), "{script}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn what_begins_with_an_ended_id_is_a_visitors_first_request() {
    let node = Node::new().await;
    for end in ["invalidate", "clear", "invalidate,insert:f=1,flush,clear", "revoke"] {
        for how in AGES {
            let id = node.seed().await;
            match end {
                "revoke" => node.revoke_all().await,
                _ => drop(node.ask(&id, end).await.ok()),
            }
            node.fade(how).await;
            let rows = node.rows().await;
            for script in ["look", "add:n,remove:n", "clear", "cycle", "invalidate", "take:k", "invalidate,look"] {
                node.ask(&id, script).await.silent();
                assert_eq!(node.rows().await, rows, "{end}, {how:?}, {script}");
            }
            let new = node.ask(&id, "insert:csrf=1").await.id();
            assert_ne!(new, id);
            assert_eq!(node.data().await, [json!({ "csrf": 1 })], "{end}, {how:?}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_late_create_does_not_revive_what_has_ended() {
    let node = Node::new().await;
    let other = node.beside().await;
    for end in ["invalidate", "clear", "remove:a", "invalidate,insert:f=1", "cycle", "login:ann", "revoke"] {
        node.bed.faults.inject("PutItem", Effect::Late);
        let id = node.ask(None, "insert:a=1").await.id();
        match end {
            "revoke" => other.revoke_all().await,
            _ => drop(other.ask(&id, end).await.ok()),
        }
        let rows = node.rows().await;
        assert_eq!(node.bed.faults.deliver().await, 1);
        assert_eq!(node.rows().await, rows, "{end}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn an_end_that_arrives_again_when_all_is_over_changes_nothing() {
    let node = Node::new().await;
    for (script, next) in [("invalidate", "insert:a=1"), ("clear", "login:ann"), ("invalidate,insert:f=1", "look")] {
        let id = node.seed().await;
        node.bed.faults.inject(On::writes(), Effect::Late);
        let told = node.ask(&id, script).await.ok().cookie().expect("a cookie is removed, or another set");
        let told = Sessions::parse_id(told.value());
        node.ask(told.as_ref(), next).await.ok();
        let rows = node.rows().await;
        assert_eq!(node.bed.faults.deliver().await, 1);
        assert_eq!(node.rows().await, rows, "{script}");
        node.wipe().await;
    }
}

// The rest of a request after its own end.

#[rocket::async_test]
async fn the_last_value_taken_is_ours_though_the_answer_was_lost_and_the_rest_is_stored() {
    for silent_server in [false, true] {
        let node = Node::new().await;
        if silent_server {
            node.bring_no_rows();
        }
        for effect in [Effect::LoseAnswer, Effect::LateFirst] {
            let id = seed(&node.client, None, &[("flash", "hello".into())]).await;
            node.bed.faults.inject(On::writes(), effect.clone());
            let answer = node.ask(&id, "take:flash,insert:cart=1").await;
            answer.says("\"hello\"");
            assert_eq!(node.row(&answer.id()).await.data(), json!({ "cart": 1 }), "{effect:?}");
            assert_eq!(node.data().await, [json!({ "cart": 1 })], "{effect:?}");
            assert_eq!(node.dropped(), 0);
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn what_follows_an_own_end_goes_to_a_new_session_also_after_a_reload_and_when_the_tombstone_is_gone() {
    let node = Node::new().await;
    for end in ["invalidate,flush", "clear,flush", "remove:k,take:n", "invalidate,flush,invalidate,flush"] {
        for how in AGES {
            for then in ["insert:x=1", "reload,insert:x=1", "reload,reload,flush,insert:x=1", "flush,insert:x=1,flush"]
            {
                let id = node.seed().await;
                let (answer, ()) = node.slow(&id, &format!("{end},wait,{then}"), node.fade(how)).await;
                assert_eq!(node.row(&answer.id()).await.data(), json!({ "x": 1 }), "{end}, {how:?}, {then}");
                assert_eq!((node.data().await.len(), node.dropped()), (1, 0), "{end}, {how:?}, {then}");
                node.wipe().await;
            }
            let id = node.seed().await;
            let (answer, ()) = node.slow(&id, &format!("{end},wait,reload,look"), node.fade(how)).await;
            answer.removes();
            node.wipe().await;
        }
    }
}

// Whoever signs out ends what became of the session.

#[rocket::async_test]
async fn a_sign_out_after_a_reload_ends_what_rotations_made_of_the_session() {
    let node = Node::new().await;
    let rotations: [&[&str]; 4] = [&["cycle"], &["cycle", "cycle"], &["login:ann"], &["cycle", "login:ann", "cycle"]];
    for rotations in rotations {
        for how in [Age::Young, Age::Expired] {
            for out in
                ["reload,invalidate", "reload,reload,invalidate", "flush,invalidate", "insert:x=1,reload,invalidate"]
            {
                let id = node.seed().await;
                let jar = Jar::holding(&id);
                let rotate = async {
                    for rotation in rotations {
                        node.browse(&jar, rotation).await.id();
                    }
                    node.fade(how).await;
                };
                let (answer, ()) = node.slow(&id, &format!("wait,{out}"), rotate).await;
                let which = format!("{rotations:?}, {how:?}, {out}: {answer:?}");
                assert_eq!(node.data().await, NOTHING, "{which}");
                // A login's cookie is that of another response.
                match rotations.contains(&"login:ann") {
                    true => assert_eq!(answer.cookies, [""; 0], "{which}"),
                    false => answer.removes(),
                }
                node.browse(&jar, "insert:k=2").await.ok();
                assert_eq!(node.data().await, [json!({ "k": 2 })], "{which}");
                node.wipe().await;
            }
        }
    }
}

#[rocket::async_test]
async fn a_replace_after_a_reload_ends_what_rotations_made_of_the_session_and_is_told() {
    let node = Node::new().await;
    for rotation in ["cycle", "login:ann"] {
        for how in [Age::Young, Age::Expired] {
            for out in ["reload,invalidate,insert:f=1", "reload,reload,invalidate,insert:f=1,login:bob"] {
                let id = node.seed().await;
                let rotate = async {
                    node.ask(&id, rotation).await.id();
                    node.fade(how).await;
                };
                let (answer, ()) = node.slow(&id, &format!("wait,{out}"), rotate).await;
                assert_eq!(node.row(&answer.id()).await.data(), json!({ "f": 1 }), "{rotation}, {how:?}, {out}");
                assert_eq!(node.data().await, [json!({ "f": 1 })], "{rotation}, {how:?}, {out}");
                node.wipe().await;
            }
        }
    }
}

// What once had a row never becomes fresh.

#[rocket::async_test]
async fn what_once_had_a_row_never_becomes_fresh_again() {
    let node = Node::new().await;
    for beside in ["login:ann", "cycle", "invalidate", "clear", "invalidate,insert:f=1", "revoke", "nothing"] {
        for how in AGES {
            for before in ["", "reload,", "insert:lost=1,flush,", "flush,"] {
                // A cycle's tombstone that is seen while it is young leads on.
                if beside == "cycle" && (how == Age::Young || !before.is_empty()) {
                    continue;
                }
                for after in ["reload,", "reload,reload,", "flush,reload,", "insert:lost=2,flush,reload,reload,"] {
                    let id = node.seed().await;
                    let jar = Jar::holding(&id);
                    // Once the end is young, once it is as old as it gets; a look at each.
                    let script = format!("wait,{before}wait,{after}look,insert:x=1");
                    let meanwhile = async {
                        match beside {
                            "revoke" => node.revoke_all().await,
                            "nothing" => node.bed.advance(15 * 24 * 60 * 60),
                            _ => drop(node.browse(&jar, beside).await.ok()),
                        }
                        node.door.open(1);
                        node.door.reached(1).await;
                        node.fade(how).await;
                        node.rows().await
                    };
                    let (late, rows) = node.slow(&id, &script, meanwhile).await;
                    let which = format!("{beside}, {how:?}: {script}: {late:?}");
                    assert_eq!(late.cookies, [""; 0], "{which}");
                    assert_not_new(&late);
                    assert_eq!(node.rows().await, rows, "{which}");
                    hear(&jar, &late);
                    if beside == "login:ann" {
                        assert!(node.browse(&jar, "look").await.body.starts_with("Live ann"), "{which}");
                    }
                    node.wipe().await;
                }
            }
        }
    }
}

#[rocket::async_test]
async fn a_request_that_began_superseded_never_becomes_fresh() {
    let node = Node::new().await;
    for how in AGES {
        for after in ["reload", "reload,reload", "insert:lost=1,flush,reload", "flush,reload"] {
            let jar = Jar::holding(&node.seed().await);
            let old = jar.id().expect("an ID");
            node.browse(&jar, "login:ann").await.id();
            let fading = async {
                node.fade(how).await;
                node.rows().await
            };
            let (late, rows) = node.slow(&old, &format!("wait,{after},look,insert:x=1"), fading).await;
            assert_eq!(late.cookies, [""; 0], "{how:?}, {after}: {late:?}");
            assert_not_new(&late);
            assert_eq!(node.rows().await, rows, "{how:?}, {after}");
            hear(&jar, &late);
            assert!(node.browse(&jar, "look").await.silent().body.starts_with("Live ann"), "{how:?}, {after}");
            node.wipe().await;
        }
    }
}

// Whose cookie is removed.

#[rocket::async_test]
async fn the_end_of_a_row_that_this_request_made_removes_no_cookie() {
    let node = Node::new().await;
    for script in [
        "insert:a=1,flush,wait,clear",
        "insert:a=1,flush,wait,invalidate",
        "insert:a=1,flush,wait,remove:a",
        "insert:a=1,flush,wait,take:a",
        "insert:a=1,flush,wait,invalidate,flush,invalidate",
        "login:ann,flush,wait,invalidate",
        "login:ann,flush,wait,clear",
        "insert:a=1,flush,cycle,flush,wait,clear",
        "insert:a=1,flush,login:ann,flush,wait,invalidate",
        "insert:a=1,flush,wait,reload,clear",
    ] {
        for first_ends_last in [true, false] {
            let jar = Jar::default();
            let (first, second) = node.slow(None, script, node.ask(None, "insert:b=2")).await;
            let answers = if first_ends_last { [&second, &first] } else { [&first, &second] };
            answers.iter().for_each(|answer| hear(&jar, answer));
            first.silent();
            assert_eq!(node.data().await, [json!({ "b": 2 })], "{script}");
            node.browse(&jar, "look").await.silent().says(r#"Live nobody {"b":2}"#);
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_removal_cookie_is_for_the_own_row_and_what_cycles_made_of_it_and_never_over_a_login() {
    let node = Node::new().await;
    for (before, script, removes) in [
        ("", "invalidate", true),
        ("", "clear", true),
        ("", "remove:k,take:n", true),
        ("", "cycle,flush,clear", true),
        ("", "cycle,flush,invalidate", true),
        ("cycle", "invalidate", true),
        ("cycle", "clear", true),
        ("", "login:ann,flush,invalidate", false),
        ("", "login:ann,flush,clear", false),
        ("", "cycle,flush,login:ann,flush,invalidate", false),
        ("", "login:ann,flush,cycle,flush,invalidate", false),
        ("login:ann", "invalidate", false),
        ("", "invalidate,insert:f=1,flush,clear", false),
    ] {
        let id = node.seed().await;
        if !before.is_empty() {
            node.ask(&id, before).await.id();
        }
        let answer = node.ask(&id, script).await;
        assert_eq!(node.data().await, NOTHING, "{before}; {script}");
        match removes {
            true => answer.removes(),
            false => drop(answer.silent()),
        }
        node.wipe().await;
    }
}
