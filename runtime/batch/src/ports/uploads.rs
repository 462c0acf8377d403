//! Files that users upload as inputs of jobs: what is known of each. Their bytes are kept elsewhere.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::name::TenantId;
use crate::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};

/// Uploaded files.
///
/// A file arrives, is complete, and goes. Its row is there before its bytes come and until they are gone, so that no
/// bytes are left behind by a process that dies in between.
#[async_trait]
pub trait Uploads: Send + Sync + 'static {
    /// Records that a file arrives; refuses one file too many.
    ///
    /// It is not listed before it is complete. If that never happens, it is retired after
    /// [`UPLOAD_MS_MAX`](crate::uploaded_file::UPLOAD_MS_MAX).
    async fn begin_file(&self, file: &UploadedFile, quota: &FileQuota) -> Result<()>;

    /// Records that the bytes of a file are there; refuses more bytes than the tenant may have.
    ///
    /// Fails with `NotFound` if the file does not arrive any more.
    async fn complete_file(&self, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Result<()>;

    /// A complete file.
    async fn file(&self, tenant: &TenantId, id: &FileId) -> Result<Option<UploadedFile>>;

    /// The complete files, newest first.
    async fn files(&self, tenant: &TenantId) -> Result<Listing<UploadedFile>>;

    /// How much of its quota the tenant uses.
    async fn file_usage(&self, tenant: &TenantId) -> Result<FileUsage>;

    /// Lets a file go: it cannot be used any more, and its bytes can be removed.
    ///
    /// Refuses while an instance or an execution that has not ended names it.
    async fn retire_file(&self, tenant: &TenantId, id: &FileId, by: &Actor) -> Result<()>;

    /// Lets the files go whose time is over, and uploads that were never completed, of all tenants.
    ///
    /// A complete file that an instance or an execution that has not ended names is kept. Returns all files that go, also
    /// those of earlier calls whose bytes may still be there.
    async fn retire_files(&self, now: Timestamp) -> Result<Vec<(TenantId, FileId)>>;

    /// Forgets a file that goes or that does not arrive any more, after its bytes are removed. A complete file stays.
    async fn forget_file(&self, tenant: &TenantId, id: &FileId) -> Result<()>;

    /// Whether a file is known: it arrives, is complete, or goes.
    async fn is_known_file(&self, tenant: &TenantId, id: &FileId) -> Result<bool>;
}
