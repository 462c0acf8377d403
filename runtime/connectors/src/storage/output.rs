//! The files of an output until the output is complete, and after that.

use serde::{Deserialize, Serialize};

use super::names::Begun;
use crate::error::Result;

/// The files of an output in a storage. A single file has no number; the files of a series are numbered from 1. An
/// attempt that finds a call half done may repeat it, except `close`.
pub(crate) trait OutputFiles: Send {
    /// The final path as it was given, with its placeholders filled.
    fn given(&self) -> &str;

    /// The last part of the final path.
    fn name(&self) -> &str;

    /// The address under which later steps find a final name.
    fn address(&self, name: &str) -> String;

    /// The temporary name of a file.
    fn temporary(&self, number: Option<u64>) -> String;

    /// Fails if a final name may not be used.
    fn check_final_name(&self, name: &str) -> Result<()>;

    /// Begins a file, and replaces what an earlier attempt left of it.
    fn begin(&mut self, number: Option<u64>) -> Result<()>;

    /// Continues a file after `length` bytes, if it has that many; `None` if the file is gone.
    fn go_on(&mut self, number: Option<u64>, length: u64) -> Result<Option<Found>>;

    /// Removes the file that `begin` or `go_on` made last, which no checkpoint names yet.
    fn withdraw(&mut self) -> Result<()> {
        Ok(())
    }

    /// Fails if another attempt has taken over the last file. The check is cheap and may miss this. With `is_complete`
    /// it is exact.
    fn check_is_ours(&self, is_complete: bool) -> Result<()>;

    /// Whether bytes can be appended to the last file.
    fn is_open(&self) -> bool;

    /// Appends bytes to the last file.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes all bytes of the last file durable.
    fn sync(&mut self) -> Result<()>;

    /// The length of an unfinished file in bytes; `None` if the file, or a part of it, does not exist.
    fn length_of(&self, number: Option<u64>) -> Result<Option<u64>>;

    /// The length in bytes of the file with a final name; `None` if this run cannot have made it.
    fn final_length_of(&self, name: &str) -> Result<Option<u64>>;

    /// Removes the files that earlier attempts left: those after this file, and others that this output does not use.
    fn remove_after(&mut self, number: u64) -> Result<()>;

    /// Gives a file its final name. `is_last` says that this is the open file.
    fn show(&mut self, number: Option<u64>, name: &str, is_last: bool) -> Result<()>;

    /// Makes the final names durable, and removes everything else.
    fn close(&mut self) -> Result<()>;

    /// Appends a piece of a fragment, after the bytes of it that were appended before. Returns how many bytes. The last
    /// file must have all its own bytes first.
    fn absorb(&mut self, fragment: &Piece<'_>, after: u64) -> Result<Absorption>;

    /// Removes fragments that are now a part of the output.
    fn remove_fragments(&self, temporaries: &[String]) -> Result<()>;

    /// The objects of the files; `None` in a storage where names are enough.
    fn parts(&self) -> Option<Parts> {
        None
    }

    /// The attempts that made the files, in a storage where names contain them.
    fn begun(&self) -> &[Begun] {
        &[]
    }
}

/// An output that was begun, as its last state describes it.
pub(crate) struct Unfinished<'a> {
    /// The temporary name from which the names of its files are made.
    pub(crate) temporary: &'a str,
    pub(crate) parts: Option<Parts>,
    pub(crate) begun: Vec<Begun>,
}

/// A file that an earlier attempt left.
pub(crate) struct Found {
    /// How many bytes the file had.
    pub(crate) length: u64,
    /// How many of these bytes had to be copied.
    pub(crate) copied: u64,
}

/// A fragment, as the last state of its writer describes it.
pub(crate) struct Piece<'a> {
    /// The temporary name from which the names of its files are made.
    pub(crate) temporary: &'a str,
    /// How many bytes of the fragment are durable.
    pub(crate) length: u64,
    pub(crate) parts: Option<&'a Parts>,
    pub(crate) begun: &'a [Begun],
}

/// How much of a fragment was appended.
pub(crate) struct Absorption {
    /// How many bytes were appended.
    pub(crate) bytes: u64,
    /// How many of these bytes were read and written for it.
    pub(crate) copied: u64,
}

/// The number of the bytes that were written, and their [`Digest`](crate::fingerprint::Digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

/// The objects that the unfinished files of an output are made of, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// The objects, grouped by the attempts that wrote them: few groups, however many objects there are.
    pub(crate) runs: Vec<Run>,
    /// How many objects are before each file.
    pub(crate) files: Vec<u64>,
}

/// Objects of one file that one attempt wrote one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The temporary name of the fragment for which they were written; `None` for the output itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<String>,
    /// The end of the objects' names, which is unique to the attempt.
    pub(crate) by: String,
    /// The number of the first object.
    pub(crate) first: u64,
    /// How many objects there are.
    pub(crate) count: u64,
    /// Their content together; `None` in states from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Content>,
}
