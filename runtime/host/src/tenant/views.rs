//! Filters of executions that users keep under names.

use stepbox_batch::name::UserName;
use stepbox_batch::saved_view::SavedView;

use super::Tenant;
use crate::error::Error;

impl Tenant {
    /// The views that a user keeps in the tenant, by name.
    pub async fn views(&self, user: &UserName) -> Result<Vec<SavedView>, Error> {
        Ok(self.installation.repository.views(&self.id, user).await?)
    }

    /// Keeps a view of a user, or changes the filter of the one with that name.
    pub async fn put_view(&self, user: &UserName, view: &SavedView) -> Result<(), Error> {
        Ok(self.installation.repository.put_view(&self.id, user, view).await?)
    }

    /// Forgets a view of a user.
    pub async fn remove_view(&self, user: &UserName, name: &str) -> Result<(), Error> {
        Ok(self.installation.repository.remove_view(&self.id, user, name).await?)
    }
}
