//! A typed value of a session: loaded when it is asked for, stored when it was changed.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::codec::Codec;
use crate::domain::log::Op;
use crate::domain::state::Origin;
use crate::domain::text::Text;
use crate::domain::tree::Tree;
use crate::domain::update::Update;
use crate::domain::value::Value;
use crate::domain::view::View;
use crate::error::{Chain, Error};
use crate::session::Session;

/// A type of which a session holds one value, under a key of its own.
///
/// A missing value begins as its default. Give fields that are added later `#[serde(default)]`, so that what an older
/// version of the type has stored is still read.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::{SessionValue, Stored};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<String>,
///     #[serde(default)]
///     voucher: Option<String>,
/// }
///
/// impl SessionValue for Cart {
///     const KEY: &'static str = "cart";
/// }
///
/// #[rocket::post("/cart/<item>")]
/// fn add(item: String, mut cart: Stored<Cart>) -> String {
///     cart.items.push(item);
///     format!("{} items", cart.items.len())
/// }
/// ```
pub trait SessionValue: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The key of the value.
    const KEY: &'static str;

    /// Merges what this request made of a value with what another has stored meanwhile, where that cannot be done part by
    /// part. `None`, the default, is a conflict: nothing is written, and the client gets 409.
    fn merge(loaded: &Self, ours: &Self, theirs: &Self) -> Option<Self> {
        let _ = (loaded, ours, theirs);
        None
    }
}

/// One typed value of the session, as a request guard: reads like a `&T` and changes like a `&mut T`.
///
/// When it drops, the value is compared with what was loaded and, if it changed, stored with the session. What another
/// request has stored meanwhile is merged: objects key by key, lists that both only appended to in order, equal changes
/// once; else [`SessionValue::merge`] decides. So two tabs that each add an item to the cart both keep theirs.
/// What was changed of a value goes with the session when the same request signs out or clears it.
///
/// A stored value that does not fit the type fails the guard; `Result<Stored<T>, Error>` lets a route decide. To start over,
/// [`Session::remove`] the key, or [`Session::insert`] a new value.
pub struct Stored<T>
where
    T: SessionValue,
{
    session: Session,
    value: T,
    /// What the row, with the changes of this request over it, held.
    loaded: Option<Value>,
    /// How the type writes what was loaded: fields that were missing there are no change, and a `HashSet` has its own order.
    base: Result<Value, Error>,
    /// This request had emptied the session when the value was loaded.
    emptied: bool,
    done: bool,
}

impl<T> Stored<T>
where
    T: SessionValue,
{
    pub(crate) fn of(session: Session) -> Result<Self, Error> {
        // Decoded without the lock: the type's `Deserialize` is the application's.
        let loaded = session.ending.look(|view| view.get(T::KEY).cloned());
        let value = read::<T>(loaded.as_ref())?;
        let base = write(session.ending.codec(), &value);
        let emptied = is_emptied(&session);
        Ok(Self { session, value, loaded, base, emptied, done: false })
    }

    /// Stores the value with the session now, instead of when it drops, and says what is wrong with it.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`]; and [`Error::Conflict`] where another change of this request cannot be merged.
    pub fn save(mut this: Self) -> Result<(), Error> {
        this.done = true;
        this.append()
    }

    /// Forgets what was changed.
    pub fn discard(mut this: Self) {
        this.done = true;
    }

    /// Appends the change, if there is one.
    fn append(&self) -> Result<(), Error> {
        // What belonged to a session that this request has emptied, or signed out, is neither kept nor a reason to keep it.
        if !self.emptied && is_emptied(&self.session) {
            log::info!("a change of `{}` was dropped: the request has emptied its session", T::KEY);
            return Ok(());
        }
        let codec = self.session.ending.codec();
        let ours = write(codec, &self.value)?;
        let base = self.base.clone()?;
        if ours == base {
            return Ok(());
        }
        let merge = Arc::new(Merge::<T> { base, ours: ours.clone(), codec, of: std::marker::PhantomData });
        let ending = &self.session.ending;
        loop {
            let seen = ending.look(|view| view.get(T::KEY).cloned());
            let answer = if seen == self.loaded { ours.clone() } else { merge.over(seen.as_ref())? };
            let again = merge.clone();
            let make = |view: &View, _| {
                (view.get(T::KEY) == seen.as_ref()).then(|| {
                    let run = Box::new(move |theirs: Option<&Value>| again.over(theirs));
                    let update = Update::new(ending.number(), Text::from(T::KEY), run, seen.clone(), answer);
                    Op::Update(Arc::new(update))
                })
            };
            if ending.append_as(self.session.holder, make)?.is_some() {
                return Ok(());
            }
        }
    }
}

/// Whether this request has taken everything away: by `invalidate`, `clear`, or the login of another principal.
fn is_emptied(session: &Session) -> bool {
    session.ending.look(View::is_emptied) || matches!(session.ending.origin(), Origin::OwnEnd)
}

fn read<T: SessionValue>(value: Option<&Value>) -> Result<T, Error> {
    value.map_or_else(|| Ok(T::default()), |value| value.decode().map_err(|e| Error::value(T::KEY, e)))
}

fn write<T: SessionValue>(codec: Codec, value: &T) -> Result<Value, Error> {
    Value::encode_under(codec, T::KEY, value).map_err(|e| Error::value(T::KEY, e))
}

/// A change of a typed value, to be made over what another request has stored.
struct Merge<T> {
    base: Value,
    ours: Value,
    codec: Codec,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T> Merge<T>
where
    T: SessionValue,
{
    fn over(&self, theirs: Option<&Value>) -> Result<Value, Error> {
        let typed = read::<T>(theirs)?;
        let theirs = write(self.codec, &typed)?;
        let trees = (self.base.tree(), self.ours.tree(), theirs.tree());
        let merged = match &trees {
            (Some(base), Some(ours), Some(theirs)) => Tree::merge(base, ours, theirs),
            _ => None,
        };
        if let Some(value) = merged.and_then(|tree| Value::of_tree(self.codec, &tree)) {
            return Ok(value);
        }
        let merged = T::merge(&read::<T>(Some(&self.base))?, &read::<T>(Some(&self.ours))?, &typed);
        write(self.codec, &merged.ok_or_else(|| Error::Conflict { key: T::KEY.to_owned() })?)
    }
}

impl<T> Deref for Stored<T>
where
    T: SessionValue,
{
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Stored<T>
where
    T: SessionValue,
{
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Names the key; the value stays secret.
impl<T> fmt::Debug for Stored<T>
where
    T: SessionValue,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("key", &T::KEY).finish_non_exhaustive()
    }
}

impl<T> Drop for Stored<T>
where
    T: SessionValue,
{
    fn drop(&mut self) {
        // What a panic left is half done.
        if self.done || std::thread::panicking() {
            return;
        }
        let Err(error) = self.append() else { return };
        // The commit fails by it, and the client is told; after the head, the log alone can be.
        if self.session.ending.append(self.session.holder, Op::Refuse(error.clone())).is_err() {
            log::error!("the value of `{}` could not be stored: {}", T::KEY, Chain(&error));
        }
    }
}

impl Session {
    /// Loads a typed value of this session, as the guard [`Stored`] does.
    ///
    /// # Errors
    ///
    /// Fails when the stored value does not fit the type.
    pub fn stored<T>(&self) -> Result<Stored<T>, Error>
    where
        T: SessionValue,
    {
        Stored::of(self.clone())
    }
}
