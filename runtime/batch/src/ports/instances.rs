//! Job instances.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::job::{InstanceVersion, JobInstance};
use crate::name::{InstanceCode, TenantId};

/// The saved configurations of jobs.
#[async_trait]
pub trait Instances: Send + Sync + 'static {
    /// Creates an instance; refuses a code that the tenant uses already.
    ///
    /// Returns the instance with its version, which follows on those of earlier instances with that code.
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<JobInstance>;

    /// Creates an instance as a copy of another one of the tenant, which has the same lists of rights from the first
    /// moment on.
    ///
    /// Lists that the code of the copy has already, from an earlier instance, are narrowed and never widened.
    async fn copy_instance(
        &self,
        copy: &JobInstance,
        original: &InstanceCode,
        by: &Actor,
    ) -> Result<JobInstance>;

    /// Replaces label and raw parameters of the instance with that code.
    ///
    /// Refuses if the instance has another version than `expected`; `None` expects no certain one. Returns the
    /// instance with its new version.
    async fn update_instance(
        &self,
        instance: &JobInstance,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<JobInstance>;

    /// Removes an instance; its executions and its versions are kept as history.
    ///
    /// Refuses while an execution of it has not ended, and if it has another version than `expected`.
    async fn delete_instance(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<()>;

    /// The instance with that code.
    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>>;

    /// All instances, sorted by type, then code.
    ///
    /// If `job_type` is given, only instances of that type.
    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>>;

    /// The versions of the instance with that code, newest first: at most
    /// [`INSTANCE_VERSIONS_KEPT`](crate::job::INSTANCE_VERSIONS_KEPT).
    ///
    /// They include those of deleted instances with that code. The list is empty if there never was one.
    async fn instance_history(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
    ) -> Result<Listing<InstanceVersion>>;
}
