//! Jobs.

use serde_json::Value;
use stepbox_api::form::{Form, FormMode};
use stepbox_api::job::Job;

use super::Tenant;
use crate::ask::Ask;
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

    /// The form of a job's instances, with the tabs and fields that the caller may see.
    pub async fn job_form(&self, name: &str, mode: FormMode) -> Result<Form, ClientError> {
        let ask = Ask::get(self.path(&["jobs", name, "form"]));
        self.json(ask.query("mode", Some(mode.mode().as_str()))).await
    }
}
