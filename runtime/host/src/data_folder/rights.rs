//! Who may write the installation's own files: who can do that decides what it does.
//!
//! Others never may. A group may where somebody must have meant it: the group's members look after the data folder
//! together; a policy, a secret or a key it may write only as the own primary group of who runs this process, which
//! on many systems has no other member, and in containers stands for an arbitrary user.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// A folder, or a file that all who look after the data folder may write.
    Shared,
    /// A policy, a secret, a key.
    Decisive,
}

/// Who may own what decides: the user of this process, root, and the owner of the data folder. Whoever owns that one is
/// the operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owners {
    #[cfg(unix)]
    operator: Option<u32>,
}

impl Owners {
    /// Those of an installation whose data folder is, or will be, there.
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

/// Refuses a file that decides what jobs may do, such as a policy or a secret, if it is another's, or if others can write
/// it or put another one in its place. `file` is open at `path`.
pub(crate) fn refuse_writable_by_others(path: &Path, file: &File, owners: Owners) -> Result<(), Error> {
    let unreadable = |source| Error::DataFolder { path: path.to_owned(), action: "cannot be read", source };
    judge(path, &file.metadata().map_err(unreadable)?, Own::Decisive, owners)?;
    refuse_way_of_others(path, owners)
}

/// Refuses what is there, if it is another's or others can write it. What is not there will be made by us.
pub(crate) fn refuse_if_there(path: &Path, own: Own, owners: Owners) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) => judge(path, &found, own, owners),
        // A folder that cannot be made there is told when it is made.
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

/// How many links may lead to a file, as for the kernel.
#[cfg(unix)]
const LINKS_MAX: usize = 40;

/// Refuses a path on whose way somebody else could put another file: each folder that is passed, also by links, keeps what
/// is in it. In a folder that everybody may write and that keeps what is others' (a sticky one, such as `/tmp`), what is
/// passed must be the operator's.
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
            // What is not there will be made by us; what cannot be looked at, or made there, is told then.
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

/// Elsewhere rights are no modes.
#[cfg(not(unix))]
fn judge(_: &Path, _: &Metadata, _: Own, _: Owners) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn refuse_way_of_others(_: &Path, _: Owners) -> Result<(), Error> {
    Ok(())
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
            // Made by us, and so of our own group.
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
        // Nobody removes there what is another's.
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
        // A link leads through a folder where others put another one.
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
