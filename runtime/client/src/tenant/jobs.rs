//! Jobs.

use serde_json::Value;
use stepbox_api::job::Job;

use super::Tenant;
use crate::error::ClientError;
use crate::pages::Pages;

impl Tenant {
    /// All jobs, connector by connector.
    pub fn jobs(&self) -> Pages<Job> {
        self.pages(&["jobs"], Vec::new())
    }

    /// A job, by its name.
    pub async fn job(&self, name: &str) -> Result<Job, ClientError> {
        self.get(&["jobs", name]).await
    }

    /// The JSON Schema of a job's parameters.
    pub async fn job_schema(&self, name: &str) -> Result<Value, ClientError> {
        self.get(&["jobs", name, "schema"]).await
    }
}
