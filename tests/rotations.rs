//! Rotations: what comes with the ID before a login is superseded, what comes with the one before a cycle is led on and
//! does not cycle again, and the row of another principal starts without what other programs wrote into the one before.

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::futures::future::join_all;
use rocket::tokio::join;
use rocket_dynamodb_sessions::SessionId;
use serde_json::{Value, json};
use support::script::{Node, hear};
use support::{Jar, seed, sessions};

const NOTHING: [Value; 0] = [];

// A sign-out and a login in one request.

#[rocket::async_test]
async fn a_late_request_does_not_undo_a_login_that_follows_a_sign_out() {
    let node = Node::new().await;
    for login in [
        "invalidate,login:ann",
        "invalidate,insert:a=1,login:ann",
        "invalidate,flush,login:ann",
        "invalidate,insert:a=1,flush,login:ann",
        "clear,login:ann",
        "clear,flush,login:ann",
        "login:bob,invalidate,login:ann",
        "login:bob,flush,invalidate,login:ann",
    ] {
        for late in ["insert:k=2", "look,add:n,cycle", "reload,insert:k=2", "flush,clear,insert:k=2", "clear", "take:k"]
        {
            for late_first in [true, false] {
                let id = node.seed().await;
                let jar = Jar::holding(&id);
                let (slow, login_answer) = node.slow(&id, &format!("wait,{late}"), node.ask(&id, login)).await;
                let which = format!("{login}; {late}: {slow:?}");
                let answers = if late_first { [&slow, &login_answer] } else { [&login_answer, &slow] };
                answers.iter().for_each(|answer| hear(&jar, answer));
                assert_eq!(slow.cookies, [""; 0], "{which}");
                assert_eq!(node.data().await.len(), 1, "{which}");
                assert!(node.browse(&jar, "look").await.body.starts_with("Live ann"), "{which}");
                node.wipe().await;
            }
        }
    }
}

#[rocket::async_test]
async fn the_id_before_a_sign_out_with_a_login_is_superseded() {
    let node = Node::new().await;
    for login in ["invalidate,login:ann", "invalidate,insert:a=1,login:ann", "clear,login:ann"] {
        let jar = Jar::holding(&node.seed().await);
        let old = jar.id().expect("an ID");
        node.browse(&jar, login).await.id();
        let rows = node.rows().await;
        node.ask(&old, "look").await.silent().says("Superseded nobody {}");
        for late in ["insert:k=2", "add:n", "cycle", "clear", "take:k", "set_ttl:60"] {
            let late = node.ask(&old, late).await;
            late.silent();
            hear(&jar, &late);
            assert_eq!(node.rows().await, rows, "{login}; {late:?}");
        }
        assert!(node.browse(&jar, "look").await.silent().body.starts_with("Live ann"), "{login}");
        node.ask(&old, "invalidate").await.silent();
        assert_eq!(node.data().await, NOTHING, "{login}");
        node.wipe().await;
    }
}

/// A session whose row cannot be decoded.
async fn seed_broken(node: &Node) -> SessionId {
    let id = node.seed().await;
    let mut row = node.row(&id).await;
    row.0.insert("data".into(), AttributeValue::S("{broken".into()));
    node.bed.put(row).await;
    id
}

#[rocket::async_test]
async fn a_login_on_a_row_that_cannot_be_decoded_puts_its_tombstone_there() {
    let node = Node::new().await;
    for login in ["login:ann", "insert:own=1,login:ann", "invalidate,login:ann"] {
        let old = seed_broken(&node).await;
        let jar = Jar::holding(&old);
        let new = node.browse(&jar, login).await.id();
        let tombstone = node.row(&old).await;
        assert_eq!(tombstone.text("ended"), Some("login"), "{login}");
        let successor = sessions(&node.client).handle_of(&new).to_string();
        assert_eq!(tombstone.text("successor"), Some(&*successor), "{login}");
        assert!(!tombstone.0.contains_key("data"), "{login}");
        for late in ["look", "insert:k=2", "add:n,cycle"] {
            let late = node.ask(&old, late).await;
            late.silent();
            hear(&jar, &late);
        }
        assert!(node.browse(&jar, "look").await.body.starts_with("Live ann"), "{login}");
        assert_eq!(node.data().await.len(), 1, "{login}");
        node.wipe().await;
    }
    // What is only stored leaves the row alone, as ever.
    let old = seed_broken(&node).await;
    let row = node.row(&old).await;
    node.ask(&old, "insert:own=1").await.id();
    assert_eq!(node.row(&old).await, row);
}

#[rocket::async_test]
async fn a_late_request_that_saw_a_broken_row_does_not_undo_the_login_there() {
    let node = Node::new().await;
    for late in ["insert:k=2,login:bob", "invalidate,insert:k=2"] {
        let old = seed_broken(&node).await;
        let (slow, _) = node.slow(&old, &format!("wait,{late}"), node.ask(&old, "login:ann")).await;
        // Two logins at once, each of its own; and a sign-out that ends what the login made of the session.
        assert_eq!(slow.ok().cookies.len(), 1, "{late}");
        assert_eq!(node.data().await.len(), if late.starts_with("invalidate") { 1 } else { 2 }, "{late}");
        node.wipe().await;
    }
}

// Rotations.

#[rocket::async_test]
async fn a_session_cycled_on_each_of_five_parallel_requests_is_cycled_once() {
    let node = Node::new().await;
    let beside = node.beside().await;
    let id = node.seed().await;
    let requests = [&node, &node, &node, &beside, &beside].map(|node| node.ask(&id, "wait,add:n,cycle"));
    let doors = async {
        node.door.reached(3).await;
        beside.door.reached(2).await;
        node.door.open(3);
        beside.door.open(2);
    };
    let (answers, ()) = join!(join_all(requests), doors);
    let told: Vec<_> = answers.iter().filter(|answer| answer.ok().cookie().is_some()).collect();
    assert_eq!((told.len(), node.tombstones().await), (1, 1), "a led request does not cycle again");
    assert_eq!(node.data().await, [json!({ "k": 1, "n": 10 })]);
    node.ask(&id, "add:n,look").await.silent().says(r#"Live nobody {"k":1,"n":11}"#);
    node.ask(&told[0].id(), "look").await.silent().says(r#"Live nobody {"k":1,"n":11}"#);
}

#[rocket::async_test]
async fn a_led_request_does_not_cycle_again() {
    let node = Node::new().await;
    let id = node.seed().await;
    let new = node.ask(&id, "cycle").await.id();
    for script in ["cycle", "add:n,cycle", "cycle,flush,look", "reload,cycle", "flush,cycle,flush,reload,cycle"] {
        node.ask(&id, script).await.silent();
        assert_eq!((node.data().await.len(), node.tombstones().await), (1, 1), "{script}");
    }
    let (slow, _) = node.slow(&new, "wait,reload,cycle,add:n", node.ask(&new, "cycle")).await;
    slow.silent();
    assert_eq!((node.data().await, node.tombstones().await), (vec![json!({ "k": 1, "n": 7 })], 2));
}

#[rocket::async_test]
async fn a_long_chain_of_cycles_leads_on_or_is_over_and_is_never_503() {
    let node = Node::new().await;
    for (cycles, leads) in [(5, true), (10, true), (15, true), (18, false)] {
        let id = node.seed().await;
        let jar = Jar::holding(&id);
        for _ in 0..cycles {
            node.browse(&jar, "cycle").await.id();
        }
        let seen = if leads { "Live nobody" } else { "Gone nobody" };
        assert!(node.ask(&id, "look").await.silent().body.starts_with(seen), "{cycles}");
        node.ask(&id, "add:n").await.silent();
        let n = if leads { 6 } else { 5 };
        assert_eq!(node.data().await, [json!({ "k": 1, "n": n })], "{cycles}");
        if leads {
            node.ask(&id, "invalidate").await.removes();
            assert_eq!(node.data().await, NOTHING, "{cycles}");
        }
        node.wipe().await;
    }
}

// Attributes that are not ours.

#[rocket::async_test]
async fn an_attribute_of_another_program_goes_along_with_one_principal_and_not_to_another() {
    let node = Node::new().await;
    for (principal, script, kept) in [
        (None, "add:n", true),
        (None, "cycle", true),
        (None, "login:ann", true),
        (None, "login:ann,flush,cycle", true),
        (None, "login:ann,flush,login:bob", false),
        (Some("ann"), "add:n", true),
        (Some("ann"), "cycle", true),
        (Some("ann"), "cycle,flush,cycle,add:n", true),
        (Some("ann"), "login:ann", true),
        (Some("ann"), "login:bob", false),
        (Some("ann"), "login:bob,flush,login:ann", false),
        (Some("ann"), "cycle,login:bob", false),
        (Some("ann"), "cycle,flush,login:bob", false),
        (Some("ann"), "add:n,flush,login:bob,add:n", false),
        (Some("ann"), "invalidate,login:bob", false),
        (Some("ann"), "clear,login:bob", false),
    ] {
        for slow in [false, true] {
            let id = seed(&node.client, principal, &[("k", 1.into()), ("n", 5.into())]).await;
            let mut row = node.row(&id).await;
            row.0.insert("role".into(), AttributeValue::S("admin".into()));
            node.bed.put(row).await;
            let answer = match slow {
                false => node.ask(&id, script).await,
                // The row that it meets is a newer one.
                true => node.slow(&id, &format!("wait,{script}"), node.ask(&id, "insert:m=1")).await.0,
            };
            let now = answer.ok().cookie().map_or(id, |_| answer.id());
            let role = node.row(&now).await.text("role").map(str::to_owned);
            assert_eq!(role.as_deref(), kept.then_some("admin"), "{principal:?}: {script}, slow: {slow}");
            // Nothing of it is left under the old ID either.
            assert_eq!(node.rows().await.iter().filter(|row| row.text("role").is_some()).count(), usize::from(kept));
            node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn a_login_that_is_led_to_another_principals_session_takes_no_attribute_along() {
    let node = Node::new().await;
    for (principal, kept) in [("ann", true), ("bob", false)] {
        let id = node.seed_user("ann").await;
        let mut row = node.row(&id).await;
        row.0.insert("role".into(), AttributeValue::S("admin".into()));
        node.bed.put(row).await;
        let (login, _) = node.slow(&id, &format!("wait,login:{principal}"), node.ask(&id, "cycle")).await;
        let row = node.row(&login.id()).await;
        assert_eq!(row.text("principal"), Some(principal));
        assert_eq!(row.text("role"), kept.then_some("admin"), "{principal}");
        node.wipe().await;
    }
}
