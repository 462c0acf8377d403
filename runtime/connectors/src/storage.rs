//! The storages of files. Each type of storage has a module of its own below this one, and a row in `storage/types.rs`.
//! No other code knows which types exist.
//!
//! Three traits are between the types and their users:
//!
//! - [`Settings`] are the settings of the operator, as in the policy file.
//! - A [`Storage`] is set up. Nothing in it is open yet.
//! - [`Files`] are open, for readers and writers. The output of a writer is [`OutputFiles`](output::OutputFiles).
//!
//! A bucket of another provider needs only its settings and an operator of OpenDAL: [`bucket`] does the rest.

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use stepbox_batch::remedy::Network;
use stepbox_batch::step_context::StepContext;

use crate::error::Result;
use crate::folders::Folders;

pub(crate) mod beginning;
pub(crate) mod bucket;
mod extent;
mod key;
pub(crate) mod local;
mod named;
pub(crate) mod names;
pub(crate) mod output;
mod s3;
mod shared_files;
pub(crate) mod types;
pub(crate) mod uploads;

use self::extent::Extent;
pub use self::key::KeySource;
pub use self::named::{NamedStorage, Storages, UnusableStorage};
use self::output::{OutputFiles, Unfinished};
pub use self::s3::S3Settings;
pub use self::shared_files::SharedFiles;
pub(crate) use self::types::STORAGE_TYPES;
pub use self::types::StorageSettings;
pub use self::uploads::UploadedFiles;

/// The functions of the settings of each type.
pub(crate) trait Settings {
    /// The sources of the keys, each with the name of its setting.
    fn keys(&self) -> Vec<(&'static str, &KeySource)> {
        Vec::new()
    }

    /// Refuses settings that are wrong in any case, independent of the keys and of what exists now.
    fn check(&self, name: &str) -> Result<()>;

    /// Sets the storage up. No request is sent. `keys` are the values of all keys, in the order of [`keys`](Self::keys).
    fn open(&self, name: &str, keys: &[SecretString]) -> Result<Arc<dyn Storage>>;
}

/// A storage that is set up, and not open yet.
pub(crate) trait Storage: WholeFiles + fmt::Debug + Send + Sync {
    /// One of [`STORAGE_TYPES`].
    fn storage_type(&self) -> &'static str;

    /// Where the storage keeps files, for people: a folder, or `s3://bucket/prefix/`.
    fn address(&self) -> String;

    /// Where the storage keeps files, for a comparison with another storage.
    fn extent(&self) -> Extent<'_>;

    /// The address of a path. The same file has the same address for every path to it.
    fn place_of(&self, path: &str) -> String;

    /// The network that requests cross without TLS; `None` if no request does.
    fn plain_network(&self) -> Option<Network> {
        None
    }

    /// The folder of the storage on this machine; `None` if it has none.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Opens the storage for the elements of a step whose other files are in these folders.
    fn open(&self, folders: &Folders) -> Result<Box<dyn Files>>;
}

/// Files as readers and writers use them. Files have paths and are streamed; a file is never half visible.
pub(crate) trait Files {
    /// Opens a file for reading.
    fn open_input(&self, path: &str, context: &StepContext) -> Result<OpenInput>;

    /// Opens a file that a writer has written, for reading outside of a step.
    fn open_written(&self, path: &str) -> Result<OpenInput>;

    /// Finds the place of a new output and the output's temporary name there. `temporary` makes that name from the last
    /// part of the path.
    fn begin_output(
        &self,
        path: &str,
        temporary: &dyn Fn(&str) -> String,
        context: &StepContext,
    ) -> Result<(Box<dyn OutputFiles>, String)>;

    /// Finds the place of an output that was begun.
    fn resume_output(
        &self,
        path: &str,
        unfinished: Unfinished<'_>,
        context: &StepContext,
    ) -> Result<Box<dyn OutputFiles>>;

    /// Removes the unfinished files that a run has left of an output and of its fragments.
    fn remove_left_over(&self, path: &str, temporary: &str) -> Result<()>;
}

/// Small files, each written and read in one piece. A file is complete or does not exist. It is durable once it is
/// written.
pub(crate) trait WholeFiles {
    /// Writes a file, and replaces an existing one.
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;

    /// Writes a file unless one exists. Returns whether the file was written.
    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool>;

    /// The content of a file; `None` if the file does not exist. A file with more than `bytes_max` bytes is an error.
    fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>>;

    /// The paths of the files in a folder and below it, sorted.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes a file. It is not an error if the file does not exist.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes a folder with everything in it.
    fn remove_folder(&self, folder: &str) -> Result<()>;
}

/// An input that was opened.
pub(crate) struct OpenInput {
    /// The source of the bytes.
    pub(crate) source: Box<dyn InputSource>,
    /// The length in bytes when the input was opened.
    pub(crate) length: u64,
    /// Fingerprint of the version that is read; `None` if there are no versions.
    pub(crate) version: Option<u64>,
}

/// The source of an input: a file, or an object that reads like a file.
pub(crate) trait InputSource: Read + Seek + Send {
    /// The state of the file now; `None` if the source always reads the same version.
    fn stamp(&self) -> io::Result<Option<Stamp>> {
        Ok(None)
    }

    /// The state of the file to which the path leads now; `None` if there is no such file, or if versions show changes.
    fn stamp_at_path(&self) -> io::Result<Option<Stamp>> {
        Ok(None)
    }
}

/// The properties that change if a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The length in bytes.
    pub(crate) length: u64,
    /// The time of the last change; `None` if the file system does not keep it.
    pub(crate) modified: Option<std::time::SystemTime>,
    /// The identity of the file, independent of its names.
    pub(crate) identity: Option<(u64, u64)>,
}
