//! The look at the table when the application ignites.

use aws_sdk_dynamodb::Client;

use crate::config::{Config, Endpoint, Verify};
use crate::error::Chain;
use crate::store::table;

/// Creates the table where the configuration says so, and looks at it. The error means that the launch is to be aborted;
/// it was told to the log.
pub(crate) async fn prepare(config: &Config, client: &Client) -> Result<(), ()> {
    let embedded = config.endpoint.as_ref().is_some_and(Endpoint::is_embedded);
    if (embedded || config.create_table)
        && let Err(error) = table::create(client, &config.table).await
    {
        log::warn!("sessions.create_table: {}", Chain(&error));
    }
    if config.verify == Verify::Off {
        return Ok(());
    }
    let status = match table::status(client, &config.table).await {
        Ok(status) => status,
        Err(error) => {
            log::warn!("the table `{}` could not be looked at: {}", config.table, Chain(&error));
            return Ok(());
        }
    };
    status.notes.iter().for_each(|note| log::info!("{note}"));
    for problem in &status.problems {
        match config.verify {
            Verify::Fail => log::error!("{problem} (sessions.verify = \"fail\")"),
            _ => log::warn!("{problem}"),
        }
    }
    if config.verify == Verify::Fail && !status.is_ready() { Err(()) } else { Ok(()) }
}
