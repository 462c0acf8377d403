//! Rows of `uploads`.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{RepositoryError, Result};
use stepbox_batch::uploaded_file::{FileId, FileQuotaError, UploadedFile};

use super::columns::Columns;
use super::{Row, stored};

/// A row of `uploads`, without its state.
#[derive(Debug)]
pub(crate) struct UploadRecord {
    pub tenant: String,
    pub id: String,
    pub name: String,
    pub size_bytes: i64,
    pub digest: String,
    pub user_name: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
}

/// Every column of [`UploadRecord`].
pub(crate) const UPLOAD_COLUMNS: &str =
    "tenant, id, name, size_bytes, digest, user_name, created_at, expires_at";

/// The file arrives.
pub(crate) const ARRIVING: i64 = 0;
/// The file is complete.
pub(crate) const COMPLETE: i64 = 1;
/// The file goes.
pub(crate) const GOING: i64 = 2;

impl From<&UploadedFile> for UploadRecord {
    fn from(file: &UploadedFile) -> Self {
        let UploadedFile { id, tenant, name, size_bytes, digest, user, created_at, expires_at } = file;
        Self {
            tenant: tenant.to_string(),
            id: id.to_string(),
            name: name.clone(),
            size_bytes: stored(*size_bytes),
            digest: digest.to_string(),
            user_name: user.clone(),
            created_at: created_at.0,
            expires_at: expires_at.0,
        }
    }
}

impl UploadRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            tenant: row.text("tenant")?,
            id: row.text("id")?,
            name: row.text("name")?,
            size_bytes: row.number("size_bytes")?,
            digest: row.text("digest")?,
            user_name: row.maybe_text("user_name")?,
            created_at: row.number("created_at")?,
            expires_at: row.number("expires_at")?,
        })
    }

    pub(crate) fn into_file(self) -> Result<UploadedFile> {
        let (tenant, id) = self.names()?;
        let row = Row(format!("file `{id}`"));
        Ok(UploadedFile {
            id,
            tenant,
            name: self.name,
            size_bytes: row.count("size_bytes", self.size_bytes)?,
            digest: Digest::parse(&self.digest).ok_or_else(|| row.corrupt("digest", "it is malformed"))?,
            user: self.user_name,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
        })
    }

    /// The tenant and the id, which are in the names of files.
    pub(crate) fn names(&self) -> Result<(TenantId, FileId)> {
        let row = Row(format!("file `{}`", self.id));
        let id = FileId::parse(&self.id).ok_or_else(|| row.corrupt("id", "it is malformed"))?;
        Ok((row.name("tenant", self.tenant.clone())?, id))
    }
}

/// There is no such file.
pub(crate) fn no_file(id: &FileId) -> RepositoryError {
    RepositoryError::NotFound { kind: "file", name: id.to_string() }
}

/// The quota has no room.
pub(crate) fn no_room(error: FileQuotaError) -> RepositoryError {
    RepositoryError::FileQuota(error)
}

/// Something needs the file.
pub(crate) fn in_use(id: &FileId, user: String) -> RepositoryError {
    RepositoryError::InUse { kind: "file", name: id.to_string(), user }
}
