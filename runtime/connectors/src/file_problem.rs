//! What can be wrong with a file or its folder, and what to do about it.

use std::io;

/// What kind of problem there was with a file, so that each gets its own help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileProblem {
    /// Nothing of that name.
    NotFound,
    /// A folder where a file belongs.
    IsDirectory,
    /// A device, a pipe, a socket; for an output also a link.
    NotRegular,
    /// Outside of the folders granted.
    Refused,
    /// A file or folder of the installation itself, or one that holds some of these.
    Own,
    /// On a file system that the kernel makes up, such as `/proc`, or a folder that holds one.
    Kernel,
    /// The user of this process may not.
    PermissionDenied,
    /// Nobody may write there.
    ReadOnly,
    /// No room left, on the disk or in the user's quota.
    DiskFull,
    /// Larger than the file system or the process may write.
    TooLarge,
    /// Whatever else the operating system says.
    Other,
}

impl FileProblem {
    /// Sorts what the operating system, or the capability in front of it, said.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            io::ErrorKind::IsADirectory => Self::IsDirectory,
            // A way out of a folder is refused before the operating system sees it.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Self::Refused,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Other,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotFound => "file-not-found",
            Self::IsDirectory => "file-is-directory",
            Self::NotRegular => "file-not-regular",
            Self::Refused => "file-refused",
            Self::Own => "path-in-data-folder",
            Self::Kernel => "path-of-kernel",
            Self::PermissionDenied => "permission-denied",
            Self::ReadOnly => "folder-read-only",
            Self::DiskFull => "disk-full",
            Self::TooLarge => "file-too-large",
            Self::Other => "file-failed",
        }
    }

    pub(crate) fn text(self, source: &io::Error) -> String {
        match self {
            Self::NotFound => "there is no such file or folder".to_owned(),
            Self::IsDirectory => "it is a folder".to_owned(),
            Self::NotRegular => "it is not a regular file".to_owned(),
            Self::Refused => "it is outside of the folders granted".to_owned(),
            Self::Kernel => {
                "the kernel shows processes and devices there, this process among them".to_owned()
            }
            Self::Own => "this installation keeps files of its own there".to_owned(),
            Self::PermissionDenied => "permission denied".to_owned(),
            Self::ReadOnly => "the file system is read-only".to_owned(),
            Self::DiskFull => "there is no room left".to_owned(),
            Self::TooLarge => "it would be larger than a file may be".to_owned(),
            Self::Other => source.to_string(),
        }
    }

    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::NotFound => "check the path; a relative one starts at the base folder of this runtime",
            Self::IsDirectory => "name a file in that folder",
            Self::NotRegular => "name a regular file: devices and pipes are not read, links not replaced",
            Self::Refused => "use a path in a folder of this tenant, or ask the operator to grant this one",
            Self::Own => {
                "use a folder apart from the data folder, the policy, the secrets and what machines share; a \
                 granted folder must not hold any of these either"
            }
            Self::Kernel => {
                "use a folder on a disk; a granted folder must not hold `/proc`, `/sys` or the like either"
            }
            Self::PermissionDenied => "let the user who runs Stepbox read the file, or write to its folder",
            Self::ReadOnly => "choose a folder on a file system that can be written",
            Self::DiskFull => "make room, then restart the execution: it continues from its last checkpoint",
            Self::TooLarge => "split the export, or raise the largest size of a file for this process",
            Self::Other => "see what the operating system says, then restart the execution",
        }
    }
}
