//! A server process that is told to stop (SIGTERM) while sessions are unsaved: everything changed is in the table
//! afterwards, or the log says what is not. The server is this test binary again, in a process of its own, on a database
//! in a file that the test then opens.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use rocket::futures::future::pending;
use rocket::request::{FromRequest, Outcome};
use rocket::response::stream::{Event, EventStream, TextStream};
use rocket::{Build, Request, Rocket, Shutdown, State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, Faults, On, Row, rows};
use rocket_dynamodb_sessions::{Config, Endpoint, Error, Session, SessionId, Sessions};
use serde_json::{Value, json};

/// What nothing here takes: a guard against a test that hangs.
const LONGEST: Duration = Duration::from_secs(60);

const FOLDER: &str = "SESSIONS_TEST_SERVER_FOLDER";

/// Rocket's grace and mercy periods in these tests, together.
const PERIODS: Duration = Duration::from_secs(2);

// The server.

/// In the process of a test, nothing. In the child process, the server.
#[test]
fn server() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let launched = rocket::execute(async { application(Path::new(&folder)).await.launch().await.map(drop) });
    match launched {
        Ok(()) => println!("the server has ended"),
        Err(error) => println!("the server has ended: {error}"),
    }
}

fn config(folder: &Path) -> Config {
    Config {
        endpoint: Some(Endpoint::File(folder.join("sessions.db"))),
        deadline: Duration::from_secs(2),
        ..Config::default()
    }
}

async fn application(folder: &Path) -> Rocket<Build> {
    let figment = rocket::Config::figment()
        .merge(("address", "127.0.0.1"))
        .merge(("port", 0))
        .merge(("cli_colors", false))
        .merge(("shutdown.grace", 1))
        .merge(("shutdown.mercy", 1));
    let faults = Faults::new();
    let fairing = Sessions::fairing().config(config(folder)).client(faults.wrap(&client(folder).await));
    let liftoff = AdHoc::on_liftoff("Say the port", |rocket| {
        println!("listening on port {}", rocket.config().port);
        Box::pin(async {})
    });
    let routes = routes![ail, seed, slow, late, events, endless, stuck, idle, spawned, lingering, afterwards, counting];
    rocket::custom(figment).manage(faults).attach(fairing).attach(liftoff).mount("/", routes)
}

/// A client of the database in the file.
async fn client(folder: &Path) -> aws_sdk_dynamodb::Client {
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment).attach(Sessions::fairing().config(config(folder)));
    let rocket = rocket.ignite().await.expect("a valid rocket");
    rocket.state::<Sessions>().expect("the fairing is attached").client().clone()
}

/// Makes the store slow, or silent, from now on.
#[get("/ail/<how>")]
fn ail(how: &str, faults: &State<Faults>) {
    let effect = match how {
        "slow" => Effect::Delay(Duration::from_millis(300)),
        "slower" => Effect::Delay(Duration::from_millis(1200)),
        _ => Effect::Hang,
    };
    faults.inject(On::writes().always(), effect);
}

#[get("/seed")]
fn seed(session: Session) -> Result<(), Error> {
    session.insert("n", 1)
}

/// Ends when the server is told to stop, and has changed its session before and after.
#[get("/slow")]
async fn slow(session: Session, shutdown: Shutdown) -> Result<&'static str, Error> {
    session.insert("before", "slow")?;
    println!("slow has begun");
    shutdown.await;
    session.insert("after", "slow")?;
    Ok("stored")
}

/// A guard that has done its work only when the server is told to stop.
struct Signal;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Signal {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        println!("late has begun");
        request.rocket().shutdown().await;
        Outcome::Success(Self)
    }
}

/// Loads its session only after the signal.
#[get("/late")]
fn late(_signal: Signal, session: Session) -> Result<&'static str, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.insert("after", "late").map(|()| "stored")
}

/// Streams until the server is told to stop, holding a changed session.
#[get("/events")]
fn events(session: Session, shutdown: Shutdown) -> EventStream![] {
    EventStream! {
        session.insert("before", "events").expect("it is live");
        yield Event::data("one");
        println!("events has begun");
        shutdown.await;
        session.insert("after", "events").expect("it is live");
        yield Event::data("two");
    }
}

/// Streams for ever, and does not care about signals.
#[get("/endless")]
fn endless(session: Session) -> TextStream![&'static str] {
    TextStream! {
        session.insert("after", "endless").expect("it is live");
        println!("endless has begun");
        let mut ticks = rocket::tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            yield "tick ";
        }
    }
}

/// Streams one chunk, and never again.
#[get("/stuck")]
fn stuck(session: Session) -> TextStream![&'static str] {
    TextStream! {
        session.insert("after", "stuck").expect("it is live");
        yield "one";
        println!("stuck has begun");
        pending::<()>().await;
        yield "two";
    }
}

/// Streams for ever, and changes its session only a while after the signal.
#[get("/afterwards")]
fn afterwards(session: Session, shutdown: Shutdown) -> TextStream![&'static str] {
    TextStream! {
        println!("afterwards has begun");
        shutdown.await;
        let mut ticks = rocket::tokio::time::interval(Duration::from_millis(20));
        for _ in 0..10 {
            ticks.tick().await;
            yield "tick ";
        }
        session.insert("after", "afterwards").expect("it is live");
        loop {
            ticks.tick().await;
            yield "changed ";
        }
    }
}

/// Says how often it has counted, when it is dropped.
struct Count(u64);

impl Drop for Count {
    fn drop(&mut self) {
        println!("counting has ended at {}.", self.0);
    }
}

/// Changes its session again and again, until it is cut off.
#[get("/counting")]
fn counting(session: Session) -> TextStream![&'static str] {
    TextStream! {
        let mut count = Count(0);
        println!("counting has begun");
        let mut ticks = rocket::tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            count.0 += 1;
            session.insert("count", count.0).expect("it is live");
            yield "tick ";
        }
    }
}

/// Holds a session that is not changed.
#[get("/idle")]
fn idle(session: Session) -> TextStream![&'static str] {
    TextStream! {
        yield "one";
        println!("idle has begun with {} keys", session.keys().len());
        pending::<()>().await;
        yield "two";
    }
}

/// Changes its session when it is dropped.
struct Last(Session);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.insert("after", "spawned").expect("it is live");
        println!("spawned has changed its session");
    }
}

/// Leaves a task that ends with the runtime, after all shutdown fairings, and changes its session only then.
#[get("/spawned")]
fn spawned(session: Session) {
    let last = Last(session);
    rocket::tokio::spawn(async move {
        println!("spawned has begun");
        pending::<()>().await;
        drop(last);
    });
}

/// Leaves a task that changes its session shortly before the shutdown's own flush, and never ends.
#[get("/lingering")]
fn lingering(session: Session, shutdown: Shutdown) {
    rocket::tokio::spawn(async move {
        println!("lingering has begun");
        shutdown.await;
        rocket::tokio::time::sleep(PERIODS.mul_f64(0.75)).await;
        session.insert("after", "lingering").expect("it is live");
        pending::<()>().await;
    });
}

// The tests.

struct Server {
    child: Child,
    port: u16,
    lines: Receiver<String>,
    output: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this test is a file"))
            .args(["server", "--exact", "--nocapture", "--test-threads=2"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let (send, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for output in outputs {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        let mut server = Self { child, port: 0, lines, output: Vec::new(), folder };
        let line = server.wait_for("listening on port ");
        server.port = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        server
    }

    /// Reads the server's output until a line has this text.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(LONGEST) {
                Ok(line) => {
                    self.output.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("the server did not say `{text}`, but {:#?}", self.output),
            }
        }
    }

    fn send(&self, path: &str, id: Option<SessionId>) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(LONGEST)).expect("a time-out");
        let cookie = id.map(|id| format!("Cookie: session={}\r\n", id.expose())).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n")
            .expect("it reads");
        stream
    }

    /// Stores a session.
    fn seed(&self) -> SessionId {
        let answer = read(self.send("/seed", None));
        let cookie = answer.split("session=").nth(1).and_then(|rest| rest.split(';').next());
        Sessions::parse_id(cookie.expect("a cookie")).expect("the cookie holds an ID")
    }

    fn ail(&self, how: &str) {
        assert!(read(self.send(&format!("/ail/{how}"), None)).starts_with("HTTP/1.1 200"));
    }

    /// Begins a request that is in flight when this returns.
    fn begin(&mut self, path: &str, id: Option<SessionId>) -> TcpStream {
        let stream = self.send(path, id);
        self.wait_for(&format!("{} has begun", &path[1..]));
        stream
    }

    /// Tells the server to stop.
    fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("`kill` runs");
        assert!(status.success());
    }

    /// Tells the server to stop and waits for its end. Returns its output, its rows, and how long it took.
    fn stop(mut self) -> (String, Vec<Row>, Duration) {
        let start = Instant::now();
        self.terminate();
        loop {
            match self.lines.recv_timeout(LONGEST) {
                Ok(line) => self.output.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the server does not end: {:#?}", self.output),
            }
        }
        let took = start.elapsed();
        self.child.wait().expect("the server has ended");
        let output = self.output.join("\n");
        assert!(output.contains("the server has ended"), "{output}");
        let runtime = rocket::tokio::runtime::Runtime::new().expect("a runtime");
        let rows = runtime.block_on(async { rows(&client(self.folder.path()).await, "sessions").await });
        (output, rows, took)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of an answer. A connection that the shutdown breaks has said what it had to say.
fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The data of all rows, in the order of their text.
fn data(rows: &[Row]) -> Vec<Value> {
    sorted(rows.iter().map(Row::data))
}

fn sorted(data: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut data: Vec<_> = data.into_iter().collect();
    data.sort_by_key(Value::to_string);
    data
}

#[test]
fn a_server_with_nothing_unsaved_ends_at_once() {
    let server = Server::start();
    server.seed();
    let (output, rows, took) = server.stop();
    assert_eq!(data(&rows), [json!({"n": 1})]);
    assert!(took < PERIODS && !output.contains("cut off"), "{took:?} {output}");
    eprintln!("with nothing unsaved the server ended after {took:?}");
}

#[test]
fn a_slow_handler_is_waited_for_and_answered() {
    let mut server = Server::start();
    let (old, new) = (server.seed(), None);
    let streams = [server.begin("/slow", Some(old)), server.begin("/slow", new)];
    let (output, rows, took) = server.stop();
    for stream in streams {
        let answer = read(stream);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("stored"), "{answer}");
    }
    let changed = [json!({"before": "slow", "after": "slow"}), json!({"n": 1, "before": "slow", "after": "slow"})];
    assert_eq!(data(&rows), sorted(changed));
    assert!(!output.contains("cut off"), "{output}");
    eprintln!("with two slow handlers the server ended after {took:?}");
}

#[test]
fn a_session_that_is_first_loaded_after_the_signal_is_stored() {
    let mut server = Server::start();
    let id = server.seed();
    let stream = server.begin("/late", Some(id));
    let (output, rows, _) = server.stop();
    let answer = read(stream);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("stored"), "{answer}");
    assert_eq!(data(&rows), [json!({"n": 2, "after": "late"})]);
    assert!(!output.contains("cut off"), "{output}");
}

#[test]
fn a_stream_that_ends_at_the_signal_is_stored() {
    let mut server = Server::start();
    let id = server.seed();
    let stream = server.begin("/events", Some(id));
    let (output, rows, took) = server.stop();
    let answer = read(stream);
    assert!(answer.contains("data:one") && answer.contains("data:two"), "{answer}");
    assert_eq!(data(&rows), [json!({"n": 1, "before": "events", "after": "events"})]);
    assert!(!output.contains("cut off"), "{output}");
    eprintln!("with an event stream the server ended after {took:?}");
}

#[test]
fn streams_that_do_not_end_are_stored_after_graces_and_mercys_periods() {
    let mut server = Server::start();
    let streams: Vec<_> = ["/endless", "/stuck", "/idle"]
        .map(|path| {
            let id = server.seed();
            server.begin(path, Some(id))
        })
        .into();
    let (output, rows, took) = server.stop();
    let changed = [json!({"n": 1, "after": "endless"}), json!({"n": 1, "after": "stuck"}), json!({"n": 1})];
    assert_eq!(data(&rows), sorted(changed));
    assert!(!output.contains("cut off") && !output.contains("could not be stored"), "{output}");
    assert!(took < PERIODS + Duration::from_secs(8), "{took:?}");
    eprintln!("with streams that do not end the server ended after {took:?}");
    drop(streams);
}

#[test]
fn a_slow_store_is_waited_for() {
    let mut server = Server::start();
    let paths = ["/slow", "/late", "/events", "/stuck"];
    let ids = paths.map(|_| server.seed());
    server.ail("slow");
    let streams: Vec<_> = paths.into_iter().zip(ids).map(|(path, id)| server.begin(path, Some(id))).collect();
    let (output, rows, took) = server.stop();
    let changed = [
        json!({"n": 1, "before": "slow", "after": "slow"}),
        json!({"n": 2, "after": "late"}),
        json!({"n": 1, "before": "events", "after": "events"}),
        json!({"n": 1, "after": "stuck"}),
    ];
    assert_eq!(data(&rows), sorted(changed), "{output}");
    assert!(!output.contains("cut off") && !output.contains("could not be stored"), "{output}");
    let answers: Vec<_> = streams.into_iter().map(read).collect();
    assert!(answers[0].ends_with("stored") && answers[1].ends_with("stored"), "{answers:?}");
    eprintln!("with a slow store the server ended after {took:?}");
}

#[test]
fn a_client_that_hangs_up_during_the_shutdown_takes_no_change_with_it() {
    let mut server = Server::start();
    let id = server.seed();
    server.ail("slower");
    let mut stream = server.begin("/afterwards", Some(id));
    server.terminate();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("changed") {
        let mut chunk = [0; 64];
        let length = stream.read(&mut chunk).expect("the stream goes on");
        assert!(length > 0, "the stream goes on");
        answer.extend_from_slice(&chunk[..length]);
    }
    drop(stream);
    let (output, rows, took) = server.stop();
    assert_eq!(data(&rows), [json!({"n": 1, "after": "afterwards"})], "{output}");
    assert!(!output.contains("cut off") && !output.contains("could not be stored"), "{output}");
    eprintln!("with a client that hung up the server ended after {took:?}");
}

#[test]
fn what_a_stream_changes_until_it_is_cut_is_stored() {
    let mut server = Server::start();
    let id = server.seed();
    server.ail("slow");
    let stream = server.begin("/counting", Some(id));
    let (output, rows, took) = server.stop();
    let count = output.split("counting has ended at ").nth(1).and_then(|rest| rest.split('.').next());
    let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("it has ended: {output}"));
    assert_eq!(data(&rows), [json!({"n": 1, "count": count})], "{output}");
    assert!(!output.contains("cut off") && !output.contains("could not be stored"), "{output}");
    eprintln!("with a stream that counted to {count} the server ended after {took:?}");
    drop(stream);
}

#[test]
fn with_a_store_that_hangs_for_ever_the_server_ends_and_the_log_names_what_was_lost() {
    let mut server = Server::start();
    let paths = ["/slow", "/stuck", "/lingering"];
    let ids = paths.map(|_| server.seed());
    server.ail("silent");
    let streams: Vec<_> = paths.into_iter().zip(ids).map(|(path, id)| server.begin(path, Some(id))).collect();
    let (output, rows, took) = server.stop();
    assert_eq!(data(&rows), [json!({"n": 1}), json!({"n": 1}), json!({"n": 1})]);
    // A stream's change is tried within a second; only what is younger than that is left to the shutdown's own flush.
    let lost =
        ["could not be stored: ", "could not be stored after its response: ", "could not be stored at the shutdown: "];
    let handles = lost.map(|lost| {
        let line = output.lines().find(|line| line.contains(lost)).unwrap_or_else(|| panic!("`{lost}` {output}"));
        let handle = rows.iter().filter_map(|row| row.text("id")).find(|id| line.contains(&format!("session {id} ")));
        handle.unwrap_or_else(|| panic!("the line names its session: {line}"))
    });
    assert!(handles[0] != handles[1] && handles[1] != handles[2] && handles[2] != handles[0], "{output}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    eprintln!("with a store that hangs the server ended after {took:?}");
    drop(streams);
}

#[test]
fn a_write_that_was_cut_off_is_logged() {
    let mut server = Server::start();
    let id = server.seed();
    let stream = server.begin("/spawned", Some(id));
    assert!(read(stream).starts_with("HTTP/1.1 200"));
    let (output, rows, _) = server.stop();
    assert_eq!(data(&rows), [json!({"n": 1})]);
    let handle = rows[0].text("id").expect("a row has a key");
    let line = format!("session {handle}: a write was cut off; nobody knows whether it reached the table");
    let at = |text: &str| output.find(text).unwrap_or_else(|| panic!("`{text}` is missing: {output}"));
    assert!(at("spawned has changed its session") < at(&line), "{output}");
}
