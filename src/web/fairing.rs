//! The fairings: one reads the configuration and attaches the client, the other commits and rewrites the response.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use rocket::fairing::{Fairing, Info, Kind, Result as Ignited};
use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::{Build, Config as RocketConfig, Data, Orbit, Request, Response, Rocket, error, info, info_, warn};
use tokio::time::{sleep, timeout};

use crate::config::{Config, misspelt_variables};
use crate::error::Chain;
use crate::operator::sessions::Sessions;
use crate::store::{Clock, client, table};
use crate::web::guard::Slot;
use crate::web::response;

/// How long the tracker must stay empty before a shutdown believes it: a connection can be between two requests.
const SETTLED: Duration = Duration::from_millis(20);

/// The fairing to attach at launch; made by [`Sessions::fairing`].
///
/// # Examples
///
/// ```no_run
/// use rocket_dynamodb_sessions::{Config, Sessions};
///
/// # async fn launch() {
/// let aws = aws_config::load_from_env().await;
/// let fairing = Sessions::fairing()
///     .client(aws_sdk_dynamodb::Client::new(&aws))
///     .config(Config { table: "visitors".into(), ..Config::default() });
/// let rocket = rocket::build().attach(fairing);
/// # }
/// ```
#[derive(Default)]
#[must_use = "a fairing does nothing until it is attached"]
pub struct SessionsFairing {
    client: Option<Client>,
    config: Option<Config>,
    clock: Option<Clock>,
}

impl SessionsFairing {
    /// Uses this client; `region` and `endpoint` of the configuration are then without effect.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Uses this configuration, and reads none from Rocket.toml.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Takes the time from this clock, in tests of what time does to a session.
    #[cfg(any(test, feature = "testing"))]
    pub fn clock(mut self, clock: &crate::testing::TestClock) -> Self {
        let clock = clock.clone();
        self.clock = Some(Arc::new(move || clock.now()));
        self
    }
}

#[rocket::async_trait]
impl Fairing for SessionsFairing {
    fn info(&self) -> Info {
        Info { name: "DynamoDB Sessions", kind: Kind::Ignite | Kind::Singleton }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        let debug = rocket.figment().profile() == RocketConfig::DEBUG_PROFILE;
        let config = match &self.config {
            Some(config) => config.validate(debug).map(|()| config.clone()).map_err(|e| error!("{e}")),
            None => Config::checked(rocket.figment(), debug).map_err(rocket::config::pretty_print_error),
        };
        let Ok(config) = config else { return Err(rocket) };
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for (name, spelling) in misspelt_variables(variables) {
            warn!("Rocket does not read the environment variable {name}; write {spelling}");
        }
        let made = match &self.client {
            Some(client) => Ok(client.clone()),
            None => client::connect(&config, debug).await,
        };
        let client = match made {
            Ok(client) => client,
            Err(reason) => {
                error!("sessions.endpoint: {}", Chain(&reason));
                return Err(rocket);
            }
        };
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(chrono::Utc::now));
        let sessions = Sessions::new(client.clone(), config, debug, clock);
        if table::prepare(&sessions.shared.config, sessions.client()).await.is_err() {
            return Err(rocket);
        }
        let rocket = match rocket.state::<Client>() {
            Some(_) => rocket,
            None => rocket.manage(client),
        };
        if rocket.state::<Sessions>().is_some() {
            error!("the application manages a `Sessions` already; attach the fairing once");
            return Err(rocket);
        }
        // Attached from here, it comes after all of the user's: its response side sees what theirs changed.
        Ok(rocket.manage(sessions.clone()).attach(Committing { sessions, given: self.client.is_some() }))
    }
}

/// Opens and closes each request, and waits for what is unwritten when the server shuts down.
struct Committing {
    sessions: Sessions,
    /// The client is the application's own, so the configuration does not say where it leads.
    given: bool,
}

#[rocket::async_trait]
impl Fairing for Committing {
    fn info(&self) -> Info {
        let kind = Kind::Liftoff | Kind::Request | Kind::Response | Kind::Shutdown;
        Info { name: "DynamoDB Sessions (commit)", kind }
    }

    async fn on_liftoff(&self, _: &Rocket<Orbit>) {
        info!("DynamoDB sessions:");
        for line in summary(self.sessions.config(), self.given) {
            info_!("{line}");
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        Slot::open(request, &self.sessions);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let slot = Slot::of(request);
        let shared = &self.sessions.shared;
        let mut held = false;
        match slot.get() {
            None => {}
            Some(Err(error)) => {
                response::vary(response, &shared.transport);
                if response.status() == Status::new(error.status()) {
                    response::retry_after(response, error);
                }
            }
            Some(Ok(inner)) => {
                let failed = response.status().code >= 500 && !shared.config.commit_on_error;
                let (told, result) = inner.respond(failed).await;
                if let Err(error) = result {
                    response::replace(response, &error);
                }
                response::tell(response, &shared.transport, &told, shared.store.now().timestamp());
                response::vary(response, &shared.transport);
                held = inner.close();
                if held {
                    response::hold_open(response, inner);
                }
            }
        }
        slot.close();
        // A WebSocket has no body; while it holds the session, its request is not over.
        if held {
            return;
        }
        if response.body().is_none() || response.body().preset_size().is_some() {
            slot.release();
        }
    }

    async fn on_shutdown(&self, rocket: &Rocket<Orbit>) {
        let shared = &self.sessions.shared;
        let shutdown = &rocket.config().shutdown;
        let longest = Duration::from_secs(u64::from(shutdown.grace) + u64::from(shutdown.mercy));
        shared.tracker.close();
        let settled = async {
            loop {
                shared.tracker.wait().await;
                sleep(SETTLED).await;
                if shared.tracker.is_empty() {
                    return;
                }
            }
        };
        // What still runs then is cut off by Rocket, or never ends.
        let _ = timeout(longest, settled).await;
        let held = shared.in_use();
        join_all(held.iter().filter(|inner| inner.is_due()).map(|inner| async {
            if let Err(error) = inner.flush().await {
                inner.log_failure("could not be stored at the shutdown", &error);
            }
        }))
        .await;
    }
}

/// What is configured, a line a subject, as Rocket prints its own configuration.
fn summary(config: &Config, given: bool) -> Vec<String> {
    let cookie = &config.cookie;
    let place = match (&config.endpoint, &config.region) {
        _ if given => "the application's own client".into(),
        (Some(endpoint), _) => endpoint.to_string(),
        (None, Some(region)) => region.clone(),
        (None, None) => "AWS, region from the environment".into(),
    };
    let absolute = config.absolute_ttl.map_or_else(|| "none".to_owned(), |absolute| absolute.to_string());
    let transport = match &config.header {
        Some(header) => format!("header: {header}"),
        None => format!("cookie: {} (path {}, same-site {:?})", cookie.name, cookie.path, cookie.same_site),
    };
    vec![
        format!("table: {} at {place}", config.table),
        format!("idle timeout: {}, absolute timeout: {absolute}", config.ttl),
        transport,
        format!("store deadline: {} ms, attempts: {}", config.deadline.as_millis(), config.attempts),
    ]
}
