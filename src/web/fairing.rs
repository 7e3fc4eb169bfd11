//! The fairings: one reads the configuration and attaches the client, the other commits and rewrites the response.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use rocket::fairing::{Fairing, Info, Kind, Result as Ignited};
use rocket::{Build, Config as RocketConfig, Rocket, error, warn};

use crate::config::{Config, Verify, misspelt_variables};
use crate::error::Chain;
use crate::operator::prepare::prepare;
use crate::operator::sessions::{Sessions, connection};
use crate::store::client::{Connected, connect};
use crate::store::settings::Clock;
use crate::web::attached::Attached;
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
            Some(client) => {
                let place = "the application's own client".into();
                Ok(Connected { client: client.clone(), shared: None, place })
            }
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
        let is_own = shared.is_some();
        let sessions = Sessions::new(client, shared, config, clock);
        if is_own && sessions.config().verify == Verify::Off {
            let registry = Arc::clone(&sessions.registry);
            rocket::tokio::spawn(async move { registry.store.warm_up().await });
        }
        if prepare(&sessions).await.is_err() {
            return Err(rocket);
        }
        if rocket.state::<Sessions>().is_some() {
            error!("the application manages a `Sessions` already; attach the fairing once");
            return Err(rocket);
        }
        let attached = Attached { sessions, transport };
        let rocket = rocket.manage(attached.sessions.clone()).manage(attached.clone());
        // Attached from here, it comes after all of the user's: its response side sees what theirs changed.
        Ok(rocket.attach(Commit { attached, place }))
    }
}
