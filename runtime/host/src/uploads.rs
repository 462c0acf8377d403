//! The bytes of uploaded files: `uploads/<tenant>/<id>` in the data folder, and in pieces in the folder that machines
//! share.
//!
//! The store knows each file before its first byte is written and until its last byte is removed. So whatever a process
//! leaves behind that is killed in between is found and removed: in the shared folder by its row, on each machine by
//! the files that have no row.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::uploaded_file::FileId;
use stepbox_connectors::UploadedFiles;

use crate::data_folder::{DataFolder, create_private_folder, private};
use crate::error::Error;
use crate::regular_file::open_regular;

/// How many bytes of an upload are in memory at a time.
pub(crate) const BUFFER_BYTES: usize = 64 << 10;

/// How many bytes a tenant's uploads have written that are still arriving in this process.
#[derive(Debug, Default)]
pub(crate) struct Arriving(AtomicU64);

impl Arriving {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file that arrives. Its bytes are removed if it is dropped before it is complete.
pub(crate) struct ArrivingFile<'a> {
    file: Option<File>,
    path: PathBuf,
    final_path: PathBuf,
    hash: Sha256,
    length: u64,
    arriving: &'a Arriving,
}

/// The length and the SHA-256 of a file.
pub(crate) struct Arrived {
    pub(crate) length: u64,
    pub(crate) digest: Digest,
}

impl<'a> ArrivingFile<'a> {
    pub(crate) fn create(
        data: &DataFolder,
        tenant: &TenantId,
        id: &FileId,
        arriving: &'a Arriving,
    ) -> Result<Self, Error> {
        let final_path = data.upload(tenant, id);
        let path = final_path.with_extension("part");
        let folder = final_path.parent().unwrap_or(Path::new("."));
        let created = create_private_folder(folder).and_then(|()| private().create_new(true).open(&path));
        let file = created.map_err(|source| unwritable(&path, source))?;
        Ok(Self { file: Some(file), path, final_path, hash: Sha256::new(), length: 0, arriving })
    }

    /// Appends bytes, on a thread that may block. Returns the buffer for the next ones.
    pub(crate) async fn append(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.hash.update(&bytes);
        let count = bytes.len() as u64;
        self.length += count;
        self.arriving.0.fetch_add(count, Ordering::Relaxed);
        self.on_thread(move |file| file.write_all(&bytes).map(|()| bytes)).await
    }

    /// Makes the file durable under its final name.
    pub(crate) async fn complete(mut self) -> Result<Arrived, Error> {
        let (path, final_path) = (self.path.clone(), self.final_path.clone());
        self.on_thread(move |file| {
            file.sync_all()?;
            fs::rename(&path, &final_path)?;
            File::open(final_path.parent().unwrap_or(Path::new(".")))?.sync_all()
        })
        .await?;
        self.file = None;
        let digest = Digest::from_bytes(std::mem::take(&mut self.hash).finalize().into());
        Ok(Arrived { length: self.length, digest })
    }

    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let mut file =
            self.file.take().ok_or_else(|| unwritable(&self.path, io::ErrorKind::BrokenPipe.into()))?;
        let worked = tokio::task::spawn_blocking(move || (work(&mut file), file)).await;
        let (done, file) = worked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        self.file = Some(file);
        done.map_err(|source| unwritable(&self.path, source))
    }
}

impl Drop for ArrivingFile<'_> {
    fn drop(&mut self) {
        self.arriving.0.fetch_sub(self.length, Ordering::Relaxed);
        // A complete file has another name. If it cannot be removed now, the retention service removes it later.
        let _ = fs::remove_file(&self.path);
    }
}

fn unwritable(path: &Path, source: io::Error) -> Error {
    Error::DataFolder { path: path.to_owned(), action: "cannot be written", source }
}

/// The uploaded files of one tenant, for its readers.
#[derive(Debug)]
pub(crate) struct TenantUploads {
    pub(crate) data: DataFolder,
    pub(crate) tenant: TenantId,
}

impl UploadedFiles for TenantUploads {
    fn open(&self, id: &str) -> io::Result<File> {
        // Only such a text becomes a part of a path.
        let id = FileId::parse(id).ok_or(io::ErrorKind::NotFound)?;
        let path = self.data.upload(&self.tenant, &id);
        match (open_regular(&path), self.data.shared()) {
            (Err(error), Some(shared)) if error.kind() == io::ErrorKind::NotFound => {
                let fetched = shared.fetch_upload(&self.tenant, &id, &path);
                if !fetched.map_err(io::Error::other)? {
                    return Err(error);
                }
                open_regular(&path)
            }
            (opened, _) => opened,
        }
    }
}
