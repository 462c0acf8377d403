//! The storages that an operator names. Jobs can use them without their keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepbox_batch::nearest::nearest;
use stepbox_batch::remedy::Network;

use super::Storage;
use super::local::LocalFolder;
use super::s3::S3Settings;
use crate::error::{ConnectorError, Result};

/// The largest length of a name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A storage with its name in jobs.
///
/// A clone is cheap. Printing the storage shows no key.
#[derive(Clone)]
pub struct NamedStorage {
    name: String,
    storage: Arc<dyn Storage>,
}

impl fmt::Debug for NamedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedStorage").field("name", &self.name).field("storage", &self.storage).finish()
    }
}

impl NamedStorage {
    pub(super) fn new(name: &str, storage: Arc<dyn Storage>) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), storage })
    }

    /// A storage in a folder of this machine.
    ///
    /// The folder is opened when it is used.
    pub fn local(name: &str, path: impl Into<PathBuf>) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        Self::new(name, Arc::new(LocalFolder::new(name, path.into())?))
    }

    /// A storage in a bucket.
    ///
    /// No request is sent before it is used.
    pub fn s3(name: &str, settings: &S3Settings) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        Self::new(name, Arc::new(settings.open(name)?))
    }

    /// A storage in a bucket in memory.
    #[cfg(test)]
    pub(crate) fn of_bucket(name: &str, bucket: super::bucket::Bucket) -> Self {
        let storage = super::bucket::BucketStorage::new("s3", bucket, None, Default::default());
        Self { name: name.to_owned(), storage: Arc::new(storage) }
    }

    /// Where the storage keeps files: a folder, or `s3://bucket/prefix/`.
    pub fn address(&self) -> String {
        self.storage.address()
    }

    /// The name of the storage in jobs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of the storage, such as `local` or `s3`.
    pub fn storage_type(&self) -> &'static str {
        self.storage.storage_type()
    }

    /// Fails if requests would cross, without TLS, a network that is not open: this machine (`loopback`) or another one
    /// (`private`).
    ///
    /// Keys are not sent in the clear, but files are, and any machine on the way could change them.
    pub fn check_network(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        let network = match self.storage.plain_network() {
            Some(Network::Loopback) if !loopback => Network::Loopback,
            Some(Network::Private) if !private => Network::Private,
            _ => return Ok(()),
        };
        Err(ConnectorError::ClosedEndpoint { storage: self.name.clone(), network })
    }

    /// Whether a file can be in both storages: they are equal, or one contains the other.
    pub(crate) fn overlaps(&self, other: &Self) -> io::Result<bool> {
        self.storage.extent().overlaps(other.storage.extent())
    }

    /// The folder of the storage; `None` for a bucket.
    pub fn folder(&self) -> Option<&Path> {
        self.storage.folder()
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }
}

/// The storages that jobs may name; none by default.
#[derive(Debug, Clone, Default)]
pub struct Storages {
    usable: Vec<NamedStorage>,
    unusable: Vec<UnusableStorage>,
}

/// A storage that jobs may name, and that cannot be used now: its folder does not exist, or one of its keys cannot be
/// read.
///
/// The steps that name it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableStorage {
    /// The name of the storage in jobs.
    pub name: String,
    /// The problem, without any text of the keys.
    pub problem: String,
    /// The help for the operator.
    pub help: String,
}

impl Storages {
    /// Adds a storage.
    ///
    /// If two have the same name, the first counts, and `check` fails.
    pub fn add(&mut self, storage: NamedStorage) {
        self.usable.push(storage);
    }

    /// Adds a storage that cannot be used now.
    pub fn add_unusable(&mut self, storage: UnusableStorage) {
        self.unusable.push(storage);
    }

    /// The storage of a name; `None` if there is no such storage, or if it is unusable.
    pub fn get(&self, name: &str) -> Option<&NamedStorage> {
        self.usable.iter().find(|storage| storage.name == name)
    }

    /// The names of all storages, also of the unusable ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let unusable = self.unusable.iter().map(|storage| storage.name.as_str());
        self.usable.iter().map(NamedStorage::name).chain(unusable)
    }

    /// The storages that can be used.
    pub fn usable(&self) -> impl Iterator<Item = &NamedStorage> {
        self.usable.iter()
    }

    /// The storages that cannot be used now.
    pub fn all_unusable(&self) -> impl Iterator<Item = &UnusableStorage> {
        self.unusable.iter()
    }

    /// Fails if a storage of jobs and the shared storage can have a file in common.
    ///
    /// No job may see the files that machines share.
    pub fn check_apart(&self, shared: &NamedStorage) -> std::result::Result<(), ConnectorError> {
        for storage in &self.usable {
            let overlaps = storage.overlaps(shared);
            if overlaps.map_err(|source| ConnectorError::file("open", storage.name(), source))? {
                return Err(ConnectorError::StorageOverlaps { storage: storage.name.clone() });
            }
        }
        Ok(())
    }

    /// The folders of all storages that have one.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.usable.iter().filter_map(NamedStorage::folder)
    }

    /// The name that is most similar to one that does not exist.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }

    /// Fails unless each storage has a name of its own, and may be used on this network.
    pub fn check(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        for (position, storage) in self.usable.iter().enumerate() {
            if self.usable[..position].iter().any(|other| other.name == storage.name) {
                return Err(ConnectorError::bad_storage(&storage.name, "is named twice"));
            }
            storage.check_network(loopback, private)?;
        }
        Ok(())
    }

    /// The storage that a job names in an option.
    pub(crate) fn find(
        &self,
        option: &'static str,
        name: &str,
        given: &'static str,
    ) -> Result<&NamedStorage> {
        if let Some(UnusableStorage { problem, help, .. }) =
            self.unusable.iter().find(|storage| storage.name == name)
        {
            let (problem, help) = (problem.clone(), help.clone());
            return Err(ConnectorError::UnusableStorage { storage: name.to_owned(), problem, help });
        }
        let Some(storage) = self.get(name) else {
            let available = self.names().map(str::to_owned).collect();
            return Err(ConnectorError::NoStorage { option, given: name.to_owned(), available });
        };
        let found = storage.storage_type();
        if found != given {
            let storage = name.to_owned();
            return Err(ConnectorError::OtherStorage { option, storage, given, found });
        }
        Ok(storage)
    }
}

/// Refuses a name that is not allowed for a storage.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_character = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_character) {
        return Err(ConnectorError::bad_storage(
            name,
            "has a name that is not up to 100 letters, digits, `_` and `-`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
