//! The routes with the guard.

use rocket::{Route, get, routes};
use rocket_dynamodb_sessions::{Error, Session};

use super::CHANGES;

#[get("/read")]
fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<u64>("visits")?.unwrap_or(0).to_string())
}

#[get("/change")]
fn change(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

#[get("/login")]
fn login(session: Session) -> Result<&'static str, Error> {
    session.login("alice").map(|()| "welcome")
}

#[get("/flush")]
async fn flush(session: Session) -> Result<String, Error> {
    let mut visits = 0;
    for _ in 0..CHANGES {
        visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        session.flush().await?;
    }
    Ok(visits.to_string())
}

pub(crate) fn all() -> Vec<Route> {
    routes![read, change, login, flush]
}
