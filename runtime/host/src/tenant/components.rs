//! Uploaded components: checked before they are kept, found by their digest.

use stepbox_batch::name::Digest;
use stepbox_batch::repository::Component;
use tokio::io::AsyncRead;

use super::Tenant;
use crate::error::Error;

pub use stepbox_sandbox::{Inspected, receive as receive_component};

impl Tenant {
    /// Checks a component without keeping it.
    pub async fn inspect_component(&self, bytes: &[u8]) -> Result<Inspected, Error> {
        Ok(self.installation.sandbox.inspect(bytes).await?)
    }

    /// Checks a component that arrives piece by piece, and keeps it. Not more is read than any component
    /// may have.
    pub async fn upload_component_from(&self, stream: impl AsyncRead + Unpin) -> Result<Component, Error> {
        self.upload_component(&receive_component(stream).await?).await
    }

    /// Checks a component and keeps it. One that is there already is returned as it is.
    pub async fn upload_component(&self, bytes: &[u8]) -> Result<Component, Error> {
        let inspected = self.inspect_component(bytes).await?;
        self.installation.data.put_component(&inspected.digest, bytes)?;
        if let Some(known) =
            self.components().await?.into_iter().find(|known| known.digest == inspected.digest)
        {
            return Ok(known);
        }
        let component = Component {
            digest: inspected.digest,
            name: inspected.description.name.clone(),
            version: inspected.description.version.clone(),
            world: inspected.world.to_string(),
            size_bytes: bytes.len() as u64,
            uploaded_at: self.installation.clock.now(),
            description: inspected.description.to_json(),
        };
        self.installation.repository.put_component(&self.id, &component).await?;
        Ok(component)
    }

    /// All components, by name, then newest first.
    pub async fn components(&self) -> Result<Vec<Component>, Error> {
        Ok(self.installation.repository.components(&self.id).await?)
    }

    /// The component whose digest begins so (at least 6 digits), or the newest one of that name.
    pub async fn component(&self, name_or_digest: &str) -> Result<Component, Error> {
        let components = self.components().await?;
        let is_digest = name_or_digest.len() >= 6 && name_or_digest.bytes().all(|b| b.is_ascii_hexdigit());
        let prefix = name_or_digest.to_ascii_lowercase();
        let mut matching = components.iter().filter(|component| {
            (is_digest && component.digest.as_str().starts_with(&prefix)) || component.name == name_or_digest
        });
        matching.next().cloned().ok_or_else(|| Error::NotFound {
            kind: "component",
            name: name_or_digest.to_owned(),
            help: "`stepbox steps list` shows all of them".to_owned(),
        })
    }

    /// Removes a component that no connector and no unfinished execution needs.
    pub async fn remove_component(&self, digest: &Digest) -> Result<(), Error> {
        if self.installation.repository.remove_component(&self.id, digest).await? {
            self.installation.data.remove_component(digest)?;
        }
        Ok(())
    }
}
