//! The guard of who is signed in.

use std::fmt;
use std::ops::Deref;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use crate::error::Error;
use crate::session::Session;

/// Who is signed in, as a request guard: the principal that [`login`](Session::login) was given.
///
/// Where nobody is, the request is forwarded with 401, so that a route of a lower rank or a catcher takes over. Where the
/// store cannot be asked, the guard fails with 503, also with `on_outage = "anonymous"`: a user who is signed in must not be
/// sent to the login form by an outage. `Option<Principal>` lets a page be for both.
///
/// # Examples
///
/// ```
/// use rocket::response::Redirect;
/// use rocket::{catch, get, uri};
/// use rocket_dynamodb_sessions::Principal;
///
/// #[get("/account")]
/// fn account(user: Principal) -> String {
///     format!("hello, {user}")
/// }
///
/// #[catch(401)]
/// fn sign_in() -> Redirect {
///     Redirect::to(uri!("/login"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(String);

impl Principal {
    /// Returns the text that `login` was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text that `login` was given.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Principal {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Principal {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Principal {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let session = match request.guard::<Session>().await {
            Outcome::Success(session) => session,
            Outcome::Error(error) => return Outcome::Error(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        match (session.principal(), session.outage()) {
            (Some(principal), _) => Outcome::Success(Self(principal)),
            (None, Some(error)) => Outcome::Error((Status::from(&error), error)),
            (None, None) => Outcome::Forward(Status::Unauthorized),
        }
    }
}

impl Sentinel for Principal {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Session::abort(rocket)
    }
}
