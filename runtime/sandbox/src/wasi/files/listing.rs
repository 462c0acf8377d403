//! The entries of a folder: only some of them are in memory at a time.

use std::collections::VecDeque;
use std::io;

use cap_std::fs::{DirEntry, ReadDir};
use tokio::task::spawn_blocking;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::budget::Handle;
use crate::memory::Charge;

/// The number of entries that are read at once.
const AHEAD: usize = 128;
/// The maximum memory of a listing, in bytes: that many names, and the buffer of the system's own reader.
pub(super) const LISTING_BYTES: u64 = 128 << 10;

/// A folder that is being listed.
pub(super) struct Listing {
    /// `None` while it is being read.
    rest: Option<ReadDir>,
    ahead: VecDeque<Found>,
    _handle: Handle,
    _charge: Charge,
}

type Found = io::Result<(DescriptorType, std::ffi::OsString)>;

impl Listing {
    pub(super) fn new(rest: ReadDir, handle: Handle, charge: Charge) -> Self {
        Self { rest: Some(rest), ahead: VecDeque::new(), _handle: handle, _charge: charge }
    }

    /// The next entry; `None` at the end.
    pub(super) async fn next(&mut self) -> FsResult<Option<DirectoryEntry>> {
        if self.ahead.is_empty()
            && let Some(mut rest) = self.rest.take()
        {
            let read = move || (rest.by_ref().take(AHEAD).map(found).collect(), rest);
            let (ahead, rest) = spawn_blocking(read).await.map_err(FsError::trap)?;
            (self.ahead, self.rest) = (ahead, Some(rest));
        }
        let Some(found) = self.ahead.pop_front() else { return Ok(None) };
        let (type_, name) = found?;
        let name = name.into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
        Ok(Some(DirectoryEntry { type_, name }))
    }
}

fn found(entry: io::Result<DirEntry>) -> Found {
    let entry = entry?;
    let kind = entry.file_type()?;
    let kind = if kind.is_file() {
        DescriptorType::RegularFile
    } else if kind.is_dir() {
        DescriptorType::Directory
    } else if kind.is_symlink() {
        DescriptorType::SymbolicLink
    } else {
        DescriptorType::Unknown
    };
    Ok((kind, entry.file_name()))
}
