//! The state of a file, so that a change of the file is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::regular_file::read_regular;

/// How many bytes of a file are compared. Policies and secrets are not longer.
const BYTES_MAX: u64 = (64 << 10) + 2;

/// How long after the last change of a file its times show the next change for certain. Some file systems
/// count time in steps of two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The files with settings for a tenant, each with its state before it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadFrom(pub(super) BTreeMap<PathBuf, Stamp>);

/// The state of a file. Two states are equal if the file has the same bytes, or is missing in both.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp {
    digest: Option<[u8; 32]>,
    /// The time of the last change, the length and the inode; `None` if these cannot show a change for
    /// certain.
    settled: Option<(SystemTime, u64, u64)>,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Stamp {
    /// The current state of a file. If its times have not changed since `before`, the file is not read. Links
    /// are followed: where secrets are mounted, a change replaces a link.
    pub(super) fn of(path: &Path, before: Option<&Self>) -> Self {
        let settled = times(path);
        match before {
            Some(before) if settled.is_some() && settled == before.settled => before.clone(),
            _ => Self { digest: digest(path), settled },
        }
    }
}

fn times(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let found = fs::metadata(path).ok()?;
    let changed = found.modified().ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&found);
    #[cfg(not(unix))]
    let inode = 0;
    let is_settled = changed.elapsed().is_ok_and(|since| since > SETTLED_AFTER);
    is_settled.then_some((changed, found.len(), inode))
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    read_regular(path, BYTES_MAX).ok().map(|bytes| Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn each_change_is_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        let missing = Stamp::of(&path, None);
        fs::write(&path, "aaaa").unwrap();
        let first = Stamp::of(&path, Some(&missing));
        assert_ne!(first, missing);
        // The new content has the same length, and is written within the same tick of the file system's
        // clock.
        fs::write(&path, "bbbb").unwrap();
        let second = Stamp::of(&path, Some(&first));
        assert_ne!(second, first);
        assert_eq!(Stamp::of(&path, Some(&second)), second);
        // For a file that was changed long ago, the times are enough.
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let settled = Stamp::of(&path, Some(&second));
        assert!(settled.settled.is_some());
        assert_eq!(settled, second);
        fs::remove_file(&path).unwrap();
        assert_eq!(Stamp::of(&path, Some(&settled)), missing);
    }
}
