//! The life of a session: who it belongs to, how long it lasts, when it is stored, and how it ends.

use std::time::Duration;

use crate::config::Lifetime;
use crate::domain::log::Op;
use crate::error::Error;
use crate::session::Session;

impl Session {
    /// Binds the session to a principal: gives it a new ID, so that one planted before opens nothing, and restarts the
    /// absolute timeout. A visitor's data is kept, that of another principal is not.
    ///
    /// # Errors
    ///
    /// Fails when the head of the response was sent, or the store could not be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/login")]
    /// fn login(session: Session) -> Result<(), Error> {
    ///     // … once the password is checked:
    ///     session.login("user-17")
    /// }
    /// ```
    pub fn login(&self, principal: impl Into<String>) -> Result<(), Error> {
        self.push(Op::Login(principal.into().into()))
    }

    /// Returns the principal that the session is bound to.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        self.ending.look(|view| view.principal.as_deref().map(str::to_owned))
    }

    /// Gives the session a new ID, with the same privileges; requests in flight with the old one go on working.
    ///
    /// # Errors
    ///
    /// Fails when the head of the response was sent, or the store could not be asked.
    pub fn cycle_id(&self) -> Result<(), Error> {
        self.push(Op::Cycle)
    }

    /// Ends the session: signs the user out. What requests in flight still write is dropped, also when they rotated the ID;
    /// what this request stores afterwards, such as a flash message, goes to a new session.
    ///
    /// It is carried out even when the handler answers 5xx or panics. Where the store fails, the client gets 503.
    pub fn invalidate(&self) {
        self.push_quietly(Op::Invalidate);
    }

    /// Gives this session a lifetime of its own, kept in its row, or takes it back with `None`. It shortens the idle timeout
    /// of the configuration, and never prolongs it.
    ///
    /// # Errors
    ///
    /// As [`insert`](Session::insert); and when the lifetime is shorter than a second or longer than ten years.
    pub fn set_ttl(&self, lifetime: impl Into<Option<Duration>>) -> Result<(), Error> {
        let lifetime =
            lifetime.into().map(|lifetime| Lifetime::new(lifetime).map_err(|_| Error::Lifetime)).transpose()?;
        self.push(Op::SetTtl(lifetime.map(|lifetime| lifetime.as_secs())))
    }

    /// Chooses between a cookie that outlives the browser (`true`) and one that does not, for this session.
    pub fn remember(&self, remember: bool) {
        self.push_quietly(Op::Remember(remember));
    }

    /// Keeps this request from refreshing the lifetime, as suits a page that polls: a tab left open is no activity.
    pub fn skip_renewal(&self) {
        self.ending.skip_renewal();
    }

    /// Stores what was changed so far, and waits for it. The client is told of it whatever this request then answers.
    ///
    /// # Errors
    ///
    /// Fails when the store could not be asked, the session is too large, or an `update` failed over a newer row.
    pub async fn flush(&self) -> Result<(), Error> {
        self.ending.flush().await
    }

    /// Reads the row again, as a long-lived stream should before it trusts what it loaded when it began. What was changed
    /// and not yet stored stays.
    ///
    /// # Errors
    ///
    /// Fails when the store could not be asked.
    pub async fn reload(&self) -> Result<(), Error> {
        self.ending.reload().await
    }
}
