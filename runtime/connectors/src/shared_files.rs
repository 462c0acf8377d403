//! Small whole files that several machines share: what an installation keeps beside its store.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::bucket::Bucket;
use crate::error::{ConnectorError, Result};
use crate::storages::{NamedStorage, Place};

/// The files of a storage by their paths. Each call waits for the disk or the bucket; a file is whole or not
/// there, and durable when it is written.
#[derive(Debug, Clone)]
pub struct SharedFiles(Place);

impl SharedFiles {
    /// All below the folder or the prefix of a storage.
    pub fn of(storage: &NamedStorage) -> Self {
        Self(storage.place().clone())
    }

    /// Writes a file, in place of one that is there.
    pub fn put(&self, path: &str, bytes: Vec<u8>) -> std::result::Result<(), ConnectorError> {
        match &self.0 {
            Place::Local(root) => put_in_folder(&root.join(path), &bytes, |from, to| fs::rename(from, to))
                .map_err(|source| ConnectorError::file("write", path, source)),
            Place::Bucket { bucket, .. } => {
                bucket.check_path(path)?;
                bucket.begin_write(path, bytes).wait().map_err(|error| bucket.failed("write", path, &error))
            }
        }
    }

    /// Writes a file where there is none, and tells whether it did: of many who do so at once, one. In a bucket that
    /// knows no conditions, the last of those who do so at the same moment.
    pub fn put_new(&self, path: &str, bytes: Vec<u8>) -> std::result::Result<bool, ConnectorError> {
        match &self.0 {
            Place::Local(root) => match put_in_folder(&root.join(path), &bytes, link_new) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(source) => Err(ConnectorError::file("write", path, source)),
            },
            Place::Bucket { bucket, .. } => {
                bucket.check_path(path)?;
                bucket.write_new(path, bytes)
            }
        }
    }

    /// The whole of a file; none if there is nothing. One that has more bytes than that is an error.
    pub fn get(&self, path: &str, bytes_max: u64) -> std::result::Result<Option<Vec<u8>>, ConnectorError> {
        match &self.0 {
            Place::Local(root) => match read_up_to(&root.join(path), bytes_max) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(ConnectorError::file("read", path, source)),
            },
            Place::Bucket { bucket, .. } => {
                bucket.check_path(path)?;
                Ok(bucket.read(path, bytes_max)?.map(|bytes| bytes.to_vec()))
            }
        }
    }

    /// The paths of the files in a folder and below, in their order.
    pub fn list(&self, folder: &str) -> std::result::Result<Vec<String>, ConnectorError> {
        match &self.0 {
            Place::Local(root) => {
                let mut found = Vec::new();
                collect(root, &root.join(folder), &mut found)
                    .map_err(|source| ConnectorError::file("list", folder, source))?;
                found.sort();
                Ok(found)
            }
            Place::Bucket { bucket, .. } => Ok(listed(bucket, folder)?),
        }
    }

    /// Removes a file; one that is gone already does not matter.
    pub fn remove(&self, path: &str) -> std::result::Result<(), ConnectorError> {
        match &self.0 {
            Place::Local(root) => gone(fs::remove_file(root.join(path)))
                .map_err(|source| ConnectorError::file("remove", path, source)),
            Place::Bucket { bucket, .. } => bucket.remove(vec![path.to_owned()]),
        }
    }

    /// Removes a folder with all that is in it.
    pub fn remove_folder(&self, folder: &str) -> std::result::Result<(), ConnectorError> {
        match &self.0 {
            Place::Local(root) => gone(fs::remove_dir_all(root.join(folder)))
                .map_err(|source| ConnectorError::file("remove", folder, source)),
            Place::Bucket { bucket, .. } => bucket.remove(listed(bucket, folder)?),
        }
    }
}

fn listed(bucket: &Bucket, folder: &str) -> Result<Vec<String>> {
    bucket.check_path(folder)?;
    Ok(bucket.list(&format!("{folder}/"))?.into_iter().map(|(path, _)| path).collect())
}

fn read_up_to(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Under a temporary name first, so that nobody sees half of it, which then becomes its own.
fn put_in_folder(
    path: &Path,
    bytes: &[u8],
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    create_private_folder(folder)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(|error| io::Error::other(error.to_string()))?;
    let temporary = folder.join(format!(".{:016x}.part", u64::from_be_bytes(unique)));
    let written = create_private_file(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        name(&temporary, path)?;
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    });
    if written.is_err() {
        // A courtesy: nobody looks for that name.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Gives a file its name where nothing has it. A second name is the way that network file systems know as well.
fn link_new(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // No file system of this machine links over what is there; some do not link at all.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => rename_new(temporary, path),
        linked => linked.and_then(|()| gone(fs::remove_file(temporary))),
    }
}

#[cfg(target_os = "linux")]
fn rename_new(temporary: &Path, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// For this user alone, whatever the process's mask says.
fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The same of a file that is not there yet.
fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path: PathBuf = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if !name.ends_with(".part") {
            found.push(name);
        }
    }
    Ok(())
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_bucket_keep_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let storages = [
            NamedStorage::local("shared", folder.path()).unwrap(),
            NamedStorage::of_bucket("shared", Bucket::in_memory()),
        ];
        for storage in storages {
            let files = SharedFiles::of(&storage);
            assert_eq!((files.get("a/b", 9).unwrap(), files.list("a").unwrap()), (None, Vec::new()));
            files.put("a/b", b"1".to_vec()).unwrap();
            files.put("a/b", b"2".to_vec()).unwrap();
            files.put("a/c/d", Vec::new()).unwrap();
            assert!(!files.put_new("a/b", b"3".to_vec()).unwrap(), "it is there");
            assert!(files.put_new("new", b"4".to_vec()).unwrap());
            assert_eq!(files.get("new", 9).unwrap(), Some(b"4".to_vec()));
            files.put("e", b"5".to_vec()).unwrap();
            assert_eq!(files.get("a/b", 9).unwrap(), Some(b"2".to_vec()));
            assert_eq!(files.list("a").unwrap(), ["a/b", "a/c/d"]);
            files.remove("a/b").unwrap();
            files.remove("a/b").unwrap();
            assert_eq!(files.list("a").unwrap(), ["a/c/d"]);
            files.remove_folder("a").unwrap();
            files.remove_folder("a").unwrap();
            assert_eq!(
                (files.list("a").unwrap(), files.get("e", 1).unwrap()),
                (Vec::new(), Some(b"5".to_vec()))
            );
        }
    }

    #[test]
    fn of_many_who_write_a_new_file_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let storages = [
            NamedStorage::local("shared", folder.path()).unwrap(),
            NamedStorage::of_bucket("shared", Bucket::in_memory()),
        ];
        for storage in storages {
            let files = SharedFiles::of(&storage);
            let writers: Vec<_> = (b'0'..b'8')
                .map(|name| {
                    let files = files.clone();
                    std::thread::spawn(move || files.put_new("mark", vec![name]).unwrap().then_some(name))
                })
                .collect();
            let did: Vec<_> = writers.into_iter().filter_map(|writer| writer.join().unwrap()).collect();
            assert_eq!(did.len(), 1, "{did:?}");
            assert_eq!(files.get("mark", 9).unwrap(), Some(did), "what is there is that one's");
        }
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "no temporary name is left");
    }
}
