//! Instances, and launching them.

use stepbox_api::instance::{Instance, InstanceDetails, InstanceVersion};
use stepbox_api::queue::Published;
use stepbox_api::request::{ChangeInstance, CreateInstance, DuplicateInstance, Launch};

use super::{Tenant, field};
use crate::ask::Ask;
use crate::error::ClientError;
use crate::pages::Pages;

/// A thing, and the version that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The thing.
    pub value: T,
    /// Its version; `None` if the server says none.
    pub version: Option<u64>,
}

impl Tenant {
    /// Creates an instance, if its parameters are valid.
    pub async fn create_instance(&self, new: &CreateInstance) -> Result<Instance, ClientError> {
        self.json(Ask::post(self.path(&["instances"])).json(new)?).await
    }

    /// All instances, or those of one type, by type, then by code.
    pub fn instances(&self, job_type: Option<&str>) -> Pages<Instance> {
        self.pages(&["instances"], field("type", job_type).into_iter().collect())
    }

    /// An instance, with the parameters of a future execution.
    pub async fn instance(&self, code: &str) -> Result<InstanceDetails, ClientError> {
        self.get(&["instances", code]).await
    }

    /// The same with the version that a change of exactly this one names.
    pub async fn instance_with_version(&self, code: &str) -> Result<Versioned<InstanceDetails>, ClientError> {
        let ask = Ask::get(self.path(&["instances", code]));
        let answer = self.client.transport().send(ask).await?;
        let version = answer.version();
        Ok(Versioned { value: answer.json().await?, version })
    }

    /// The versions of an instance that are kept, with the user who wrote each.
    pub fn instance_history(&self, code: &str) -> Pages<InstanceVersion> {
        self.pages(&["instances", code, "history"], Vec::new())
    }

    /// Changes an instance that has this version, if its parameters are still valid then.
    pub async fn edit_instance(
        &self,
        code: &str,
        change: &ChangeInstance,
        version: u64,
    ) -> Result<Instance, ClientError> {
        let ask = Ask::patch(self.path(&["instances", code])).if_version(version)?;
        self.json(ask.json(change)?).await
    }

    /// Copies an instance under another code.
    pub async fn duplicate_instance(
        &self,
        code: &str,
        copy: &DuplicateInstance,
    ) -> Result<Instance, ClientError> {
        self.json(Ask::post(self.path(&["instances", code, "duplicate"])).json(copy)?).await
    }

    /// Deletes an instance that has this version. Its executions stay.
    pub async fn delete_instance(&self, code: &str, version: u64) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["instances", code])).if_version(version)?).await
    }

    /// Puts an execution of an instance into the queue, for any worker.
    ///
    /// The request has a key, so that a repetition after a lost answer makes no second execution.
    pub async fn publish(&self, code: &str, launch: &Launch) -> Result<Published, ClientError> {
        let ask = Ask::post(self.path(&["instances", code, "launch"])).once()?;
        self.json(ask.json(launch)?).await
    }
}
