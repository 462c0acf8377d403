//! What components say about the forms of jobs.

use stepbox_api::form_answer::FormDescription;
use stepbox_api::request::DescribeForm;

use super::Tenant;
use crate::ask::Ask;
use crate::error::ClientError;

impl Tenant {
    /// Asks a component of a connector about the form of one of its jobs. Nothing changes.
    pub async fn describe_form(
        &self,
        connector: &str,
        job: &str,
        question: &DescribeForm,
    ) -> Result<FormDescription, ClientError> {
        let path = self.path(&["connectors", connector, "jobs", job, "form", "describe"]);
        self.json(Ask::post(path).json(question)?).await
    }
}
