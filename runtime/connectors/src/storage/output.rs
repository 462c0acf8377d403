//! Where an output lies until it is complete, and after.

use serde::{Deserialize, Serialize};

use super::names::Begun;
use crate::error::Result;

/// The files of an output in a storage. A single file has no number; the files of a series are numbered from 1. All
/// calls but `close` may be repeated by an attempt that finds them half done.
pub(crate) trait OutputFiles: Send {
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

    /// Fails if another attempt has taken over the last file. The check is cheap and may miss it, unless
    /// `is_complete`: then it is exact.
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
pub(crate) struct Unfinished<'a> {
    /// What all its temporary names have in common.
    pub(crate) temporary: &'a str,
    pub(crate) parts: Option<Parts>,
    pub(crate) begun: Vec<Begun>,
}

/// A file that an earlier attempt left.
pub(crate) struct Found {
    /// How many bytes it had.
    pub(crate) length: u64,
    /// How many of them had to be copied.
    pub(crate) copied: u64,
}

/// A fragment, as the last state of its writer speaks of it.
pub(crate) struct Piece<'a> {
    /// What all its temporary names have in common.
    pub(crate) temporary: &'a str,
    /// How many bytes are durable.
    pub(crate) length: u64,
    pub(crate) parts: Option<&'a Parts>,
    pub(crate) begun: &'a [Begun],
}

/// How much of a fragment was appended.
pub(crate) struct Absorption {
    /// In bytes.
    pub(crate) bytes: u64,
    /// How many of them were read and written for it.
    pub(crate) copied: u64,
}

/// How many bytes were written, and their [`Digest`](crate::fingerprint::Digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

/// The objects that the unfinished files of an output are made of, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// By those who wrote them: few, however many objects there are.
    pub(crate) runs: Vec<Run>,
    /// How many objects come before each file.
    pub(crate) files: Vec<u64>,
}

/// Objects of one file that one attempt wrote one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The temporary name of the fragment that they were written for; none for the output itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<String>,
    /// Unique to the attempt.
    pub(crate) by: String,
    /// The number of the first one.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) count: u64,
    /// What they hold together; none in what was stored before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Content>,
}
