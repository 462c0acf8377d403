//! Who may write the installation's own files: who can do that decides what it does.
//!
//! Others never may. A group may where somebody must have meant it: the group's members look after the data folder
//! together; a policy, a secret or a key it may write only as the own primary group of who runs this process, which
//! on many systems has no other member, and in containers stands for an arbitrary user.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::Error;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// A folder, or a file that all who look after the data folder may write.
    Shared,
    /// A policy, a secret, a key.
    Decisive,
}

/// Refuses a file that decides what jobs may do, such as a policy or a secret, if others can write it, or the folder
/// that it lies in. `file` is open at `path`.
pub fn refuse_writable_by_others(path: &Path, file: &File) -> Result<(), Error> {
    let unreadable = |source| Error::DataFolder { path: path.to_owned(), action: "cannot be read", source };
    judge(path, &file.metadata().map_err(unreadable)?, Own::Decisive)?;
    // Whoever can write the folder puts another file there, unless it keeps what is others' (a sticky folder).
    let lies_at = fs::canonicalize(path).map_err(unreadable)?;
    let Some(folder) = lies_at.parent() else { return Ok(()) };
    let found = fs::metadata(folder).map_err(unreadable)?;
    if is_sticky(&found) { Ok(()) } else { judge(folder, &found, Own::Shared) }
}

/// Refuses what is there, if others can write it. What is not there will be made by us.
pub(crate) fn refuse_if_there(path: &Path, own: Own) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) => judge(path, &found, own),
        // A folder that cannot be made there is told when it is made.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(source) => Err(Error::DataFolder { path: path.to_owned(), action: "cannot be read", source }),
    }
}

#[cfg(unix)]
fn judge(path: &Path, found: &Metadata, own: Own) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let refuse =
        |whom| Err(Error::WritableByOthers { path: path.to_owned(), mode: found.mode() & 0o7777, whom });
    let is_own_group = found.gid() == rustix::process::getegid().as_raw();
    match (found.mode() & 0o002 != 0, found.mode() & 0o020 != 0, own) {
        (true, _, _) => refuse("everybody"),
        (_, true, Own::Decisive) if !is_own_group => refuse("its group"),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_sticky(found: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(found) & 0o1000 != 0
}

/// Elsewhere rights are no modes.
#[cfg(not(unix))]
fn judge(_: &Path, _: &Metadata, _: Own) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
fn is_sticky(_: &Metadata) -> bool {
    true
}

/// Makes a folder, and those above it that are missing, for this user alone, whatever the process's mask says.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// To write a file that, if it is made, is this user's alone, whatever the process's mask says.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn others_never_write_and_a_group_only_what_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deciding.yaml");
        fs::write(&path, "").unwrap();
        let check = |mode: u32, own: Own, expected: &str| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found =
                refuse_if_there(&path, own).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
            assert!(found.contains(expected), "{mode:o}: {found}");
        };
        for own in [Own::Shared, Own::Decisive] {
            check(0o600, own, "fine");
            check(0o644, own, "fine");
            check(0o400, own, "fine");
            check(0o606, own, "everybody may write it (mode 606)");
            check(0o602, own, "everybody may write it (mode 602)");
            check(0o777, own, "everybody may write it (mode 777)");
            check(0o1777, own, "everybody may write it (mode 1777)");
            // Made by us, and so of our own group.
            check(0o660, own, "fine");
        }
        let is_root = rustix::process::geteuid().is_root();
        if is_root && std::os::unix::fs::chown(&path, None, Some(4711)).is_ok() {
            check(0o660, Own::Shared, "fine");
            check(0o660, Own::Decisive, "its group may write it (mode 660)");
            check(0o640, Own::Decisive, "fine");
        }
        refuse_if_there(&folder.path().join("missing"), Own::Decisive).unwrap();
    }

    #[test]
    fn a_file_in_a_folder_that_others_write_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let (within, path) = (folder.path().join("keys"), folder.path().join("keys/token"));
        fs::create_dir(&within).unwrap();
        fs::write(&path, "").unwrap();
        let found = |mode: u32| {
            fs::set_permissions(&within, Permissions::from_mode(mode)).unwrap();
            refuse_writable_by_others(&path, &File::open(&path).unwrap()).map_err(|error| error.code())
        };
        assert_eq!(found(0o755), Ok(()));
        assert_eq!(found(0o777), Err("writable-by-others"));
        // Nobody removes there what is another's.
        assert_eq!(found(0o1777), Ok(()));
    }

    #[test]
    fn what_is_made_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create_private_folder(&path).unwrap();
        private().open(path.join("c")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("c"))), (0o700, 0o600));
    }
}
