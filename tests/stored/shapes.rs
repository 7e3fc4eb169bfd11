//! `modify` in one request, and what values look like from outside.

use rocket::http::Status;
use rocket_dynamodb_sessions::Session;

use crate::cart;
use crate::support::Jar;
use crate::support::work::{CODECS, Office, chain};

#[tokio::test]
async fn modify_changes_in_place_and_answers_what_the_function_answers() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        let answers = office.ask(&jar, |session: Session| async move {
            let push = |text: &'static str| {
                move |list: &mut Vec<String>| {
                    list.push(text.into());
                    list.len()
                }
            };
            let one = session.modify("list", push("a")).expect("a list");
            let two = session.modify_now("list", push("b")).await.expect("a list");
            let nothing = session.modify("list", |list: &mut Vec<String>| list.len()).expect("a list");
            (one, two, nothing)
        });
        assert_eq!(answers.await, (Status::Ok, Some((1, 2, 2))));
        office.bed.faults.reset_counts();
        // What changes nothing writes nothing.
        office.run(&jar, |session| session.modify("list", |list: &mut Vec<String>| list.len()).expect("a list")).await;
        assert_eq!(office.bed.faults.calls(), ["GetItem"], "{codec}");
        // A value that is not there begins as its default, and is stored where the function made something of it.
        office.run(&jar, |session| session.modify("n", |n: &mut u32| *n).expect("a number")).await;
        assert_eq!(office.run(&jar, |session| session.get::<u32>("n").expect("a number")).await, Some(0));
    }
}

#[tokio::test]
async fn modify_of_another_type_says_so_and_changes_nothing() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office.run(&jar, |session| session.insert("n", "five").expect("a text")).await;
        let (_, told) = office
            .ask(&jar, |session: Session| async move {
                let now = session.modify_now("n", |n: &mut u32| *n += 1).await.map_err(|e| chain(&e));
                [session.modify("n", |n: &mut u32| *n += 1).map_err(|e| chain(&e)), now]
            })
            .await;
        for told in told.expect("an answer") {
            let told = told.expect_err("no number");
            assert!(told.starts_with("the value of `n` cannot be written or read: what is stored "), "{told}");
        }
        assert_eq!(
            office.run(&jar, |session| session.get::<String>("n").expect("a text")).await.as_deref(),
            Some("five")
        );
    }
}

#[tokio::test]
async fn the_text_of_a_guard_names_the_key_and_not_the_value() {
    let (office, jar) = (Office::new(CODECS[0]).await, Jar::default());
    let text = office.run(&jar, |session| {
        let mut cart = cart(session);
        cart.items.push("hunter2".into());
        format!("{cart:?} {session:?}")
    });
    let text = text.await;
    assert!(text.contains("Stored { key: \"cart\", .. }") && !text.contains("hunter2"), "{text}");
}
