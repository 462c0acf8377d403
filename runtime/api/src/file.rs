//! Files that users upload as inputs of jobs.

use serde::{Deserialize, Serialize};
use stepbox_batch::uploaded_file;

/// An uploaded file. Parameters name it as `{"type": "upload", "id": "…"}`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedFile {
    /// Its id.
    pub id: String,
    /// The name that the user gave it.
    pub name: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes.
    pub digest: String,
    /// The user who uploaded it; `null` if the user is unknown.
    pub user: Option<String>,
    /// When it was uploaded.
    pub created_at: String,
    /// When it is removed, unless something needs it then.
    pub expires_at: String,
}

impl UploadedFile {
    /// Built from a stored file.
    pub fn of(file: &uploaded_file::UploadedFile) -> Self {
        Self {
            id: file.id.to_string(),
            name: file.name.clone(),
            size_bytes: file.size_bytes,
            digest: file.digest.to_string(),
            user: file.user.clone(),
            created_at: file.created_at.to_string(),
            expires_at: file.expires_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::name::{Digest, TenantId};
    use stepbox_batch::uploaded_file::FileId;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_file_survives_a_wire() {
        let file = uploaded_file::UploadedFile {
            id: FileId::from_random([1; 16]),
            tenant: TenantId::default(),
            name: "a.csv".to_owned(),
            size_bytes: 7,
            digest: Digest::from_bytes([1; 32]),
            user: Some("julia".to_owned()),
            created_at: Timestamp(0),
            expires_at: Timestamp(1),
        };
        let shown = survives(&UploadedFile::of(&file));
        assert_eq!((&shown["name"], &shown["size_bytes"]), (&"a.csv".into(), &7.into()));
    }
}
