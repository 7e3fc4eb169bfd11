//! The fairing that opens and finishes each request, and waits for what is unwritten when the server shuts down.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use rocket::fairing::{Fairing, Info, Kind, Result as Ignited};
use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::{Build, Data, Orbit, Request, Response, Rocket, info, info_};
use tokio::time::{sleep, timeout};

use crate::session::ending::Finished;
use crate::session::registry::InUse;
use crate::web::attached::Attached;
use crate::web::banner::Banner;
use crate::web::response;
use crate::web::slot::Slot;

/// How long the tracker must stay empty before a shutdown believes it: a connection can be between two requests.
const SETTLED: Duration = Duration::from_millis(20);

/// Opens and closes each request. It is attached when the user's fairings are, so its response side sees what theirs
/// changed.
pub(super) struct Commit {
    pub(super) attached: Attached,
    /// Where the client leads; of the application's own client nobody knows.
    pub(super) place: Option<String>,
}

#[rocket::async_trait]
impl Fairing for Commit {
    fn info(&self) -> Info {
        let kind = Kind::Ignite | Kind::Liftoff | Kind::Request | Kind::Response | Kind::Shutdown;
        Info { name: "DynamoDB Sessions (commit)", kind }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        // Once more at the end of the list: what a user's fairing attached meanwhile may manage a client too.
        Ok(rocket.attach(ManageClient(self.attached.sessions.client().clone())))
    }

    async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
        info!("DynamoDB sessions:");
        for line in
            (Banner { attached: &self.attached, place: self.place.as_deref(), figment: rocket.figment() }).lines()
        {
            info_!("{line}");
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        Slot::open(request, &self.attached);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let slot = Slot::of(request);
        let Attached { sessions, transport, .. } = &self.attached;
        let registry = &sessions.registry;
        let mut streams = false;
        match slot.get() {
            None => {}
            Some(Err(error)) => {
                response::vary(response, transport, sessions.config().cache_control);
                if response.status() == Status::new(error.status()) {
                    response::retry_after(response, error);
                }
            }
            Some(Ok(ending)) => {
                let failed = response.status().code >= 500 && !registry.commit_on_error;
                let Finished { told, result, held } = ending.finish(failed).await;
                if let Err(error) = result {
                    response::replace(response, &error, request, &self.attached);
                }
                if let Some(error) = ending.outage().filter(|error| response.status() == Status::from(error)) {
                    response::retry_after(response, &error);
                }
                response::tell(response, transport, &told, registry.store.now().timestamp());
                response::vary(response, transport, sessions.config().cache_control);
                if held {
                    streams = response::hold_open(response, ending).await;
                }
                slot.close();
                // A WebSocket has no body; while it holds the session, its request is not over.
                if held && (streams || response.body().is_none()) {
                    return;
                }
            }
        }
        slot.close();
        if streams || response.body().is_none() || response.body().preset_size().is_some() {
            slot.release();
        }
    }

    async fn on_shutdown(&self, rocket: &Rocket<Orbit>) {
        let registry = &self.attached.sessions.registry;
        let shutdown = &rocket.config().shutdown;
        let longest = Duration::from_secs(u64::from(shutdown.grace) + u64::from(shutdown.mercy));
        registry.tracker.close();
        let settled = async {
            loop {
                registry.tracker.wait().await;
                sleep(SETTLED).await;
                if registry.tracker.is_empty() {
                    return;
                }
            }
        };
        // What still runs then is cut off by Rocket, or never ends.
        let _ = timeout(longest, settled).await;
        // One deadline for all that is left: what a silent store does not take by then is lost, and told.
        let left = join_all(registry.in_use().into_iter().map(InUse::shut_down));
        let _ = timeout(registry.deadline() + SETTLED, left).await;
    }
}

/// Puts the DynamoDB client into managed state, where the application has none of its own there.
struct ManageClient(Client);

#[rocket::async_trait]
impl Fairing for ManageClient {
    fn info(&self) -> Info {
        Info { name: "DynamoDB Sessions (client)", kind: Kind::Ignite }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        Ok(match rocket.state::<Client>() {
            Some(_) => rocket,
            None => rocket.manage(self.0.clone()),
        })
    }
}
