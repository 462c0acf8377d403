//! Jobs.

use stepbox_api::job::Job;
use stepbox_api::list::Row;

use super::Site;
use crate::error::CliError;

impl Site {
    /// All jobs, connector by connector.
    pub(crate) async fn jobs(&self) -> Result<Vec<Row<Job>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.jobs().await?, Job::of)),
            Self::There(there) => Ok(there.tenant.jobs().all().await?),
        }
    }

    /// A job, by its name.
    pub(crate) async fn job(&self, name: &str) -> Result<Job, CliError> {
        match self {
            Self::Here(here) => Ok(Job::of(&here.tenant.job(name).await?)),
            Self::There(there) => Ok(there.tenant.job(name).await?),
        }
    }
}
