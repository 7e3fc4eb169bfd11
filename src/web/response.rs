//! What a session does to a response: its cookie or header, its caching, its status when the store fails.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rocket::Response;
use rocket::http::{Header, Status};
use rocket::request::Request;
use rocket::response::{Body, Responder, Result as Responded};
use rocket::tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinHandle;

use crate::config::CacheControl;
use crate::error::Error;
use crate::session::ending::{Ending, Told};
use crate::web::attached::Attached;
use crate::web::transport::Transport;

/// Seconds after which a client may try again; an outage or a throttle of DynamoDB rarely ends sooner.
const RETRY_AFTER: &str = "5";

/// The headers that describe content, or allow it to be kept: they say nothing true of an error's empty body.
const OF_CONTENT: [&str; 15] = [
    "Accept-Ranges",
    "Age",
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Transfer-Encoding",
];

/// Tells the client what became of its session. `now` is in seconds since the Unix epoch.
pub(crate) fn tell(response: &mut Response<'_>, transport: &Transport, told: &Told, now: i64) {
    match told {
        Told::Nothing => return,
        Told::Set { id, until } => transport.set(response, id, until.map(|until| until - now)),
        Told::Remove => transport.remove(response),
    }
    // A stored copy would hand the ID to whoever asks next.
    response.set_raw_header("Cache-Control", "no-store");
}

/// Notes that the response depends on the session: a shared cache must not serve it to another client.
pub(crate) fn vary(response: &mut Response<'_>, transport: &Transport, caching: CacheControl) {
    let by = transport.varies_by();
    let named = |value: &str| value.split(',').any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case(by));
    if !response.headers().get("Vary").any(named) {
        response.adjoin_raw_header("Vary", by.to_owned());
    }
    if !response.headers().contains("Cache-Control") {
        response.set_raw_header("Cache-Control", caching.to_string());
    }
}

/// Puts an error in the place of a response whose session could not be stored.
pub(crate) fn replace(response: &mut Response<'_>, error: &Error, request: &Request<'_>, attached: &Attached) {
    let mut made = failure(error, request, Some(attached));
    let own: Vec<_> = made.headers().iter().map(|header| header.name().as_str().to_lowercase()).collect();
    for header in response.headers().iter() {
        let name = header.name().as_str();
        if !OF_CONTENT.iter().any(|of| header.name() == of) && !own.contains(&name.to_lowercase()) {
            made.adjoin_header(Header::new(name.to_owned(), header.value().to_owned()));
        }
    }
    // The body and the upgrades of the old response go: they were made for a success.
    *response = made;
}

/// What a client gets for an error: the application's answer, or a bare status.
fn failure(error: &Error, request: &Request<'_>, attached: Option<&Attached>) -> Response<'static> {
    let answer = attached.and_then(|attached| attached.on_failure.as_ref());
    let mut response = match answer.map(|answer| answer(error, request)) {
        Some(Ok(response)) => response,
        Some(Err(_)) | None => Response::new(),
    };
    // An answer that says no status would make a success of it.
    if response.status().code < 400 {
        response.set_status(error.into());
    }
    if response.status() == Status::ServiceUnavailable {
        retry_after(&mut response, error);
    }
    response
}

/// Says when to try again, where that can help.
pub(crate) fn retry_after(response: &mut Response<'_>, error: &Error) {
    if error.status() == 503 && !response.headers().contains("Retry-After") {
        response.set_raw_header("Retry-After", RETRY_AFTER);
    }
}

/// Lets a streamed body end only when the flush of the session that moved into it is done. A body whose size can be known,
/// as a file's, keeps it. Returns whether the body is a stream.
pub(crate) async fn hold_open<'r>(response: &mut Response<'r>, ending: &Arc<Ending>) -> bool {
    if response.body().is_none() || response.body_mut().size().await.is_some() {
        return false;
    }
    let chunk = response.body().max_chunk_size();
    let body = response.body_mut().take();
    response.set_streamed_body(HeldOpen { body: Some(body), ending: ending.clone(), flush: None });
    response.set_max_chunk_size(chunk);
    true
}

/// A streamed body whose end waits for the flush.
struct HeldOpen<'r> {
    body: Option<Body<'r>>,
    ending: Arc<Ending>,
    flush: Option<JoinHandle<()>>,
}

impl AsyncRead for HeldOpen<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(body) = &mut self.body {
            let before = buf.filled().len();
            ready!(Pin::new(body).poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // The end: with the body go the holders in it.
            self.body = None;
            self.flush = self.ending.body_ended();
        }
        if let Some(flush) = &mut self.flush {
            // The flush has told its error to the log; the head was sent, and cannot tell it.
            let _ = ready!(Pin::new(flush).poll(cx));
            self.flush = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// Answers with the status alone, or what [`on_failure`](crate::SessionsFairing::on_failure) says; the reason goes to the
/// log.
impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> Responded<'static> {
        log::error!("{} {}: {}", request.method(), request.uri().path(), crate::error::Chain(&self));
        Ok(failure(&self, request, request.rocket().state::<Attached>()))
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        Self::new(error.status())
    }
}

/// As the responder of an error answers, for an error type of the application's own.
///
/// # Examples
///
/// ```
/// use rocket::http::Status;
/// use rocket::get;
/// use rocket_dynamodb_sessions::{Error, Session};
///
/// #[get("/")]
/// fn index(session: Session) -> Result<String, Status> {
///     Ok(session.get("name")?.unwrap_or_default())
/// }
/// # assert_eq!(Status::from(Error::HeadSent), Status::InternalServerError);
/// ```
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
