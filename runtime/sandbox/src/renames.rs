//! Which files and folders a rename may move, for both doors to a granted folder. A link is never moved.
//!
//! A relative link has another target when it is in another folder. If a link moved, alone or within a
//! folder, it could lead out of the grant for every program that reads the folder later.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Metadata, MetadataExt as _};

/// The maximum number of entries of a folder that moves to another folder: all are checked for links before.
const ENTRIES_MAX: usize = 10_000;

/// Why a rename is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmoved {
    #[error("it is a link, and links stay where they are")]
    Link,
    #[error("the folder holds a link, and links stay in their folder")]
    HoldsLink,
    #[error("the folder holds more than {ENTRIES_MAX} entries, too many to look for links in")]
    HoldsTooMany,
    #[error("something else was put in its place while it was looked at")]
    Changed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Identifies a file or folder independently of its name: its device and its number.
type Identity = (u64, u64);

/// Moves `from` to `to`, each below a folder of the same grant. Blocks on the disk.
///
/// Other steps may rename folders on the path at the same moment. So the folders of both names are held open,
/// the moved file or folder is checked through an open handle, and after the move it is compared with the
/// checked one.
pub(crate) fn carry_out(from_folder: &Dir, from: &Path, to_folder: &Dir, to: &Path) -> Result<(), Unmoved> {
    let (from_folder, from) = place(from_folder, from)?;
    let (to_folder, to) = place(to_folder, to)?;
    let looked_at = check(&from_folder, &from, &to_folder)?;
    from_folder.rename(&from, &to_folder, &to)?;
    if identity(&to_folder.symlink_metadata(&to)?) == looked_at {
        return Ok(());
    }
    // Moves it back. If that fails, another program has moved it away again.
    let _ = to_folder.rename(&to, &from_folder, &from);
    Err(Unmoved::Changed)
}

/// Opens the folder that contains the path, and returns it with the name in it. An end such as `/` or `/.` is
/// left out, because it would follow a link.
fn place(folder: &Dir, path: &Path) -> io::Result<(Dir, PathBuf)> {
    let path = path.components().as_path();
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((folder.open_dir(parent.unwrap_or(Path::new(".")))?, name.into()))
}

/// Checks whether an entry of one folder may move to another one, and returns its identity.
fn check(from_folder: &Dir, from: &Path, to_folder: &Dir) -> Result<Identity, Unmoved> {
    let found = from_folder.symlink_metadata(from)?;
    if found.is_symlink() {
        return Err(Unmoved::Link);
    }
    if !found.is_dir() || identity(&from_folder.dir_metadata()?) == identity(&to_folder.dir_metadata()?) {
        return Ok(identity(&found));
    }
    let moved = from_folder.open_dir(from)?;
    if identity(&moved.dir_metadata()?) != identity(&found) {
        return Err(Unmoved::Changed);
    }
    look_for_links(&moved)?;
    Ok(identity(&found))
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

fn look_for_links(folder: &Dir) -> Result<(), Unmoved> {
    let (mut open, mut entries) = (vec![PathBuf::from(".")], 0);
    while let Some(path) = open.pop() {
        for entry in folder.read_dir(&path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            entries += 1;
            if kind.is_symlink() {
                return Err(Unmoved::HoldsLink);
            }
            if entries > ENTRIES_MAX {
                return Err(Unmoved::HoldsTooMany);
            }
            if kind.is_dir() {
                open.push(path.join(entry.file_name()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn links_stay_where_they_are() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("inside");
        std::fs::create_dir_all(inside.join("a/deep/er")).unwrap();
        std::fs::create_dir_all(inside.join("plain/sub")).unwrap();
        std::fs::write(inside.join("a/file"), "").unwrap();
        symlink("../file", inside.join("a/deep/link")).unwrap();
        symlink("deep", inside.join("a/folder-link")).unwrap();
        let dir = Dir::open_ambient_dir(&inside, ambient_authority()).unwrap();
        let a = dir.open_dir("a").unwrap();
        let rows = [
            (&dir, "a/file", &dir, "file", "moved"),
            (&dir, "a/deep/link", &dir, "link", "it is a link"),
            (&dir, "a/deep/link", &dir, "a/deep/other", "it is a link"),
            (&dir, "a/deep/link/", &dir, "link", "it is a link"),
            (&dir, "a/deep/link/.", &dir, "link", "it is a link"),
            (&dir, "a/folder-link/", &dir, "x", "it is a link"),
            (&dir, "./a//folder-link", &dir, "x", "it is a link"),
            (&dir, "a/folder-link/link", &dir, "x", "it is a link"),
            (&a, "deep/link", &dir, "x", "it is a link"),
            (&dir, "a/deep", &dir, "deep", "the folder holds a link"),
            (&dir, "a", &dir, "plain/a", "the folder holds a link"),
            (&a, "deep", &dir, "x", "the folder holds a link"),
            (&dir, "a/folder-link/er", &dir, "er", "moved"),
            (&dir, "a/deep", &dir, "a/other", "moved"),
            (&dir, "a/deep", &a, "other", "moved"),
            (&dir, "plain", &dir, "a/plain", "moved"),
            (&dir, "none", &dir, "x", "No such file"),
            (&dir, "../outside", &dir, "x", "outside of"),
        ];
        for (from_folder, from, to_folder, to, expected) in rows {
            let place_of = |folder, path| place(folder, Path::new(path));
            let found = place_of(from_folder, from).and_then(|from| Ok((from, place_of(to_folder, to)?)));
            let found = found
                .map_err(Unmoved::from)
                .and_then(|((from_folder, from), (to_folder, _))| check(&from_folder, &from, &to_folder));
            let found = found.map_or_else(|error| error.to_string(), |_| "moved".to_owned());
            assert!(found.contains(expected), "{from} to {to}: {found}");
        }
    }

    /// Two threads use one grant: one swaps folders, the other one moves entries of them. A link that leads
    /// inside from its folder must never get to a folder from where it leads outside.
    #[test]
    fn a_race_of_renames_moves_no_link_either() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("inside");
        let entries = |folder: &str| inside.join(folder);
        std::fs::create_dir_all(entries("linked/q")).unwrap();
        std::fs::create_dir_all(entries("plain/q")).unwrap();
        symlink("../../secret", entries("linked/q/l")).unwrap();
        let open = || Dir::open_ambient_dir(&inside, ambient_authority()).unwrap();
        let moves = |dir: &Dir, from: &str, to: &str| {
            let _ = carry_out(dir, Path::new(from), dir, Path::new(to));
        };
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let dir = open();
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    moves(&dir, "plain", "other");
                    moves(&dir, "linked", "plain");
                    moves(&dir, "plain", "linked");
                    moves(&dir, "other", "plain");
                }
            });
            let dir = open();
            for _ in 0..20_000 {
                moves(&dir, "plain/q", "q");
                assert!(!entries("q/l").is_symlink(), "the link was moved");
                moves(&dir, "q", "plain/q");
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
