//! The storages that an operator names, so that jobs can use them without knowing their keys.

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

/// How long a name may be, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A storage with the name that jobs know it by. Cheap to clone; printing it shows no key.
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

    /// A folder. It is opened when it is used.
    pub fn local(name: &str, path: impl Into<PathBuf>) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        Self::new(name, Arc::new(LocalFolder::new(name, path.into())?))
    }

    /// A bucket. No request is sent before it is used.
    pub fn s3(name: &str, settings: &S3Settings) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        Self::new(name, Arc::new(settings.open(name)?))
    }

    /// A bucket without a network.
    #[cfg(test)]
    pub(crate) fn of_bucket(name: &str, bucket: super::bucket::Bucket) -> Self {
        let storage = super::bucket::BucketStorage::new("s3", bucket, None, Default::default());
        Self { name: name.to_owned(), storage: Arc::new(storage) }
    }

    /// Where it keeps files: a folder, or `s3://bucket/prefix/`.
    pub fn address(&self) -> String {
        self.storage.address()
    }

    /// The name that jobs know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type, such as `local` or `s3`.
    pub fn storage_type(&self) -> &'static str {
        self.storage.storage_type()
    }

    /// Fails if its requests would cross a network without TLS that is not open: this machine's, or others. Keys are
    /// not sent in the clear, but files are, and anybody on the way may change them.
    pub fn check_network(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        let network = match self.storage.plain_network() {
            Some(Network::Loopback) if !loopback => Network::Loopback,
            Some(Network::Private) if !private => Network::Private,
            _ => return Ok(()),
        };
        Err(ConnectorError::ClosedEndpoint { storage: self.name.clone(), network })
    }

    /// Whether something can lie in both: whether one is the other, or lies in it.
    pub(crate) fn overlaps(&self, other: &Self) -> io::Result<bool> {
        self.storage.extent().overlaps(other.storage.extent())
    }

    /// Its folder; `None` for a bucket.
    pub fn folder(&self) -> Option<&Path> {
        self.storage.folder()
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }
}

/// The storages that jobs may name. By default none.
#[derive(Debug, Clone, Default)]
pub struct Storages {
    usable: Vec<NamedStorage>,
    unusable: Vec<UnusableStorage>,
}

/// A storage that jobs may name, and that cannot be used now: its folder is not there, or a key of it cannot be read.
/// The steps that name it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableStorage {
    /// The name that jobs know it by.
    pub name: String,
    /// What is wrong, without anything of its keys.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

impl Storages {
    /// Adds one more. Of two with one name the first counts; `check` says so.
    pub fn add(&mut self, storage: NamedStorage) {
        self.usable.push(storage);
    }

    /// Adds one that cannot be used now.
    pub fn add_unusable(&mut self, storage: UnusableStorage) {
        self.unusable.push(storage);
    }

    /// The storage of a name; `None` if there is none, or if it is unusable.
    pub fn get(&self, name: &str) -> Option<&NamedStorage> {
        self.usable.iter().find(|storage| storage.name == name)
    }

    /// The names of all, those of unusable ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let unusable = self.unusable.iter().map(|storage| storage.name.as_str());
        self.usable.iter().map(NamedStorage::name).chain(unusable)
    }

    /// Those that can be used.
    pub fn usable(&self) -> impl Iterator<Item = &NamedStorage> {
        self.usable.iter()
    }

    /// Those that cannot be used now.
    pub fn all_unusable(&self) -> impl Iterator<Item = &UnusableStorage> {
        self.unusable.iter()
    }

    /// Refuses one in which something of another storage can lie, or the other way round, that no job is to see: what
    /// machines share.
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

    /// The name that comes nearest to one that is not there.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }

    /// Whether each has a name of its own, and may be used on this network.
    pub fn check(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        for (position, storage) in self.usable.iter().enumerate() {
            if self.usable[..position].iter().any(|other| other.name == storage.name) {
                return Err(ConnectorError::bad_storage(&storage.name, "is named twice"));
            }
            storage.check_network(loopback, private)?;
        }
        Ok(())
    }

    /// The storage that a job names by an option.
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

/// Refuses a name that a storage cannot have.
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
