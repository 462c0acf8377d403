//! Where an output lies until it is complete, and after.

use serde::{Deserialize, Serialize};
use stepbox_batch::step_context::StepContext;

use super::bucket::BucketFiles;
use super::local::LocalFiles;
use super::names::Begun;
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

    /// The temporary name of a file.
    fn temporary(&self, number: Option<u64>) -> String;

    /// Whether a final name may be taken.
    fn check_final_name(&self, name: &str) -> Result<()>;

    /// Begins a file, in place of what an earlier attempt left of it.
    fn begin(&mut self, number: Option<u64>) -> Result<()>;

    /// Goes on with a file after `length` bytes, if it has as many; none if it is gone.
    fn go_on(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>>;

    /// Removes what `begin` or `go_on` made last, of which no checkpoint speaks yet.
    fn withdraw(&mut self) -> Result<()> {
        Ok(())
    }

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

    /// Removes what earlier attempts left after this file, or instead of one up to it.
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

    /// Who made which file, where names tell.
    fn begun(&self) -> &[Begun] {
        &[]
    }
}

/// An output that was begun, as its last state speaks of it.
pub(super) struct Unfinished<'a> {
    /// What all its temporary names have in common.
    pub(super) temporary: &'a str,
    pub(super) parts: Option<Parts>,
    pub(super) begun: Vec<Begun>,
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
    /// What all its temporary names have in common.
    pub(super) temporary: &'a str,
    /// How many bytes are durable.
    pub(super) length: u64,
    pub(super) parts: Option<&'a Parts>,
    pub(super) begun: &'a [Begun],
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
            Ok((Box::new(LocalFiles::new(place, &temporary, Vec::new(), context)), temporary))
        }
        Located::Bucket(bucket) => {
            let temporary = temporary(path.rsplit('/').next().unwrap_or(path));
            let files = BucketFiles::new(&bucket, path, &temporary, context, Parts::default())?;
            Ok((Box::new(files), temporary))
        }
    }
}

/// Finds the place of an output that was begun.
pub(super) fn go_on(
    to: &Storage,
    path: &str,
    folders: &Folders,
    context: &StepContext,
    unfinished: Unfinished<'_>,
) -> Result<Box<dyn Destination>> {
    let Unfinished { temporary, parts, begun } = unfinished;
    match to.locate(folders)? {
        Located::Folders(folders) => {
            Ok(Box::new(LocalFiles::new(folders.place_output(path)?, temporary, begun, context)))
        }
        Located::Bucket(bucket) => {
            let parts = parts.unwrap_or_default();
            Ok(Box::new(BucketFiles::new(&bucket, path, temporary, context, parts)?))
        }
    }
}
