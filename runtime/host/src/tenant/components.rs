//! Uploaded components: checked before they are kept, found by their digest.

use stepbox_batch::name::Digest;
use stepbox_batch::repository::{Component, RepositoryError};
use stepbox_sandbox::digest_of;
use tokio::io::AsyncRead;

use super::Tenant;
use crate::error::Error;

pub use stepbox_sandbox::{Inspected, receive as receive_component};

/// Told before anything is written; the store has the last word, should two come at once.
fn refuse_other_bytes(known: &[Component], new: &Component) -> Result<(), RepositoryError> {
    let reference = new.reference();
    let other = known.iter().find(|known| known.reference() == reference && known.digest != new.digest);
    match other.filter(|_| new.is_release()) {
        Some(other) => Err(RepositoryError::VersionExists { reference, digest: other.digest.clone() }),
        None => Ok(()),
    }
}

impl Tenant {
    /// Checks a component without keeping it.
    pub async fn inspect_component(&self, bytes: &[u8]) -> Result<Inspected, Error> {
        Ok(self.installation.sandbox.inspect(bytes).await?)
    }

    /// Checks a component that arrives piece by piece, and keeps it. Not more is read than any component
    /// may have.
    pub async fn upload_component_from(&self, stream: impl AsyncRead + Unpin) -> Result<Component, Error> {
        match receive_component(stream).await {
            Ok(bytes) => self.upload_component(&bytes).await,
            Err(error) => {
                let error = error.into();
                self.record_refusal(None, &error).await?;
                Err(error)
            }
        }
    }

    /// Checks a component and keeps it. One that is there already is returned as it is.
    pub async fn upload_component(&self, bytes: &[u8]) -> Result<Component, Error> {
        let kept = self.keep_component(bytes).await;
        if let Err(error) = &kept {
            self.record_refusal(Some(&digest_of(bytes)), error).await?;
        }
        kept
    }

    async fn keep_component(&self, bytes: &[u8]) -> Result<Component, Error> {
        let inspected = self.inspect_component(bytes).await?;
        let by = self.by();
        let component = Component {
            digest: inspected.digest,
            name: inspected.description.name.clone(),
            version: inspected.description.version.clone(),
            world: inspected.world.to_string(),
            size_bytes: bytes.len() as u64,
            uploaded_at: by.at,
            description: inspected.description.to_json(),
        };
        let known = self.components().await?;
        refuse_other_bytes(&known, &component)?;
        self.installation.data.put_component(&component.digest, bytes)?;
        if let Some(known) = known.into_iter().find(|known| known.digest == component.digest) {
            return Ok(known);
        }
        self.installation.repository.put_component(&self.id, &component, &by).await?;
        Ok(component)
    }

    /// All components, by name, then newest first.
    pub async fn components(&self) -> Result<Vec<Component>, Error> {
        Ok(self.installation.repository.components(&self.id).await?)
    }

    /// The component that is called so: by its name and version (`normalise@1.2.0`), by its name alone,
    /// which means the newest one, or by its digest or at least 6 first digits of it.
    pub async fn component(&self, reference: &str) -> Result<Component, Error> {
        let is_digest = reference.len() >= 6 && reference.bytes().all(|b| b.is_ascii_hexdigit());
        let prefix = reference.to_ascii_lowercase();
        let is_called_so = |component: &Component| {
            (is_digest && component.digest.as_str().starts_with(&prefix))
                || component.name == reference
                || component.reference() == reference
        };
        self.components().await?.into_iter().find(is_called_so).ok_or_else(|| Error::NotFound {
            kind: "component",
            name: reference.to_owned(),
            help: "`stepbox steps list` shows all of them".to_owned(),
        })
    }

    /// Removes a component that no connector and no unfinished execution needs.
    pub async fn remove_component(&self, digest: &Digest) -> Result<(), Error> {
        if self.installation.repository.remove_component(&self.id, digest, &self.by()).await? {
            self.installation.data.remove_component(digest)?;
        }
        Ok(())
    }
}
