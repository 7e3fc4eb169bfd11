//! The guard of who is signed in, and what a client gets where a session cannot be loaded or stored.

mod support;

use rocket::http::{ContentType, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::response::content::RawJson;
use rocket::response::{Redirect, Responder};
use rocket::{Request, Response, Route, catch, catchers, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, OnOutage, Principal, Session};
use serde_json::json;
use support::{Bed, bare_rocket, get, new_id, ok, seed, told};

// Who is signed in.

#[get("/account")]
fn account(user: Principal) -> String {
    format!("hello, {user}")
}

#[get("/home")]
fn home(user: Principal) -> String {
    format!("home of {}", user.as_str())
}

#[get("/home", rank = 2)]
fn welcome() -> &'static str {
    "welcome"
}

#[get("/either")]
fn either(user: Option<Principal>) -> String {
    user.map_or_else(|| "nobody".to_owned(), Principal::into_string)
}

#[get("/why")]
fn why(user: Result<Principal, Error>) -> String {
    user.map_or_else(|error| error.to_string(), Principal::into_string)
}

#[catch(401)]
fn sign_in() -> Redirect {
    Redirect::to("/login")
}

fn pages() -> Vec<Route> {
    routes![account, home, welcome, either, why, insert, login, large, out, read]
}

async fn client(bed: &Bed, config: Config) -> Client {
    let rocket = bed.rocket(config, pages()).register("/", catchers![sign_in]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

#[rocket::async_test]
async fn a_page_knows_who_is_signed_in() {
    let bed = Bed::new();
    let client = client(&bed, bed.config()).await;
    let id = seed(&client, Some("ann"), &[]).await;
    for (path, said) in [("/account", "hello, ann"), ("/home", "home of ann"), ("/either", "ann"), ("/why", "ann")] {
        assert_eq!(get(&client, path, &id).await.into_string().await.as_deref(), Some(said), "{path}");
    }
}

#[rocket::async_test]
async fn without_a_sign_in_a_catcher_or_a_route_of_lower_rank_takes_over() {
    let bed = Bed::new();
    let client = client(&bed, bed.config()).await;
    let visitor = seed(&client, None, &[("k", json!(1))]).await;
    for response in [client.get("/account").dispatch().await, get(&client, "/account", &visitor).await] {
        assert_eq!(response.status(), Status::SeeOther);
        assert_eq!(response.headers().get_one("Location"), Some("/login"));
        assert_eq!(response.headers().get_one("Vary"), Some("Cookie"), "it depends on who asks");
        assert_eq!(told(&response), None);
    }
    for (path, said) in [("/home", "welcome"), ("/either", "nobody")] {
        assert_eq!(get(&client, path, &visitor).await.into_string().await.as_deref(), Some(said), "{path}");
    }
}

#[rocket::async_test]
async fn an_outage_is_503_and_no_invitation_to_sign_in() {
    for on_outage in [OnOutage::Fail, OnOutage::Anonymous] {
        let bed = Bed::new();
        let client = client(&bed, Config { on_outage, ..bed.config() }).await;
        let id = seed(&client, Some("ann"), &[]).await;
        bed.faults.inject(On::reads().always(), Effect::AccessDenied);
        for path in ["/account", "/home"] {
            let response = get(&client, path, &id).await;
            assert_eq!(response.status(), Status::ServiceUnavailable, "{path} {on_outage}");
            assert_eq!(response.headers().get_one("Retry-After"), Some("5"));
        }
        let said = get(&client, "/why", &id).await.into_string().await.expect("a text");
        assert!(said.starts_with("the session store refused (load)"), "{said}");
        assert_eq!(get(&client, "/either", &id).await.into_string().await.as_deref(), Some("nobody"));
        // Who brought no ID is signed in nowhere; nobody has to be asked.
        assert_eq!(client.get("/account").dispatch().await.status(), Status::SeeOther);
    }
}

#[rocket::async_test]
async fn who_signed_in_or_out_in_this_request_is_known_to_later_guards() {
    #[get("/in-and-out")]
    fn in_and_out(session: Session, _early: Option<Principal>) -> Result<String, Error> {
        session.login("ann")?;
        let during = session.principal();
        session.invalidate();
        Ok(format!("{during:?} {:?}", session.principal()))
    }

    let bed = Bed::new();
    let client = bed.client(routes![in_and_out]).await;
    let said = client.get("/in-and-out").dispatch().await.into_string().await;
    assert_eq!(said.as_deref(), Some("Some(\"ann\") None"));
}

#[rocket::async_test]
async fn a_principal_without_the_fairing_aborts_the_launch() {
    let error = Client::untracked(bare_rocket().mount("/", routes![account])).await.expect_err("no fairing");
    assert!(matches!(error.kind(), rocket::error::ErrorKind::SentinelAborts(_)), "{error}");
}

// What a client gets for a failure.

/// A page with headers of its content, and one of all pages.
#[derive(Responder)]
struct Page(&'static str, ContentType, rocket::http::Header<'static>);

fn page() -> Page {
    Page("a page", ContentType::HTML, rocket::http::Header::new("ETag", "\"1\""))
}

#[get("/insert")]
fn insert(session: Session) -> Result<Page, Error> {
    session.insert("k", 2).map(|()| page())
}

#[get("/login")]
fn login(session: Session) -> Result<Page, Error> {
    session.login("bob").map(|()| page())
}

#[get("/large")]
fn large(session: Session) -> Result<Page, Error> {
    session.insert("k", "x".repeat(500_000)).map(|()| page())
}

#[get("/out")]
fn out(session: Session) -> Page {
    session.invalidate();
    page()
}

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    session.get::<u64>("text").map(|n| format!("{n:?}"))
}

async fn with_answer<F, R>(bed: &Bed, answer: F) -> Client
where
    F: Fn(&Error, &Request<'_>) -> R + Send + Sync + 'static,
    R: for<'r> Responder<'r, 'static>,
{
    let headers = rocket::fairing::AdHoc::on_response("headers", |_, response| {
        Box::pin(async {
            response.set_raw_header("X-Frame-Options", "DENY");
        })
    });
    let rocket = bare_rocket().attach(bed.fairing(bed.config()).on_failure(answer)).attach(headers);
    let client = Client::untracked(rocket.mount("/", pages())).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

async fn text(response: LocalResponse<'_>) -> String {
    response.into_string().await.unwrap_or_default()
}

#[rocket::async_test]
async fn a_json_api_answers_a_failed_write_in_json_with_the_status_of_the_error() {
    let bed = Bed::new();
    let client = with_answer(&bed, |error, request| {
        let (status, path) = (error.status(), request.uri().path());
        RawJson(format!(r#"{{"status":{status},"path":"{path}"}}"#))
    })
    .await;
    let id = seed(&client, Some("ann"), &[("text", json!("hunter2"))]).await;
    let before = bed.row(&client, &id).await;
    for (path, status) in [("/insert", 503), ("/login", 503), ("/out", 503), ("/large", 500), ("/read", 500)] {
        if status == 503 {
            bed.faults.inject(On::writes(), Effect::AccessDenied);
        }
        let response = get(&client, path, &id).await;
        assert_eq!(response.status().code, status, "{path}");
        assert_eq!(response.content_type(), Some(ContentType::JSON), "{path}");
        assert_eq!(response.headers().get_one("Retry-After"), Some("5").filter(|_| status == 503), "{path}");
        assert_eq!(response.headers().get_one("ETag"), None, "{path}: it describes the page");
        assert_eq!(response.headers().get_one("X-Frame-Options"), Some("DENY"), "{path}: it is for all answers");
        assert_eq!(told(&response), None, "{path}");
        assert_eq!(text(response).await, format!(r#"{{"status":{status},"path":"{path}"}}"#));
        assert_eq!(bed.faults.pending(), 0, "{path}");
        assert_eq!(bed.row(&client, &id).await, before, "{path}");
    }
    ok(&get(&client, "/insert", &id).await);
}

#[rocket::async_test]
async fn an_answer_that_says_a_status_of_an_error_has_it_and_none_makes_a_success_of_a_failure() {
    for (says, gets) in [(Status::BadGateway, 502), (Status::Ok, 503), (Status::SeeOther, 503), (Status::Gone, 410)] {
        let bed = Bed::new();
        let client = with_answer(&bed, move |_, _| (says, "sorry")).await;
        bed.faults.inject(On::writes(), Effect::AccessDenied);
        let response = client.get("/insert").dispatch().await;
        assert_eq!(response.status().code, gets, "{says}");
        assert_eq!(text(response).await, "sorry");
    }
}

#[rocket::async_test]
async fn an_answer_that_fails_itself_leaves_the_bare_status() {
    struct Broken;

    impl<'r> Responder<'r, 'static> for Broken {
        fn respond_to(self, _: &'r Request<'_>) -> Result<Response<'static>, Status> {
            Err(Status::Ok)
        }
    }

    let bed = Bed::new();
    let client = with_answer(&bed, |_, _| Broken).await;
    bed.faults.inject(On::writes(), Effect::AccessDenied);
    let response = client.get("/insert").dispatch().await;
    assert_eq!((response.status(), text(response).await.as_str()), (Status::ServiceUnavailable, ""));
}

#[rocket::async_test]
async fn a_guard_that_fails_is_answered_by_the_applications_catcher() {
    #[catch(503)]
    fn later() -> (ContentType, &'static str) {
        (ContentType::JSON, "{}")
    }

    let bed = Bed::new();
    let fairing = bed.fairing(bed.config()).on_failure(|_, _| "not asked");
    let rocket = bare_rocket().attach(fairing).mount("/", pages()).register("/", catchers![later]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    let id = seed(&client, Some("ann"), &[]).await;
    bed.faults.inject(On::reads(), Effect::AccessDenied);
    let response = get(&client, "/insert", &id).await;
    assert_eq!((response.status(), text(response).await.as_str()), (Status::ServiceUnavailable, "{}"));
}

#[rocket::async_test]
async fn without_an_answer_of_the_applications_a_failure_is_bare() {
    let bed = Bed::new();
    let client = bed.client(pages()).await;
    bed.faults.inject(On::writes(), Effect::AccessDenied);
    let response = client.get("/insert").dispatch().await;
    assert_eq!(response.status(), Status::ServiceUnavailable);
    assert_eq!((response.content_type(), response.headers().get_one("ETag")), (None, None));
    assert_eq!(text(response).await, "");
}

#[rocket::async_test]
async fn an_applications_own_error_type_takes_the_status_of_ours() {
    #[get("/status")]
    fn status(session: Session) -> Result<String, Status> {
        Ok(session.get::<u64>("text")?.unwrap_or_default().to_string())
    }

    let bed = Bed::new();
    let client = bed.client(routes![status, login]).await;
    let id = seed(&client, None, &[("text", json!("hunter2"))]).await;
    assert_eq!(get(&client, "/status", &id).await.status(), Status::InternalServerError);
    assert_eq!(Status::from(&Error::HeadSent), Status::InternalServerError);
    new_id(&client.get("/login").dispatch().await);
}
