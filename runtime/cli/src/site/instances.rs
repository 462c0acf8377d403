//! Instances.

use std::cmp::Reverse;

use stepbox::{Error, InstanceEdit, NewInstance, PublishOptions};
use stepbox_api::instance::{Instance, InstanceDetails, InstanceVersion};
use stepbox_api::list::Row;
use stepbox_api::member::InstanceRights;
use stepbox_api::queue::Published;
use stepbox_api::request::{ChangeInstance, CreateInstance, DuplicateInstance, Launch};
use stepbox_client::ClientError;

use super::{Here, Site, There};
use crate::error::CliError;

/// How often a change is tried again, if somebody else has changed the instance in between.
const ATTEMPTS_MAX: u32 = 5;

impl Site {
    /// Creates an instance.
    pub(crate) async fn create_instance(&self, new: NewInstance) -> Result<Instance, CliError> {
        match self {
            Self::Here(here) => Ok(Instance::of(&here.tenant.create_instance(new).await?)),
            Self::There(there) => {
                let NewInstance { connector, job, job_type, code, label, parameters } = new;
                let new = CreateInstance { connector, job, r#type: job_type, code, label, parameters };
                Ok(there.tenant.create_instance(&new).await?)
            }
        }
    }

    /// All instances, or those of one type.
    pub(crate) async fn instances(&self, job_type: Option<&str>) -> Result<Vec<Row<Instance>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.instances(job_type).await?, Instance::of)),
            Self::There(there) => Ok(there.tenant.instances(job_type).all().await?),
        }
    }

    /// An instance, with the parameters of a future execution.
    pub(crate) async fn instance(&self, code: &str) -> Result<InstanceDetails, CliError> {
        match self {
            Self::Here(here) => here.instance(code).await,
            Self::There(there) => Ok(there.tenant.instance(code).await?),
        }
    }

    /// Changes an instance.
    pub(crate) async fn edit_instance(&self, code: &str, edit: InstanceEdit) -> Result<Instance, CliError> {
        match self {
            Self::Here(here) => Ok(Instance::of(&here.tenant.edit_instance(code, edit).await?)),
            Self::There(there) => {
                let change = ChangeInstance { label: edit.label, parameters: edit.set, unset: edit.unset };
                there
                    .as_it_is_now(code, async |version| {
                        there.tenant.edit_instance(code, &change, version).await
                    })
                    .await
            }
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
            Self::There(there) => {
                let copy = DuplicateInstance { code: new_code.to_owned(), label };
                Ok(there.tenant.duplicate_instance(code, &copy).await?)
            }
        }
    }

    /// The versions of an instance that are kept, newest first.
    pub(crate) async fn instance_history(&self, code: &str) -> Result<Vec<Row<InstanceVersion>>, CliError> {
        let mut versions = match self {
            Self::Here(here) => Row::of(&here.tenant.instance_history(code).await?, InstanceVersion::of),
            Self::There(there) => there.tenant.instance_history(code).all().await?,
        };
        // Damaged ones, which have no number that could be read, come last.
        versions.sort_by_key(|row| Reverse(row.whole().map(|version| version.instance.version)));
        Ok(versions)
    }

    /// Who has which right at an instance.
    pub(crate) async fn instance_rights(&self, code: &str) -> Result<InstanceRights, CliError> {
        match self {
            Self::Here(here) => Ok(InstanceRights::of(&here.tenant.instance_rights(code).await?)),
            Self::There(there) => Ok(there.tenant.instance_rights(code).await?),
        }
    }

    /// Sets who has which right at an instance.
    pub(crate) async fn set_instance_rights(
        &self,
        code: &str,
        rights: InstanceRights,
    ) -> Result<InstanceRights, CliError> {
        match self {
            Self::Here(here) => {
                let new = rights.clone().into_rights().map_err(Error::from)?;
                here.tenant.set_instance_rights(code, &new).await?;
                Ok(rights)
            }
            Self::There(there) => Ok(there.tenant.set_instance_rights(code, &rights).await?),
        }
    }

    /// Deletes an instance.
    pub(crate) async fn delete_instance(&self, code: &str) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.delete_instance(code, None).await?),
            Self::There(there) => {
                there
                    .as_it_is_now(code, async |version| there.tenant.delete_instance(code, version).await)
                    .await
            }
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
            Self::There(there) => {
                let launch = Launch {
                    overrides: options.overrides,
                    priority: Some(options.priority),
                    available_at: options.available_at.map(|at| at.to_string()),
                    delay_ms,
                    unique: options.is_unique,
                    attempts_max: Some(options.attempts_max),
                };
                Ok(there.tenant.publish(code, &launch).await?)
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

impl There {
    /// Does something with an instance in the version that it has now, as the command line does here: the last change
    /// counts.
    async fn as_it_is_now<T>(
        &self,
        code: &str,
        act: impl AsyncFn(u64) -> Result<T, ClientError>,
    ) -> Result<T, CliError> {
        let mut attempt = 1;
        loop {
            let found = self.tenant.instance_with_version(code).await?;
            match act(found.version.unwrap_or(0)).await {
                Err(error) if error.status() == Some(412) && attempt < ATTEMPTS_MAX => attempt += 1,
                acted => return Ok(acted?),
            }
        }
    }
}
