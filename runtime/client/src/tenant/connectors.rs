//! Connectors.

use stepbox_api::connector::{Connector, ConnectorSummary, Installed};
use stepbox_api::form::ConnectorPreview;

use super::Tenant;
use crate::ask::{Ask, Content};
use crate::error::ClientError;
use crate::outgoing::Outgoing;
use crate::pages::Pages;

impl Tenant {
    /// Installs a connector from the package of its folder, which [`pack_folder`](crate::pack_folder) makes, or replaces
    /// the connector with the same code.
    ///
    /// With `force` it does so even if instances cannot run afterwards.
    pub async fn install_connector(&self, package: &Outgoing, force: bool) -> Result<Installed, ClientError> {
        let content = Content::File { media_type: "application/x-tar", file: package };
        let ask = Ask::post(self.path(&["connectors"])).content(content);
        self.json(ask.query("force", force.then_some(true))).await
    }

    /// Has the package of a connector's folder checked without keeping anything, and shows its forms.
    pub async fn preview_connector(&self, package: &Outgoing) -> Result<ConnectorPreview, ClientError> {
        let content = Content::File { media_type: "application/x-tar", file: package };
        self.json(Ask::post(self.path(&["connector-preview"])).content(content)).await
    }

    /// All connectors: that of Stepbox itself, then the installed ones.
    pub fn connectors(&self) -> Pages<ConnectorSummary> {
        self.pages(&["connectors"], Vec::new())
    }

    /// A connector, by its code or its label.
    pub async fn connector(&self, name: &str) -> Result<Connector, ClientError> {
        self.get(&["connectors", name]).await
    }

    /// Removes an installed connector that no instance needs.
    pub async fn remove_connector(&self, code: &str) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["connectors", code]))).await
    }
}
