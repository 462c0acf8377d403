//! Uploaded components: they are checked before they are stored, and found by their digest.

use stepbox_batch::inventory::{Component, Signer};
use stepbox_batch::name::Digest;
use stepbox_batch::ports::{Listing, RepositoryError};
use stepbox_batch::remedy::{Listed, Remedy};
use tokio::io::AsyncRead;

use super::Tenant;
use crate::components_policy::ComponentsPolicy;
use crate::error::Error;
use crate::signature::{self, SignatureError};

use stepbox_sandbox::digest_of;
pub use stepbox_sandbox::{Inspected, receive as receive_component};

/// A component to upload, with its signature.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The component.
    pub bytes: &'a [u8],
    /// The text of a signature of these bytes.
    ///
    /// It is ignored if the policy requires no signature.
    pub signature: Option<&'a str>,
    /// The name of the signature in error messages: its file, or the file that is missing.
    ///
    /// May be empty.
    pub signature_file: &'a str,
}

impl<'a> Upload<'a> {
    /// A component without a signature.
    pub fn unsigned(bytes: &'a [u8]) -> Self {
        Self { bytes, signature: None, signature_file: "" }
    }

    /// Adds a signature, as `minisign` makes it.
    #[must_use]
    pub fn signed(self, signature: &'a str, file: &'a str) -> Self {
        Self { signature: Some(signature), signature_file: file, ..self }
    }
}

/// Refuses a second component with the same release version before anything is written. If two uploads arrive
/// at once, the store decides.
fn refuse_other_bytes(known: &[Component], new: &Component) -> Result<(), RepositoryError> {
    let reference = new.reference();
    let other = known.iter().find(|known| known.reference() == reference && known.digest != new.digest);
    match other.filter(|_| new.is_release()) {
        Some(other) => Err(RepositoryError::VersionExists { reference, digest: other.digest.clone() }),
        None => Ok(()),
    }
}

impl Tenant {
    /// Checks a component without storing it.
    pub async fn inspect_component(&self, bytes: &[u8]) -> Result<Inspected, Error> {
        Ok(self.installation.sandbox.inspect(bytes).await?)
    }

    /// Checks the signature of a component, and returns its signer.
    ///
    /// `None` if the policy requires no signature.
    pub fn signer_of(&self, upload: Upload<'_>) -> Result<Option<Signer>, SignatureError> {
        let policy = self.policy();
        let Some(keys) = &policy.components.signed_by else { return Ok(None) };
        let file = upload.signature_file;
        match upload.signature {
            Some(text) => signature::verify(keys, upload.bytes, file, text).map(Some),
            None => Err(SignatureError::Unsigned { looked_for: file.to_owned(), accepted: keys.clone() }),
        }
    }

    /// Checks and stores a component that arrives piece by piece without a signature.
    ///
    /// It reads no more than the maximum size of a component.
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

    /// Checks and stores a component without a signature.
    ///
    /// If the component is already stored, it is returned unchanged.
    pub async fn upload_component(&self, bytes: &[u8]) -> Result<Component, Error> {
        self.upload(Upload::unsigned(bytes)).await
    }

    /// Checks and stores a component.
    ///
    /// The signature is checked first. A component that is already stored is returned as it is and needs no
    /// signature again. A new signature replaces the earlier one.
    pub async fn upload(&self, upload: Upload<'_>) -> Result<Component, Error> {
        let kept = self.admit(upload).await;
        if let Err(error) = &kept {
            self.record_refusal(Some(&digest_of(upload.bytes)), error).await?;
        }
        kept
    }

    async fn admit(&self, upload: Upload<'_>) -> Result<Component, Error> {
        let component = self.checked(upload).await?;
        self.keep(component, upload.bytes).await
    }

    /// Checks a component like [`upload`](Self::upload), and stores nothing.
    pub async fn check_upload(&self, upload: Upload<'_>) -> Result<Component, Error> {
        let component = self.checked(upload).await?;
        let known = self.components().await?;
        refuse_other_bytes(&known, &component)?;
        match known.into_iter().find(|known| known.digest == component.digest) {
            Some(known) if component.signer.is_none() => Ok(known),
            _ => Ok(component),
        }
    }

    /// The component of an upload that has passed all checks but those of the store.
    async fn checked(&self, upload: Upload<'_>) -> Result<Component, Error> {
        let bytes = upload.bytes;
        let known = self.components().await?;
        let digest = digest_of(bytes);
        let is_known = known.iter().find(|known| known.digest == digest);
        if is_known.is_none() {
            self.refuse_without_room(&known, bytes.len() as u64)?;
        }
        let is_signed = is_known.is_some_and(|known| self.policy().components.judge(known).is_ok());
        // Nothing is compiled before its signature is accepted.
        let signer = match self.signer_of(upload) {
            Err(SignatureError::Unsigned { .. }) if is_signed => None,
            judged => judged?,
        };
        let inspected = self.inspect_component(bytes).await?;
        let by = self.by()?;
        Ok(Component {
            digest: inspected.digest,
            name: inspected.description.name.clone(),
            version: inspected.description.version.clone(),
            world: inspected.world.to_string(),
            size_bytes: bytes.len() as u64,
            uploaded_at: by.at,
            description: inspected.description.to_json(),
            signer,
        })
    }

    /// Refuses a component that the quota has no room for, before the component is checked. The store makes
    /// the final check of the quota.
    fn refuse_without_room(&self, known: &[Component], size: u64) -> Result<(), Error> {
        let policy = self.policy();
        let ComponentsPolicy { upload, quota, .. } = &policy.components;
        if !upload && !self.is_operators {
            return Err(Error::UploadClosed);
        }
        let used = known.iter().map(|known| known.size_bytes).sum();
        Ok(quota.check(known.len() as u64, used, size).map_err(RepositoryError::ComponentQuota)?)
    }

    /// Stores a component that has passed all checks. Only one at a time, so that no bytes are written for a
    /// component that the store then refuses. Another process could still store one in between. The result
    /// would only be an unused file.
    async fn keep(&self, component: Component, bytes: &[u8]) -> Result<Component, Error> {
        let _alone = self.installation.keeping.lock().await;
        let known = self.components().await?;
        refuse_other_bytes(&known, &component)?;
        if known.iter().all(|known| known.digest != component.digest) {
            self.refuse_without_room(&known, component.size_bytes)?;
        }
        self.installation.data.put_component_everywhere(&component.digest, bytes).await?;
        let known = known.into_iter().find(|known| known.digest == component.digest);
        match known {
            Some(known) if component.signer.is_none() || component.signer == known.signer => Ok(known),
            known => {
                let policy = self.policy();
                let quota = &policy.components.quota;
                self.installation.repository.put_component(&self.id, &component, quota, &self.by()?).await?;
                let uploaded_at = known.map_or(component.uploaded_at, |known| known.uploaded_at);
                Ok(Component { uploaded_at, ..component })
            }
        }
    }

    /// All components, by name, then newest first.
    pub async fn components(&self) -> Result<Listing<Component>, Error> {
        Ok(self.installation.repository.components(&self.id).await?)
    }

    /// Finds a component by its name and version (`normalise@1.2.0`), by its name alone, which means the
    /// newest version, or by its digest or at least the first 6 digits of it.
    pub async fn component(&self, reference: &str) -> Result<Component, Error> {
        let is_digest = reference.len() >= 6 && reference.bytes().all(|b| b.is_ascii_hexdigit());
        let prefix = reference.to_ascii_lowercase();
        let is_called_so = |component: &Component| {
            (is_digest && component.digest.as_str().starts_with(&prefix))
                || component.name == reference
                || component.reference() == reference
        };
        self.components().await?.into_iter().find(is_called_so).ok_or_else(|| {
            Error::not_found("component", reference, None, Remedy::List { what: Listed::Components })
        })
    }

    /// Removes a component that no connector and no unfinished execution needs.
    pub async fn remove_component(&self, digest: &Digest) -> Result<(), Error> {
        let _alone = self.installation.keeping.lock().await;
        if self.installation.repository.remove_component(&self.id, digest, &self.by()?).await? {
            self.installation.data.remove_component_everywhere(digest).await?;
        }
        Ok(())
    }
}
