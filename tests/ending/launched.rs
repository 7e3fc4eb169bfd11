//! What stands around a request: the application's own client in managed state, files as answers, and the statistics.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::config::Region;
use rocket::fairing::{AdHoc, Fairing, Info, Kind, Result as Ignited};
use rocket::fs::NamedFile;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket, State, get, routes};
use rocket_dynamodb_sessions::{Error, Session};

use super::support::server::{self, Server};
use super::support::{bare_rocket, cookie, ok, sessions};
use super::{Scene, Shared, change, in_time};

#[get("/make/<name>")]
fn make(name: &str, session: Session) -> Result<(), Error> {
    change(&session, name)
}

// The application's own client.

const OWN: &str = "the-application";

fn own(client: Dynamo) -> AdHoc {
    AdHoc::on_ignite("Own client", |rocket| Box::pin(async { rocket.manage(client) }))
}

/// A fairing that attaches another one when it ignites, which then manages a client.
struct Nested(Dynamo);

#[rocket::async_trait]
impl Fairing for Nested {
    fn info(&self) -> Info {
        Info { name: "Nested", kind: Kind::Ignite }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        Ok(rocket.attach(own(self.0.clone())))
    }
}

#[tokio::test]
async fn a_client_that_the_application_manages_wins_wherever_it_comes_from() {
    for place in ["managed before", "managed after", "fairing before", "fairing after", "nested before", "nested after"]
    {
        let bed = super::bed();
        let config = bed.dynamo.config().to_builder().region(Region::from_static(OWN)).build();
        let (rocket, client, ours) = (bare_rocket(), Dynamo::from_conf(config), bed.fairing(bed.config()));
        let rocket = match place {
            "managed before" => rocket.manage(client).attach(ours),
            "managed after" => rocket.attach(ours).manage(client),
            "fairing before" => rocket.attach(own(client)).attach(ours),
            "fairing after" => rocket.attach(ours).attach(own(client)),
            "nested before" => rocket.attach(Nested(client)).attach(ours),
            _ => rocket.attach(ours).attach(Nested(client)),
        };
        let launched = Client::untracked(rocket.mount("/", routes![make])).await;
        let client = launched.unwrap_or_else(|error| panic!("{place}: {error}"));
        let managed = client.rocket().state::<Dynamo>().expect("the application manages one");
        assert_eq!(managed.config().region().map(Region::as_ref), Some(OWN), "{place}");
        ok(&client.get("/make/insert").dispatch().await);
        assert_eq!(bed.rows().await.len(), 1, "{place}: the sessions have theirs");
    }
}

// A file as the answer.

/// Answers a file, while a task holds the session.
#[get("/file/<name>")]
async fn file(name: &str, session: Session, path: &State<PathBuf>, signals: &Shared) -> Option<NamedFile> {
    if name != "unchanged" {
        change(&session, name).expect("the head was not sent");
    }
    let signals = Arc::clone(signals);
    rocket::tokio::spawn(async move {
        signals.task.notified().await;
        signals.say(session.insert("late", true));
        pending::<()>().await;
        drop(session);
    });
    NamedFile::open(path.as_path()).await.ok()
}

#[tokio::test]
async fn a_file_keeps_its_length_while_its_session_is_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.txt");
    let text = "0123456789".repeat(1000);
    std::fs::write(&path, &text).expect("a file");
    let scene = Scene::new(routes![]).await;
    let rocket = scene.bed.rocket(scene.bed.config(), routes![file]);
    let server = Server::launch(rocket.manage(path).manage(scene.signals.clone())).await;
    let before = scene.row_of(&scene.id).await;
    for name in ["unchanged", "insert", "login"] {
        let header = format!("Cookie: session={}", scene.id.expose());
        let path = format!("/file/{name}");
        let answer = in_time(&path, server.get(&path, &[header.as_bytes()])).await;
        assert_eq!(server::status(&answer), 200, "{name}");
        assert_eq!(server::headers(&answer, "Content-Length"), [text.len().to_string()], "{name}");
        assert_eq!(server::headers(&answer, "Transfer-Encoding"), [""; 0], "{name}");
        assert!(answer.ends_with(&format!("\r\n\r\n{text}")), "{name}: the whole file");
        scene.signals.task.notify_one();
        if name != "login" {
            scene.until(|data| data["late"] == true).await;
            scene.bed.put(before.clone()).await;
        }
    }
}

// The statistics.

/// Does something that may need no write.
#[get("/quiet/<how>")]
async fn quiet(how: &str, session: Session) -> Result<(), Error> {
    match how {
        "read" => drop(session.get::<u32>("k")?),
        "flush" => session.flush().await?,
        "there-and-back" => {
            session.insert("x", 1)?;
            session.remove("x");
        }
        "there-and-back-flushed" => {
            session.insert("x", 1)?;
            session.remove("x");
            session.flush().await?;
        }
        "clear" => session.clear(),
        "invalidate" => session.invalidate(),
        "remove-nothing" => drop(session.remove("x")),
        "take-nothing" => drop(session.take::<u32>("x").await?),
        "equal" => session.insert("k", 1)?,
        how => panic!("no such thing: {how}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_counts_where_it_wrote_something() {
    let scene = Scene::new(routes![quiet, make]).await;
    let commits = || sessions(&scene.client).stats().commits;
    let visitors = [
        "read",
        "flush",
        "there-and-back",
        "there-and-back-flushed",
        "clear",
        "invalidate",
        "remove-nothing",
        "take-nothing",
    ];
    let before = commits();
    for how in visitors {
        let response = scene.client.get(format!("/quiet/{how}")).dispatch().await;
        assert_eq!(response.status(), Status::Ok, "{how}");
        assert_eq!((scene.writes(), commits() - before), (0, 0), "{how}: nothing was written");
    }
    for path in [
        "/quiet/read",
        "/quiet/flush",
        "/quiet/there-and-back",
        "/quiet/remove-nothing",
        "/quiet/take-nothing",
        "/quiet/equal",
        "/make/insert",
        "/make/first",
        "/make/cycle",
    ] {
        scene.bed.faults.reset_counts();
        let before = commits();
        ok(&scene.client.get(path).cookie(cookie(&scene.id)).dispatch().await);
        assert_eq!(commits() - before, scene.writes() as u64, "{path}");
    }
    assert_eq!(scene.writes(), 1, "a rotation is one write");
}
