//! What a rename may move, for both doors to a granted folder: never a link.
//!
//! A relative link leads elsewhere from another folder. Moved by itself, or within a folder that moves, it
//! could come to lead out of the grant for whoever reads the folder later.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, MetadataExt};

/// How many entries of a folder are looked through before it is moved to another one.
const ENTRIES_MAX: usize = 10_000;

/// Why something is not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmoved {
    #[error("it is a link, and links stay where they are")]
    Link,
    #[error("the folder holds a link, and links stay in their folder")]
    HoldsLink,
    #[error("the folder holds more than {ENTRIES_MAX} entries, too many to look for links in")]
    HoldsTooMany,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Looks whether `from` may become `to`, each below a folder of the same grant. Waits for the disk.
pub(crate) fn check(from_folder: &Dir, from: &Path, to_folder: &Dir, to: &Path) -> Result<(), Unmoved> {
    // Without what follows the name, such as `/` or `/.`, which would look through the link.
    let from = from.components().as_path();
    let metadata = from_folder.symlink_metadata(from)?;
    if metadata.is_symlink() {
        return Err(Unmoved::Link);
    }
    if !metadata.is_dir() || parent_of(from_folder, from)? == parent_of(to_folder, to)? {
        return Ok(());
    }
    look_for_links(from_folder, from)
}

/// Which folder something is in: its device and number.
fn parent_of(folder: &Dir, path: &Path) -> io::Result<(u64, u64)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let metadata = folder.metadata(parent.unwrap_or(Path::new(".")))?;
    Ok((metadata.dev(), metadata.ino()))
}

fn look_for_links(folder: &Dir, path: &Path) -> Result<(), Unmoved> {
    let (mut open, mut entries) = (vec![PathBuf::from(path)], 0);
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
            let found = check(from_folder, Path::new(from), to_folder, Path::new(to));
            let found = found.map_or_else(|error| error.to_string(), |()| "moved".to_owned());
            assert!(found.contains(expected), "{from} to {to}: {found}");
        }
    }
}
