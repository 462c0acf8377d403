//! Files within the grants of this step.
//!
//! A path starts with the name of a granted folder: `inbox/a.csv`. The folder `work` always exists and is
//! writable. It is deleted when the execution ends. A path that no grant covers gives
//! [`Refused`](FileError::Refused). `std::fs` reaches the same folders as `/inbox` and `/work`.

use std::fmt::{self, Display};
use std::io;

use crate::{StepError, host};

/// Why a file operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// No grant covers this path, or the grant does not allow writing. The text names the missing grant.
    Refused(String),
    /// No file or folder has that name.
    NotFound,
    /// A file or folder already has that name.
    AlreadyExists,
    /// The path leads to a folder instead of a file, to a file instead of a folder, or to neither.
    WrongKind,
    /// The path cannot name a file.
    BadPath,
    /// A limit of the step is reached. The text names it.
    OverLimit(String),
    /// Any other error of the operating system, such as a full disk.
    Failed(String),
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last part of the path.
    pub name: String,
    /// Whether the entry is a file or a folder.
    pub kind: Kind,
    /// The size in bytes; 0 for a folder.
    pub size: u64,
}

/// The kind of entry at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// How to open a file for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Creates a file; [`AlreadyExists`](FileError::AlreadyExists) if there is one.
    CreateNew,
    /// Creates a file, or empties the existing one.
    Replace,
    /// Creates a file, or writes at the end of the existing one.
    Append,
}

/// A file that is being read.
///
/// Each read is a call to the runtime: for small reads, wrap it in a [`io::BufReader`].
pub struct FileReader(host::FileReader);

/// A file that is being written.
///
/// Each write is a call to the runtime: for small writes, wrap it in a [`io::BufWriter`].
pub struct FileWriter(host::FileWriter);

/// Opens a file for reading.
pub fn open(path: &str) -> Result<FileReader, FileError> {
    host::FileReader::open(path).map(FileReader)
}

/// Opens a file for writing.
pub fn open_writer(path: &str, mode: Mode) -> Result<FileWriter, FileError> {
    host::FileWriter::open(path, mode).map(FileWriter)
}

/// The entries of a folder, sorted by name, at most 10,000.
pub fn list(path: &str) -> Result<Vec<Entry>, FileError> {
    host::list(path)
}

/// The entry at a path.
pub fn stat(path: &str) -> Result<Entry, FileError> {
    host::stat(path)
}

/// Creates a folder.
pub fn create_folder(path: &str) -> Result<(), FileError> {
    host::create_folder(path)
}

/// Moves a file or folder within one granted folder. Replaces an existing file of the new name.
pub fn rename(from: &str, to: &str) -> Result<(), FileError> {
    host::rename(from, to)
}

/// Removes a file or an empty folder.
pub fn remove(path: &str) -> Result<(), FileError> {
    host::remove(path)
}

/// Cuts a file off after `bytes` bytes. A writer uses it to go back to its checkpoint.
pub fn truncate(path: &str, bytes: u64) -> Result<(), FileError> {
    host::truncate(path, bytes)
}

impl FileReader {
    /// Continues reading at `offset` bytes from the start.
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
    /// Waits until all written bytes are on the disk.
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

    /// Does nothing: the runtime already has the written bytes. See [`sync`](FileWriter::sync).
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

/// The error lacks the path, which only the caller knows. `.map_err(|error| error.at(path))` adds it.
impl From<FileError> for StepError {
    fn from(error: FileError) -> StepError {
        StepError::new(error.code(), &error)
    }
}

impl FileError {
    /// The error that fails the step, with the path of its file.
    pub fn at(self, path: &str) -> StepError {
        StepError::new(self.code(), format_args!("file `{path}`: {self}"))
    }
}
