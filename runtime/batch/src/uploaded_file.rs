//! Files that users upload as inputs of jobs.

use std::fmt;

use crate::clock::Timestamp;
use crate::name::{Digest, TenantId};

/// For how long an uploaded file is kept if nobody says otherwise, in milliseconds: seven days.
pub const FILE_KEPT_MS: u64 = 7 * 24 * 3_600_000;

/// For how long an upload may take, in milliseconds: one day. What an interrupted upload has left is removed then.
pub const UPLOAD_MS_MAX: u64 = 24 * 3_600_000;

/// The longest name of a file, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// The id of an uploaded file: 128 random bits in 22 letters and digits.
///
/// It is never a path, and nobody can guess it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(String);

const LENGTH: usize = 22;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl FileId {
    /// The id of these random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(bytes);
        let mut digits = [0; LENGTH];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(number % 62) as usize];
            number /= 62;
        }
        Self(digits.iter().map(|digit| char::from(*digit)).collect())
    }

    /// Parses 22 letters and digits; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A file that a user has uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Its id, by which parameters name it.
    pub id: FileId,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The name that the user gave it, for people.
    pub name: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The user who uploaded it; `None` if the user is unknown.
    pub user: Option<String>,
    /// When the upload began.
    pub created_at: Timestamp,
    /// When it is removed, unless something needs it then.
    pub expires_at: Timestamp,
}

/// How many files a tenant has uploaded, and how large they are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileUsage {
    /// How many, with those that arrive at this moment.
    pub count: u64,
    /// How many bytes, without those that arrive at this moment.
    pub bytes: u64,
}

/// How much a tenant may upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// How many files.
    pub count_max: u64,
    /// How many bytes, all files together.
    pub total_bytes_max: u64,
}

/// Why a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileQuotaError {
    /// There are too many.
    #[error("the tenant has {max} uploaded files, and no more may be")]
    Count {
        /// How many there may be.
        max: u64,
    },
    /// They are too large together.
    #[error("the tenant's uploaded files may have {max} bytes together, and {used} are used")]
    Total {
        /// How many bytes they may have.
        max: u64,
        /// How many bytes are used.
        used: u64,
    },
}

impl FileQuotaError {
    /// The name of the quota in a policy.
    pub fn quota(&self) -> &'static str {
        match self {
            Self::Count { .. } => "uploaded_files_max",
            Self::Total { .. } => "uploaded_bytes_max",
        }
    }
}

impl FileQuota {
    /// Refuses one more file beside the `used` ones.
    pub fn check_count(&self, used: FileUsage) -> Result<(), FileQuotaError> {
        match used.count >= self.count_max {
            true => Err(FileQuotaError::Count { max: self.count_max }),
            false => Ok(()),
        }
    }

    /// Refuses this many bytes more.
    pub fn check_bytes(&self, used: FileUsage, more: u64) -> Result<(), FileQuotaError> {
        match used.bytes.checked_add(more).is_none_or(|sum| sum > self.total_bytes_max) {
            true => Err(FileQuotaError::Total { max: self.total_bytes_max, used: used.bytes }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_22_letters_and_digits() {
        let ids = [[0; 16], [1; 16], [0xff; 16]].map(FileId::from_random);
        let texts = ids.each_ref().map(FileId::as_str);
        assert_eq!(texts[0], "0000000000000000000000");
        assert_eq!(texts[2], "7n42DGM5Tflk9n8mt7Fhc7");
        assert!(ids.iter().all(|id| FileId::parse(id.as_str()).as_ref() == Some(id)));
        let long = "0".repeat(23);
        for text in
            ["", "..", "../../../etc/passwd...", "00000000000000000000 0", "000000000000000000000é", &long]
        {
            assert_eq!(FileId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_quota_counts_files_and_bytes() {
        let quota = FileQuota { count_max: 2, total_bytes_max: 10 };
        let used = |count, bytes| FileUsage { count, bytes };
        assert_eq!(quota.check_count(used(1, 99)), Ok(()));
        assert_eq!(quota.check_count(used(2, 0)), Err(FileQuotaError::Count { max: 2 }));
        assert_eq!(quota.check_bytes(used(9, 4), 6), Ok(()));
        assert_eq!(quota.check_bytes(used(0, 4), 7), Err(FileQuotaError::Total { max: 10, used: 4 }));
        assert!(quota.check_bytes(used(0, 4), u64::MAX).is_err());
    }
}
