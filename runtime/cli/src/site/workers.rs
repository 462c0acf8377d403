//! Workers.

use stepbox_api::list::Row;
use stepbox_api::worker::Worker;

use super::Site;
use crate::error::CliError;

impl Site {
    /// All workers of the last day, living or lost.
    pub(crate) async fn workers(&self) -> Result<Vec<Row<Worker>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.stepbox.workers().await?, Worker::of)),
            Self::There(there) => Ok(there.tenant.workers().all().await?),
        }
    }
}
