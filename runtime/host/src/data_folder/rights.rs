//! Who may write to the installation's own files. Whoever can write to them decides what the installation
//! does.
//!
//! Other users may never write. A group may write where the operator must have intended it. For the data
//! folder this is any group, because its members manage the folder together. For a policy, a secret or a key
//! it is only the primary group of the user of this process. On many systems this group has no other member,
//! and in containers it stands for an arbitrary user.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The kind of file or folder that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// A folder, or a file that all managers of the data folder may write to.
    Shared,
    /// A policy, a secret or a key.
    Decisive,
}

/// The allowed owners of files that decide what jobs may do: the user of this process, root, and the owner of
/// the data folder. The owner of the data folder is the operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owners {
    #[cfg(unix)]
    operator: Option<u32>,
}

impl Owners {
    /// The owners for an installation with this data folder, which may not exist yet.
    pub(crate) fn of(data_dir: &Path) -> Self {
        #[cfg(not(unix))]
        let _ = data_dir;
        Self {
            #[cfg(unix)]
            operator: fs::metadata(data_dir).ok().map(|found| std::os::unix::fs::MetadataExt::uid(&found)),
        }
    }

    #[cfg(unix)]
    fn have(self, uid: u32) -> bool {
        uid == 0 || uid == rustix::process::geteuid().as_raw() || Some(uid) == self.operator
    }
}

/// Refuses a file that decides what jobs may do, such as a policy or a secret, if another user owns it, or if
/// other users can write to it or replace it. `file` is open at `path`.
pub(crate) fn refuse_writable_by_others(path: &Path, file: &File, owners: Owners) -> Result<(), Error> {
    let unreadable = |source| Error::DataFolder { path: path.to_owned(), action: "cannot be read", source };
    judge(path, &file.metadata().map_err(unreadable)?, Own::Decisive, owners)?;
    refuse_way_of_others(path, owners)
}

/// Refuses an existing path if another user owns it or can write to it. A missing path will be created by
/// this process.
pub(crate) fn refuse_if_there(path: &Path, own: Own, owners: Owners) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) => judge(path, &found, own, owners),
        // If the folder cannot be created there, creating it reports the error.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(source) => Err(Error::DataFolder { path: path.to_owned(), action: "cannot be read", source }),
    }
}

#[cfg(unix)]
fn judge(path: &Path, found: &Metadata, own: Own, owners: Owners) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let refuse = |whom: String| {
        Err(Error::WritableByOthers { path: path.to_owned(), mode: found.mode() & 0o7777, whom })
    };
    let is_own_group = found.gid() == rustix::process::getegid().as_raw();
    match (found.mode() & 0o002 != 0, found.mode() & 0o020 != 0, own) {
        (true, _, _) => refuse("everybody".to_owned()),
        (_, true, Own::Decisive) if !is_own_group => refuse("its group".to_owned()),
        _ if !owners.have(found.uid()) => refuse(format!("its owner, user {},", found.uid())),
        _ => Ok(()),
    }
}

/// How many links may lead to a file. The kernel has the same limit.
#[cfg(unix)]
const LINKS_MAX: usize = 40;

/// Refuses a path on which another user could replace a file. No folder on the path, including the paths of
/// links, may be writable by everybody. A sticky folder such as `/tmp` is an exception: the next part of the
/// path must then belong to the operator.
#[cfg(unix)]
pub(crate) fn refuse_way_of_others(path: &Path, owners: Owners) -> Result<(), Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    use std::os::unix::fs::MetadataExt as _;

    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::DataFolder { path, action: "cannot be read", source }
    };
    let absolute = std::path::absolute(path).map_err(unreadable(path))?;
    let mut rest: Vec<_> = parts_of(&absolute);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = rest.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let (folder, next) = (fs::metadata(&at).map_err(unreadable(&at))?, at.join(&part));
        let found = match fs::symlink_metadata(&next) {
            Ok(found) => found,
            // A missing path will be created by this process. If it cannot be read or created, that is
            // reported later.
            Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => {
                return Ok(());
            }
            Err(error) => return Err(unreadable(&next)(error)),
        };
        if folder.mode() & 0o002 != 0 {
            let mode = folder.mode() & 0o7777;
            if folder.mode() & 0o1000 == 0 {
                return Err(Error::WritableByOthers { path: at, mode, whom: "everybody".to_owned() });
            }
            if !owners.have(found.uid()) {
                let whom = format!("its owner, user {},", found.uid());
                return Err(Error::WritableByOthers { path: next, mode: found.mode() & 0o7777, whom });
            }
        }
        if !found.file_type().is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(unreadable(path)(io::Error::other("too many links lead to it")));
        }
        let target = fs::read_link(&next).map_err(unreadable(&next))?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        rest.extend(parts_of(&target));
    }
    Ok(())
}

/// The parts of a path, the last one first.
#[cfg(unix)]
fn parts_of(path: &Path) -> Vec<std::ffi::OsString> {
    let named = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_owned()),
        std::path::Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<_> = named.collect();
    parts.reverse();
    parts
}

/// Other systems have no modes for rights.
#[cfg(not(unix))]
fn judge(_: &Path, _: &Metadata, _: Own, _: Owners) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn refuse_way_of_others(_: &Path, _: Owners) -> Result<(), Error> {
    Ok(())
}

/// Creates a folder and the missing folders above it, for this user only, whatever the process's umask is.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options to write a file. If the file is created, only this user has access, whatever the process's umask
/// is.
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
        let owners = Owners::of(folder.path());
        let check = |mode: u32, own: Own, expected: &str| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let found = refuse_if_there(&path, own, owners)
                .map_or_else(|error| error.to_string(), |()| "fine".to_owned());
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
            // The file was created by this process, so it has this process's own group.
            check(0o660, own, "fine");
        }
        let is_root = rustix::process::geteuid().is_root();
        if is_root && std::os::unix::fs::chown(&path, None, Some(4711)).is_ok() {
            check(0o660, Own::Shared, "fine");
            check(0o660, Own::Decisive, "its group may write it (mode 660)");
            check(0o640, Own::Decisive, "fine");
        }
        refuse_if_there(&folder.path().join("missing"), Own::Decisive, owners).unwrap();
    }

    #[test]
    fn a_file_in_a_folder_that_others_write_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let (within, path) = (folder.path().join("keys"), folder.path().join("keys/token"));
        fs::create_dir(&within).unwrap();
        fs::write(&path, "").unwrap();
        let found = |mode: u32| {
            fs::set_permissions(&within, Permissions::from_mode(mode)).unwrap();
            refuse_writable_by_others(&path, &File::open(&path).unwrap(), Owners::of(folder.path()))
                .map_err(|error| error.code())
        };
        assert_eq!(found(0o755), Ok(()));
        assert_eq!(found(0o777), Err("writable-by-others"));
        // In a sticky folder, nobody can remove the files of other users.
        assert_eq!(found(0o1777), Ok(()));
    }

    #[test]
    fn what_another_user_owns_or_leads_to_is_theirs() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let owned = |name: &str, uid: u32| {
            fs::write(path(name), "").unwrap();
            std::os::unix::fs::chown(path(name), Some(uid), None).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(0o600)).unwrap();
        };
        let check = |name: &str, data_dir: &str, expected: Result<(), &'static str>| {
            let file = File::open(path(name)).unwrap();
            let found = refuse_writable_by_others(&path(name), &file, Owners::of(&path(data_dir)));
            assert_eq!(found.map_err(|error| error.code()), expected, "{name} of {data_dir}");
        };
        for (name, mode) in [("data", 0o700), ("theirs", 0o700), ("open", 0o777), ("sticky", 0o1777)] {
            fs::create_dir(path(name)).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::chown(path("theirs"), Some(4711), None).unwrap();
        owned("ours", 0);
        owned("another", 4711);
        check("ours", "data", Ok(()));
        check("another", "data", Err("writable-by-others"));
        // The owner of the data folder is the operator.
        check("another", "theirs", Ok(()));
        owned("theirs/another", 4712);
        check("theirs/another", "theirs", Err("writable-by-others"));
        // The link leads through a folder where other users can replace it.
        let link = |name: &str, target: &str| {
            std::os::unix::fs::symlink(path(target), path(name)).unwrap();
        };
        link("open/link", "ours");
        link("sticky/link", "ours");
        link("first", "open/link");
        link("second", "sticky/link");
        check("first", "data", Err("writable-by-others"));
        check("second", "data", Ok(()));
        let another = Some(4711);
        std::os::unix::fs::lchown(path("sticky/link"), another, None).unwrap();
        check("second", "data", Err("writable-by-others"));
        check("second", "theirs", Ok(()));
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
