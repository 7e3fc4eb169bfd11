//! A request in flight: its holders do what they are ordered to, while it goes on.

use std::pin::Pin;

use rocket::futures::future::{Either, select};
use rocket::http::Cookie;
use rocket::local::asynchronous::LocalResponse;
use tokio::io::AsyncReadExt;

use crate::act::{Act, HANDLER, LANES, Lane};
use crate::app::{Line, Order, Sight, line};
use crate::support::told;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Answer(u16),
    /// With a stream that holds the session.
    Stream(u16),
    Panic,
    /// The client goes away.
    Cancel,
}

/// What a request does in one step.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    Act(Lane, Act),
    End(How),
    Close { lane: Lane, panics: bool },
}

impl How {
    pub fn status(self) -> u16 {
        match self {
            Self::Answer(status) | Self::Stream(status) => status,
            Self::Panic | Self::Cancel => 500,
        }
    }
}

pub enum Flight<'c> {
    Dispatch(Pin<Box<dyn Future<Output = LocalResponse<'c>> + 'c>>),
    Body(Box<LocalResponse<'c>>),
    Landed,
}

/// An open request.
pub struct Open<'c> {
    pub number: u32,
    pub browser: usize,
    pub node: usize,
    pub flight: Flight<'c>,
    pub lines: [Option<Line>; LANES],
    /// How many acts it has done.
    pub acts: u64,
}

/// What a move showed.
pub enum Saw {
    Sight(Sight),
    Head { status: u16, cookie: Option<Cookie<'static>> },
    Nothing,
}

impl<'c> Open<'c> {
    /// Waits for something that a holder does, while the request goes on.
    pub async fn drive<T>(&mut self, lane: Lane, wait: impl AsyncFn(&mut Line) -> T) -> T {
        let line = self.lines[lane].as_mut().expect("a holder");
        let wait = Box::pin(wait(line));
        match &mut self.flight {
            Flight::Dispatch(dispatch) => match select(dispatch, wait).await {
                Either::Left((response, _)) => panic!("the request ended early: {}", response.status()),
                Either::Right((seen, _)) => seen,
            },
            Flight::Body(response) => {
                let mut wait = wait;
                loop {
                    let mut some = [0; 16];
                    let read = Box::pin(response.read(&mut some));
                    match select(read, wait).await {
                        Either::Left((read, rest)) => {
                            assert_ne!(read.expect("the body can be read"), 0, "the stream ended early");
                            wait = rest;
                        }
                        Either::Right((seen, _)) => return seen,
                    }
                }
            }
            Flight::Landed => wait.await,
        }
    }

    pub async fn does(&mut self, does: Move) -> Saw {
        match does {
            Move::Act(lane, act) => {
                if self.lines[lane].is_none() {
                    let (line, seat) = line();
                    self.order(HANDLER, Order::Hold(seat));
                    self.lines[lane] = Some(line);
                }
                self.order(lane, Order::Act(act, self.first()));
                self.acts += 1;
                Saw::Sight(self.drive(lane, async |line| line.sights.recv().await.expect("the holder lives")).await)
            }
            Move::Close { lane, panics } => {
                self.order(lane, if panics { Order::Panic } else { Order::Drop });
                if let (HANDLER, Flight::Body(response)) = (lane, &mut self.flight) {
                    let mut rest = Vec::new();
                    response.read_to_end(&mut rest).await.expect("the body can be read");
                    self.flight = Flight::Landed;
                } else {
                    self.drive(lane, async |line| assert!(line.sights.recv().await.is_none(), "it has gone")).await;
                }
                self.lines[lane] = None;
                Saw::Nothing
            }
            Move::End(how) => {
                let Flight::Dispatch(dispatch) = std::mem::replace(&mut self.flight, Flight::Landed) else {
                    unreachable!("it ends once")
                };
                let streams = matches!(how, How::Stream(_));
                self.order(
                    HANDLER,
                    match how {
                        How::Answer(status) => Order::Answer(status, false),
                        How::Stream(status) => Order::Answer(status, true),
                        How::Panic => Order::Panic,
                        How::Cancel => {
                            drop(dispatch);
                            self.lines[HANDLER] = None;
                            return Saw::Nothing;
                        }
                    },
                );
                let response = dispatch.await;
                let (status, cookie) = (response.status().code, told(&response));
                // A response in whose place an error was put has dropped its stream.
                if streams && status != 503 {
                    self.flight = Flight::Body(Box::new(response));
                } else {
                    self.lines[HANDLER] = None;
                }
                Saw::Head { status, cookie }
            }
        }
    }

    fn order(&mut self, lane: Lane, order: Order) {
        let line = self.lines[lane].as_ref().expect("a holder");
        assert!(line.orders.send(order).is_ok(), "the holder listens");
    }

    /// The number that a token would draw.
    pub fn first(&self) -> u64 {
        1_000_000 * u64::from(self.number) + 1_000 * self.acts
    }

    pub fn head_sent(&self) -> bool {
        !matches!(self.flight, Flight::Dispatch(_))
    }

    /// What of a move makes sense for this request now.
    pub fn possible(&self, does: Move) -> Option<Move> {
        let live = |lane: Lane| self.lines[lane].is_some();
        match does {
            // Its closure would keep the session until a timer flushes it.
            Move::Act(lane, Act::Nested(key, _)) if self.head_sent() => {
                self.possible(Move::Act(lane, Act::Increment(key)))
            }
            Move::Act(lane, _) if live(lane) || !self.head_sent() => Some(does),
            Move::End(_) if !self.head_sent() => Some(does),
            // A stream that panics would take the test with it.
            Move::Close { lane, panics } if live(lane) && (lane != HANDLER || self.head_sent() && !panics) => {
                Some(does)
            }
            _ => None,
        }
    }
}
