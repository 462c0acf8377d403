//! Where files are kept. Each type of storage has a file of its own below this one and a row in
//! `storage/types.rs`, and nothing else knows which types there are.
//!
//! Three traits stand between the types and their users:
//!
//! - [`Settings`] are the operator's, as the policy file has them;
//! - a [`Storage`] is set up, and nothing is opened yet;
//! - [`Files`] are open, as readers and writers use them. The output of a writer is [`OutputFiles`](output::OutputFiles).
//!
//! A bucket of another provider needs its settings and an operator of OpenDAL: [`bucket`] does the rest.

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use stepbox_batch::remedy::Network;
use stepbox_batch::step_context::StepContext;

use crate::error::Result;
use crate::folders::Folders;

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

use self::extent::Extent;
pub use self::key::KeySource;
pub use self::named::{NamedStorage, Storages, UnusableStorage};
use self::output::{OutputFiles, Unfinished};
pub use self::s3::S3Settings;
pub use self::shared_files::SharedFiles;
pub(crate) use self::types::STORAGE_TYPES;
pub use self::types::StorageSettings;

/// What the settings of each type can do.
pub(crate) trait Settings {
    /// Where its keys come from, each with the name of its setting.
    fn keys(&self) -> Vec<(&'static str, &KeySource)> {
        Vec::new()
    }

    /// Refuses settings that are wrong whatever the keys are, and whatever is there now.
    fn check(&self, name: &str) -> Result<()>;

    /// Sets the storage up. No request is sent. `keys` are the values of all keys, in the order of [`keys`](Self::keys).
    fn open(&self, name: &str, keys: &[SecretString]) -> Result<Arc<dyn Storage>>;
}

/// A storage that is set up.
pub(crate) trait Storage: WholeFiles + fmt::Debug + Send + Sync {
    /// One of [`STORAGE_TYPES`].
    fn storage_type(&self) -> &'static str;

    /// Where it keeps files, for people: a folder, or `s3://bucket/prefix/`.
    fn address(&self) -> String;

    /// Where it keeps files, to be compared with another storage.
    fn extent(&self) -> Extent<'_>;

    /// Where a path lies, as one text for each place.
    fn place_of(&self, path: &str) -> String;

    /// The network that its requests cross without TLS; `None` if they cross none.
    fn plain_network(&self) -> Option<Network> {
        None
    }

    /// Its folder on this machine; `None` if it has none.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Opens it for the elements of a step that otherwise reach these folders.
    fn open(&self, folders: &Folders) -> Result<Box<dyn Files>>;
}

/// Files as readers and writers use them: by paths, streaming, and never half visible.
pub(crate) trait Files {
    /// Opens a file for reading.
    fn open_input(&self, path: &str, context: &StepContext) -> Result<OpenInput>;

    /// Finds the place of a new output, and the temporary name that it has there. `temporary` makes that name from the
    /// last part of the path.
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

    /// Removes what a run has left of an output, and of its fragments.
    fn remove_left_over(&self, path: &str, temporary: &str) -> Result<()>;
}

/// Small files, each written and read in one piece. A file is whole or not there, and durable when it is written.
pub(crate) trait WholeFiles {
    /// Writes a file, in place of one that is there.
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;

    /// Writes a file where there is none, and tells whether it did.
    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool>;

    /// The whole of a file; `None` if there is nothing. A file with more bytes is an error.
    fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>>;

    /// The paths of the files in a folder and below, in their order.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes a file; one that is gone already does not matter.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes a folder with all that is in it.
    fn remove_folder(&self, folder: &str) -> Result<()>;
}

/// An input that was opened.
pub(crate) struct OpenInput {
    /// What is read.
    pub(crate) source: Box<dyn InputSource>,
    /// In bytes, when it was opened.
    pub(crate) length: u64,
    /// Fingerprint of the version that is read; `None` where there are no versions.
    pub(crate) version: Option<u64>,
}

/// What an input is read from: a file, or an object that reads like one.
pub(crate) trait InputSource: Read + Seek + Send {
    /// How the file stands now; `None` where always the same version is read.
    fn stamp(&self) -> io::Result<Option<Stamp>> {
        Ok(None)
    }

    /// How the file stands that the path leads to now; `None` if there is none, or where versions tell.
    fn stamp_at_path(&self) -> io::Result<Option<Stamp>> {
        Ok(None)
    }
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// In bytes.
    pub(crate) length: u64,
    /// `None` where the file system does not keep it.
    pub(crate) modified: Option<std::time::SystemTime>,
    /// Which file it is, whatever it is called.
    pub(crate) identity: Option<(u64, u64)>,
}
