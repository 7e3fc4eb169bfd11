//! Signs users in and out: `cargo run --example login`, then open http://localhost:8000.

use rocket::form::Form;
use rocket::response::Redirect;
use rocket::response::content::RawHtml;
use rocket::{FromForm, get, launch, post, routes, uri};
use rocket_dynamodb_sessions::{Error, Principal, Session, Sessions};

#[derive(FromForm)]
struct Credentials<'r> {
    name: &'r str,
    password: &'r str,
}

#[get("/")]
fn home(user: Principal) -> RawHtml<String> {
    let name = escape(&user);
    RawHtml(format!(
        "<!doctype html><title>Home</title><h1>Hello, {name}</h1>\
         <form method=post action=/logout><button>Sign out</button></form>"
    ))
}

/// Who is not signed in gets no further than here; an outage of the store is a 503, and no invitation to sign in.
#[get("/", rank = 2)]
fn to_login() -> Redirect {
    Redirect::to(uri!(login_page))
}

#[get("/login")]
async fn login_page(session: Session) -> Result<RawHtml<String>, Error> {
    // `take` reads and removes at once: the message is shown to one request.
    let message = session.take::<String>("flash").await?.unwrap_or_default();
    Ok(RawHtml(format!(
        "<!doctype html><title>Sign in</title><p>{}</p><form method=post action=/login>\
         <label>Name <input name=name autofocus></label> <label>Password <input name=password type=password></label>\
         <button>Sign in</button></form><p>Try any name with the password “rocket”.",
        escape(&message)
    )))
}

#[post("/login", data = "<form>")]
fn login(form: Form<Credentials<'_>>, session: Session) -> Result<Redirect, Error> {
    // An application compares a password hash here.
    if form.password == "rocket" && !form.name.is_empty() {
        // A new session ID: one that somebody planted before opens nothing.
        session.login(form.name)?;
        return Ok(Redirect::to(uri!(home)));
    }
    session.insert("flash", "Wrong name or password.")?;
    Ok(Redirect::to(uri!(login_page)))
}

#[post("/logout")]
fn logout(session: Session) -> Result<Redirect, Error> {
    session.invalidate();
    session.insert("flash", "You are signed out.")?;
    Ok(Redirect::to(uri!(login_page)))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[launch]
fn rocket() -> _ {
    rocket::build().attach(Sessions::fairing()).mount("/", routes![home, to_login, login_page, login, logout])
}
