//! Sessions in Rocket: the fairing, the guard, the transport of the ID, the response.

pub(crate) mod attached;
mod banner;
mod commit;
pub(crate) mod fairing;
mod guard;
pub(crate) mod principal;
mod response;
mod slot;
mod transport;
