//! The problems that a file or its folder can have, and the help for each.

use std::io;

/// The kind of problem with a file.
///
/// Each kind has its own help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileProblem {
    /// There is no file or folder of that name.
    NotFound,
    /// There is a folder, and a file is needed.
    IsDirectory,
    /// The name is a device, a pipe or a socket; for an output also a link.
    NotRegular,
    /// The path is outside the granted folders.
    Refused,
    /// The file or folder belongs to the installation, or the folder contains such a file or folder.
    Own,
    /// The file or folder is on a file system that the kernel makes up, such as `/proc`, or the folder contains such a
    /// file system.
    Kernel,
    /// The user of this process has no permission.
    PermissionDenied,
    /// The file system is read-only.
    ReadOnly,
    /// There is no space left, on the disk or in the user's quota.
    DiskFull,
    /// The file is larger than the file system or the process may write.
    TooLarge,
    /// Any other error of the operating system.
    Other,
}

impl FileProblem {
    /// The kind of an error of the operating system, or of the capability that refuses before it.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            io::ErrorKind::IsADirectory => Self::IsDirectory,
            // The capability refuses a way out of a folder before the operating system sees it. Such an error has no
            // number.
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
