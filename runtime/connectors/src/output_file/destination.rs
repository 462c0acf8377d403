//! Where an output lies until it is complete, and after.

use serde::{Deserialize, Serialize};
use stepbox_batch::step_context::StepContext;

use super::bucket::BucketFiles;
use super::local::LocalFiles;
use crate::bucket::Content;
use crate::error::Result;
use crate::folders::Folders;
use crate::storage::{Located, Storage};

/// What the files of an output are on a disk, and in a bucket. A single file has no number; those of a series
/// have theirs, from 1. All but `close` may be called again by an attempt that finds it half done.
pub(super) trait Destination: Send {
    /// The final path as it was given, with its placeholders filled.
    fn given(&self) -> &str;

    /// The last part of the final path.
    fn name(&self) -> &str;

    /// Where later steps find a final name.
    fn address(&self, name: &str) -> String;

    /// Whether a final name may be taken.
    fn check_final_name(&self, name: &str) -> Result<()>;

    /// Begins a file, in place of what an earlier attempt left of it.
    fn begin(&mut self, number: Option<u64>) -> Result<()>;

    /// Goes on with a file after `length` bytes, if it has as many; none if it is gone.
    fn go_on(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>>;

    /// Fails if another attempt has taken the last file over, as far as that can be told without much ado, or
    /// for certain where it is about to be complete.
    fn check_is_ours(&self, is_complete: bool) -> Result<()>;

    /// Whether the last file takes more.
    fn is_open(&self) -> bool;

    /// Adds to the last file.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes all of the last file durable.
    fn sync(&mut self) -> Result<()>;

    /// How long an unfinished file is; none if it is not there, or not all of it.
    fn length_of(&self, number: Option<u64>) -> Result<Option<u64>>;

    /// How long the file of a final name is, if it is one that this run may have made.
    fn final_length_of(&self, name: &str) -> Result<Option<u64>>;

    /// Removes what an earlier attempt began after this file.
    fn remove_after(&mut self, number: u64) -> Result<()>;

    /// Gives a file its final name. `is_last` says that it is the one that is open.
    fn show(&mut self, number: Option<u64>, name: &str, is_last: bool) -> Result<()>;

    /// Makes the final names durable, and leaves nothing else behind.
    fn close(&mut self) -> Result<()>;

    /// Appends some of a fragment, after so many bytes of it that are there already; returns how many. All of
    /// the last file is written before.
    fn absorb(&mut self, fragment: &Piece<'_>, after: u64) -> Result<Absorption>;

    /// Removes fragments that are a part of the output by now.
    fn remove_fragments(&self, temporaries: &[String]) -> Result<()>;

    /// What the last file, and those before it, are made of, where that is more than a name.
    fn parts(&self) -> Option<Parts> {
        None
    }
}

/// A file that an earlier attempt left.
pub(super) struct Found {
    /// How many bytes it had.
    pub(super) length: u64,
    /// How many of them had to be copied.
    pub(super) copied: u64,
}

/// A fragment, as the last state of its writer speaks of it.
pub(super) struct Piece<'a> {
    /// Its temporary name.
    pub(super) temporary: &'a str,
    /// How many bytes are durable.
    pub(super) length: u64,
    pub(super) parts: Option<&'a Parts>,
}

/// How much of a fragment was appended.
pub(super) struct Absorption {
    /// In bytes.
    pub(super) bytes: u64,
    /// How many of them were read and written for it.
    pub(super) copied: u64,
}

/// The objects that the unfinished files of an output are made of, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    /// By those who wrote them: few, however many objects there are.
    pub(super) runs: Vec<Run>,
    /// How many objects come before each file.
    pub(super) files: Vec<u64>,
}

/// Objects of one file that one attempt wrote one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The temporary name of the fragment that they were written for; none for the output itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<String>,
    /// Unique to the attempt.
    pub(super) by: String,
    /// The number of the first one.
    pub(super) first: u64,
    /// How many there are.
    pub(super) count: u64,
    /// What they hold together; none in what was stored before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content>,
}

/// Finds the place of a new output, and the temporary name that it has there.
pub(super) fn begin(
    to: &Storage,
    path: &str,
    folders: &Folders,
    context: &StepContext,
    temporary: impl Fn(&str) -> String,
) -> Result<(Box<dyn Destination>, String)> {
    match to.locate(folders)? {
        Located::Folders(folders) => {
            let place = folders.place_output(path)?;
            let temporary = temporary(place.name());
            Ok((Box::new(LocalFiles::new(place, &temporary)), temporary))
        }
        Located::Bucket(bucket) => {
            let temporary = temporary(path.rsplit('/').next().unwrap_or(path));
            let files = BucketFiles::new(&bucket, path, &temporary, context, Parts::default())?;
            Ok((Box::new(files), temporary))
        }
    }
}

/// Finds the place of an output that was begun under a temporary name.
pub(super) fn go_on(
    to: &Storage,
    path: &str,
    folders: &Folders,
    context: &StepContext,
    (temporary, parts): (&str, Option<Parts>),
) -> Result<Box<dyn Destination>> {
    match to.locate(folders)? {
        Located::Folders(folders) => Ok(Box::new(LocalFiles::new(folders.place_output(path)?, temporary))),
        Located::Bucket(bucket) => {
            let parts = parts.unwrap_or_default();
            Ok(Box::new(BucketFiles::new(&bucket, path, temporary, context, parts)?))
        }
    }
}
