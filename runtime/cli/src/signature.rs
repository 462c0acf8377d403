//! The signature of a component.

use std::io;
use std::path::Path;

use stepbox::{SIGNATURE_SUFFIX, Upload, read_signature};

use crate::error::CliError;
use crate::site::Site;

/// The signature of a component, if there is one.
pub(crate) struct Signature {
    text: Option<String>,
    /// The file in which it was looked for; empty if there is no such file.
    file: String,
}

impl Signature {
    /// The signature in a file that the command names. The file must exist, and the policy must list keys.
    pub(crate) async fn named(site: &Site, file: &Path) -> Result<Self, CliError> {
        if !site.requires_signatures().await? {
            return Err(CliError::NoKeys);
        }
        let signature = Self::read(file).await?;
        match signature.text {
            Some(_) => Ok(signature),
            None => Err(CliError::unreadable(file)(io::ErrorKind::NotFound.into())),
        }
    }

    /// The signature beside a component's file, if there is one.
    pub(crate) async fn beside(component: &Path) -> Result<Self, CliError> {
        let mut file = component.as_os_str().to_owned();
        file.push(SIGNATURE_SUFFIX);
        Self::read(Path::new(&file)).await
    }

    /// No signature.
    pub(crate) fn none() -> Self {
        Self { text: None, file: String::new() }
    }

    /// The text of the signature, if there is one.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The component with its signature.
    pub(crate) fn upload<'a>(&'a self, bytes: &'a [u8]) -> Upload<'a> {
        Upload { bytes, signature: self.text.as_deref(), signature_file: &self.file }
    }

    async fn read(file: &Path) -> Result<Self, CliError> {
        let text = read_signature(file).await.map_err(CliError::unreadable(file))?;
        Ok(Self { text, file: file.display().to_string() })
    }
}
