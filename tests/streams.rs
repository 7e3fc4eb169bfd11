//! What outlives the response: sessions in streamed bodies, WebSockets, spawned tasks, later fairings, cancelled requests.

mod support;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use rocket::fairing::{AdHoc, Fairing, Info, Kind, Result as Ignited};
use rocket::futures::{SinkExt, StreamExt};
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::response::stream::{Event, EventStream, TextStream};
use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::sync::Notify;
use rocket::tokio::task::yield_now;
use rocket::tokio::time::timeout;
use rocket::{Build, Request, Response, Rocket, Route, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On, Row};
use rocket_dynamodb_sessions::{Error, Session, SessionId, SessionStatus};
use serde_json::json;
use support::server::Server;
use support::{Bed, assert_ended, cookie, get, new_id, ok, seed, told};

/// What nothing takes: a guard against a test that hangs.
const LONGEST: Duration = Duration::from_secs(20);

const DAY: u64 = 24 * 60 * 60;

fn count(session: &Session) -> Result<u32, Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
}

#[get("/events")]
fn events(session: Session) -> EventStream![] {
    let events = EventStream! {
        for _ in 0..3 {
            yield match count(&session) {
                Ok(n) => Event::data(n.to_string()),
                Err(error) => Event::data(error.to_string()),
            };
        }
    };
    // Rocket's first heartbeat comes after a millisecond, between the events of a busy machine.
    events.heartbeat(None)
}

#[get("/text")]
fn text(session: Session) -> TextStream![String] {
    TextStream! {
        for _ in 0..3 {
            yield count(&session).map_or_else(|error| error.to_string(), |n| n.to_string());
        }
    }
}

#[get("/count")]
fn plain(session: Session) -> Result<String, Error> {
    count(&session).map(|n| n.to_string())
}

fn all() -> Vec<Route> {
    routes![events, text, plain, flushing, reloading, late_first, late_rotation, begun_before]
}

/// A stored session with one value; what that cost is not counted.
async fn stored(bed: &Bed, client: &Client) -> SessionId {
    let id = seed(client, Some("ann"), &[("k", json!(1))]).await;
    bed.faults.reset_counts();
    id
}

async fn row(bed: &Bed, client: &Client, id: &SessionId) -> Row {
    bed.row(client, id).await.expect("the row is there")
}

/// Waits for a row to become as it should: for a write that nothing in the test can wait for.
async fn until(bed: &Bed, client: &Client, id: &SessionId, is_so: impl Fn(&Row) -> bool) {
    let looking = async {
        while !is_so(&row(bed, client, id).await) {
            yield_now().await;
        }
    };
    timeout(LONGEST, looking).await.expect("the row changes");
}

/// Drives a future a hundred times without finding it ready.
async fn stays_pending<F: Future + Unpin>(future: &mut F) {
    for _ in 0..100 {
        let poll = std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()));
        assert!(poll.await, "it is ready too early");
        yield_now().await;
    }
}

// Streamed bodies.

#[rocket::async_test]
async fn what_a_stream_changes_is_in_the_table_when_its_end_was_read() {
    for (path, body) in [("/events", "data:1\n\ndata:2\n\ndata:3\n\n"), ("/text", "123")] {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = stored(&bed, &client).await;
        let response = get(&client, path, &id).await;
        ok(&response);
        assert_eq!(told(&response), None, "{path}");
        assert_eq!(bed.faults.calls(), ["GetItem"], "{path}: nothing was changed before the head");
        let text = response.into_string().await.expect("a body");
        assert_eq!(text.replace("data: ", "data:"), body, "{path}");
        assert_eq!(row(&bed, &client, &id).await.data(), json!({ "k": 1, "n": 3 }), "{path}");
        assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"], "{path}: one write for the stream");
    }
}

#[rocket::async_test]
async fn the_end_of_a_streamed_body_waits_until_the_write_is_answered() {
    for path in ["/events", "/text"] {
        let bed = Bed::new();
        let client = bed.client(all()).await;
        let id = stored(&bed, &client).await;
        let sent = bed.faults.hold("UpdateItem");
        let answered = bed.faults.hold_answer("UpdateItem");
        let mut reading = Box::pin(get(&client, path, &id).await.into_string());
        for gate in [&sent, &answered] {
            rocket::tokio::select! {
                biased;
                _ = &mut reading => panic!("{path}: the body ended before its session was stored"),
                reached = timeout(LONGEST, gate.reached()) => reached.expect("the write is sent"),
            }
            stays_pending(&mut reading).await;
            gate.open();
        }
        assert!(timeout(LONGEST, reading).await.expect("the body ends").is_some(), "{path}");
        assert_eq!(row(&bed, &client, &id).await.data()["n"], 3, "{path}");
    }
}

#[rocket::async_test]
async fn the_last_chunk_waits_on_the_wire_too() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await;
    let server = Server::launch(bed.rocket(bed.config(), all())).await;
    let gate = bed.faults.hold("UpdateItem");
    let mut connection = server.connect().await;
    let request = format!("GET /text HTTP/1.1\r\nHost: localhost\r\nCookie: session={}\r\n\r\n", id.expose());
    connection.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    let read = async {
        while !answer.ends_with(b"0\r\n\r\n") {
            assert_ne!(connection.read_buf(&mut answer).await.expect("the server writes"), 0);
        }
    };
    let mut read = Box::pin(read);
    rocket::tokio::select! {
        biased;
        () = &mut read => panic!("the body ended before its session was stored"),
        reached = timeout(LONGEST, gate.reached()) => reached.expect("the write is sent"),
    }
    stays_pending(&mut read).await;
    gate.open();
    timeout(LONGEST, read).await.expect("the body ends");
    assert_eq!(row(&bed, &client, &id).await.data()["n"], 3);
}

#[rocket::async_test]
async fn a_stream_whose_flush_fails_ends_all_the_same() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    bed.faults.inject(On::writes().always(), Effect::AccessDenied);
    let body = timeout(LONGEST, get(&client, "/text", &id).await.into_string()).await.expect("the body ends");
    assert_eq!(body.as_deref(), Some("123"));
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "k": 1 }));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_stream_that_is_dropped_unread_is_flushed() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let mut response = get(&client, "/text", &id).await;
    let mut first = [0];
    response.read_exact(&mut first).await.expect("the stream has begun");
    assert_eq!(first, *b"1");
    drop(response);
    until(&bed, &client, &id, |row| row.data()["n"] == 1).await;
    assert_eq!(bed.faults.count("UpdateItem"), 1);
}

#[rocket::async_test]
async fn a_stream_does_not_lose_what_another_request_writes_meanwhile() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let stream = get(&client, "/text", &id).await;
    for expected in ["1", "2"] {
        assert_eq!(get(&client, "/count", &id).await.into_string().await.as_deref(), Some(expected));
    }
    assert_eq!(stream.into_string().await.as_deref(), Some("123"), "it counts on what it loaded");
    assert_eq!(row(&bed, &client, &id).await.data()["n"], 5, "and all five counts are stored");
}

#[get("/flushing")]
fn flushing(session: Session) -> TextStream![String] {
    TextStream! {
        for _ in 0..3 {
            let stored = match count(&session) {
                Ok(_) => session.flush().await,
                Err(error) => Err(error),
            };
            yield match stored {
                Ok(()) => session.get::<u32>("n").ok().flatten().unwrap_or_default().to_string(),
                Err(error) => error.to_string(),
            };
        }
    }
}

#[rocket::async_test]
async fn a_flush_in_a_stream_stores_at_once_and_shows_what_was_stored() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let mut response = get(&client, "/flushing", &id).await;
    let mut read = [0];
    response.read_exact(&mut read).await.expect("the stream has begun");
    assert_eq!(read, *b"1");
    assert_eq!(row(&bed, &client, &id).await.data()["n"], 1, "stored while the stream goes on");

    // Another request counts in between: the flush replays over its row.
    assert_eq!(get(&client, "/count", &id).await.into_string().await.as_deref(), Some("2"));
    response.read_exact(&mut read).await.expect("the stream goes on");
    assert_eq!(read, *b"3");
    assert_eq!(response.into_string().await.as_deref(), Some("4"));
    assert_eq!(row(&bed, &client, &id).await.data()["n"], 4);
    assert_eq!(bed.faults.failed(), 1);
}

#[get("/reloading")]
fn reloading(session: Session) -> TextStream![String] {
    let seen = |session: &Session| {
        let n = session.get::<u32>("n").ok().flatten().unwrap_or_default();
        format!("{n} {:?} {}\n", session.status(), session.contains_key("unsaved"))
    };
    TextStream! {
        if let Err(error) = session.insert("unsaved", true) {
            yield error.to_string();
        }
        yield seen(&session);
        for _ in 0..2 {
            if let Err(error) = session.reload().await {
                yield error.to_string();
            }
            yield seen(&session);
        }
    }
}

async fn line(response: &mut rocket::local::asynchronous::LocalResponse<'_>) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(response.read_u8().await.expect("the stream goes on"));
    }
    String::from_utf8(line).expect("text").trim().to_owned()
}

#[rocket::async_test]
async fn a_reload_in_a_stream_shows_what_others_wrote_and_keeps_what_is_not_stored_yet() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let mut response = get(&client, "/reloading", &id).await;
    assert_eq!(line(&mut response).await, "0 Live true");
    get(&client, "/count", &id).await;
    assert_eq!(line(&mut response).await, "1 Live true");
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "k": 1, "n": 1 }), "a reload writes nothing");

    // The session ends meanwhile: the stream learns it, and what it changed is dropped.
    bed.delete(&client, &id).await;
    assert_eq!(line(&mut response).await, "0 Gone true");
    assert_eq!(response.into_string().await.as_deref(), Some(""));
    assert_eq!(bed.rows().await, []);
}

#[get("/late-first")]
fn late_first(session: Session) -> TextStream![String] {
    let said = |result: Result<(), Error>| match result {
        Ok(()) => "stored\n".to_owned(),
        Err(Error::HeadSent) => "head sent\n".to_owned(),
        Err(error) => format!("{error}\n"),
    };
    TextStream! {
        yield said(session.insert("k", 1));
        yield said(session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).map(|_| ()));
        yield said(session.set_ttl(Duration::from_secs(60)));
        yield said(session.login("eve"));
        yield said(session.cycle_id());
        yield said(session.flush().await);
        yield format!("{:?} {}", session.status(), session.is_empty());
    }
}

#[rocket::async_test]
async fn a_session_cannot_begin_after_the_head_was_sent() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let unknown = SessionId::random();
    for id in [None, Some(&unknown)] {
        let request = client.get("/late-first");
        let request = match id {
            Some(id) => request.cookie(cookie(id)),
            None => request,
        };
        let response = request.dispatch().await;
        assert_eq!(told(&response), None);
        let body = response.into_string().await.expect("a body");
        let status = if id.is_some() { "Unknown true" } else { "Fresh true" };
        let expected = ["head sent"; 5].into_iter().chain(["stored", status]).collect::<Vec<_>>();
        assert_eq!(body.lines().collect::<Vec<_>>(), expected);
        assert_eq!(bed.rows().await, []);
    }
    assert_eq!(bed.faults.calls(), ["GetItem"]);
}

#[get("/late-rotation")]
fn late_rotation(session: Session) -> TextStream![String] {
    TextStream! {
        for result in [session.login("eve"), session.cycle_id()] {
            yield matches!(result, Err(Error::HeadSent)).to_string();
        }
        session.invalidate();
        let result = session.insert("flash", "bye");
        yield matches!(result, Err(Error::HeadSent)).to_string();
    }
}

#[rocket::async_test]
async fn a_new_id_cannot_be_given_after_the_head_was_sent_but_a_session_can_end() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let response = get(&client, "/late-rotation", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("truetruetrue"));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
    let [ended] = &bed.rows().await[..] else { panic!("one row") };
    assert_ended(ended);
}

#[get("/begun-before")]
fn begun_before(session: Session) -> Result<TextStream![String], Error> {
    session.insert("before", true)?;
    Ok(TextStream! {
        yield session.insert("after", true).map_or_else(|error| error.to_string(), |()| "stored".to_owned());
    })
}

#[rocket::async_test]
async fn a_session_that_began_before_the_head_goes_on_in_the_stream() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let response = client.get("/begun-before").dispatch().await;
    let id = new_id(&response);
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "before": true }), "stored before the head was sent");
    assert_eq!(response.into_string().await.as_deref(), Some("stored"));
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "before": true, "after": true }));
    assert_eq!(bed.faults.calls(), ["PutItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn the_end_of_a_long_stream_refreshes_the_row() {
    for (path, n) in [("/text", json!(3)), ("/quiet", json!(null))] {
        let bed = Bed::new();
        let client = bed.client(routes![text, quiet]).await;
        let id = stored(&bed, &client).await;
        let before = row(&bed, &client, &id).await;
        let response = get(&client, path, &id).await;
        bed.advance(2 * DAY);
        response.into_string().await;
        let after = row(&bed, &client, &id).await;
        assert_eq!(after.number("ttl"), Some(bed.now() + 14 * 86_400), "{path}");
        assert_eq!(after.number("cookie"), before.number("cookie"), "{path}: no cookie could be sent");
        assert_eq!(after.data()["n"], n, "{path}");
        assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"], "{path}");
    }
}

#[get("/quiet")]
fn quiet(session: Session) -> TextStream![String] {
    TextStream! {
        yield session.principal().unwrap_or_default();
    }
}

// Other holders that outlive the response.

#[get("/spawning")]
fn spawning(session: Session, go: &State<Arc<Notify>>) -> &'static str {
    let go = go.inner().clone();
    rocket::tokio::spawn(async move {
        go.notified().await;
        count(&session).expect("the session has a row");
    });
    "begun"
}

#[rocket::async_test]
async fn a_session_in_a_spawned_task_is_flushed_when_the_task_ends() {
    let bed = Bed::new();
    let go = Arc::new(Notify::new());
    let rocket = bed.rocket(bed.config(), routes![spawning]).manage(go.clone());
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    let id = stored(&bed, &client).await;
    let response = get(&client, "/spawning", &id).await;
    assert_eq!(response.into_string().await.as_deref(), Some("begun"), "the response does not wait for the task");
    assert_eq!(bed.faults.calls(), ["GetItem"]);

    let written = bed.faults.hold_answer("UpdateItem");
    go.notify_one();
    timeout(LONGEST, written.reached()).await.expect("the task's change is written");
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "k": 1, "n": 1 }));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);
}

/// What a task that flushes beside its handler's response heard.
type Heard = Arc<OnceLock<bool>>;

#[get("/flushing-task")]
async fn flushing_task(session: Session, go: &State<Arc<Notify>>, heard: &State<Heard>) -> Result<(), Error> {
    let (task, go, heard) = (session.clone(), go.inner().clone(), heard.inner().clone());
    task.insert("task", true)?;
    rocket::tokio::spawn(async move {
        go.notified().await;
        let stored = task.flush().await.is_ok();
        heard.set(stored).expect("set once");
    });
    session.insert("handler", true)
}

#[rocket::async_test]
async fn a_flush_that_waited_for_a_commit_that_fails_does_not_say_that_it_stored() {
    let bed = Bed::new();
    let (go, heard) = (Arc::new(Notify::new()), Heard::default());
    let rocket = bed.rocket(bed.config(), routes![flushing_task]).manage(go.clone()).manage(heard.clone());
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    let id = stored(&bed, &client).await;
    // The response's write takes the task's change along, and is refused while the task's flush waits for its turn.
    bed.faults.inject(On::writes(), Effect::AccessDenied);
    let write = bed.faults.hold(On::writes());
    let (response, ()) = rocket::tokio::join!(get(&client, "/flushing-task", &id), async {
        write.reached().await;
        go.notify_one();
        for _ in 0..1000 {
            yield_now().await;
        }
        write.open();
    });
    assert_eq!(response.status(), Status::ServiceUnavailable);
    let hearing = async {
        while heard.get().is_none() {
            yield_now().await;
        }
    };
    timeout(LONGEST, hearing).await.expect("the flush is answered");
    let is_there = row(&bed, &client, &id).await.data()["task"] == true;
    assert_eq!(heard.get(), Some(&is_there), "{:?}", bed.faults.calls());
}

#[get("/socket")]
fn socket(socket: rocket_ws::WebSocket, session: Session) -> rocket_ws::Channel<'static> {
    socket.channel(move |mut stream| {
        Box::pin(async move {
            while let Some(Ok(message)) = stream.next().await {
                if !message.is_text() {
                    continue;
                }
                let n = count(&session).expect("the session has a row");
                stream.send(rocket_ws::Message::Text(n.to_string())).await?;
            }
            Ok(())
        })
    })
}

/// A frame of a WebSocket's client, masked with zeros (RFC 6455, 5.2).
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[rocket::async_test]
async fn a_session_in_a_websocket_is_flushed_while_it_is_open_and_when_it_closes() {
    let bed = Bed::new();
    let client = bed.client(routes![]).await;
    let id = stored(&bed, &client).await;
    let server = Server::launch(bed.rocket(bed.config(), routes![socket])).await;
    bed.faults.reset_counts();
    let mut connection = server.connect().await;
    let handshake = format!(
        "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: session={}\r\n\r\n",
        id.expose()
    );
    let talking = async {
        connection.write_all(handshake.as_bytes()).await.expect("the server reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.expect("the server answers"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        for expected in [b"1", b"2"] {
            connection.write_all(&frame(1, b"count")).await.expect("the server reads");
            let mut answer = [0; 3];
            connection.read_exact(&mut answer).await.expect("the server answers");
            assert_eq!(answer, [0x81, 1, expected[0]]);
        }
    };
    timeout(LONGEST, talking).await.expect("the socket works");
    // A socket may never end: what it changes is stored within a second.
    until(&bed, &client, &id, |row| row.data()["n"] == 2).await;
    let calls = bed.faults.calls();
    assert!(calls[0] == "GetItem" && calls[1..].iter().all(|call| call == "UpdateItem"), "{calls:?}");

    // Nothing waits for that second any more: the refresh that is due is the end's own.
    bed.advance(2 * DAY);
    connection.write_all(&frame(8, &1000_u16.to_be_bytes())).await.expect("the server reads");
    let ttl = bed.now() + 14 * 86_400;
    until(&bed, &client, &id, |row| row.number("ttl") == Some(ttl)).await;
    assert_eq!(bed.faults.calls().len(), calls.len() + 1);
}

/// A fairing of the user's that attaches another one when it ignites, as ours does: that one comes after ours.
struct Later(AdHocs);

type AdHocs = fn() -> AdHoc;

#[rocket::async_trait]
impl Fairing for Later {
    fn info(&self) -> Info {
        Info { name: "Later", kind: Kind::Ignite }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        Ok(rocket.attach((self.0)()))
    }
}

async fn with_later(bed: &Bed, later: AdHocs) -> Client {
    let rocket = bed.rocket(bed.config(), routes![plain, unused]).attach(Later(later));
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    bed.faults.reset_counts();
    client
}

#[get("/unused")]
fn unused() {}

/// Changes the session after ours has committed, and tells the client what came of it.
async fn change_late<'r>(request: &'r Request<'_>, response: &mut Response<'r>) {
    let session = request.guard::<Session>().await.succeeded().expect("the store answers");
    let said = match session.insert("late", true) {
        Ok(()) => "stored",
        Err(Error::HeadSent) => "head sent",
        Err(_) => "failed",
    };
    response.set_raw_header("X-Late", said);
}

fn late() -> AdHoc {
    AdHoc::on_response("Late", |request, response| Box::pin(change_late(request, response)))
}

#[rocket::async_test]
async fn what_a_fairing_after_ours_changes_is_flushed_when_it_drops_the_session() {
    let bed = Bed::new();
    let client = with_later(&bed, late).await;
    let id = stored(&bed, &client).await;
    let response = get(&client, "/count", &id).await;
    assert_eq!(response.headers().get_one("X-Late"), Some("stored"));
    assert_eq!(response.into_string().await.as_deref(), Some("1"));
    until(&bed, &client, &id, |row| row.data()["late"] == true).await;
    assert_eq!(row(&bed, &client, &id).await.data(), json!({ "k": 1, "n": 1, "late": true }));
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem", "UpdateItem"]);
}

#[rocket::async_test]
async fn a_fairing_after_ours_may_be_the_first_to_use_the_session() {
    let bed = Bed::new();
    let client = with_later(&bed, late).await;
    let id = stored(&bed, &client).await;
    let response = get(&client, "/unused", &id).await;
    assert_eq!(response.headers().get_one("X-Late"), Some("stored"));
    drop(response);
    until(&bed, &client, &id, |row| row.data()["late"] == true).await;
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"]);

    let visitor = client.get("/unused").dispatch().await;
    assert_eq!(visitor.headers().get_one("X-Late"), Some("head sent"), "no cookie could be sent any more");
    assert_eq!(told(&visitor), None);
    assert_eq!(bed.rows().await.len(), 1);
}

#[rocket::async_test]
async fn a_fairing_after_ours_does_not_revive_a_session_that_has_ended() {
    let bed = Bed::new();
    let client = with_later(&bed, late).await;
    let id = stored(&bed, &client).await;
    bed.faults.before("UpdateItem", {
        let (bed, key) = (bed.clone(), row(&bed, &client, &id).await.0["id"].clone());
        move || async move {
            bed.dynamo.delete_item().table_name(&bed.table).key("id", key).send().await.expect("deleted");
        }
    });
    let response = get(&client, "/count", &id).await;
    ok(&response);
    assert_eq!(told(&response), None);
    drop(response);
    client.terminate().await;
    assert_eq!(bed.rows().await, []);
}

#[get("/entering?<out>")]
async fn entering(out: bool, session: Session, entered: &State<Arc<Notify>>) -> Status {
    count(&session).expect("a number");
    if out {
        session.invalidate();
        session.insert("flash", "bye").expect("the head was not sent");
    }
    entered.notify_one();
    std::future::pending::<()>().await;
    Status::Ok
}

#[rocket::async_test]
async fn a_request_that_is_cancelled_midway_stores_nothing_but_a_sign_out() {
    // No response was made of it, so nobody was told that it was stored.
    for (path, calls) in [("/entering", &["GetItem"][..]), ("/entering?out=true", &["GetItem", "UpdateItem"])] {
        let bed = Bed::new();
        let entered = Arc::new(Notify::new());
        let rocket = bed.rocket(bed.config(), routes![entering]).manage(entered.clone());
        let client = Client::untracked(rocket).await.expect("a valid rocket");
        let id = stored(&bed, &client).await;
        let before = row(&bed, &client, &id).await;
        let key = before.0["id"].clone();
        rocket::tokio::select! {
            _ = get(&client, path, &id) => panic!("the handler never ends"),
            () = entered.notified() => {}
        }
        // What it had started would be waited for.
        client.terminate().await;
        assert_eq!(bed.faults.calls(), calls, "{path}");
        let [after] = &bed.rows().await[..] else { panic!("{path}: no row for the flash message") };
        assert_eq!(after.0["id"], key, "{path}");
        if path == "/entering" {
            assert_eq!(*after, before);
        } else {
            assert_ended(after);
        }
    }
}

#[rocket::async_test]
async fn a_write_goes_on_when_its_request_is_cancelled() {
    let bed = Bed::new();
    let client = bed.client(all()).await;
    let id = stored(&bed, &client).await;
    let gate = bed.faults.hold("UpdateItem");
    rocket::tokio::select! {
        _ = get(&client, "/count", &id) => panic!("the write is held"),
        reached = timeout(LONGEST, gate.reached()) => reached.expect("the write is sent"),
    }
    gate.open();
    until(&bed, &client, &id, |row| row.data()["n"] == 1).await;
    assert_eq!(bed.faults.calls(), ["GetItem", "UpdateItem"], "and it is not written twice");
}

#[rocket::async_test]
async fn a_session_can_be_looked_at_as_long_as_it_is_held() {
    let bed = Bed::new();
    let client = bed.client(routes![held]).await;
    let id = stored(&bed, &client).await;
    let body = get(&client, "/held", &id).await.into_string().await;
    assert_eq!(body.as_deref(), Some("Live ann true"));
    assert_eq!(bed.faults.calls(), ["GetItem"]);
}

#[get("/held")]
fn held(session: Session) -> TextStream![String] {
    TextStream! {
        let live = session.status() == SessionStatus::Live;
        yield format!("{:?} {} {live}", session.status(), session.principal().unwrap_or_default());
    }
}
