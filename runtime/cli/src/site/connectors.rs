//! Connectors.

use std::path::Path;

use stepbox::Error;
use stepbox_api::connector::{Connector, ConnectorSummary, Grant, Installed};
use stepbox_api::list::Row;

use super::{Here, Site};
use crate::error::CliError;

impl Site {
    /// Installs the connector in a folder; with `force` also if instances do not run any more.
    pub(crate) async fn install_connector(&self, folder: &Path, force: bool) -> Result<Installed, CliError> {
        match self {
            Self::Here(here) => here.install_connector(folder, force).await,
        }
    }

    /// All connectors.
    pub(crate) async fn connectors(&self) -> Result<Vec<Row<ConnectorSummary>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.connectors().await?, ConnectorSummary::of)),
        }
    }

    /// A connector, by its code or its label.
    pub(crate) async fn connector(&self, name: &str) -> Result<Connector, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let connector = tenant.connector(name).await?;
                let grants = tenant.policy().leaves_of(&connector);
                Ok(Connector::of(&connector, grants.iter().map(Grant::of).collect()))
            }
        }
    }

    /// Removes a connector, by its code or its label, and returns its code.
    pub(crate) async fn remove_connector(&self, name: &str) -> Result<String, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let connector = tenant.connector(name).await?;
                tenant.remove_connector(&connector.code).await?;
                Ok(connector.code.to_string())
            }
        }
    }
}

impl Here {
    async fn install_connector(&self, folder: &Path, force: bool) -> Result<Installed, CliError> {
        let (connector, broken) = match self.tenant.install_connector(folder).await {
            Err(Error::BreaksInstances { instances, .. }) if force => {
                (self.tenant.replace_connector(folder).await?, instances)
            }
            installed => (installed?, Vec::new()),
        };
        let grants = self.tenant.policy().leaves_of(&connector);
        Ok(Installed::of(&connector, grants.iter().map(Grant::of).collect(), &broken))
    }
}
