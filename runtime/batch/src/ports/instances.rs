//! Job instances.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::job::JobInstance;
use crate::name::{InstanceCode, TenantId};

/// The saved configurations of jobs.
#[async_trait]
pub trait Instances: Send + Sync + 'static {
    /// Creates an instance; refuses a code that the tenant uses already.
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Replaces label and raw parameters of the instance with that code.
    async fn update_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Removes an instance; its executions are kept as history.
    ///
    /// Refuses while an execution of it has not ended.
    async fn delete_instance(&self, tenant: &TenantId, code: &InstanceCode, by: &Actor) -> Result<()>;

    /// The instance with that code.
    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>>;

    /// All instances, sorted by type, then code.
    ///
    /// If `job_type` is given, only instances of that type.
    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>>;
}
