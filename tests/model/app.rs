//! The application: its handlers, tasks and streams do what they are ordered to, one act after the other, and report what
//! they then see.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocket::futures::Stream;
use rocket::futures::stream::unfold;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::response::stream::TextStream;
use rocket::{Either, Request, Route, get, routes};
use rocket_dynamodb_sessions::{Error, Session};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::act::{Act, INSERTED, KEYS};
use crate::table::OWN;

/// What a holder of the session is ordered to do.
pub enum Order {
    /// An act; a token would draw this number.
    Act(Act, u64),
    /// A clone goes to a task.
    Hold(Seat),
    /// The handler returns; `true`: with a stream that holds its session.
    Answer(u16, bool),
    Panic,
    Drop,
}

/// What a holder saw after an act.
#[derive(Debug)]
pub struct Sight {
    pub said: String,
    pub id: Option<String>,
    pub handle: Option<String>,
    pub status: String,
    pub principal: Option<String>,
    pub data: BTreeMap<String, u64>,
}

/// A holder's end of its line to the test.
pub struct Seat {
    orders: UnboundedReceiver<Order>,
    sights: UnboundedSender<Sight>,
}

/// The test's end.
pub struct Line {
    pub orders: UnboundedSender<Order>,
    pub sights: UnboundedReceiver<Sight>,
}

pub fn line() -> (Line, Seat) {
    let ((orders, ordered), (sights, seen)) = (unbounded_channel(), unbounded_channel());
    (Line { orders, sights: seen }, Seat { orders: ordered, sights })
}

/// The seats of handlers whose requests have not come yet.
#[derive(Clone, Default)]
pub struct Seats(pub Arc<Mutex<HashMap<u32, Seat>>>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Seat {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let number = request.headers().get_one("X-Number").and_then(|text| text.parse().ok()).expect("a number");
        let seats = request.rocket().state::<Seats>().expect("managed");
        let seat = seats.0.lock().expect("no panic").remove(&number);
        Outcome::Success(seat.expect("the test keeps a seat"))
    }
}

impl Seat {
    fn report(&self, session: &Session, said: String) {
        let value = |key: &String| session.get::<u64>(key).expect("a number").expect("it is there");
        let sight = Sight {
            said,
            id: session.id().map(|id| id.expose()),
            handle: session.handle().map(|handle| handle.to_string()),
            status: format!("{:?}", session.status()),
            principal: session.principal(),
            data: session.keys().iter().map(|key| (key.clone(), value(key))).collect(),
        };
        // A test that failed listens no more.
        let _ = self.sights.send(sight);
    }

    async fn act(&self, session: &Session, act: Act, first: u64) {
        let said = match perform(session, act, first).await {
            Ok(said) => said,
            Err(Error::HeadSent) => "head sent".into(),
            Err(Error::Unavailable { .. }) => "failed".into(),
            Err(error) => format!("{error:?}"),
        };
        self.report(session, said);
    }
}

async fn perform(session: &Session, act: Act, first: u64) -> Result<String, Error> {
    Ok(match act {
        Act::Increment(key) => session.update(KEYS[key], |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string(),
        Act::Nested(key, inner) => {
            let captured = session.clone();
            let count = move |n: Option<u64>| {
                let _ = captured.update(KEYS[inner], |n: Option<u64>| n.unwrap_or(0) + 1);
                n.unwrap_or(0) + 1
            };
            session.update(KEYS[key], count)?.to_string()
        }
        Act::Token(key) => {
            let next = AtomicU64::new(first);
            let draw = move |token: Option<u64>| token.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
            session.update(KEYS[key], draw)?.to_string()
        }
        Act::Insert(key) => {
            session.insert(KEYS[key], INSERTED)?;
            "ok".into()
        }
        Act::Remove(key) => session.remove(KEYS[key]).to_string(),
        Act::Take(key) => {
            session.take::<u64>(KEYS[key]).await?.map_or_else(|| "none".into(), |value| value.to_string())
        }
        Act::Flush => {
            session.flush().await?;
            "flushed".into()
        }
        quiet => {
            match quiet {
                Act::Clear => session.clear(),
                Act::Login(user) => session.login(format!("user{user}"))?,
                Act::Cycle => session.cycle_id()?,
                Act::Invalidate => session.invalidate(),
                Act::SetTtl => session.set_ttl(Duration::from_secs(OWN.unsigned_abs()))?,
                Act::SkipRenewal => session.skip_renewal(),
                _ => session.reload().await?,
            }
            "ok".into()
        }
    })
}

type Body = TextStream<Pin<Box<dyn Stream<Item = String> + Send>>>;

#[get("/")]
async fn run(mut seat: Seat, session: Session) -> (Status, Either<&'static str, Body>) {
    seat.report(&session, "loaded".into());
    loop {
        match seat.orders.recv().await {
            Some(Order::Act(act, first)) => seat.act(&session, act, first).await,
            Some(Order::Hold(other)) => {
                let clone = session.clone();
                rocket::tokio::spawn(hold(other, clone));
            }
            Some(Order::Answer(status, false)) => return (Status::new(status), Either::Left("done")),
            Some(Order::Answer(status, true)) => {
                return (Status::new(status), Either::Right(TextStream(Box::pin(unfold((seat, session), go_on)))));
            }
            Some(Order::Panic) => std::panic::resume_unwind(Box::new("a panic of the handler's")),
            Some(Order::Drop) | None => return (Status::Gone, Either::Left("the test has gone")),
        }
    }
}

/// A stream that holds the session does what it is ordered to.
async fn go_on((mut seat, session): (Seat, Session)) -> Option<(String, (Seat, Session))> {
    match seat.orders.recv().await {
        Some(Order::Act(act, first)) => {
            seat.act(&session, act, first).await;
            Some((".".into(), (seat, session)))
        }
        _ => None,
    }
}

/// A task that holds a clone. The session is declared last: it drops before the line does.
async fn hold(mut seat: Seat, session: Session) {
    let session = session;
    loop {
        match seat.orders.recv().await {
            Some(Order::Act(act, first)) => seat.act(&session, act, first).await,
            Some(Order::Panic) => std::panic::resume_unwind(Box::new("a panic of a task's")),
            _ => break,
        }
    }
    drop(session);
    drop(seat);
}

pub fn all() -> Vec<Route> {
    routes![run]
}
