//! The ends of requests and of guards: errors, panics, streams, sign-outs.

use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Status;
use rocket::response::stream::TextStream;
use rocket::{get, routes};
use rocket_dynamodb_sessions::{Config, Error, Session, SessionValue, Stored};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::support::work::{CODECS, Office, chain};
use crate::support::{Bed, Jar, logs, sessions};
use crate::{Cart, cart, stored};

/// A text that the type does not write while it is too long: what a handler makes of it shows only at the end.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Picky(String);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.len() > 5 { Err(S::Error::custom(&self.0)) } else { self.0.serialize(serializer) }
    }
}

impl SessionValue for Picky {
    const KEY: &'static str = "picky";
}

#[get("/push/<item>")]
fn push(item: String, mut cart: Stored<Cart>) -> String {
    cart.items.push(item);
    cart.items.join(" ")
}

#[get("/fail/<item>?<panics>")]
fn fail(item: String, mut cart: Stored<Cart>, session: Session, panics: bool) -> Status {
    cart.items.push(item);
    session.insert("beside", 1).expect("a number");
    assert!(!panics, "asked to");
    Status::BadGateway
}

#[get("/stream/<item>")]
fn stream(item: String, mut cart: Stored<Cart>) -> TextStream![String] {
    TextStream! {
        yield cart.items.join(" ");
        cart.items.push(item);
        yield " and more".to_owned();
    }
}

/// Begins while nothing is changed, and ends when the rival has changed the same.
#[get("/conflict")]
fn conflict(mut cart: Stored<Cart>) -> TextStream![String] {
    TextStream! {
        cart.note = Some("ours".to_owned());
        yield "x".to_owned();
    }
}

async fn office(codec: rocket_dynamodb_sessions::Codec) -> (Office, Jar) {
    let routes = routes![push, fail, stream, conflict];
    let office = Office::and(Bed::new(), |config| Config { codec, ..config }, routes).await;
    let jar = Jar::default();
    office.run(&jar, |session| cart(session).items.push("first".into())).await;
    office.bed.faults.reset_counts();
    (office, jar)
}

#[tokio::test]
async fn the_guard_stores_when_the_handler_is_done() {
    for codec in CODECS {
        let (office, jar) = office(codec).await;
        let response = jar.get(&office.client, "/push/x").await;
        assert_eq!((response.status(), response.into_string().await.as_deref()), (Status::Ok, Some("first x")));
        assert_eq!(office.bed.faults.calls(), ["GetItem", "UpdateItem"]);
        assert_eq!(stored(&office, &jar).await.items, ["first", "x"]);
        // A visitor's first.
        let visitor = Jar::default();
        drop(visitor.get(&office.client, "/push/y").await);
        assert_eq!(stored(&office, &visitor).await.items, ["y"]);
    }
}

#[tokio::test]
async fn what_a_handler_did_before_it_failed_or_panicked_is_not_stored() {
    for codec in CODECS {
        let (office, jar) = office(codec).await;
        for (path, status) in
            [("/fail/x?panics=false", Status::BadGateway), ("/fail/x?panics=true", Status::InternalServerError)]
        {
            assert_eq!(jar.get(&office.client, path).await.status(), status);
            assert_eq!(office.run(&jar, Session::keys).await, ["cart"], "{codec} {path}");
            assert_eq!(stored(&office, &jar).await.items, ["first"]);
        }
    }
}

#[tokio::test]
async fn with_commit_on_error_it_is_stored_but_for_what_a_panic_left_half_done() {
    let routes = routes![fail];
    let office = Office::and(Bed::new(), |config| Config { commit_on_error: true, ..config }, routes).await;
    let jar = Jar::default();
    office.run(&jar, |session| cart(session).items.push("first".into())).await;
    assert_eq!(jar.get(&office.client, "/fail/x?panics=false").await.status(), Status::BadGateway);
    assert_eq!(stored(&office, &jar).await.items, ["first", "x"]);
    assert_eq!(jar.get(&office.client, "/fail/y?panics=true").await.status(), Status::InternalServerError);
    assert_eq!(stored(&office, &jar).await.items, ["first", "x"]);
}

#[tokio::test]
async fn in_a_stream_it_is_stored_at_the_end() {
    for codec in CODECS {
        let (office, jar) = office(codec).await;
        let response = jar.get(&office.client, "/stream/x").await;
        assert_eq!(stored(&office, &jar).await.items, ["first"]);
        // Another request changes it while the stream is under way.
        office.run(&jar, |session| cart(session).items.push("meanwhile".into())).await;
        assert_eq!(response.into_string().await.as_deref(), Some("first and more"));
        assert_eq!(stored(&office, &jar).await.items, ["first", "meanwhile", "x"], "{codec}");
    }
}

#[tokio::test]
async fn a_conflict_after_the_head_is_logged_and_counted_and_nothing_is_lost_but_it() {
    for codec in CODECS {
        logs::catch();
        let (office, jar) = office(codec).await;
        let response = jar.get(&office.client, "/conflict").await;
        office.run(&jar, |session| cart(session).note = Some("theirs".into())).await;
        assert_eq!(response.into_string().await.as_deref(), Some("x"));
        assert_eq!(stored(&office, &jar).await.note.as_deref(), Some("theirs"), "{codec}");
        let said = logs::here(log::Level::Error);
        let [said] = &said[..] else { panic!("one line: {said:?}") };
        assert!(said.contains("another request changed `cart` meanwhile"), "{said}");
        assert_eq!(sessions(&office.client).stats().failed, 1);
    }
}

#[tokio::test]
async fn a_type_that_refuses_to_be_written_when_it_drops_fails_the_commit_with_its_key() {
    for codec in CODECS {
        logs::catch();
        let (office, jar) = office(codec).await;
        let rows = office.bed.rows().await;
        for visitor in [false, true] {
            let (jar, before) =
                (if visitor { Jar::default() } else { jar.clone() }, logs::here(log::Level::Error).len());
            let (status, _) = office
                .ask(&jar, |session: Session| async move {
                    session.insert("beside", 1).expect("a number");
                    session.stored::<Picky>().expect("none").0 = "hunter2!".into();
                })
                .await;
            assert_eq!(
                (status, office.bed.rows().await),
                (Status::InternalServerError, rows.clone()),
                "{codec} {visitor}"
            );
            assert_eq!(jar.id().is_none(), visitor, "no cookie for what was not stored");
            let said = &logs::here(log::Level::Error)[before..];
            let [said] = said else { panic!("one line: {said:?}") };
            let reason = "the value of `picky` cannot be written or read: the type refused to be written";
            assert!(said.contains(reason) && !said.contains("hunter2"), "{said}");
        }
        // A flush tells the handler already.
        let (status, told) = office
            .ask(&jar, |session: Session| async move {
                session.stored::<Picky>().expect("none").0 = "too long".into();
                session.flush().await.map_err(|e| (e.status(), chain(&e)))
            })
            .await;
        let reason = "the value of `picky` cannot be written or read: the type refused to be written";
        assert_eq!((status, told), (Status::InternalServerError, Some(Err((500, reason.to_owned())))));
        office.run(&jar, |session| session.stored::<Picky>().expect("none").0 = "short".into()).await;
        assert_eq!(
            office.run(&jar, |session| session.get("picky").expect("a text")).await,
            Some(Picky("short".into()))
        );
    }
}

#[tokio::test]
async fn a_sign_out_is_carried_out_beside_a_value_that_was_changed_or_cannot_be_stored() {
    for codec in CODECS {
        for way in 0..5 {
            let (office, jar) = office(codec).await;
            office.run(&jar, |session| session.login("ann").expect("a name")).await;
            let handle = crate::support::work::handle(&office, &jar);
            let (status, _) = office
                .ask(&jar, move |session: Session| async move {
                    let mut cart = cart(&session);
                    let mut picky = session.stored::<Picky>().expect("none");
                    match way {
                        0 => cart.items.push("x".into()),
                        1 => picky.0 = "too long".into(),
                        // Before the sign-out: void with all that was before it.
                        2 => {
                            picky.0 = "too long".into();
                            drop(picky);
                            return session.invalidate();
                        }
                        // Another change of the same, so that it would be a conflict.
                        3 => {
                            cart.note = Some("one".into());
                            crate::cart(&session).note = Some("two".into());
                        }
                        _ => {
                            cart.items.push("x".into());
                            session.invalidate();
                            session.flush().await.expect("it is carried out");
                        }
                    }
                    session.invalidate();
                })
                .await;
            let rows = office.bed.rows().await;
            let live = rows.iter().any(|row| row.text("id") == Some(&handle) && !row.is_tombstone());
            assert!(!live, "{codec} {way}: answered {status}, and the session lives");
            assert_eq!((status, jar.id(), rows.len()), (Status::Ok, None, 2), "{codec} {way}");
        }
    }
}

#[tokio::test]
async fn what_was_changed_of_one_principals_value_does_not_go_to_the_next() {
    for codec in CODECS {
        let (office, jar) = office(codec).await;
        office.run(&jar, |session| session.login("ann").expect("a name")).await;
        assert_eq!(stored(&office, &jar).await.items, ["first"], "a visitor's goes along");
        office
            .run(&jar, |session| {
                let mut cart = cart(session);
                cart.items.push("ann's".into());
                let mut new = session.stored::<Picky>().expect("none");
                new.0 = "ann's".into();
                session.login("eve").expect("a name");
            })
            .await;
        assert_eq!(
            office.run(&jar, |session| (session.principal(), session.keys())).await,
            (Some("eve".into()), vec![])
        );
        // What is loaded after it belongs to the new session.
        office
            .run(&jar, |session| {
                session.clear();
                cart(session).items.push("new".into());
            })
            .await;
        assert_eq!(stored(&office, &jar).await.items, ["new"], "{codec}");
    }
}

#[tokio::test]
async fn of_an_older_shape_the_route_decides_and_can_start_over() {
    static STARTS_OVER: AtomicBool = AtomicBool::new(false);
    #[get("/older")]
    fn older(cart: Result<Stored<Cart>, Error>, session: Session) -> Result<String, Error> {
        match cart {
            Ok(cart) => Ok(cart.items.join(" ")),
            Err(error) if STARTS_OVER.load(Ordering::Relaxed) => {
                session.insert("cart", Cart { items: vec!["anew".into()], ..Cart::default() })?;
                Ok(chain(&error))
            }
            Err(error) => Err(error),
        }
    }
    for codec in CODECS {
        STARTS_OVER.store(false, Ordering::Relaxed);
        let routes = routes![older, push];
        let office = Office::and(Bed::new(), |config| Config { codec, ..config }, routes).await;
        let jar = Jar::default();
        office.run(&jar, |session| session.insert("cart", vec!["an", "older", "shape"]).expect("a list")).await;
        let rows = office.bed.rows().await;
        for path in ["/older", "/push/x"] {
            assert_eq!(jar.get(&office.client, path).await.status(), Status::InternalServerError, "{codec} {path}");
        }
        assert_eq!(office.bed.rows().await, rows, "it is left as it is");
        STARTS_OVER.store(true, Ordering::Relaxed);
        let body = jar.get(&office.client, "/older").await.into_string().await.expect("a body");
        assert!(body.starts_with("the value of `cart` cannot be written or read: what is stored "), "{body}");
        let body = jar.get(&office.client, "/push/x").await.into_string().await;
        assert_eq!(body.as_deref(), Some("anew x"), "{codec}");
        // Removed, it begins as its default.
        office.run(&jar, |session| session.remove("cart")).await;
        assert_eq!(jar.get(&office.client, "/push/x").await.into_string().await.as_deref(), Some("x"));
    }
}
