//! Workers.

use stepbox_api::worker::Worker;

use super::Tenant;
use crate::pages::Pages;

impl Tenant {
    /// The workers that may take executions of the tenant, living ones and lost ones.
    pub fn workers(&self) -> Pages<Worker> {
        self.pages(&["workers"], Vec::new())
    }
}
