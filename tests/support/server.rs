//! An application behind a real socket: for what a local client does not send, or does not see.

use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::TcpStream;
use rocket::tokio::sync::oneshot;
use rocket::tokio::time::timeout;
use rocket::{Build, Rocket, Shutdown};

/// What no answer takes: a guard against a test that hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// A server on a free port of this host; it shuts down when it drops.
pub struct Server {
    port: u16,
    shutdown: Shutdown,
}

impl Server {
    pub async fn launch(rocket: Rocket<Build>) -> Self {
        let (tell, told) = oneshot::channel();
        let liftoff = AdHoc::on_liftoff("Port", |rocket| {
            let _ = tell.send((rocket.config().port, rocket.shutdown()));
            Box::pin(async {})
        });
        let figment = rocket.figment().clone().merge(("address", "127.0.0.1")).merge(("port", 0));
        rocket::tokio::spawn(rocket.configure(figment).attach(liftoff).launch());
        let (port, shutdown) = timeout(LONGEST, told).await.expect("a launch").expect("a valid rocket");
        Self { port, shutdown }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("the server listens")
    }

    /// Sends a GET with these header lines, byte by byte as they are, and reads all of the answer.
    pub async fn get(&self, path: &str, headers: &[&[u8]]) -> String {
        let mut stream = self.connect().await;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
        for header in headers {
            request.extend_from_slice(header);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.expect("the server reads");
        let mut answer = Vec::new();
        // A server that breaks the connection has said what it had to say.
        let _ = timeout(LONGEST, stream.read_to_end(&mut answer)).await.expect("the server answers");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.clone().notify();
    }
}

/// The status of an answer.
#[track_caller]
pub fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("an answer begins with its status: {answer:?}"))
}

/// The values of a header of an answer.
pub fn headers<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}
