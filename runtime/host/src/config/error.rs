//! What can be wrong with a file of the operator.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Why a file of the operator, or its content, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is longer than such a file may be.
    #[error("`{}` is longer than {bytes_max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The maximum length.
        bytes_max: u64,
    },
    /// The file has an invalid key, value or setting, or a setting without effect.
    #[error("{}{place}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The place, such as `, line 3, column 5`; empty for the file as a whole.
        place: String,
        /// What is wrong there.
        message: String,
        /// How to correct it.
        help: String,
    },
    /// Other users may write to the file, or it breaks a rule of the installation.
    #[error(transparent)]
    Refused(#[from] Box<Error>),
}

impl ConfigError {
    /// The codes of the variants of this type.
    pub const CODES: &[&str] = &["file-unreadable", "file-too-long", "policy-file-malformed"];

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "file-unreadable",
            Self::TooLong { .. } => "file-too-long",
            Self::Malformed { .. } => "policy-file-malformed",
            Self::Refused(error) => error.code(),
        }
    }

    /// How to correct it; `None` if there is nothing to add.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("check the path; it must be a file you may read".to_owned()),
            Self::TooLong { .. } => Some("check that it is the file you mean".to_owned()),
            Self::Malformed { help, .. } => Some(help.clone()).filter(|help| !help.is_empty()),
            Self::Refused(error) => error.help(),
        }
    }

    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }
}

impl From<Error> for ConfigError {
    fn from(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// Something that a file names and that cannot be used now.
///
/// Only the steps that need it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// What is wrong, without any secret.
    pub message: String,
    /// How to correct it.
    pub help: String,
}
