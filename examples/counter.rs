//! Counts a visitor's visits: `cargo run --example counter`, then open http://localhost:8000 twice.
//!
//! Rocket.toml keeps the table in the file `sessions.db`, so the count survives a restart.

use rocket::{get, launch, post, routes};
use rocket_dynamodb_sessions::{Error, Session, Sessions};

#[get("/")]
fn index(session: Session) -> Result<String, Error> {
    let visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(format!("visit number {visits}\n"))
}

/// Reads, and so neither writes a row nor sets a cookie.
#[get("/peek")]
fn peek(session: Session) -> Result<String, Error> {
    Ok(format!("{} visits so far\n", session.get("visits")?.unwrap_or(0)))
}

/// Forgets the visitor: deletes the row and removes the cookie.
#[post("/clear")]
fn clear(session: Session) -> &'static str {
    session.clear();
    "forgotten\n"
}

#[launch]
fn rocket() -> _ {
    rocket::build().attach(Sessions::fairing()).mount("/", routes![index, peek, clear])
}
