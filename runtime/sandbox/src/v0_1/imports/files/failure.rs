//! Why a call on files gives no answer, whatever the version of the contract calls it.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use std::io;

use rustix::io::Errno;
use wasmtime::component::ResourceTableError;

use crate::budget::OverLimit;
use crate::memory::OutOfMemory;
use crate::renames::Unmoved;

/// What a step is told of a call on files that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// Nothing of that name.
    NotFound,
    /// Something has that name already.
    AlreadyExists,
    /// A folder where a file belongs, or a file where a folder belongs; or something that is neither.
    WrongKind,
    /// No path that could name a file.
    BadPath,
    /// No grant covers it. The text says which would.
    Refused(String),
    /// A limit of the step. The text names it.
    OverLimit(String),
    /// Whatever else the system says.
    Failed(String),
}

/// Why a call on files gives no answer: something the step is told, or a handle that does not exist,
/// which ends it.
#[derive(Debug)]
pub enum FileFailure {
    /// What the step is told.
    Told(FileProblem),
    /// What ends it.
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

/// What a step is told. The system's errors name no path of the host.
fn told(error: &io::Error) -> FileProblem {
    match error.kind() {
        io::ErrorKind::NotFound => FileProblem::NotFound,
        io::ErrorKind::AlreadyExists => FileProblem::AlreadyExists,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => FileProblem::WrongKind,
        io::ErrorKind::InvalidFilename => FileProblem::BadPath,
        // Sockets cannot even be opened.
        _ if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => FileProblem::WrongKind,
        // With no number of the system's, it is the capability layer that refuses.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            FileProblem::Refused("the path leads out of its granted folder".to_owned())
        }
        io::ErrorKind::PermissionDenied => {
            FileProblem::Refused("the operating system does not allow it".to_owned())
        }
        _ => FileProblem::Failed(error.to_string()),
    }
}
