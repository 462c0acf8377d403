//! Why a call on files failed, independent of the contract's version.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use std::io;

use rustix::io::Errno;
use wasmtime::component::ResourceTableError;

use crate::budget::OverLimit;
use crate::memory::OutOfMemory;
use crate::renames::Unmoved;

/// The reason that a step gets for a failed call on files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// No file or folder has that name.
    NotFound,
    /// A file or folder already has that name.
    AlreadyExists,
    /// The path leads to a folder instead of a file, to a file instead of a folder, or to neither.
    WrongKind,
    /// The path cannot name a file.
    BadPath,
    /// No grant covers the path. The text names a grant that would.
    Refused(String),
    /// A limit of the step was reached. The text names it.
    OverLimit(String),
    /// Any other error of the system.
    Failed(String),
}

/// Why a call on files failed: a reason that the step gets, or a handle that does not exist, which ends the
/// step.
#[derive(Debug)]
pub enum FileFailure {
    /// The reason that the step gets.
    Told(FileProblem),
    /// The error that ends the step.
    Trap(wasmtime::Error),
}

impl From<FileProblem> for FileFailure {
    fn from(error: FileProblem) -> Self {
        Self::Told(error)
    }
}

impl From<OverLimit> for FileFailure {
    fn from(error: OverLimit) -> Self {
        Self::Told(FileProblem::OverLimit(error.to_string()))
    }
}

impl From<OutOfMemory> for FileFailure {
    fn from(error: OutOfMemory) -> Self {
        Self::Told(FileProblem::OverLimit(error.to_string()))
    }
}

impl From<Unmoved> for FileFailure {
    fn from(error: Unmoved) -> Self {
        match error {
            Unmoved::Io(error) => error.into(),
            _ => Self::Told(FileProblem::Refused(error.to_string())),
        }
    }
}

impl From<ResourceTableError> for FileFailure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<io::Error> for FileFailure {
    fn from(error: io::Error) -> Self {
        Self::Told(told(&error))
    }
}

/// Converts an error of the system to the reason that a step gets. The system's errors contain no path of the
/// host.
fn told(error: &io::Error) -> FileProblem {
    match error.kind() {
        io::ErrorKind::NotFound => FileProblem::NotFound,
        io::ErrorKind::AlreadyExists => FileProblem::AlreadyExists,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => FileProblem::WrongKind,
        io::ErrorKind::InvalidFilename => FileProblem::BadPath,
        // Sockets cannot be opened at all.
        _ if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => FileProblem::WrongKind,
        // Without an error number of the system, the capability layer has refused.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            FileProblem::Refused("the path leads out of its granted folder".to_owned())
        }
        io::ErrorKind::PermissionDenied => {
            FileProblem::Refused("the operating system does not allow it".to_owned())
        }
        _ => FileProblem::Failed(error.to_string()),
    }
}
