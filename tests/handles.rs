//! Handles: one names a session as long as it lives, whatever becomes of its ID, and nothing that is not a session.

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket_dynamodb_sessions::testing::{Effect, Faults, On};
use rocket_dynamodb_sessions::{Config, Handle, InvalidHandle, SessionId};
use support::script::{AGES, Age, Answer, Node};
use support::{Bed, Jar, row, sessions};

const KEY: &str = "kXfzJ4gU3F4LqHrnqSDKbbUlFHQcbMbOg61ljLQbX9w";

/// A node on the same table whose rows have another prefix.
async fn with_prefix(node: &Node, prefix: &str) -> Node {
    let bed = Bed { faults: Faults::new(), ..node.bed.clone() };
    Node::with(bed, |config| Config { key_prefix: prefix.into(), ..config }).await
}

async fn revoke(node: &Node, handle: &str) -> bool {
    let handle: Handle = handle.parse().expect("a handle");
    sessions(&node.client).revoke(&handle).await.expect("the store answers")
}

/// The handle that an answer says last.
#[track_caller]
fn said(answer: &Answer) -> String {
    let handle = answer.ok().body.rsplit(' ').next().unwrap_or_default();
    assert_eq!(handle.parse::<Handle>().expect("a handle").to_string(), handle, "{answer:?}");
    handle.to_owned()
}

// What a handle is.

#[test]
fn a_handle_ends_in_the_43_characters_of_a_hash_and_has_no_control_characters() {
    let long = "p".repeat(2005);
    for prefix in ["", "shop:", "shop/eu ", "läden:", &long] {
        let text = format!("{prefix}{KEY}");
        assert_eq!(text.parse::<Handle>().map(|handle| handle.to_string()), Ok(text));
    }
    let short = &KEY[1..];
    let mut odd =
        vec![String::new(), short.to_owned(), format!("é{short}"), format!("shop:{short}é"), format!("pp{long}{KEY}")];
    for c in ['=', '+', '/', '.', ' ', ':', '\n', '\r', '\0', '\u{7f}', '\u{85}', 'é'] {
        odd.push(format!("{short}{c}"));
        odd.push(format!("{}{c}{}", &KEY[..20], &KEY[21..]));
        odd.push(format!("shop:{c}{short}"));
        odd.push(format!("{KEY}{c}"));
    }
    for control in ['\n', '\r', '\t', '\0', '\u{1b}', '\u{7f}', '\u{85}'] {
        odd.push(format!("shop{control}:{KEY}"));
        odd.push(format!("{control}{KEY}"));
    }
    for text in odd {
        assert_eq!(text.parse::<Handle>(), Err(InvalidHandle), "{text:?}");
    }
}

#[rocket::async_test]
async fn a_handle_of_another_prefix_asks_nothing_and_names_nothing() {
    let plain = Node::new().await;
    let nodes =
        [with_prefix(&plain, "shop").await, with_prefix(&plain, "shop:").await, with_prefix(&plain, "blog:").await];
    let nodes: Vec<&Node> = nodes.iter().chain([&plain]).collect();
    let mut handles = Vec::new();
    for node in &nodes {
        handles.push(said(&node.ask(None, "login:ann,flush,handle").await));
    }
    let rows = plain.rows().await;
    for (i, node) in nodes.iter().enumerate() {
        node.bed.faults.reset_counts();
        for (j, handle) in handles.iter().enumerate() {
            if i != j {
                assert!(!revoke(node, handle).await, "{handle}");
            }
        }
        // A longer key than the application's own is another's, too.
        for longer in ["shop:x", "x", "blog:shop:"] {
            assert!(!revoke(node, &format!("{longer}{KEY}")).await, "{longer}");
        }
        assert_eq!(node.bed.faults.calls(), [""; 0], "{i}");
    }
    assert_eq!(plain.rows().await, rows);
    for (node, handle) in nodes.iter().zip(&handles) {
        assert!(revoke(node, handle).await && !revoke(node, handle).await, "{handle}");
    }
    assert_eq!(plain.data().await.len(), 0);
}

#[rocket::async_test]
async fn a_row_that_is_no_session_is_not_touched() {
    let plain = Node::new().await;
    let s = |text: &str| AttributeValue::S(text.into());
    for prefix in ["", "shop:"] {
        let node = with_prefix(&plain, prefix).await;
        let key = format!("{prefix}{KEY}");
        let later = AttributeValue::N((node.bed.now() + 1000).to_string());
        for attributes in [
            vec![],
            vec![("note", s("the books of the shop"))],
            vec![("note", s("x")), ("ttl", later.clone())],
            vec![("principal", s("ann")), ("modified", s("2026-01-01T00:00:00.000000Z")), ("ttl", later)],
        ] {
            let attributes: Vec<_> = attributes.into_iter().chain([("id", s(&key))]).collect();
            node.bed.put(row(&attributes)).await;
            let rows = node.rows().await;
            assert!(!revoke(&node, &key).await, "{attributes:?}");
            assert_eq!(node.rows().await, rows, "{attributes:?}");
            node.wipe().await;
        }
        assert!(!revoke(&node, &key).await);
        assert_eq!(node.rows().await, []);
    }
}

// A handle names a session as long as it lives.

#[rocket::async_test]
async fn a_handle_stays_over_every_cycle_and_is_another_after_a_login_or_a_sign_out() {
    let node = Node::new().await;
    for born in ["login:ann", "insert:a=1", "insert:a=1,login:ann"] {
        let jar = Jar::default();
        let handle = said(&node.browse(&jar, &format!("{born},flush,handle")).await);
        let first = jar.id().expect("an ID");
        for script in
            ["handle", "cycle,flush,handle", "cycle,handle", "add:n,cycle,flush,add:n,reload,handle", "handle"]
        {
            assert_eq!(said(&node.browse(&jar, script).await), handle, "{born}, {script}");
        }
        // Also to who is led there.
        assert_eq!(said(&node.ask(&first, "handle").await), handle, "{born}");
        for script in ["login:ann,flush,handle", "login:bob,flush,handle", "invalidate,insert:f=1,flush,handle"] {
            let before = said(&node.browse(&jar, "handle").await);
            assert_ne!(said(&node.browse(&jar, script).await), before, "{born}, {script}");
        }
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_handle_is_the_same_before_and_after_the_commit() {
    let node = Node::new().await;
    for script in
        ["login:ann,handle,flush,handle", "insert:a=1,handle,flush,handle", "login:ann,flush,handle,cycle,flush,handle"]
    {
        let answer = node.ask(None, script).await;
        let handles: Vec<_> = answer.ok().body.split(' ').filter(|word| *word != "flushed").collect();
        assert_eq!(handles.len(), 2, "{answer:?}");
        assert_eq!(handles[0], handles[1], "{script}");
    }
}

/// A session whose ID was cycled so often, with the handle that it said at first.
async fn cycled(node: &Node, born: &str, cycles: usize) -> (Jar, String, Vec<SessionId>) {
    let jar = Jar::default();
    let handle = said(&node.browse(&jar, &format!("{born},flush,handle")).await);
    let mut old = Vec::new();
    for _ in 0..cycles {
        old.extend(jar.id());
        node.browse(&jar, "cycle").await.id();
    }
    (jar, handle, old)
}

async fn assert_revoked_by_its_first_handle(born: &str) {
    let node = Node::new().await;
    for cycles in 0..=3 {
        for age in AGES {
            let (jar, handle, _) = cycled(&node, born, cycles).await;
            // Others of the same principal stay.
            node.ask(None, &format!("insert:other=1,{born}")).await.id();
            node.fade(age).await;
            assert!(revoke(&node, &handle).await, "{born}, {cycles} cycles, {age:?}");
            assert!(node.browse(&jar, "look").await.silent().body.ends_with(" nobody {}"), "{born}, {cycles}, {age:?}");
            assert_eq!(node.data().await.len(), 1, "{born}, {cycles} cycles, {age:?}");
            assert!(!revoke(&node, &handle).await, "{born}, {cycles} cycles, {age:?}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn the_first_handle_of_a_user_revokes_the_session_after_its_tombstones_are_gone() {
    assert_revoked_by_its_first_handle("login:ann").await;
    assert_revoked_by_its_first_handle("insert:a=1,login:ann").await;
}

#[rocket::async_test]
async fn the_first_handle_of_a_visitor_revokes_the_session_after_its_tombstones_are_gone() {
    assert_revoked_by_its_first_handle("insert:a=1").await;
}

#[rocket::async_test]
async fn a_handle_revokes_though_the_first_of_several_tombstones_was_deleted() {
    let node = Node::new().await;
    for born in ["login:ann", "insert:a=1"] {
        for deleted in [0, 1] {
            let (_, handle, old) = cycled(&node, born, 3).await;
            node.bed.delete(&node.client, &old[deleted]).await;
            assert!(revoke(&node, &handle).await, "{born}, {deleted}");
            assert_eq!(node.data().await.len(), 0, "{born}, {deleted}");
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn the_handle_before_a_login_ends_what_the_login_made_while_the_tombstone_stands_and_nothing_later() {
    let node = Node::new().await;
    for (age, ends) in [(Age::Young, true), (Age::Expired, true), (Age::Swept, false)] {
        let jar = Jar::default();
        let handle = said(&node.browse(&jar, "insert:a=1,flush,handle").await);
        node.browse(&jar, "login:ann").await.id();
        node.fade(age).await;
        assert_eq!(revoke(&node, &handle).await, ends, "{age:?}");
        assert_eq!(node.data().await.len(), usize::from(!ends), "{age:?}");
        node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_revocation_that_nobody_heard_of_says_that_there_was_a_session() {
    for silent_server in [false, true] {
        let node = Node::new().await;
        if silent_server {
            node.bring_no_rows();
        }
        for rotation in ["", "cycle", "login:ann"] {
            for effect in [Effect::LoseAnswer, Effect::LateFirst] {
                let jar = Jar::default();
                let handle = said(&node.browse(&jar, "insert:a=1,flush,handle").await);
                if !rotation.is_empty() {
                    node.browse(&jar, rotation).await.id();
                }
                // With a rotation, the first write finds its tombstone.
                let skip = usize::from(!rotation.is_empty());
                node.bed.faults.inject(On::writes().skip(skip), effect.clone());
                assert!(revoke(&node, &handle).await, "{rotation}, {effect:?}, silent: {silent_server}");
                node.bed.faults.clear();
                assert_eq!(node.data().await.len(), 0, "{rotation}, {effect:?}");
                assert!(!revoke(&node, &handle).await, "{rotation}, {effect:?}");
                node.wipe().await;
            }
        }
    }
}

#[rocket::async_test]
async fn a_slow_request_changes_and_recreates_nothing_after_its_session_was_revoked_by_its_first_handle() {
    let node = Node::new().await;
    let other = node.beside().await;
    for script in ["add:n", "cycle", "insert:k=2,flush,add:n", "clear", "take:k", "invalidate", "reload,add:n"] {
        let id = node.seed_user("ann").await;
        let jar = Jar::holding(&id);
        let handle = said(&node.browse(&jar, "handle").await);
        node.browse(&jar, "cycle").await.id();
        node.bed.delete(&node.client, &id).await;
        let held = jar.id().expect("an ID");
        let (slow, ()) =
            node.slow(&held, &format!("wait,{script}"), async { assert!(revoke(&other, &handle).await) }).await;
        slow.silent();
        assert_eq!(node.data().await.len(), 0, "{script}");
        node.wipe().await;
    }
}
