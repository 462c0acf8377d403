//! Instances.

use stepbox::{Error, InstanceEdit, NewInstance, PublishOptions};
use stepbox_api::instance::{Instance, InstanceDetails};
use stepbox_api::list::Row;
use stepbox_api::queue::Published;

use super::{Here, Site};
use crate::error::CliError;

impl Site {
    /// Creates an instance.
    pub(crate) async fn create_instance(&self, new: NewInstance) -> Result<Instance, CliError> {
        match self {
            Self::Here(here) => Ok(Instance::of(&here.tenant.create_instance(new).await?)),
        }
    }

    /// All instances, or those of one type.
    pub(crate) async fn instances(&self, job_type: Option<&str>) -> Result<Vec<Row<Instance>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.instances(job_type).await?, Instance::of)),
        }
    }

    /// An instance, with the parameters of a future execution.
    pub(crate) async fn instance(&self, code: &str) -> Result<InstanceDetails, CliError> {
        match self {
            Self::Here(here) => here.instance(code).await,
        }
    }

    /// Changes an instance.
    pub(crate) async fn edit_instance(&self, code: &str, edit: InstanceEdit) -> Result<Instance, CliError> {
        match self {
            Self::Here(here) => Ok(Instance::of(&here.tenant.edit_instance(code, edit).await?)),
        }
    }

    /// Copies an instance under another code.
    pub(crate) async fn duplicate_instance(
        &self,
        code: &str,
        new_code: &str,
        label: Option<String>,
    ) -> Result<Instance, CliError> {
        match self {
            Self::Here(here) => {
                Ok(Instance::of(&here.tenant.duplicate_instance(code, new_code, label).await?))
            }
        }
    }

    /// Deletes an instance.
    pub(crate) async fn delete_instance(&self, code: &str) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.delete_instance(code, None).await?),
        }
    }

    /// Puts an execution of an instance into the queue. A `delay_ms` counts from now, by the clock of the site.
    pub(crate) async fn publish(
        &self,
        code: &str,
        options: PublishOptions,
        delay_ms: Option<u64>,
    ) -> Result<Published, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let available_at = delay_ms.map(|ms| tenant.now().plus_ms(ms)).or(options.available_at);
                let options = PublishOptions { available_at, ..options };
                Ok(Published::of(tenant.publish(code, options).await?))
            }
        }
    }
}

impl Here {
    async fn instance(&self, code: &str) -> Result<InstanceDetails, CliError> {
        let instance = self.tenant.instance(code).await?;
        let effective = match self.tenant.effective_parameters(&instance).await {
            Ok(parameters) => Ok(parameters),
            // The job may have been installed again with other constraints. The instance still exists.
            Err(Error::Violations { violations, .. }) => Err(violations),
            Err(error) => return Err(error.into()),
        };
        Ok(InstanceDetails::of(&instance, &effective))
    }
}
