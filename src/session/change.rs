//! Changing a value by a function of it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::log::Op;
use crate::domain::text::Text;
use crate::domain::update::{self, Run, Update};
use crate::domain::value::Value;
use crate::domain::view::View;
use crate::error::Error;
use crate::session::Session;
use crate::session::ending::Ending;
use crate::session::ending::watch::Outcome;

/// Where the last run of a function leaves its answer.
pub(super) type Slot<R> = Arc<Mutex<Option<R>>>;

impl Session {
    /// Changes the value under a key in place, and returns what the function answers. A missing value begins as its default.
    ///
    /// As with [`update`](Session::update), the function runs again where another request has changed the value meanwhile:
    /// its answer is provisional, and right with [`modify_now`](Session::modify_now).
    ///
    /// # Errors
    ///
    /// As [`update`](Session::update).
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/cart/<item>")]
    /// fn add(item: String, session: Session) -> Result<String, Error> {
    ///     let items = session.modify("cart", move |cart: &mut Vec<String>| {
    ///         cart.push(item.clone());
    ///         cart.len()
    ///     })?;
    ///     Ok(format!("{items} items"))
    /// }
    /// ```
    pub fn modify<T, R, F>(&self, key: impl Into<String>, modify: F) -> Result<R, Error>
    where
        T: Default + DeserializeOwned + Serialize + 'static,
        R: Send + 'static,
        F: Fn(&mut T) -> R + Send + Sync + 'static,
    {
        self.change(key.into(), in_place(modify), None).map(|((_, answer), _)| answer)
    }

    /// Changes the value under a key in place, stores it with all changes before it, and returns what the function answered
    /// over the value that was really stored. For what may be given out once: a seat, a voucher, the next number.
    ///
    /// # Errors
    ///
    /// As [`update`](Session::update) and [`flush`](Session::flush); and where the session had ended, or its request failed
    /// meanwhile ([`Error::Dropped`]). Then nothing is changed, unless the store has lost all its answers.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rocket_dynamodb_sessions::{Error, Session};
    /// #[rocket::post("/ticket")]
    /// async fn ticket(session: Session) -> Result<String, Error> {
    ///     let number = session.modify_now("tickets", |count: &mut u32| {
    ///         *count += 1;
    ///         *count
    ///     });
    ///     Ok(format!("your number is {}", number.await?))
    /// }
    /// ```
    pub async fn modify_now<T, R, F>(&self, key: impl Into<String>, modify: F) -> Result<R, Error>
    where
        T: Default + DeserializeOwned + Serialize + 'static,
        R: Send + 'static,
        F: Fn(&mut T) -> R + Send + Sync + 'static,
    {
        let slot: Slot<R> = Arc::default();
        let ((_, first), number) = self.change(key.into(), in_place(modify), Some(slot.clone()))?;
        if let Outcome::Dropped = self.stored_now(number).await? {
            return Err(Error::Dropped);
        }
        let again = slot.lock().take();
        Ok(again.unwrap_or(first))
    }

    /// Stores an operation with all before it. One that fails or is cancelled is taken back.
    pub(super) async fn stored_now(&self, number: u64) -> Result<Outcome, Error> {
        let waiting = Waiting { ending: &self.ending, number, done: false };
        let outcome = self.ending.store_now(number).await?;
        waiting.done();
        Ok(outcome)
    }

    /// Appends a change by a function of the value; what the function answered over it last is in `slot`.
    pub(super) fn change<T, R, F>(&self, name: String, change: F, slot: Option<Slot<R>>) -> Result<((T, R), u64), Error>
    where
        T: DeserializeOwned + Serialize,
        R: Send + 'static,
        F: Fn(Option<T>) -> (T, R) + Send + Sync + 'static,
    {
        let (key, request, codec) = (Text::from(&*name), self.ending.number(), self.ending.codec());
        let typed = move |value: Option<&Value>| {
            let value = value.map(Value::decode).transpose().map_err(|e| Error::value(&name, e))?;
            let (new, answer) = change(value);
            let encoded = Value::encode_under(codec, &name, &new).map_err(|e| Error::value(&name, e))?;
            Ok((new, answer, encoded))
        };
        self.ending.check()?;
        let typed = Arc::new(typed);
        let value = || self.ending.look_before(|view| view.get(&key).cloned());
        // The function runs without the lock: it may be slow, it may panic, and it may hold this very session.
        let (mut seen, mut next) = value();
        if update::runs_again(request) {
            let (new, answer, _) = typed(seen.as_ref())?;
            return Ok(((new, answer), u64::MAX));
        }
        let (mut output, mut own) = update::first(request, || typed(seen.as_ref()));
        loop {
            let (new, answer, encoded) = output?;
            let (replay, kept) = (typed.clone(), slot.clone());
            let replay: Run = Box::new(move |value| {
                let (_, answer, encoded) = replay(value)?;
                if let Some(slot) = &kept {
                    let former = slot.lock().replace(answer);
                    drop(former);
                }
                Ok(encoded)
            });
            // Where the function itself has changed the value, it runs on; where another has, it runs again.
            let make = |view: &View, now: u64| {
                let found = view.get(&key);
                let fits = found == seen.as_ref() || now == next + own;
                fits.then(|| Op::Update(Arc::new(Update::new(request, key.clone(), replay, found.cloned(), encoded))))
            };
            if let Some(number) = self.ending.append_as(self.holder, make)? {
                return Ok(((new, answer), number));
            }
            (seen, next) = value();
            (output, own) = (update::again(request, || typed(seen.as_ref())), 0);
        }
    }
}

fn in_place<T, R>(modify: impl Fn(&mut T) -> R) -> impl Fn(Option<T>) -> (T, R)
where
    T: Default,
{
    move |value| {
        let mut value = value.unwrap_or_default();
        let answer = modify(&mut value);
        (value, answer)
    }
}

/// An operation that waits for its commit: one that fails or is cancelled has done nothing.
struct Waiting<'a> {
    ending: &'a Ending,
    number: u64,
    done: bool,
}

impl Waiting<'_> {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.ending.withdraw(self.number);
        }
    }
}
