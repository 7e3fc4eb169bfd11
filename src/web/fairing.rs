//! The fairings: one reads the configuration and attaches the client, the other commits and rewrites the response.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use rocket::fairing::{Fairing, Info, Kind, Result as Ignited};
use rocket::figment::Figment;
use rocket::response::Responder;
use rocket::{Build, Config as RocketConfig, Request, Rocket, error, warn};

use crate::config::{Config, CookieConfig, Endpoint, Unread, Verify, misspelt_variables, unread};
use crate::error::{Chain, Error};
use crate::operator::prepare::prepare;
use crate::operator::sessions::{Sessions, connection};
use crate::store::client::{Connected, connect};
use crate::store::settings::Clock;
use crate::web::attached::{Attached, OnFailure};
use crate::web::commit::Commit;
use crate::web::transport::Transport;

impl Sessions {
    /// Makes the fairing, which reads the table `sessions` of Rocket.toml when the application ignites.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use rocket_dynamodb_sessions::Sessions;
    ///
    /// #[rocket::launch]
    /// fn rocket() -> _ {
    ///     rocket::build().attach(Sessions::fairing())
    /// }
    /// ```
    pub fn fairing() -> SessionsFairing {
        SessionsFairing::default()
    }
}

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
    on_failure: Option<OnFailure>,
    #[cfg(any(test, feature = "testing"))]
    faults: Option<crate::testing::Faults>,
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

    /// Answers with this where a session could not be loaded for a handler that passes the error on, or not be stored: in
    /// place of a bare 503, or 500, whose body is empty.
    ///
    /// What the function returns is any responder. Where it says no status that is an error, the response has that of the
    /// error ([`Error::status`]); 503 gets a `Retry-After`. The other headers of the response that could not be kept stay,
    /// but those that describe its content. The function is asked for the error of a handler and for that of the commit
    /// before the head; a guard that fails is answered by the application's catcher, as Rocket has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket::response::content::RawJson;
    /// use rocket_dynamodb_sessions::Sessions;
    ///
    /// let fairing = Sessions::fairing().on_failure(|error, _request| {
    ///     let retry = error.status() == 503;
    ///     RawJson(format!(r#"{{"error":"session","retry":{retry}}}"#))
    /// });
    /// # let _ = rocket::build().attach(fairing);
    /// ```
    pub fn on_failure<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(&Error, &Request<'_>) -> R + Send + Sync + 'static,
        R: for<'r> Responder<'r, 'static>,
    {
        self.on_failure = Some(Arc::new(move |error, request| answer(error, request).respond_to(request)));
        self
    }

    /// Takes the time from this clock, in tests of what time does to a session.
    #[cfg(any(test, feature = "testing"))]
    pub fn clock(mut self, clock: &crate::testing::TestClock) -> Self {
        let clock = clock.clone();
        self.clock = Some(Arc::new(move || clock.now()));
        self
    }

    /// Lets requests to the store meet these faults, which count from after the launch: what the fairing asks of the table
    /// when the application ignites passes by them.
    ///
    /// The client has to be one that [`Faults::wrap`](crate::testing::Faults::wrap) can wrap, as that of a
    /// [`Database`](crate::testing::Database) or of an embedded `endpoint`.
    #[cfg(any(test, feature = "testing"))]
    pub fn faults(mut self, faults: &crate::testing::Faults) -> Self {
        self.faults = Some(faults.clone());
        self
    }
}

impl SessionsFairing {
    /// Reads and checks the configuration, and tells what is written in vain. `None`: the launch is to be aborted; the log
    /// says why.
    fn configure(&self, figment: &Figment, debug: bool) -> Option<Config> {
        let mut aborts = false;
        let config = match &self.config {
            Some(config) => {
                // With a client as well it is a test, or an application that does without Rocket.toml.
                if self.client.is_none() && figment.find_value("sessions").is_ok() {
                    warn!(
                        "the fairing was given a `Config`, so that nobody reads `sessions` in Rocket.toml; remove one of them"
                    );
                }
                config.validate(debug).map(|()| config.clone()).map_err(|e| error!("{e}"))
            }
            None => {
                for found in unread(figment) {
                    match found {
                        Unread::Warning(text) => warn!("{text}"),
                        Unread::Error(text) => {
                            error!("{text}");
                            aborts = true;
                        }
                    }
                }
                Config::checked(figment, debug).map_err(rocket::config::pretty_print_error)
            }
        };
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for (name, spelling) in misspelt_variables(variables) {
            warn!("Rocket does not read the environment variable {name}; write {spelling}");
        }
        let config = config.ok().filter(|_| !aborts)?;
        let table = figment.find_value("sessions.cookie").is_ok() && self.config.is_none();
        if let Some(header) = &config.header
            && (table || config.cookie != CookieConfig::default())
        {
            warn!(
                "sessions.cookie is without effect: the ID travels in the header {header}; remove `cookie` or `header`"
            );
        }
        Some(config)
    }

    /// Whether the database is an embedded one that this configuration asked for: nobody else deletes there what has expired.
    fn sweeps(&self, config: &Config) -> bool {
        self.client.is_none() && config.endpoint.as_ref().is_some_and(Endpoint::is_embedded)
    }
}

#[rocket::async_trait]
impl Fairing for SessionsFairing {
    fn info(&self) -> Info {
        // No `Kind::Singleton`: of two of them Rocket would drop the first without a word.
        Info { name: "DynamoDB Sessions", kind: Kind::Ignite }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Ignited {
        if rocket.state::<Sessions>().is_some() {
            error!(
                "the fairing of the sessions is attached twice, or the application manages a `Sessions` of its own; attach `Sessions::fairing()` once"
            );
            return Err(rocket);
        }
        let debug = rocket.figment().profile() == RocketConfig::DEBUG_PROFILE;
        let Some(config) = self.configure(rocket.figment(), debug) else { return Err(rocket) };
        let made = match &self.client {
            Some(client) => Ok(Connected { client: client.clone(), shared: None, place: None }),
            None => connect(&connection(&config)).await,
        };
        let Connected { client, shared, place } = match made {
            Ok(connected) => connected,
            Err(reason) => {
                error!("sessions.endpoint: {}", Chain(&reason));
                return Err(rocket);
            }
        };
        if let (Some(endpoint), None, false) = (&config.endpoint, &self.client, debug)
            && endpoint.is_embedded()
        {
            warn!("sessions.endpoint is {endpoint}: sessions are in this process alone, outside the debug profile");
        }
        let transport = Transport::new(&config, debug);
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(chrono::Utc::now));
        let (is_own, sweeps) = (shared.is_some(), self.sweeps(&config));
        let sessions = Sessions::new(client, shared, config, clock);
        if is_own && sessions.config().verify == Verify::Off {
            let registry = Arc::clone(&sessions.registry);
            rocket::tokio::spawn(async move { registry.store.warm_up().await });
        }
        if prepare(&sessions).await.is_err() {
            return Err(rocket);
        }
        if sweeps {
            sessions.registry.sweep_now_and_then();
            sessions.registry.store.sweep().await;
        }
        #[cfg(any(test, feature = "testing"))]
        let sessions = self.faults.as_ref().map_or(sessions.clone(), |faults| sessions.through(faults));
        let attached = Attached { sessions, transport, on_failure: self.on_failure.clone() };
        let rocket = rocket.manage(attached.sessions.clone()).manage(attached.clone());
        // Attached from here, it comes after all of the user's: its response side sees what theirs changed.
        Ok(rocket.attach(Commit { attached, place }))
    }
}
