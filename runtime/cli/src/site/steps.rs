//! Components for steps.

use std::path::Path;

use stepbox::{COMPONENT_BYTES_MAX, ComponentError, Error, Tenant, receive_component};
use stepbox_api::connector::Component;
use stepbox_api::list::Row;
use stepbox_client::{ComponentSource, Outgoing};
use tokio::fs::File;

use super::{Here, Site, There};
use crate::error::CliError;
use crate::output::{talk, upload, words};
use crate::pull::{self, Wanted};
use crate::signature::Signature;

impl Site {
    /// Checks the component in a file, and keeps it.
    pub(crate) async fn upload_file(
        &self,
        path: &Path,
        signature: &Signature,
    ) -> Result<Component, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => keep(tenant, &read(path).await?, signature).await,
            Self::There(There { tenant }) => {
                Ok(tenant.upload_component(&source(path).await?, signature.text()).await?)
            }
        }
    }

    /// Pulls a component from a registry, checks it, and keeps it.
    pub(crate) async fn pull(&self, wanted: Wanted, signature: &Signature) -> Result<Component, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let bytes = pull::pull(wanted).await?;
                talk(format!("pulled {}", words::bytes(bytes.len() as u64)));
                keep(tenant, &bytes, signature).await
            }
            Self::There(There { tenant }) => {
                let wanted = pull::request(wanted, signature.text())?;
                let component = tenant.pull_component(&wanted).await?;
                talk(format!("pulled {}", words::bytes(component.size_bytes)));
                Ok(component)
            }
        }
    }

    /// Checks the component in a file without keeping it.
    pub(crate) async fn inspect_file(&self, path: &Path) -> Result<Component, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => inspect(tenant, path).await,
            Self::There(There { tenant }) => {
                let component = source(path).await?;
                let signature = Signature::beside(path).await?;
                Ok(tenant.inspect_component(&component, signature.text()).await?)
            }
        }
    }

    /// All components.
    pub(crate) async fn components(&self) -> Result<Vec<Row<Component>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.components().await?, Component::of)),
            Self::There(there) => Ok(there.tenant.components().all().await?),
        }
    }

    /// An uploaded component, by its name, its name and version, or its digest.
    pub(crate) async fn component(&self, reference: &str) -> Result<Component, CliError> {
        match self {
            Self::Here(here) => Ok(Component::of(&here.tenant.component(reference).await?)),
            Self::There(there) => Ok(there.tenant.component(reference).await?),
        }
    }

    /// Removes a component, and returns its name and version.
    pub(crate) async fn remove_component(&self, reference: &str) -> Result<String, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let component = tenant.component(reference).await?;
                tenant.remove_component(&component.digest).await?;
                Ok(component.reference())
            }
            Self::There(There { tenant }) => {
                let component = tenant.component(reference).await?;
                tenant.remove_component(&component.digest).await?;
                Ok(component.reference())
            }
        }
    }
}

async fn keep(tenant: &Tenant, bytes: &[u8], signature: &Signature) -> Result<Component, CliError> {
    Ok(Component::of(&tenant.upload(signature.upload(bytes)).await?))
}

async fn inspect(tenant: &Tenant, path: &Path) -> Result<Component, CliError> {
    let bytes = read(path).await?;
    let inspected = tenant.inspect_component(&bytes).await?;
    let signature = Signature::beside(path).await?;
    Ok(Component {
        digest: inspected.digest.to_string(),
        name: inspected.description.name.clone(),
        version: inspected.description.version.clone(),
        world: inspected.world.to_string(),
        size_bytes: bytes.len() as u64,
        uploaded_at: None,
        // A wrong signature is no error here: people inspect a component before they sign it.
        signed_by: tenant.signer_of(signature.upload(&bytes)).ok().flatten().map(|signer| signer.name),
        description: inspected.description.to_json(),
    })
}

/// A component to send: a file piece by piece, and what has no length, such as a pipe, as a whole.
async fn source(path: &Path) -> Result<ComponentSource, CliError> {
    let found = tokio::fs::metadata(path).await.map_err(CliError::unreadable(path))?;
    if !found.is_file() || found.len() > COMPONENT_BYTES_MAX as u64 {
        // A file that is too long is refused here.
        return Ok(ComponentSource::Bytes(read(path).await?));
    }
    let name = path.display().to_string();
    Ok(ComponentSource::File(upload::shown(Outgoing::open(path).await?, &name)))
}

/// Reads no more of a file than a component may have, also from a device or a pipe without an end.
async fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let opened = File::open(path).await.map_err(CliError::unreadable(path))?;
    receive_component(opened).await.map_err(|error| told(path, error.into()))
}

/// Names the file in an error.
fn told(path: &Path, error: Error) -> CliError {
    match error {
        Error::Component(ComponentError::Unreadable { source }) => CliError::unreadable(path)(source),
        other => other.into(),
    }
}
