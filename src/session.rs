//! The session as a handler sees it.

mod change;
pub(crate) mod ending;
pub(crate) mod info;
mod life;
pub(crate) mod registry;
pub(crate) mod stored;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::id::{Handle, SessionId};
use crate::domain::log::{Holder, Op};
use crate::domain::state::Origin;
use crate::domain::value::Value;
use crate::error::Error;
use crate::session::ending::Ending;
use crate::session::ending::watch::Outcome;

/// What the last look at the table said of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// Nothing is stored: the visitor brought no session ID, or this request ended its session.
    Fresh,
    /// The visitor brought a session ID that opens nothing: it is unknown or expired, or its session had ended before.
    Unknown,
    /// The session is in the table.
    Live,
    /// A login gave the session another ID: this late request sees nothing, and its changes are dropped.
    Superseded,
    /// The session has ended since this request loaded it: its changes are dropped.
    Gone,
    /// The row cannot be decoded; it is left alone, and what is stored goes to a new session.
    Undecodable,
    /// The store could not be asked, and the configuration says to go on without (`on_outage = "anonymous"`).
    Unavailable,
}

/// The session of a request, as a request guard.
///
/// Reading looks at the row that was loaded, with this request's changes over it. Changing appends to a log and does no
/// input or output; one conditional write stores the log before the head of the response is sent. Of several guards in one
/// request, all are the same session. It may be cloned and moved into a streamed body, a WebSocket or a spawned task: what is
/// changed after the response is stored when the last of them drops.
///
/// # Parallel requests
///
/// All changes of parallel requests survive: when a row was changed meanwhile, the log is replayed over the newer row. A
/// replay applies writes again, and does not check reads again: a counter is kept with [`update`](Session::update), and a
/// one-time value is fetched with [`take`](Session::take).
///
/// # Examples
///
/// ```
/// use rocket::get;
/// use rocket_dynamodb_sessions::{Error, Session};
///
/// #[get("/")]
/// fn index(session: Session) -> Result<String, Error> {
///     let visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(format!("visit number {visits}"))
/// }
/// ```
pub struct Session {
    ending: Arc<Ending>,
    holder: Holder,
}

impl Session {
    pub(crate) fn new(ending: &Arc<Ending>) -> Self {
        Self { holder: ending.hold(false), ending: ending.clone() }
    }

    /// Reads the value under a key; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Fails when the value is not of type `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::get("/cart")]
    /// fn cart(session: Session) -> Result<String, Error> {
    ///     let items: Vec<String> = session.get("cart")?.unwrap_or_default();
    ///     Ok(items.join(", "))
    /// }
    /// ```
    pub fn get<T>(&self, key: &str) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        // Decoded without the lock: the type's `Deserialize` is the application's.
        let value = self.ending.look(|view| view.get(key).cloned());
        value.map(|value| value.decode()).transpose().map_err(|e| Error::value(key, e))
    }

    /// Stores a value under a key, in place of the one that is there.
    ///
    /// # Errors
    ///
    /// Fails when the value cannot be written as JSON, when the head of the response was sent and the client has no session
    /// yet ([`Error::HeadSent`]), or when the store could not be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/theme/<name>")]
    /// fn theme(name: &str, session: Session) -> Result<(), Error> {
    ///     session.insert("theme", name)
    /// }
    /// ```
    pub fn insert<T>(&self, key: impl Into<String>, value: T) -> Result<(), Error>
    where
        T: Serialize,
    {
        let key = key.into();
        let value = Value::encode_under(self.ending.codec(), &key, &value).map_err(|e| Error::value(&key, e))?;
        self.push(Op::Insert(key.into(), value))
    }

    /// Changes the value under a key by a function of the stored value, and returns the new one.
    ///
    /// The function runs at once. It runs again, also after the handler has returned, only when another request has changed
    /// the value under this key meanwhile: then what it answers over the newer value is stored, and the value returned here
    /// was provisional; after [`flush`](Session::flush), [`get`](Session::get) shows what was stored. Else what it answered
    /// is stored as it is, also where it is random. What the function does to this session beside, it does once.
    ///
    /// # Errors
    ///
    /// As [`insert`](Session::insert); and when the stored value is not of type `T`. Where that happens, or the function
    /// panics, only on a replay, nothing is written and the client gets 500.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/vote")]
    /// fn vote(session: Session) -> Result<String, Error> {
    ///     let votes = session.update("votes", |n: Option<u32>| n.unwrap_or(0) + 1)?;
    ///     Ok(votes.to_string())
    /// }
    /// ```
    pub fn update<T, F>(&self, key: impl Into<String>, update: F) -> Result<T, Error>
    where
        T: DeserializeOwned + Serialize,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let update = move |value| (update(value), ());
        self.change(key.into(), update, None).map(|((new, ()), _)| new)
    }

    /// Removes the value under a key. Returns whether there was one. An emptied session loses its row and its cookie.
    pub fn remove(&self, key: &str) -> bool {
        let present = self.contains_key(key);
        self.push_quietly(Op::Remove(key.into()));
        present
    }

    /// Reads and removes the value under a key, in one conditional write, with all changes before it: of parallel requests,
    /// one gets the value. For what may be used once: a flash message, a CSRF token, an OAuth state.
    ///
    /// # Errors
    ///
    /// As [`flush`](Session::flush), and then nothing is taken, unless the store has lost all its answers; and when the value is not of type `T`, in which case it is
    /// removed all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::get("/callback?<state>")]
    /// async fn callback(state: &str, session: Session) -> Result<&'static str, Error> {
    ///     let expected: Option<String> = session.take("oauth_state").await?;
    ///     Ok(if expected.as_deref() == Some(state) { "welcome" } else { "start again" })
    /// }
    /// ```
    pub async fn take<T>(&self, key: &str) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        if !self.contains_key(key) {
            return Ok(None);
        }
        let slot = Arc::new(Mutex::new(None));
        let number = self.ending.append(self.holder, Op::Take(key.into(), slot.clone()))?;
        if let Outcome::Dropped = self.stored_now(number).await? {
            return Ok(None);
        }
        let value: Option<Value> = slot.lock().take();
        value.map(|value| value.decode()).transpose().map_err(|e| Error::value(key, e))
    }

    /// Empties the session: data, principal and lifetime. Its row is deleted and its cookie removed.
    ///
    /// It empties what was loaded: where the store could not be asked (`on_outage = "anonymous"`), that is nothing.
    /// To sign a user out, [`invalidate`](Session::invalidate): only that ends the session whatever runs beside it.
    pub fn clear(&self) {
        self.push_quietly(Op::Clear);
    }

    /// Returns whether there is a value under a key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.ending.look(|view| view.get(key).is_some())
    }

    /// Returns the keys of all values, in alphabetical order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.ending.look(|view| view.keys())
    }

    /// Returns whether nothing is stored: no data, no principal, no lifetime of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ending.look(|view| view.is_empty())
    }

    /// Returns the session ID, after `login` or `cycle_id` the new one; `None` while nothing is stored.
    ///
    /// The ID opens the session: to show or log which session it is, take the [`handle`](Session::handle).
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.ending.id()
    }

    /// Returns what names the session without opening it; `None` while nothing is stored.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.ending.handle()
    }

    /// Returns what the last look at the table said of this session.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        match self.ending.origin() {
            Origin::Fresh { .. } if self.ending.brought() => SessionStatus::Unknown,
            Origin::Fresh { .. } | Origin::OwnEnd => SessionStatus::Fresh,
            Origin::Live { .. } => SessionStatus::Live,
            Origin::Superseded => SessionStatus::Superseded,
            Origin::Gone { .. } => SessionStatus::Gone,
            Origin::Undecodable => SessionStatus::Undecodable,
            Origin::Unavailable => SessionStatus::Unavailable,
        }
    }

    /// Why the store could not be asked, where the request goes on without it.
    pub(crate) fn outage(&self) -> Option<Error> {
        self.ending.outage()
    }

    fn push(&self, op: Op) -> Result<(), Error> {
        self.ending.append(self.holder, op).map(|_| ())
    }

    /// Appends an operation that nothing can be wrong with: what it takes away may be away already.
    fn push_quietly(&self, op: Op) {
        let _ = self.push(op);
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self { holder: self.ending.hold(true), ending: self.ending.clone() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ending.dropped(self.holder);
    }
}

/// Names the session by its handle and lists its keys; values and the ID stay secret.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.handle())
            .field("status", &self.status())
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}
