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
    /// Creates an instance; refuses a code that the tenant has already.
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Replaces label and raw parameters of the instance with that code.
    async fn update_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Removes an instance; its executions stay as history. Refuses while one of them has not ended.
    async fn delete_instance(&self, tenant: &TenantId, code: &InstanceCode, by: &Actor) -> Result<()>;

    /// The instance with that code.
    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>>;

    /// All instances, of one type if given, by type, then code.
    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>>;
}
