//! The look at the table when the application ignites.

use crate::config::{Endpoint, Verify};
use crate::error::{Chain, Error};
use crate::operator::sessions::Sessions;

/// Creates the table where the configuration says so, and looks at it. The error means that the launch is to be aborted;
/// it was told to the log.
pub(crate) async fn prepare(sessions: &Sessions) -> Result<(), ()> {
    let config = sessions.config();
    let embedded = config.endpoint.as_ref().is_some_and(Endpoint::is_embedded);
    let mut unreachable = None;
    if (embedded || config.create_table)
        && let Err(error) = sessions.create_table().await
    {
        log::warn!("sessions.create_table: {}", Chain(&error));
        // A launch that has waited once for a store that does not answer does not wait again.
        unreachable = Some(error).filter(|error| matches!(error, Error::Unavailable { .. }));
    }
    if config.verify == Verify::Off {
        return Ok(());
    }
    let looked = match unreachable {
        Some(error) => Err(error),
        None => sessions.table_status().await,
    };
    let status = match looked {
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
