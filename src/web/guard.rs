//! The guard: one session a request, whoever asks for it.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use crate::error::Error;
use crate::operator::sessions::Sessions;
use crate::session::Session;
use crate::session::stored::{SessionValue, Stored};
use crate::web::attached::Attached;
use crate::web::slot::Slot;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Session {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        // A sentinel misses guards taken inside guards, catchers and hand-made routes.
        let Some(attached) = request.rocket().state::<Attached>() else {
            log::error!("{}", Error::NotAttached);
            return Outcome::Error((Status::InternalServerError, Error::NotAttached));
        };
        match Slot::of(request).load(request, attached).await {
            Ok(ending) => Outcome::Success(Session::new(&ending)),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl Sentinel for Session {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        let missing = rocket.state::<Sessions>().is_none();
        if missing {
            log::error!("a route takes a `Session`: {}", Error::NotAttached);
        }
        missing
    }
}

#[rocket::async_trait]
impl<'r, T> FromRequest<'r> for Stored<T>
where
    T: SessionValue,
{
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let stored = match Session::from_request(request).await {
            Outcome::Success(session) => Stored::of(session),
            Outcome::Error((_, error)) => Err(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        match stored {
            Ok(stored) => Outcome::Success(stored),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl<T> Sentinel for Stored<T>
where
    T: SessionValue,
{
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Session::abort(rocket)
    }
}
