//! How the handles of a session look at it and change it. Nothing is committed here.

use std::sync::Arc;

use crate::domain::codec::Codec;
use crate::domain::id::{Handle, SessionId};
use crate::domain::log::{Holder, Op};
use crate::domain::state::Origin;
use crate::domain::update;
use crate::domain::view::View;
use crate::error::Error;
use crate::session::ending::Ending;
use crate::session::ending::cell::{Held, Phase};
use crate::session::ending::waste::Waste;
use crate::session::registry::Counters;

impl Ending {
    /// Which request this is, for closures that run again.
    pub(in crate::session) fn number(&self) -> u64 {
        self.number
    }

    /// Locks the parts, the view as new as the log. What has to be replayed for it is replayed without the lock.
    pub(super) fn fresh(&self) -> Held<'_> {
        loop {
            let cell = self.cell.lock();
            // A closure that runs again sees its session as it was.
            let Some(replay) = cell.replay().filter(|_| !update::runs_again(self.number)) else { return cell };
            drop(cell);
            let view = replay.view();
            self.cell.lock().state.replayed(&replay, view);
        }
    }

    /// Looks at the session: the row that was loaded, with the log over it. No code of the application's may run in `look`.
    pub(in crate::session) fn look<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(self.fresh().state.view())
    }

    /// Looks at the session, and at the number of the next operation.
    pub(in crate::session) fn look_before<T>(&self, look: impl FnOnce(&View) -> T) -> (T, u64) {
        let cell = self.fresh();
        (look(cell.state.view()), cell.state.next())
    }

    /// How values of this session are encoded.
    pub(in crate::session) fn codec(&self) -> Codec {
        self.cell.lock().state.codec()
    }

    pub(in crate::session) fn origin(&self) -> Origin {
        self.cell.lock().state.origin().clone()
    }

    pub(in crate::session) fn id(&self) -> Option<SessionId> {
        self.fresh().current_id()
    }

    pub(in crate::session) fn handle(&self) -> Option<Handle> {
        self.fresh().handle(&self.registry.store)
    }

    /// Fails where a value could not be stored.
    pub(in crate::session) fn check(&self) -> Result<(), Error> {
        self.fresh().allows(&Op::SetTtl(None)).map(|_| ())
    }

    /// Appends an operation; its number takes it back.
    pub(in crate::session) fn append(self: &Arc<Self>, holder: Holder, op: Op) -> Result<u64, Error> {
        self.append_as(holder, |_, _| Some(op)).map(|number| number.unwrap_or(u64::MAX))
    }

    /// Appends the operation that `make` says of the view and the number of the next operation, under one lock; `None`
    /// where it says none.
    pub(in crate::session) fn append_as(
        self: &Arc<Self>,
        holder: Holder,
        make: impl FnOnce(&View, u64) -> Option<Op>,
    ) -> Result<Option<u64>, Error> {
        if update::runs_again(self.number) {
            return Ok(Some(u64::MAX));
        }
        let (number, waste, refused): (_, Waste, _) = {
            let mut cell = self.fresh();
            let number = cell.state.next();
            let Some(op) = make(cell.state.view(), number) else { return Ok(None) };
            match cell.allows(&op) {
                Ok(true) => {
                    let waste = cell.state.push(op, holder).into();
                    self.arm(&mut cell);
                    (Ok(number), waste, None)
                }
                Ok(false) => (Ok(u64::MAX), Waste::default(), Some(op)),
                Err(error) => (Err(error), Waste::default(), Some(op)),
            }
        };
        waste.discard();
        if refused.is_none() {
            update::appended(self.number);
        }
        number.map(Some)
    }

    /// Takes an operation back, where no commit has taken it along.
    pub(in crate::session) fn withdraw(&self, number: u64) {
        let waste = self.cell.lock().withdraw(number);
        waste.discard();
    }

    pub(in crate::session) fn skip_renewal(&self) {
        self.cell.lock().renew = false;
    }

    /// Another handle of the session.
    pub(in crate::session) fn hold(&self, clone: bool) -> Holder {
        self.cell.lock().holders.add(clone)
    }

    /// A handle drops; the last one of a request that is over starts the flush.
    pub(in crate::session) fn dropped(self: &Arc<Self>, holder: Holder) {
        let (last, waste) = {
            let mut cell = self.cell.lock();
            cell.holders.remove(holder);
            let panics = std::thread::panicking() && !self.registry.commit_on_error;
            let waste = panics.then(|| cell.drop_of(holder));
            (cell.holders.count == 0 && cell.phase == Phase::Closed, waste)
        };
        let waste = waste.unwrap_or_default();
        if !waste.is_empty() {
            Counters::count(&self.registry.counters.dropped, 1);
            log::warn!("session {}: the changes of a holder were dropped, because it panicked", self.name());
        }
        waste.discard();
        if last {
            self.flush_late();
        }
    }

    pub(super) fn name(&self) -> String {
        let mut cell = self.cell.lock();
        let handle = cell.handle(&self.registry.store);
        let brought = || cell.id.map(|id| self.registry.store.row_key(&id).handle());
        handle.or_else(brought).map_or_else(|| "without a row".to_owned(), |handle| handle.to_string())
    }
}
