//! The life of a session: who it belongs to, how long it lasts, when it is stored, and how it ends.

use std::time::Duration;

use crate::domain::log::Op;
use crate::error::Error;
use crate::session::Session;
use crate::session::info::SessionInfo;

/// DynamoDB's limit for the key of an index, in bytes.
const INDEX_KEY_MAX: usize = 2048;

impl Session {
    /// Binds the session to a principal: gives it a new ID, so that one planted before opens nothing, and restarts the
    /// absolute timeout. A visitor's data is kept, that of another principal is not.
    ///
    /// A login starts a life: a lifetime of the session's own and a choice by [`remember`](Session::remember) that were made
    /// before it are taken back, so what a "remember me" says comes after it.
    ///
    /// # Errors
    ///
    /// Fails when the principal is empty, or takes more than the 2,048 bytes of an index's key with the `key_prefix`
    /// ([`Error::Principal`]); when the head of the response was sent; or when the store could not be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/login")]
    /// fn login(session: Session) -> Result<(), Error> {
    ///     // … once the password is checked:
    ///     session.login("user-17")?;
    ///     session.remember(true);
    ///     Ok(())
    /// }
    /// ```
    pub fn login(&self, principal: impl Into<String>) -> Result<(), Error> {
        let principal = principal.into();
        let size = match principal.len() {
            0 => 0,
            length => self.ending.settings().key_prefix.len() + length,
        };
        if size == 0 || size > INDEX_KEY_MAX {
            return Err(Error::Principal { size, limit: INDEX_KEY_MAX });
        }
        self.push(Op::Login(principal.into()))
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
    /// of the configuration, and never prolongs it; the next [`login`](Session::login) takes it back. Fractions of a second
    /// are cut off.
    ///
    /// # Errors
    ///
    /// As [`insert`](Session::insert); and when the lifetime is shorter than a second, or longer than what is configured for
    /// this kind of session: a visitor's, one that is signed in, or one that is remembered ([`Error::Lifetime`]).
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// use std::time::Duration;
    ///
    /// #[rocket::post("/public-computer")]
    /// fn public_computer(session: Session) -> Result<(), Error> {
    ///     session.set_ttl(Duration::from_secs(5 * 60))
    /// }
    /// ```
    pub fn set_ttl(&self, lifetime: impl Into<Option<Duration>>) -> Result<(), Error> {
        let Some(asked) = lifetime.into() else { return self.push(Op::SetTtl(None)) };
        let policy = &self.ending.settings().policy;
        let longest = self.ending.look(|view| policy.lifetimes(view.life()).idle);
        match i64::try_from(asked.as_secs()) {
            Ok(seconds) if (1..=longest).contains(&seconds) => self.push(Op::SetTtl(Some(seconds))),
            _ => Err(Error::Lifetime { asked, longest: Duration::from_secs(longest.unsigned_abs()) }),
        }
    }

    /// Chooses between a session that outlives the browser (`true`) and one that does not: its cookie has a `Max-Age` or
    /// none, and once somebody is signed in, its lifetimes are `remember_ttl` and `remember_absolute_ttl`, or `ttl` and
    /// `absolute_ttl`. The next [`login`](Session::login) takes the choice back.
    pub fn remember(&self, remember: bool) {
        self.push_quietly(Op::Remember(remember));
    }

    /// Returns what the table says of this session, as of the last look at it: when it began, was changed and will expire;
    /// `None` while nothing is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::Session;
    /// #[rocket::get("/account/session")]
    /// fn about(session: Session) -> Option<String> {
    ///     let info = session.info()?;
    ///     let left = info.expires.duration_since(std::time::SystemTime::now()).unwrap_or_default();
    ///     Some(format!("signed out in {} minutes, unless you go on", left.as_secs() / 60))
    /// }
    /// ```
    #[must_use]
    pub fn info(&self) -> Option<SessionInfo> {
        self.ending.info()
    }

    /// Keeps this request from refreshing the lifetime, as suits a page that polls: a tab left open is no activity.
    pub fn skip_renewal(&self) {
        self.ending.skip_renewal();
    }

    /// Stores what was changed so far, and waits for it. The client is told of it whatever this request then answers.
    ///
    /// To be awaited: as with all of tokio's tasks, code that blocks a worker's thread on it, in an `update` or a `drop`, may
    /// keep that thread from the very task it waits for.
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
