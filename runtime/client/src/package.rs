//! The folder of a connector as one file to be sent: a tar of its regular files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::error::ClientError;

/// How deep the folders of a connector may be.
const DEPTH_MAX: usize = 16;

/// How many files a connector may have.
const FILES_MAX: usize = 10_000;

/// Packs the folder of a connector, if its files have no more than `bytes_max` bytes together.
///
/// The package has the regular files of the folder and of the folders in it, by their paths in the folder. Links,
/// devices and pipes are refused. Files and folders whose names begin with a dot are left out: they are notes of tools
/// and of version control. Nothing of who owns the files, or when they were written, goes along.
pub fn pack_folder(folder: &Path, bytes_max: u64, package: impl io::Write) -> Result<(), ClientError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ClientError::Unreadable { path, source }
    };
    let mut files = Vec::new();
    gather(folder, Path::new(""), 0, &mut files).map_err(|(path, source)| unreadable(&path)(source))?;
    let mut package = Builder::new(package);
    let mut left = bytes_max;
    for file in files {
        let path = folder.join(&file);
        append(&mut package, &path, &file, &mut left).map_err(unreadable(&path))?;
    }
    package.into_inner().and_then(|mut package| package.flush()).map_err(unreadable(folder))
}

/// The paths of the files in a folder, in the order of their names.
fn gather(
    root: &Path,
    within: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    // Joined with nothing, the path would end with a slash.
    let folder = if depth == 0 { root.to_owned() } else { root.join(within) };
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error)
    };
    if depth > DEPTH_MAX {
        return Err((folder, io::Error::other(format!("it is more than {DEPTH_MAX} folders deep"))));
    }
    let mut entries: Vec<_> =
        fs::read_dir(&folder).and_then(Iterator::collect::<Result<_, _>>).map_err(at(&folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(at(&path))?;
        let within = within.join(name);
        if kind.is_dir() {
            gather(root, &within, depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() >= FILES_MAX {
                return Err((folder, io::Error::other(format!("it has more than {FILES_MAX} files"))));
            }
            files.push(within);
        } else {
            let problem = match kind.is_symlink() {
                true => "a link stands there; put the file itself into the connector's folder",
                false => "it is no regular file",
            };
            return Err((path, io::Error::other(problem)));
        }
    }
    Ok(())
}

fn append(package: &mut Builder<impl io::Write>, path: &Path, name: &Path, left: &mut u64) -> io::Result<()> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    *left = left
        .checked_sub(found.len())
        .ok_or_else(|| io::Error::other("the files of the folder are larger than a server takes"))?;
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(found.len());
    header.set_mode(0o644);
    // Exactly as many bytes as the header says, also if the file grows meanwhile.
    package.append_data(&mut header, name, io::Read::take(file, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(folder: &Path, bytes_max: u64) -> Result<Vec<u8>, ClientError> {
        let mut package = Vec::new();
        pack_folder(folder, bytes_max, &mut package).map(|()| package)
    }

    fn names(package: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(package);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_package_has_the_regular_files_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("steps/deep")).unwrap();
        fs::create_dir_all(path(".git")).unwrap();
        for name in ["connector.yaml", "steps/a.wasm", "steps/deep/b", ".git/config", ".env"] {
            fs::write(path(name), name).unwrap();
        }
        let package = packed(folder.path(), 1 << 20).unwrap();
        assert_eq!(names(&package), ["connector.yaml", "steps/a.wasm", "steps/deep/b"]);
        // The same files make the same package, with any owner and any time.
        fs::write(path("connector.yaml"), "connector.yaml").unwrap();
        assert_eq!(package, packed(folder.path(), 1 << 20).unwrap());
    }

    #[test]
    fn what_is_no_file_is_not_packed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "four").unwrap();
        let check = |bytes_max: u64, expected: &str| {
            let error = packed(folder.path(), bytes_max).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(expected), "{source}");
        };
        check(3, "larger than a server takes");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/passwd", path("b")).unwrap();
            check(100, "a link stands there");
            fs::remove_file(path("b")).unwrap();
            let _socket = std::os::unix::net::UnixListener::bind(path("c")).unwrap();
            check(100, "no regular file");
        }
        assert!(packed(&path("missing"), 100).is_err());
    }
}
