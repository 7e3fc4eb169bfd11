//! Sessions in Rocket: the fairing, the guard, the transport of the ID, the response.

pub(crate) mod fairing;
pub(crate) mod guard;
pub(crate) mod response;
pub(crate) mod transport;
