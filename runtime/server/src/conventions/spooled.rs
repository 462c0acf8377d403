//! A large body that has arrived, in a file without a name.

use std::io;

use tokio::fs::File;

use super::failure::Failure;

/// A large body, in a file without a name.
#[derive(Debug)]
pub(crate) struct Spooled {
    pub(crate) file: File,
    pub(crate) size: u64,
}

impl Spooled {
    /// The whole body, once it is needed as a whole.
    pub(crate) async fn into_bytes(mut self) -> Result<Vec<u8>, Failure> {
        use tokio::io::AsyncReadExt as _;
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.file.read_to_end(&mut bytes).await.map_err(|error| unwritable(&error))?;
        Ok(bytes)
    }

    pub(crate) async fn into_std(self) -> std::fs::File {
        self.file.into_std().await
    }
}

pub(crate) fn unwritable(error: &io::Error) -> Failure {
    Failure::unexpected(format!("a body cannot be kept: {error}"))
}
