//! What a client may send, and what its caches are told.

mod support;

use rocket::http::{Header, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::response::{Redirect, Responder, Response, Result as Responded};
use rocket::{Request, Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{CacheControl, Config, CookieConfig, Error, SameSite, Session, SessionId, Sessions};
use serde_json::json;
use support::server::{self, Server};
use support::{Bed, get, new_id, ok, seed, set_cookies, told};

const DAY: u64 = 24 * 60 * 60;

#[get("/")]
fn whoami(session: Session) -> String {
    format!("{:?} {}", session.status(), session.principal().unwrap_or_default())
}

#[get("/count")]
fn count(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// A stored session; what that cost is not counted.
async fn stored(bed: &Bed, client: &Client) -> SessionId {
    let id = seed(client, Some("ann"), &[("k", json!(1))]).await;
    bed.faults.reset_counts();
    id
}

/// Everything that is nearly a session ID, and much that is not. None of it is one.
fn odd_values(id: &str) -> Vec<Vec<u8>> {
    let mut last_changed = id.to_owned();
    last_changed.replace_range(35.., "g");
    let texts = [
        String::new(),
        " ".into(),
        "x".repeat(3000),
        "0".repeat(3000),
        id.repeat(80),
        id.to_uppercase(),
        id.replace('-', ""),
        id.replace('-', "_"),
        id.replacen('-', "%2", 1),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id}0"),
        format!("{id}\u{e9}"),
        format!("'{id}'"),
        format!("\\{id}"),
        format!(".{id}"),
        format!("{id} .hint"),
        format!("../{id}"),
        format!("{id}/.."),
        id[..35].to_owned(),
        last_changed,
        "\"".into(),
        "\"\"".into(),
        "\"unclosed".into(),
        "%".into(),
        "%%".into(),
        "%00".into(),
        "%zz".into(),
        "%FF%FE".into(),
        "..".into(),
        "../../etc/passwd".into(),
        "a=b=c".into(),
        "null".into(),
        "{\"id\":1}".into(),
        "'; DROP TABLE sessions; --".into(),
        "日本語".into(),
    ];
    let bytes: [&[u8]; 4] = [b"\xff\xfe", b"\x80", &[id.as_bytes(), b"\xff"].concat(), b"caf\xe9"];
    texts.into_iter().map(String::into_bytes).chain(bytes.map(<[u8]>::to_vec)).collect()
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned()
}

async fn server(bed: &Bed, config: Config) -> Server {
    let server = Server::launch(bed.rocket(config, routes![whoami, count])).await;
    bed.faults.reset_counts();
    server
}

#[rocket::async_test]
async fn an_odd_cookie_costs_no_read_and_is_as_no_cookie() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await;
    let server = server(&bed, bed.config()).await;
    for value in odd_values(&id.expose()) {
        let header = [b"Cookie: session=", &value[..]].concat();
        let answer = server.get("/", &[&header]).await;
        assert_eq!(server::status(&answer), 200, "{}", show(&value));
        assert!(answer.ends_with("\r\n\r\nFresh "), "{}: {answer}", show(&value));
        assert_eq!(server::headers(&answer, "Set-Cookie"), [""; 0], "{}", show(&value));
        assert_eq!(bed.faults.calls(), [""; 0], "{}", show(&value));
    }
}

#[rocket::async_test]
async fn an_odd_cookie_header_costs_no_read_either() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await.expose();
    let server = server(&bed, bed.config()).await;
    let lines: [&[u8]; 10] = [
        b"Cookie:",
        b"Cookie: ;;;",
        b"Cookie: =",
        b"Cookie: session",
        b"Cookie: session;session;session",
        b"Cookie: =session=",
        b"Cookie: \xff=\xff; \xff",
        &[b"Cookie: session2=", id.as_bytes()].concat(),
        &[b"Cookie: Session=", id.as_bytes()].concat(),
        &[b"X-SessionId: ", id.as_bytes()].concat(),
    ];
    for line in lines {
        let answer = server.get("/", &[line]).await;
        assert_eq!(server::status(&answer), 200, "{}", show(line));
        assert!(answer.ends_with("\r\n\r\nFresh "), "{}: {answer}", show(line));
        assert_eq!(bed.faults.calls(), [""; 0], "{}", show(line));
    }
}

#[rocket::async_test]
async fn a_visitor_with_an_odd_cookie_gets_a_session_with_an_id_of_our_own() {
    let bed = Bed::new();
    let client = bed.client(routes![count]).await;
    let server = server(&bed, bed.config()).await;
    let planted = SessionId::random();
    let odd = [format!("Cookie: session={}", planted.expose().to_uppercase()), "Cookie: session=\"".to_owned()];
    for header in odd {
        bed.faults.reset_counts();
        let answer = server.get("/count", &[header.as_bytes()]).await;
        assert_eq!(server::status(&answer), 200);
        assert_eq!(server::headers(&answer, "Set-Cookie").len(), 1);
        assert_eq!(bed.faults.calls(), ["PutItem"]);
    }
    // A well-formed ID without a row is looked up, and not adopted.
    bed.faults.reset_counts();
    let response = get(&client, "/count", &planted).await;
    assert_ne!(new_id(&response), planted);
    assert_eq!(bed.row(&client, &planted).await, None);
    assert_eq!(bed.faults.calls(), ["GetItem", "PutItem"]);
}

/// A cookie with an ID that opens nothing.
fn unknown() -> String {
    format!("session={}", SessionId::random().expose())
}

#[rocket::async_test]
async fn of_several_cookies_of_the_name_the_first_that_opens_a_live_row_counts() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await.expose();
    let other = format!("session={}", seed(&client, Some("bob"), &[]).await.expose());
    let server = server(&bed, bed.config()).await;
    let (ours, odd) = (format!("session={id}"), "session=odd".to_owned());
    let cases: [(&[&str], usize, &str); 13] = [
        (&[&odd, &ours], 1, "Live ann"),
        (&[&ours, &odd], 1, "Live ann"),
        (&[&unknown(), &ours], 2, "Live ann"),
        (&[&ours, &unknown()], 1, "Live ann"),
        (&[&ours, &ours], 1, "Live ann"),
        (&[&ours, &other], 1, "Live ann"),
        (&[&other, &ours], 1, "Live bob"),
        (&["session=", &ours], 1, "Live ann"),
        (&["session", &ours, "session"], 1, "Live ann"),
        (&[&unknown(), "theme=dark", &unknown(), &odd, &odd, &odd, &ours], 3, "Live ann"),
        (&[&odd, &odd, &odd, &odd, &odd, &odd, &ours], 1, "Live ann"),
        // Nobody makes the store work for a heap of planted cookies.
        (&[&unknown(), &unknown(), &unknown(), &unknown(), &ours], 4, "Unknown "),
        (&[&unknown(), &unknown()], 2, "Unknown "),
    ];
    for (cookies, reads, seen) in cases {
        let one_line = vec![format!("Cookie: {}", cookies.join("; "))];
        let lines_of_their_own: Vec<_> = cookies.iter().map(|cookie| format!("Cookie: {cookie}")).collect();
        for lines in [one_line, lines_of_their_own] {
            bed.faults.reset_counts();
            let headers: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
            let answer = server.get("/", &headers).await;
            assert_eq!(server::status(&answer), 200);
            assert!(answer.ends_with(&format!("\r\n\r\n{seen}")), "{cookies:?}: {seen}: {answer}");
            assert_eq!(bed.faults.calls(), vec!["GetItem"; reads], "{cookies:?}");
        }
    }
}

#[rocket::async_test]
async fn where_no_cookie_of_the_name_opens_a_live_row_the_first_one_counts() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let superseded = stored(&bed, &client).await;
    new_id(&get(&client, "/login", &superseded).await);
    let server = server(&bed, bed.config()).await;
    let (late, unknown) = (format!("session={}", superseded.expose()), unknown());
    for (cookies, seen) in [([&late, &unknown], "Superseded "), ([&unknown, &late], "Unknown ")] {
        let header = format!("Cookie: {}; {}", cookies[0], cookies[1]);
        let answer = server.get("/", &[header.as_bytes()]).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{seen}")), "{answer}");
    }
}

#[rocket::async_test]
async fn a_cookie_planted_for_a_path_costs_no_row_a_request_and_signs_nobody_out() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await;
    let before = bed.rows().await.len();
    let server = server(&bed, bed.config()).await;
    // As a browser sends them where somebody set `session` for the path of the page: the longer path comes first.
    let header = format!("Cookie: {}; session={}", unknown(), id.expose());
    for visits in 1..=3 {
        let answer = server.get("/count", &[header.as_bytes()]).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{visits}")), "{answer}");
        assert_eq!(server::headers(&answer, "Set-Cookie"), [""; 0]);
    }
    assert_eq!(bed.rows().await.len(), before);
}

#[rocket::async_test]
async fn a_cookie_that_could_not_be_looked_up_is_no_reason_to_take_the_next() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await;
    let server = server(&bed, bed.config()).await;
    bed.faults.inject(On::reads(), Effect::AccessDenied);
    let header = format!("Cookie: {}; session={}", unknown(), id.expose());
    let answer = server.get("/", &[header.as_bytes()]).await;
    assert_eq!((server::status(&answer), bed.faults.calls()), (503, vec!["GetItem".to_owned()]));
}

#[rocket::async_test]
async fn a_hint_behind_the_id_is_ignored_whatever_it_says() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await.expose();
    let header = Config { header: Some("X-SessionId".into()), ..bed.config() };
    for (config, name) in [(bed.config(), "Cookie: session="), (header, "X-SessionId: ")] {
        let server = server(&bed, config).await;
        for hint in ["", "a", "eu-west-1", "v2.a.b", "x=y"] {
            bed.faults.reset_counts();
            let answer = server.get("/", &[format!("{name}{id}.{hint}").as_bytes()]).await;
            assert!(answer.ends_with("\r\n\r\nLive ann"), "{hint}: {answer}");
            assert_eq!(bed.faults.calls(), ["GetItem"], "{hint}");
        }
    }
}

#[rocket::async_test]
async fn rockets_tracked_client_forgets_the_cookie_after_a_sign_out() {
    let bed = Bed::new();
    let client = Client::tracked(bed.rocket(bed.config(), all())).await.expect("a valid rocket");
    ok(&client.get("/count").dispatch().await);
    assert!(client.cookies().get("session").is_some());
    ok(&client.get("/out").dispatch().await);
    assert_eq!(client.cookies().get("session"), None);
    let expires = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    ok(&client.get("/count").dispatch().await);
    let removed = client.get("/clear").dispatch().await;
    assert!(set_cookies(&removed)[0].ends_with(&format!("Max-Age=0; {expires}")), "{:?}", set_cookies(&removed));
}

#[rocket::async_test]
async fn cookies_of_others_do_not_disturb() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await.expose();
    let server = server(&bed, bed.config()).await;
    for header in [
        format!("Cookie: a=\"b; session={id}; %=%; c"),
        format!("Cookie: session={id}; big={}", "x".repeat(3000)),
        format!("Cookie:session={id}"),
        format!("cookie: =; session={id};"),
    ] {
        bed.faults.reset_counts();
        let answer = server.get("/", &[header.as_bytes()]).await;
        assert!(answer.ends_with("Live ann"), "{header}: {answer}");
        assert_eq!(bed.faults.calls(), ["GetItem"], "{header}");
    }
}

#[rocket::async_test]
async fn an_odd_header_costs_no_read_and_is_as_no_header() {
    let bed = Bed::new();
    let config = Config { header: Some("X-SessionId".into()), ..bed.config() };
    let client = bed.client_with(config.clone(), routes![]).await;
    let id = stored(&bed, &client).await.expose();
    let server = server(&bed, config).await;
    for value in odd_values(&id) {
        let header = [b"X-SessionId: ", &value[..]].concat();
        let answer = server.get("/", &[&header]).await;
        assert_eq!(server::status(&answer), 200, "{}", show(&value));
        assert!(answer.ends_with("\r\n\r\nFresh "), "{}: {answer}", show(&value));
        assert_eq!(server::headers(&answer, "X-SessionId"), [""; 0], "{}", show(&value));
        assert_eq!(bed.faults.calls(), [""; 0], "{}", show(&value));
    }
    // Two that differ are nobody's; a cookie is not read at all.
    let (ours, other) = (format!("X-SessionId: {id}"), format!("x-sessionid: {}", SessionId::random().expose()));
    let cookie = format!("Cookie: session={id}");
    for lines in [vec![&ours, &other], vec![&other, &ours], vec![&cookie]] {
        let headers: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let answer = server.get("/", &headers).await;
        assert!(answer.ends_with("\r\n\r\nFresh "), "{answer}");
        assert_eq!(bed.faults.calls(), [""; 0]);
    }
    let answer = server.get("/", &[ours.as_bytes(), ours.as_bytes()]).await;
    assert!(answer.ends_with("Live ann"), "{answer}");
    assert_eq!(bed.faults.calls(), ["GetItem"]);
}

// Caches.

/// An answer with headers of the application's own.
struct With(Vec<(&'static str, &'static str)>);

impl<'r> Responder<'r, 'static> for With {
    fn respond_to(self, _: &'r Request<'_>) -> Responded<'static> {
        let mut response = Response::new();
        for (name, value) in self.0 {
            response.adjoin_raw_header(name, value);
        }
        Ok(response)
    }
}

const PUBLIC: (&str, &str) = ("Cache-Control", "public, max-age=60");

#[get("/unused")]
fn unused() -> With {
    With(vec![PUBLIC])
}

#[get("/state")]
fn only_state(sessions: &State<Sessions>) -> String {
    sessions.stats().loads.to_string()
}

#[get("/optional")]
fn optional(session: Option<Session>) -> String {
    session.is_some().to_string()
}

#[get("/refused")]
fn refused(_session: Session) -> Status {
    Status::NotFound
}

#[get("/public?<write>")]
fn public(write: bool, session: Session) -> Result<With, Error> {
    if write {
        session.insert("k", 1)?;
    }
    Ok(With(vec![PUBLIC]))
}

#[get("/out")]
fn out(session: Session) -> With {
    session.invalidate();
    With(vec![PUBLIC])
}

#[get("/clear")]
fn clear(session: Session) -> With {
    session.clear();
    With(vec![PUBLIC])
}

#[get("/login")]
fn login(session: Session) -> Result<Redirect, Error> {
    session.login("ann")?;
    Ok(Redirect::to("/home"))
}

#[get("/vary/<case>")]
fn vary(case: usize, _session: Session) -> With {
    With(VARY[case].0.iter().map(|value| ("Vary", *value)).collect())
}

/// What the application says, and what the client is told.
const VARY: [(&[&str], &str); 8] = [
    (&[], "Cookie"),
    (&["Accept-Encoding"], "Accept-Encoding, Cookie"),
    (&["Accept-Encoding, Origin", "Accept"], "Accept-Encoding, Origin, Accept, Cookie"),
    (&["cookie"], "cookie"),
    (&["Accept, COOKIE"], "Accept, COOKIE"),
    (&["Accept,Cookie,Origin"], "Accept,Cookie,Origin"),
    (&["*"], "*"),
    (&["X-Cookie"], "X-Cookie, Cookie"),
];

fn all() -> Vec<Route> {
    routes![whoami, count, unused, only_state, optional, refused, public, out, clear, login, vary]
}

/// All values of a header; a list may be spread over several lines (RFC 9110, 5.3).
fn list(response: &LocalResponse<'_>, name: &str) -> String {
    response.headers().get(name).collect::<Vec<_>>().join(", ")
}

#[rocket::async_test]
async fn a_response_that_did_not_use_the_session_says_nothing_of_it() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    for (path, caching) in [("/unused", PUBLIC.1), ("/state", ""), ("/no-such-page", "")] {
        let response = get(&client, path, &id).await;
        assert_eq!(list(&response, "Vary"), "", "{path}");
        assert_eq!(list(&response, "Cache-Control"), caching, "{path}");
    }
    assert_eq!(bed.faults.calls(), [""; 0]);
}

#[rocket::async_test]
async fn a_response_that_used_the_session_varies_by_cookie_also_without_one() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    for path in ["/", "/optional", "/refused"] {
        for response in [get(&client, path, &id).await, client.get(path).dispatch().await] {
            assert_eq!(list(&response, "Vary"), "Cookie", "{path}");
            assert_eq!(list(&response, "Cache-Control"), "private", "{path}");
            assert_eq!(told(&response), None, "{path}");
        }
    }
}

#[rocket::async_test]
async fn a_response_whose_session_could_not_be_loaded_or_stored_varies_too() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    for (on, path) in [(On::reads(), "/count"), (On::writes(), "/count"), (On::reads(), "/optional")] {
        bed.faults.inject(on, Effect::AccessDenied);
        let response = get(&client, path, &id).await;
        let expected = if path == "/optional" { Status::Ok } else { Status::ServiceUnavailable };
        assert_eq!(response.status(), expected);
        assert_eq!(list(&response, "Vary"), "Cookie", "{path}");
        assert_eq!(told(&response), None);
        assert_eq!(bed.faults.pending(), 0);
    }
}

#[rocket::async_test]
async fn vary_is_merged_with_the_applications_and_not_doubled() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    for (case, (_, expected)) in VARY.iter().enumerate() {
        let response = client.get(format!("/vary/{case}")).dispatch().await;
        ok(&response);
        assert_eq!(list(&response, "Vary"), *expected);
    }
}

#[rocket::async_test]
async fn with_a_header_for_transport_responses_vary_by_that_header() {
    for name in ["X-SessionId", "X-Shop"] {
        let bed = Bed::new();
        let client = bed.client_with(Config { header: Some(name.into()), ..bed.config() }, all()).await;
        let first = client.get("/count").dispatch().await;
        assert_eq!((list(&first, "Vary"), list(&first, "Cache-Control")), (name.to_owned(), "no-store".to_owned()));
        assert_eq!(set_cookies(&first), [""; 0]);
        let id = first.headers().get_one(name).expect("the header tells the ID").to_owned();
        let second = client.get("/count").header(Header::new(name, id)).dispatch().await;
        assert_eq!((list(&second, "Vary"), list(&second, "Cache-Control")), (name.to_owned(), "private".to_owned()));
        assert_eq!(list(&client.get("/unused").dispatch().await, "Vary"), "");
    }
}

#[rocket::async_test]
async fn a_response_that_tells_a_cookie_is_not_to_be_stored_whatever_the_application_says() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let first = client.get("/public?write=true").dispatch().await;
    let id = new_id(&first);
    let rotated = get(&client, "/login", &id).await;
    let id = new_id(&rotated);
    bed.advance(2 * DAY);
    let refreshed = get(&client, "/public", &id).await;
    assert_eq!(new_id(&refreshed), id);
    let cleared = get(&client, "/clear", &id).await;
    let ended = get(&client, "/out", &stored(&bed, &client).await).await;
    for response in [first, rotated, refreshed, cleared, ended] {
        assert!(told(&response).is_some());
        assert_eq!(list(&response, "Cache-Control"), "no-store");
        assert_eq!(list(&response, "Vary"), "Cookie");
    }
}

#[rocket::async_test]
async fn the_applications_cache_control_stays_where_no_cookie_is_told() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    for path in ["/public", "/public?write=true"] {
        let response = get(&client, path, &id).await;
        assert_eq!((told(&response), list(&response, "Cache-Control")), (None, PUBLIC.1.to_owned()), "{path}");
        assert_eq!(list(&response, "Vary"), "Cookie", "{path}");
    }
    let visitor = client.get("/out").dispatch().await;
    assert_eq!((told(&visitor), list(&visitor, "Cache-Control")), (None, PUBLIC.1.to_owned()));
}

#[rocket::async_test]
async fn with_no_store_the_back_button_shows_no_page_of_a_user_who_signed_out() {
    let bed = Bed::new();
    let config = Config { cache_control: CacheControl::NoStore, ..bed.config() };
    let client = bed.client_with(config, all()).await;
    let id = stored(&bed, &client).await;
    for (path, caching) in [("/", "no-store"), ("/optional", "no-store"), ("/public", PUBLIC.1), ("/unused", PUBLIC.1)]
    {
        let response = get(&client, path, &id).await;
        assert_eq!((told(&response), list(&response, "Cache-Control")), (None, caching.to_owned()), "{path}");
    }
    assert_eq!(list(&client.get("/").dispatch().await, "Cache-Control"), "no-store", "a visitor's page too");
}

#[rocket::async_test]
async fn a_dot_in_front_of_the_domain_is_left_out() {
    let bed = Bed::new();
    let cookie = CookieConfig { domain: Some(".example.com".into()), ..CookieConfig::default() };
    let client = bed.client_with(Config { cookie, ..bed.config() }, all()).await;
    let set = client.get("/count").dispatch().await;
    assert!(set_cookies(&set)[0].contains("; Domain=example.com;"), "{:?}", set_cookies(&set));
}

#[rocket::async_test]
async fn a_redirect_keeps_its_location_beside_the_cookie() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let response = client.get("/login").dispatch().await;
    assert_eq!(response.status(), Status::SeeOther);
    assert_eq!(response.headers().get_one("Location"), Some("/home"));
    let id = new_id(&response);
    let page = get(&client, "/", &id).await;
    assert_eq!(page.into_string().await.as_deref(), Some("Live ann"));

    // Where the login could not be stored, nobody is sent on.
    bed.faults.inject(On::writes(), Effect::AccessDenied);
    let response = client.get("/login").dispatch().await;
    assert_eq!(response.status(), Status::ServiceUnavailable);
    assert_eq!((response.headers().get_one("Location"), told(&response)), (None, None));
}

#[rocket::async_test]
async fn the_cookie_has_the_configured_attributes_when_it_is_set_and_when_it_is_removed() {
    let bed = Bed::new();
    let cookie = CookieConfig { secure: Some(false), ..CookieConfig::default() };
    let client = bed.client_with(Config { cookie, ..bed.config() }, all()).await;
    let set = client.get("/count").dispatch().await;
    let id = new_id(&set);
    let removed = get(&client, "/out", &id).await;
    let text = format!("session={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=1209600", id.expose());
    assert_eq!(set_cookies(&set), [text]);
    assert_eq!(
        set_cookies(&removed),
        ["session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
    );

    let cookie = CookieConfig {
        name: "__Secure-shop".into(),
        path: "/shop".into(),
        domain: Some("example.com".into()),
        secure: Some(true),
        http_only: false,
        same_site: SameSite::None,
        ..CookieConfig::default()
    };
    let client = bed.client_with(Config { cookie, ..bed.config() }, all()).await;
    let set = client.get("/count").dispatch().await;
    let value = told(&set).expect("a cookie").value().to_owned();
    let sent = rocket::http::Cookie::new("__Secure-shop", value.clone());
    let removed = client.get("/out").cookie(sent).dispatch().await;
    let rest = "SameSite=None; Secure; Path=/shop; Domain=example.com";
    assert_eq!(set_cookies(&set), [format!("__Secure-shop={value}; {rest}; Max-Age=1209600")]);
    assert_eq!(
        set_cookies(&removed),
        [format!("__Secure-shop=; {rest}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")]
    );
}
