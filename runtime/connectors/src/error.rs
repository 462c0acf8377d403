//! The errors of readers, writers and storages.

use std::io;

use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::remedy::{Network, Remedy};

use crate::file_problem::FileProblem;
use crate::other_format::{Encoding, OtherFormat};
use crate::storage::bucket::problem::{BadAnswer, BucketProblem};

mod code;
mod help;

pub use self::code::CODES;

/// Why a reader or writer cannot begin or continue.
///
/// Errors show paths as they were given, never as they were resolved: a tenant may read these texts.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The element has no such option.
    #[error("there is no option `{option}`")]
    UnknownOption {
        /// The option as given.
        option: String,
        /// The options of the element.
        known: &'static [&'static str],
    },
    /// A required option is missing.
    #[error("the option `{option}` is missing")]
    MissingOption {
        /// The name of the option.
        option: &'static str,
    },
    /// The value of an option is not allowed.
    #[error("the option `{option}` {problem}")]
    BadOption {
        /// The name of the option.
        option: &'static str,
        /// The problem, such as `is neither true nor false`.
        problem: String,
    },
    /// There is no storage type of that name.
    #[error("the option `{option}` names the storage type `{given}`; available: {}", available.join(", "))]
    UnknownStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The type as given.
        given: String,
        /// The types that exist.
        available: &'static [&'static str],
    },
    /// There is no storage of that name in the operator's configuration.
    #[error("the option `{option}` names the storage `{given}`, which does not exist")]
    NoStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The name as given.
        given: String,
        /// The names that exist.
        available: Vec<String>,
    },
    /// The storage exists in the operator's configuration, but cannot be used now.
    #[error("the storage `{storage}` cannot be used now: {problem}")]
    UnusableStorage {
        /// The name of the storage.
        storage: String,
        /// The problem.
        problem: String,
        /// The help for the operator.
        help: String,
    },
    /// The job uses the storage as one type, and the storage has another type.
    #[error("the option `{option}` names the storage `{storage}` as `{given}`, and it is `{found}`")]
    OtherStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The name of the storage.
        storage: String,
        /// The type as given.
        given: &'static str,
        /// The type of the storage.
        found: &'static str,
    },
    /// The operator's settings of a storage are not valid.
    #[error("the storage `{storage}` {problem}")]
    BadStorage {
        /// The name of the storage.
        storage: String,
        /// The problem, such as `has no bucket`.
        problem: String,
    },
    /// The folder of a storage does not exist or cannot be opened.
    #[error("the storage `{storage}`: `{path}` is not a folder that can be opened")]
    NoFolder {
        /// The name of the storage.
        storage: String,
        /// The folder as the operator configured it.
        path: String,
    },
    /// The endpoint of a storage has no TLS, and the policy does not open the addresses that the files would cross.
    #[error("the storage `{storage}` has an `endpoint` {} without TLS, and {} are not open", at(*network), network.in_words())]
    ClosedEndpoint {
        /// The name of the storage.
        storage: String,
        /// The addresses that the policy must open for this storage.
        network: Network,
    },
    /// A storage of jobs contains the storage that machines share, or is inside it.
    #[error("the storage `{storage}` and what machines share lie in each other")]
    StorageOverlaps {
        /// The name of the storage.
        storage: String,
    },
    /// Another installation has marked the shared storage as its own.
    #[error("the storage `{storage}` {}", taken(by.as_deref()))]
    StorageTaken {
        /// The name of the storage.
        storage: String,
        /// Where the store of the other installation is; `None` if the mark cannot be read.
        by: Option<String>,
    },
    /// A bucket refused the request, or did not answer.
    #[error("cannot {action} `{path}` in the storage `{storage}`: {}", problem.text())]
    Bucket {
        /// `open`, `read`, `write` …
        action: &'static str,
        /// The name of the storage.
        storage: String,
        /// The path as given.
        path: String,
        /// The kind of problem.
        problem: BucketProblem,
    },
    /// The path cannot be the name of a file in any folder.
    #[error("the path `{}` {problem}", path.escape_debug())]
    BadPath {
        /// The path as given.
        path: String,
        /// The problem, such as `is empty`.
        problem: &'static str,
    },
    /// The operating system or the granted folders refused the operation.
    #[error("cannot {action} `{path}`: {}", problem.text(source))]
    File {
        /// `open`, `read`, `write` …
        action: &'static str,
        /// The path as given.
        path: String,
        /// The kind of problem.
        problem: FileProblem,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has no first row or item from which to learn the columns.
    #[error("`{path}` has no row that names its columns")]
    EmptyFile {
        /// The path as given.
        path: String,
    },
    /// A column has no name.
    #[error("the header of `{path}` has no name for column {column}")]
    EmptyColumnName {
        /// The path as given.
        path: String,
        /// The number of the column, from 1.
        column: usize,
    },
    /// Two columns have the same name.
    #[error("the header of `{path}` names columns {first} and {second} both `{name}`")]
    DuplicateColumnName {
        /// The path as given.
        path: String,
        /// The name of both columns.
        name: String,
        /// The number of the first column, from 1.
        first: usize,
        /// The number of the second column, from 1.
        second: usize,
    },
    /// The file has more columns than rows can have.
    #[error("`{path}` has more than {max} columns")]
    TooManyColumns {
        /// The path as given.
        path: String,
        /// The largest number of columns.
        max: usize,
    },
    /// The file contains bytes that are not UTF-8.
    #[error("line {line} of `{path}` is not UTF-8{}", looks_like(*encoding))]
    NotUtf8 {
        /// The path as given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// The encoding that the first bytes of the file suggest.
        encoding: Encoding,
    },
    /// The file has another format.
    #[error("`{path}` looks like {found}")]
    OtherFormat {
        /// The path as given.
        path: String,
        /// The format that was found.
        found: OtherFormat,
    },
    /// The header has one column that contains another delimiter, or two delimiters are equally likely.
    #[error("{}", delimiter_doubt(path, header, likely))]
    DelimiterUnclear {
        /// The path as given.
        path: String,
        /// The header as it is in the file.
        header: String,
        /// The characters that may be the delimiter.
        likely: Vec<char>,
    },
    /// A column has no name. The writer refuses it, because the reader would refuse such a header.
    #[error("column {column} of the items has no name, and the header of `{path}` needs one")]
    UnnamedOutputColumn {
        /// The path as given.
        path: String,
        /// The number of the column, from 1.
        column: usize,
    },
    /// The name of a column cannot be written without an enclosure.
    #[error("the column `{column}` cannot stand in the header of `{path}` without an enclosure")]
    NeedsEnclosure {
        /// The path as given.
        path: String,
        /// The name of the column.
        column: String,
    },
    /// A cell begins with an enclosure that is never closed.
    #[error("the row on line {line} of `{path}` opens a {enclosure} that is never closed")]
    UnclosedEnclosure {
        /// The path as given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// The enclosure.
        enclosure: char,
    },
    /// A row is larger than a chunk may be.
    #[error("the row on line {line} of `{path}` is longer than {max_mib} MiB")]
    RowTooLong {
        /// The path as given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// The limit, in MiB.
        max_mib: usize,
    },
    /// The input is not the file that an earlier attempt read.
    #[error("`{path}` is not the file this run began with: {difference}")]
    InputChanged {
        /// The path as given.
        path: String,
        /// How the file differs.
        difference: String,
    },
    /// The output is not as the last checkpoint left it.
    #[error("the unfinished output of `{path}` is not as this run left it: {difference}")]
    OutputChanged {
        /// The path as given.
        path: String,
        /// How the output differs.
        difference: String,
    },
    /// A bucket confirmed the output, but does not have it.
    #[error("the bucket took the output `{path}`, but {difference}")]
    OutputNotKept {
        /// The path as given.
        path: String,
        /// How the object in the bucket differs.
        difference: String,
    },
    /// Another worker has taken over the unfinished output.
    #[error("another worker has taken the unfinished output of `{path}` over")]
    OutputTakenOver {
        /// The path as given.
        path: String,
    },
    /// The items have other columns than at the beginning of the output.
    #[error("the unfinished output of `{path}` was begun with other columns than the items have now")]
    ColumnsChanged {
        /// The path as given.
        path: String,
    },
    /// This version cannot read the checkpoint.
    #[error("the checkpoint cannot be read: {source}")]
    BadState {
        /// The reason.
        source: serde_json::Error,
    },
    /// The skipped items need more room than a rejected items file may have.
    #[error("the rejected items file would be longer than {bytes_max} bytes")]
    RejectedTooLarge {
        /// The largest length of the file, in bytes.
        bytes_max: u64,
    },
    /// The execution context has no room for the path of the output.
    #[error("the path of `{path}` cannot be kept for later steps: {reason}")]
    ContextFull {
        /// The path as given.
        path: String,
        /// The reason that the context gives.
        reason: String,
    },
    /// A call out of order. This is a defect of the caller.
    #[error("it was used before it was opened")]
    NotOpen,
}

/// The result of all functions in this crate.
pub(crate) type Result<T> = std::result::Result<T, ConnectorError>;

fn looks_like(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Unknown => "",
        Encoding::Utf16 => ", it looks like UTF-16",
        Encoding::Utf32 => ", it looks like UTF-32",
    }
}

fn delimiter_doubt(path: &str, header: &str, likely: &[char]) -> String {
    let header = header.escape_debug();
    match likely {
        [other] => {
            let other = other.escape_default();
            format!("the header of `{path}` is one column, `{header}`, with `{other}` in it")
        }
        several => {
            let several: Vec<_> = several.iter().map(|c| format!("`{}`", c.escape_default())).collect();
            format!(
                "the delimiter of `{path}` is not clear: its header, `{header}`, has {} equally often",
                several.join(" and ")
            )
        }
    }
}

impl ConnectorError {
    /// The error of a failed file operation, by the kind of problem.
    pub(crate) fn file(action: &'static str, path: &str, source: io::Error) -> Self {
        // A bucket that is read like a file returns its own error inside the `io::Error`.
        let source = match source.downcast::<Self>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        if source.kind() == io::ErrorKind::InvalidFilename {
            return Self::BadPath { path: path.to_owned(), problem: "is longer than a path may be" };
        }
        Self::File { action, path: path.to_owned(), problem: FileProblem::of(&source), source }
    }

    /// The error of a failed file operation, for programs that build on this crate.
    pub fn file_of(action: &'static str, path: &str, source: io::Error) -> Self {
        Self::file(action, path, source)
    }

    /// The error of a storage whose settings are not valid. An example of `problem`: `has no bucket`.
    pub(crate) fn bad_storage(storage: &str, problem: &str) -> Self {
        Self::BadStorage { storage: storage.to_owned(), problem: problem.to_owned() }
    }

    /// The error of a file operation that was refused before it was tried.
    pub(crate) fn not_tried(action: &'static str, path: &str, problem: FileProblem) -> Self {
        Self::File { action, path: path.to_owned(), problem, source: io::ErrorKind::Other.into() }
    }

    /// Whether there is no file, folder, object or bucket of that name.
    pub fn is_not_found(&self) -> bool {
        matches!(self.code(), "file-not-found" | "object-not-found" | "bucket-not-found")
    }

    /// Further remedies, which a front end puts into words.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoStorage { available, .. } if available.is_empty() => vec![Remedy::AddStorage],
            Self::ClosedEndpoint { network, .. } => vec![Remedy::OpenNetwork { network: *network }],
            Self::ColumnsChanged { .. } => vec![Remedy::RestartWithNewestComponents],
            _ => Vec::new(),
        }
    }

    /// Whether the same call may succeed later without any change by a person.
    fn is_retryable(&self) -> bool {
        use BadAnswer::{NotKept, TooSlow};
        matches!(
            self,
            Self::Bucket {
                problem: BucketProblem::Unreachable | BucketProblem::BadAnswer(NotKept | TooSlow),
                ..
            }
        )
    }
}

impl From<ConnectorError> for ElementError {
    fn from(error: ConnectorError) -> Self {
        let failed = Self::failed(error.code(), error.to_string());
        let failed = failed.with_help(error.help()).with_remedies(error.remedies());
        if error.is_retryable() { failed.retryable() } else { failed }
    }
}

impl From<ConnectorError> for Halt {
    fn from(error: ConnectorError) -> Self {
        Self::Failed(error.into())
    }
}

fn at(network: Network) -> &'static str {
    match network {
        Network::Loopback => "on this machine",
        Network::Private => "elsewhere",
    }
}

fn taken(by: Option<&str>) -> String {
    match by {
        Some(store) => format!("is used by another installation, that of {store}"),
        None => "holds an `installation` that no installation has written".to_owned(),
    }
}
