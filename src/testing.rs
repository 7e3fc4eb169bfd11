//! What an application needs to test its own use of sessions (feature `testing`): a database of its own for each test, a
//! clock to move, faults to inject, and a login to start from.

mod clock;
mod database;
mod faults;

pub use clock::TestClock;
pub use database::{Database, Row, rows};
pub use faults::{Capacity, Effect, Faults, Gate, On};
