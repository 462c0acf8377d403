//! Connectors and components.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::component_quota::ComponentQuota;
use crate::inventory::{Component, Connector};
use crate::name::{ConnectorCode, Digest, TenantId};

/// What is installed for a tenant.
#[async_trait]
pub trait Inventory: Send + Sync + 'static {
    /// Installs a connector, or replaces the connector with that code.
    ///
    /// Refuses a label or a job name that another connector of the tenant has.
    async fn put_connector(&self, tenant: &TenantId, connector: &Connector, by: &Actor) -> Result<()>;

    /// All connectors, by code.
    ///
    /// A damaged job is left out of its connector, and is reported separately.
    async fn connectors(&self, tenant: &TenantId) -> Result<Listing<Connector>>;

    /// Removes a connector; refuses while an instance needs it.
    async fn remove_connector(&self, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Result<()>;

    /// Records a component.
    ///
    /// If the tenant has that digest already, only its signer changes, and only if the new component has a signer.
    /// Refuses a released version that the tenant has with another digest. Also refuses a new digest if the quota
    /// leaves no room. If several calls run at once, the store records only as many components as fit.
    async fn put_component(
        &self,
        tenant: &TenantId,
        component: &Component,
        quota: &ComponentQuota,
        by: &Actor,
    ) -> Result<()>;

    /// All components, by name, then newest first.
    async fn components(&self, tenant: &TenantId) -> Result<Listing<Component>>;

    /// Removes a component; refuses while a connector, or an execution that has not ended, needs it.
    ///
    /// Returns whether no tenant has that digest any more, so that the bytes can be deleted.
    async fn remove_component(&self, tenant: &TenantId, digest: &Digest, by: &Actor) -> Result<bool>;
}
