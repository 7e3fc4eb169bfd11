//! What counts as a change, and what becomes of two of them in one request.

use std::collections::HashSet;

use rocket::http::Status;
use rocket_dynamodb_sessions::{Session, SessionValue, Stored};
use serde::{Deserialize, Serialize};

use crate::support::Jar;
use crate::support::work::{CODECS, Office, chain};
use crate::{Cart, cart, stored};

async fn start(codec: rocket_dynamodb_sessions::Codec) -> (Office, Jar) {
    let (office, jar) = (Office::new(codec).await, Jar::default());
    office.run(&jar, |session| cart(session).items.push("first".into())).await;
    office.bed.faults.reset_counts();
    (office, jar)
}

#[tokio::test]
async fn a_visitor_who_only_looks_gets_no_row_and_no_cookie() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        assert_eq!(office.run(&jar, |session| cart(session).items.len()).await, 0);
        // What was changed and changed back is no change.
        office
            .run(&jar, |session| {
                let mut cart = cart(session);
                cart.items.push("x".into());
                cart.items.clear();
            })
            .await;
        assert_eq!((jar.id(), office.bed.rows().await, office.bed.faults.calls()), (None, vec![], vec![]));
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Seen {
    pages: HashSet<u32>,
    #[serde(default)]
    added_later: Vec<u8>,
}

impl SessionValue for Seen {
    const KEY: &'static str = "seen";
}

#[tokio::test]
async fn what_was_not_changed_is_not_written_though_a_set_has_no_order_and_fields_were_added() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office.run(&jar, |session| session.stored::<Seen>().expect("none").pages.extend(0..50)).await;
        // As the row of an older version: without the field.
        office
            .run(&jar, |session| {
                let pages: Vec<u32> = (0..50).collect();
                session.insert("seen", serde_json::json!({ "pages": pages })).expect("JSON");
            })
            .await;
        for _ in 0..3 {
            office.bed.faults.reset_counts();
            let count = office.run(&jar, |session| {
                let mut seen = session.stored::<Seen>().expect("a set");
                seen.pages.insert(7);
                seen.pages.len()
            });
            assert_eq!((count.await, office.bed.faults.calls()), (50, vec!["GetItem".to_owned()]), "{codec}");
        }
    }
}

#[tokio::test]
async fn what_changes_behind_a_shared_reference_is_stored_too() {
    #[derive(Default, Serialize, Deserialize)]
    struct Hits(std::sync::atomic::AtomicU32);
    impl SessionValue for Hits {
        const KEY: &'static str = "hits";
    }
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        for expected in 0..3 {
            let hit = |session: &Session| {
                session.stored::<Hits>().expect("hits").0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            };
            assert_eq!(office.run(&jar, hit).await, expected, "{codec}");
        }
    }
}

#[tokio::test]
async fn two_of_one_type_in_one_request_are_merged() {
    for codec in CODECS {
        let (office, jar) = start(codec).await;
        office
            .run(&jar, |session| {
                let (mut one, mut other) = (cart(session), cart(session));
                one.items.push("one".into());
                other.items.push("other".into());
                other.note = Some("other".into());
            })
            .await;
        // The one that drops first is first.
        let expected = ["first", "other", "one"];
        assert_eq!(
            (stored(&office, &jar).await.items, office.bed.faults.count("UpdateItem")),
            (expected.map(str::to_owned).to_vec(), 1)
        );

        let (status, _) = office
            .ask(&jar, |session: Session| async move {
                let (mut one, mut other) = (cart(&session), cart(&session));
                session.insert("beside", 1).expect("a number");
                one.note = Some("one".into());
                other.note = Some("two".into());
            })
            .await;
        assert_eq!(status, Status::Conflict, "{codec}");
        assert_eq!(office.run(&jar, Session::keys).await, ["cart"]);
        assert_eq!(stored(&office, &jar).await.note.as_deref(), Some("other"));
    }
}

#[tokio::test]
async fn an_insert_of_the_same_key_beside_is_merged_or_a_conflict() {
    for codec in CODECS {
        let (office, jar) = start(codec).await;
        let with =
            |items: &[&str]| Cart { items: items.iter().map(|item| (*item).to_owned()).collect(), ..Cart::default() };
        let inserted = with(&["first", "inserted"]);
        office
            .run(&jar, move |session| {
                let mut cart = cart(session);
                session.insert("cart", &inserted).expect("a cart");
                cart.items.push("pushed".into());
                session
                    .update("cart", |cart: Option<Cart>| Cart {
                        note: Some("updated".into()),
                        ..cart.unwrap_or_default()
                    })
                    .map(drop)
                    .expect("a cart");
            })
            .await;
        let found = stored(&office, &jar).await;
        assert_eq!(
            (found.items, found.note.as_deref()),
            (with(&["first", "inserted", "pushed"]).items, Some("updated"))
        );

        let other = with(&["other"]);
        let (status, _) = office
            .ask(&jar, |session: Session| async move {
                let mut cart = cart(&session);
                session.insert("cart", &other).expect("a cart");
                cart.items.push("pushed".into());
            })
            .await;
        assert_eq!(status, Status::Conflict, "{codec}");

        // What is inserted after it has dropped takes its place.
        let last = with(&["last"]);
        office
            .run(&jar, move |session| {
                cart(session).items.push("lost".into());
                session.insert("cart", &last).expect("a cart");
            })
            .await;
        assert_eq!(stored(&office, &jar).await.items, ["last"]);
    }
}

#[tokio::test]
async fn a_value_that_is_removed_meanwhile_is_a_conflict_and_one_that_only_grew_is_kept() {
    for codec in CODECS {
        let (office, jar) = start(codec).await;
        let (status, _) = office
            .ask(&jar, |session: Session| async move {
                let mut cart = cart(&session);
                session.remove("cart");
                cart.items.push("pushed".into());
            })
            .await;
        assert_eq!((status, stored(&office, &jar).await.items.len()), (Status::Conflict, 1), "{codec}");
    }
}

#[tokio::test]
async fn saving_stores_at_once_and_discarding_forgets() {
    for codec in CODECS {
        let (office, jar) = start(codec).await;
        office
            .run(&jar, |session| {
                let mut discarded = cart(session);
                discarded.items.push("discarded".into());
                Stored::discard(discarded);
                let mut saved = cart(session);
                saved.items.push("saved".into());
                Stored::save(saved).expect("a cart");
                assert_eq!(session.get::<Cart>("cart").expect("a cart").expect("it is there").items.len(), 2);
            })
            .await;
        assert_eq!(stored(&office, &jar).await.items, ["first", "saved"]);

        let told = office.run(&jar, |session| {
            let (mut one, mut other) = (cart(session), cart(session));
            (one.note, other.note) = (Some("one".into()), Some("other".into()));
            Stored::save(one).expect("a cart");
            Stored::save(other).map_err(|e| (e.status(), chain(&e)))
        });
        let said = "another request changed `cart` meanwhile in a way that cannot be merged; nothing was stored";
        assert_eq!(told.await, Err((409, said.to_owned())), "{codec}");
        // It was told to the handler, which has answered 200.
        assert_eq!(stored(&office, &jar).await.note.as_deref(), Some("one"));
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Best {
    score: u32,
    name: String,
}

impl SessionValue for Best {
    const KEY: &'static str = "best";

    fn merge(loaded: &Self, ours: &Self, theirs: &Self) -> Option<Self> {
        assert!(ours.name != "panic", "asked to");
        if ours.name == "conflict" {
            return None;
        }
        assert!(loaded.score <= theirs.score);
        Some(if ours.score > theirs.score { ours.clone() } else { theirs.clone() })
    }
}

#[tokio::test]
async fn a_type_can_merge_by_itself_what_cannot_be_merged_part_by_part() {
    for codec in CODECS {
        let (office, jar) = (Office::new(codec).await, Jar::default());
        office
            .run(&jar, |session| *session.stored::<Best>().expect("none") = Best { score: 1, name: "ann".into() })
            .await;
        for (score, name, status, best) in [
            (3, "ours", Status::Ok, (3, "ours")),
            (1, "ours", Status::Ok, (2, "theirs")),
            (9, "conflict", Status::Conflict, (2, "theirs")),
            (9, "panic", Status::InternalServerError, (2, "theirs")),
        ] {
            office
                .run(&jar, |session| session.insert("best", Best { score: 1, name: "ann".into() }).expect("a best"))
                .await;
            let rival = Office::with(office.bed.clone(), |config| config).await;
            let rival_jar = jar.clone();
            let (answered, _) = office
                .ask(&jar, move |session: Session| async move {
                    let mut ours = session.stored::<Best>().expect("a best");
                    rival
                        .run(&rival_jar, |session| {
                            *session.stored::<Best>().expect("a best") = Best { score: 2, name: "theirs".into() };
                        })
                        .await;
                    *ours = Best { score, name: name.into() };
                })
                .await;
            let found = office.run(&jar, |session| session.get::<Best>("best").expect("a best")).await;
            assert_eq!(
                (answered, found),
                (status, Some(Best { score: best.0, name: best.1.into() })),
                "{codec} {name}"
            );
        }
    }
}
