//! Small complete files that several machines share: those that an installation keeps beside its store.

use std::sync::Arc;

use super::Storage;
use super::named::NamedStorage;
use crate::error::ConnectorError;

/// The files of a storage by their paths.
///
/// Each call waits for the disk or the network. A file is complete or does not exist. It is durable once it is written.
#[derive(Debug, Clone)]
pub struct SharedFiles(Arc<dyn Storage>);

impl SharedFiles {
    /// The files below the folder or the prefix of a storage.
    pub fn of(storage: &NamedStorage) -> Self {
        Self(storage.storage().clone())
    }

    /// Writes a file, and replaces an existing one.
    pub fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ConnectorError> {
        self.0.put(path, bytes)
    }

    /// Writes a file unless one exists.
    ///
    /// Returns whether the file was written: of several callers at once, one succeeds. In a bucket that knows no
    /// conditions, the last of several callers at the same moment succeeds.
    pub fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool, ConnectorError> {
        self.0.put_new(path, bytes)
    }

    /// The content of a file; `None` if the file does not exist.
    ///
    /// A file with more than `bytes_max` bytes is an error.
    pub fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ConnectorError> {
        self.0.get(path, bytes_max)
    }

    /// The paths of the files in a folder and below it, sorted.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, ConnectorError> {
        self.0.list(folder)
    }

    /// Removes a file.
    ///
    /// It is not an error if the file does not exist.
    pub fn remove(&self, path: &str) -> Result<(), ConnectorError> {
        self.0.remove(path)
    }

    /// Removes a folder with everything in it.
    pub fn remove_folder(&self, folder: &str) -> Result<(), ConnectorError> {
        self.0.remove_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::bucket::Bucket;

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
