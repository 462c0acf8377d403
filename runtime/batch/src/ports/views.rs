//! The port for filters that users keep.

use async_trait::async_trait;

use super::error::Result;
use crate::name::{TenantId, UserName};
use crate::saved_view::SavedView;

/// Filters of executions that users keep under names, for each user and tenant.
///
/// They go with the user, and with the user's role in the tenant.
#[async_trait]
pub trait SavedViews: Send + Sync + 'static {
    /// The views of a user, by name.
    async fn views(&self, tenant: &TenantId, user: &UserName) -> Result<Vec<SavedView>>;

    /// Keeps a view, or changes the filter of the one with that name.
    ///
    /// Refuses more than [`VIEWS_MAX`](crate::saved_view::VIEWS_MAX) views.
    async fn put_view(&self, tenant: &TenantId, user: &UserName, view: &SavedView) -> Result<()>;

    /// Forgets a view; fails with `NotFound` if there is none of that name.
    async fn remove_view(&self, tenant: &TenantId, user: &UserName, name: &str) -> Result<()>;
}
