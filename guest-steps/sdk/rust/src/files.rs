//! Files within the grants of this step.
//!
//! A path starts with the name of a granted folder: `inbox/a.csv`. The folder `work` is always
//! there, writable, and gone when the execution ends. What no grant covers is
//! [`Refused`](FileError::Refused). `std::fs` reaches the same folders as `/inbox` and `/work`.

use std::fmt::{self, Display};
use std::io;

use crate::{StepError, host};

/// Why a file operation did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// No grant covers this path, or not for writing. The text names the missing grant.
    Refused(String),
    /// There is nothing of that name.
    NotFound,
    /// There is something of that name.
    AlreadyExists,
    /// A folder where a file belongs, or the reverse, or something that is neither.
    WrongKind,
    /// A path that no folder could hold.
    BadPath,
    /// A limit of the step is reached. The text names it.
    OverLimit(String),
    /// Anything else the operating system says, such as a full disk.
    Failed(String),
}

/// What a folder holds under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last part of the path.
    pub name: String,
    /// File or folder.
    pub kind: Kind,
    /// In bytes; 0 for a folder.
    pub size: u64,
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A new file; [`AlreadyExists`](FileError::AlreadyExists) if there is one.
    CreateNew,
    /// A new file or an emptied one.
    Replace,
    /// A new file or the end of one.
    Append,
}

/// A file being read. Each read is a call to the runtime: wrap it in a [`io::BufReader`] for small ones.
pub struct FileReader(host::FileReader);

/// A file being written. Each write is a call to the runtime: wrap it in a [`io::BufWriter`] for small ones.
pub struct FileWriter(host::FileWriter);

/// Opens a file for reading.
pub fn open(path: &str) -> Result<FileReader, FileError> {
    host::FileReader::open(path).map(FileReader)
}

/// Opens a file for writing.
pub fn open_writer(path: &str, mode: Mode) -> Result<FileWriter, FileError> {
    host::FileWriter::open(path, mode).map(FileWriter)
}

/// What a folder holds, sorted by name, at most 10,000 entries.
pub fn list(path: &str) -> Result<Vec<Entry>, FileError> {
    host::list(path)
}

/// What there is at a path.
pub fn stat(path: &str) -> Result<Entry, FileError> {
    host::stat(path)
}

/// Makes a folder.
pub fn create_folder(path: &str) -> Result<(), FileError> {
    host::create_folder(path)
}

/// Moves a file or folder within one granted folder. Replaces a file of that name.
pub fn rename(from: &str, to: &str) -> Result<(), FileError> {
    host::rename(from, to)
}

/// Removes a file or an empty folder.
pub fn remove(path: &str) -> Result<(), FileError> {
    host::remove(path)
}

/// Cuts a file off after `bytes`: how a writer goes back to its checkpoint.
pub fn truncate(path: &str, bytes: u64) -> Result<(), FileError> {
    host::truncate(path, bytes)
}

impl FileReader {
    /// Goes on reading at `offset` bytes from the start.
    pub fn seek_to(&mut self, offset: u64) -> Result<(), FileError> {
        self.0.seek(offset)
    }
}

impl io::Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let bytes = self.0.read(wanted)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl FileWriter {
    /// Returns when everything written is on the disk.
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.0.sync()
    }
}

impl io::Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = host::piece(bytes);
        self.0.write(piece)?;
        Ok(piece.len())
    }

    /// Does nothing: what is written has reached the runtime. See [`sync`](FileWriter::sync).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileError {
    fn code(&self) -> &'static str {
        match self {
            FileError::Refused(_) => "file-refused",
            FileError::NotFound => "file-not-found",
            FileError::AlreadyExists => "file-already-exists",
            FileError::WrongKind => "file-wrong-kind",
            FileError::BadPath => "file-bad-path",
            FileError::OverLimit(_) => "file-over-limit",
            FileError::Failed(_) => "file-failed",
        }
    }
}

impl Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Refused(why) => write!(f, "refused: {why}"),
            FileError::NotFound => f.write_str("there is no such file or folder"),
            FileError::AlreadyExists => f.write_str("there is a file or folder of that name already"),
            FileError::WrongKind => f.write_str("a folder where a file belongs, or the reverse"),
            FileError::BadPath => f.write_str("no folder could hold such a path"),
            FileError::OverLimit(which) => write!(f, "a limit is reached: {which}"),
            FileError::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FileError {}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> io::Error {
        let kind = match error {
            FileError::Refused(_) => io::ErrorKind::PermissionDenied,
            FileError::NotFound => io::ErrorKind::NotFound,
            FileError::AlreadyExists => io::ErrorKind::AlreadyExists,
            FileError::OverLimit(_) => io::ErrorKind::QuotaExceeded,
            FileError::BadPath => io::ErrorKind::InvalidInput,
            FileError::WrongKind | FileError::Failed(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Without the path, which only the caller knows: `.map_err(|error| error.at(path))` adds it.
impl From<FileError> for StepError {
    fn from(error: FileError) -> StepError {
        StepError::new(error.code(), &error)
    }
}

impl FileError {
    /// The error that fails the step, with the file it is about.
    pub fn at(self, path: &str) -> StepError {
        StepError::new(self.code(), format_args!("file `{path}`: {self}"))
    }
}
