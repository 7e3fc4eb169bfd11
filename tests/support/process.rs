//! A server in a process of its own, which a test can hang, stop and kill: the test binary again, which runs the one test
//! that serves, on a database in a file that the test opens afterwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rocket::Route;
use rocket::fairing::AdHoc;
use rocket_dynamodb_sessions::testing::{Row, rows};
use rocket_dynamodb_sessions::{Config, Endpoint, SessionId, Sessions};

const FOLDER: &str = "SESSIONS_TEST_PROCESS_FOLDER";

/// What no answer takes: a guard against a server that hangs.
const LONGEST: Duration = Duration::from_secs(10);

/// Rocket's grace and mercy periods in these processes, together.
pub const PERIODS: Duration = Duration::from_secs(2);

/// In the child process, runs the server with two workers until it is told to stop; in the process of a test, nothing.
pub fn serve(routes: impl FnOnce() -> Vec<Route>, fairings: Vec<AdHoc>) {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let figment = rocket::Config::figment()
        .merge(("address", "127.0.0.1"))
        .merge(("port", 0))
        .merge(("cli_colors", false))
        .merge(("shutdown.grace", 1))
        .merge(("shutdown.mercy", 1));
    let liftoff = AdHoc::on_liftoff("Say the port", |rocket| {
        println!("listening on port {}", rocket.config().port);
        Box::pin(async {})
    });
    let rocket = rocket::custom(figment).attach(Sessions::fairing().config(config(Path::new(&folder))));
    let rocket = fairings.into_iter().fold(rocket.attach(liftoff), |rocket, fairing| rocket.attach(fairing));
    match rocket::execute(rocket.mount("/", routes()).launch()) {
        Ok(_) => println!("the server has ended"),
        Err(error) => println!("the server has ended: {error}"),
    }
}

fn config(folder: &Path) -> Config {
    let endpoint = Some(Endpoint::File(folder.join("sessions.db")));
    Config { endpoint, deadline: Duration::from_secs(2), ..Config::default() }
}

/// The server, seen from the test.
pub struct Process {
    child: Child,
    port: u16,
    lines: Receiver<String>,
    output: Vec<String>,
    folder: tempfile::TempDir,
}

/// What a server leaves behind.
pub struct Ended {
    pub output: String,
    pub rows: Vec<Row>,
    pub took: Duration,
}

impl Process {
    /// Starts the server, which the test of this name serves.
    pub fn start(test: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this test is a file"))
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .env("ROCKET_WORKERS", "2")
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
        let mut process = Self { child, port: 0, lines, output: Vec::new(), folder };
        let line = process.wait_for("listening on port ");
        process.port = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        process
    }

    /// Where its database is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reads the server's output until a line has this text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
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

    /// Sends a GET, and does not wait for its answer.
    pub fn send(&self, path: &str, id: Option<&SessionId>) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(LONGEST)).expect("a time-out");
        let cookie = id.map(|id| format!("Cookie: session={}\r\n", id.expose())).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n")
            .expect("it reads");
        stream
    }

    /// Sends a GET and reads all of the answer; it is empty where the server hangs.
    pub fn get(&self, path: &str, id: Option<&SessionId>) -> String {
        read(self.send(path, id))
    }

    /// Tells the server to stop and waits for its end.
    #[track_caller]
    pub fn stop(mut self) -> Ended {
        let start = Instant::now();
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("`kill` runs");
        assert!(status.success());
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
        let folder: PathBuf = self.folder.path().into();
        let runtime = rocket::tokio::runtime::Runtime::new().expect("a runtime");
        let rows = runtime.block_on(async { rows(&client(&folder).await, "sessions").await });
        Ended { output, rows, took }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the database in the file.
async fn client(folder: &Path) -> aws_sdk_dynamodb::Client {
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment).attach(Sessions::fairing().config(config(folder)));
    let rocket = rocket.ignite().await.expect("a valid rocket");
    rocket.state::<Sessions>().expect("the fairing is attached").client().clone()
}

/// All of an answer. A connection that the shutdown breaks has said what it had to say.
pub fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The session ID that an answer tells.
#[track_caller]
pub fn id(answer: &str) -> SessionId {
    let cookie = answer.split("session=").nth(1).and_then(|rest| rest.split(';').next());
    let id = cookie.and_then(Sessions::parse_id);
    id.unwrap_or_else(|| panic!("the answer tells an ID: {answer:?}"))
}
