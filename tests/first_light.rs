//! The whole way, once: attach, guard, configure.

mod support;

use rocket::{get, routes};
use rocket_dynamodb_sessions::{Error, Session};
use support::{Bed, new_id, told};

#[get("/")]
fn index(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[rocket::async_test]
async fn three_visits_count_one_two_three_and_only_the_first_sets_a_cookie() {
    let bed = Bed::new();
    let client = bed.client(routes![index]).await;
    let first = client.get("/").dispatch().await;
    let id = new_id(&first);
    assert_eq!(first.into_string().await.as_deref(), Some("1"));
    for expected in ["2", "3"] {
        let response = support::get(&client, "/", &id).await;
        assert_eq!(told(&response), None);
        assert_eq!(response.into_string().await.as_deref(), Some(expected));
    }
    let row = bed.row(&client, &id).await.expect("the row is there");
    assert_eq!(row.data()["visits"], 3);
    assert_eq!(row.number("ttl"), Some(bed.now() + 14 * 24 * 60 * 60));
    assert_eq!(bed.faults.calls(), ["PutItem", "GetItem", "UpdateItem", "GetItem", "UpdateItem"]);
}
