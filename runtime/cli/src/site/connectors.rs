//! Connectors.

use std::path::Path;

use stepbox::Error;
use stepbox_api::connector::{Connector, ConnectorSummary, Grant, Installed};
use stepbox_api::form::ConnectorPreview;
use stepbox_api::list::Row;
use stepbox_client::{Outgoing, pack_folder};
use tempfile::NamedTempFile;

use super::{Here, Site, There};
use crate::error::CliError;
use crate::output::upload;

/// How many bytes the files of a connector may have together, if they are sent to a server.
const PACKAGE_BYTES_MAX: u64 = 4 * stepbox::COMPONENT_BYTES_MAX as u64;

impl Site {
    /// Installs the connector in a folder; with `force` also if instances do not run any more.
    pub(crate) async fn install_connector(&self, folder: &Path, force: bool) -> Result<Installed, CliError> {
        match self {
            Self::Here(here) => here.install_connector(folder, force).await,
            Self::There(there) => there.install_connector(folder, force).await,
        }
    }

    /// Checks the connector in a folder without keeping anything.
    pub(crate) async fn preview_connector(&self, folder: &Path) -> Result<ConnectorPreview, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let connector = tenant.preview_connector(folder).await?;
                let grants = tenant.policy().leaves_of(&connector);
                let shown = Connector::of(&connector, grants.iter().map(Grant::of).collect());
                Ok(ConnectorPreview::of(&connector, shown))
            }
            Self::There(there) => {
                let package = packed(folder).await?;
                let sent = Outgoing::open(package.path()).await?;
                let sent = upload::shown(sent, &folder.display().to_string());
                Ok(there.tenant.preview_connector(&sent).await?)
            }
        }
    }

    /// All connectors.
    pub(crate) async fn connectors(&self) -> Result<Vec<Row<ConnectorSummary>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.connectors().await?, ConnectorSummary::of)),
            Self::There(there) => Ok(there.tenant.connectors().all().await?),
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
            Self::There(there) => Ok(there.tenant.connector(name).await?),
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
            Self::There(There { tenant }) => {
                let code = tenant.connector(name).await?.code;
                tenant.remove_connector(&code).await?;
                Ok(code)
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

/// The folder as a package in a temporary file, to be sent.
async fn packed(folder: &Path) -> Result<NamedTempFile, CliError> {
    let folder = folder.to_owned();
    let packed = tokio::task::spawn_blocking(move || {
        let mut package = NamedTempFile::new().map_err(CliError::Start)?;
        pack_folder(&folder, PACKAGE_BYTES_MAX, &mut package)?;
        Ok::<_, CliError>(package)
    });
    packed.await.map_err(|error| CliError::Start(error.into()))?
}

impl There {
    async fn install_connector(&self, folder: &Path, force: bool) -> Result<Installed, CliError> {
        let package = packed(folder).await?;
        let sent = Outgoing::open(package.path()).await?;
        let sent = upload::shown(sent, &folder.display().to_string());
        Ok(self.tenant.install_connector(&sent, force).await?)
    }
}
