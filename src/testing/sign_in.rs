//! What makes a test's request that of a user who is signed in.

use rocket::http::{Cookie, Header};
use rocket::local::{asynchronous, blocking};

use crate::config::Config;
use crate::domain::id::SessionId;

/// A session that is signed in: made by [`Sessions::seed_login`](crate::Sessions::seed_login), in a cookie or in a header, as
/// the application is configured.
///
/// # Examples
///
/// ```
/// # use rocket::local::asynchronous::Client;
/// # use rocket_dynamodb_sessions::testing::Database;
/// # use rocket_dynamodb_sessions::{Principal, Sessions};
/// # #[rocket::get("/")]
/// # fn index(user: Principal) -> String { user.into_string() }
/// # #[rocket::main]
/// # async fn main() {
/// # let database = Database::new();
/// # let fairing = Sessions::fairing().client(database.client()).config(database.config());
/// # let figment = rocket::Config::figment().merge(("log_level", "off"));
/// # let rocket = rocket::custom(figment).attach(fairing).mount("/", rocket::routes![index]);
/// # let client = Client::tracked(rocket).await.expect("a valid rocket");
/// let sessions = client.rocket().state::<Sessions>().expect("the fairing is attached");
/// let ann = sessions.seed_login("ann", &[]).await.expect("the database answers");
/// let response = ann.apply(client.get("/")).dispatch().await;
/// assert_eq!(response.into_string().await.as_deref(), Some("ann"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SignIn {
    id: SessionId,
    name: String,
    in_header: bool,
}

impl SignIn {
    pub(super) fn new(config: &Config, id: SessionId) -> Self {
        let name = config.header.clone().unwrap_or_else(|| config.cookie.name.clone());
        Self { id, name, in_header: config.header.is_some() }
    }

    /// Makes a request that of this session. A request of a tracked client that has the cookie from an earlier response
    /// keeps that: it may be a newer one.
    pub fn apply<R: LocalRequest>(&self, request: R) -> R {
        match self.cookie() {
            Some(_) if request.has_cookie(&self.name) => request,
            Some(cookie) => request.with_cookie(cookie),
            None => request.with_header(self.header()),
        }
    }

    /// Returns the cookie; `None` where the ID travels in a header.
    #[must_use]
    pub fn cookie(&self) -> Option<Cookie<'static>> {
        (!self.in_header).then(|| Cookie::new(self.name.clone(), self.id.expose()))
    }

    /// Returns the request header, for a client that is not Rocket's: `Cookie`, or the one that is configured.
    #[must_use]
    pub fn header(&self) -> Header<'static> {
        let id = self.id.expose();
        match self.in_header {
            true => Header::new(self.name.clone(), id),
            false => Header::new("Cookie", format!("{}={id}", self.name)),
        }
    }

    /// Returns the session ID.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }
}

/// A request of one of Rocket's local clients, the blocking or the asynchronous one.
pub trait LocalRequest: Sealed {}

mod sealed {
    use super::{Cookie, Header};

    pub trait Sealed {
        fn has_cookie(&self, name: &str) -> bool;
        fn with_cookie(self, cookie: Cookie<'static>) -> Self;
        fn with_header(self, header: Header<'static>) -> Self;
    }
}

use sealed::Sealed;

macro_rules! local_request {
    ($($request:ty),+) => {$(
        impl LocalRequest for $request {}

        impl Sealed for $request {
            fn has_cookie(&self, name: &str) -> bool {
                self.inner().cookies().get(name).is_some()
            }

            fn with_cookie(self, cookie: Cookie<'static>) -> Self {
                self.cookie(cookie)
            }

            fn with_header(self, header: Header<'static>) -> Self {
                self.header(header)
            }
        }
    )+};
}

local_request!(asynchronous::LocalRequest<'_>, blocking::LocalRequest<'_>);
