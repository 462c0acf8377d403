//! How readers, writers and storages fail.

use std::io;

use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::remedy::{Network, Remedy};

use crate::file_problem::FileProblem;
use crate::other_format::{Encoding, OtherFormat};
use crate::storage::bucket::problem::{BadAnswer, BucketProblem};

mod code;
mod help;

pub use self::code::CODES;

/// Why a reader or writer cannot begin or go on.
///
/// Paths stand as they were given, never as they were resolved: a tenant may read these texts.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// An option that the element does not have.
    #[error("there is no option `{option}`")]
    UnknownOption {
        /// As given.
        option: String,
        /// The options there are.
        known: &'static [&'static str],
    },
    /// An option that cannot be left out.
    #[error("the option `{option}` is missing")]
    MissingOption {
        /// Its name.
        option: &'static str,
    },
    /// An option with a value it cannot have.
    #[error("the option `{option}` {problem}")]
    BadOption {
        /// Its name.
        option: &'static str,
        /// What is wrong: `is neither true nor false`.
        problem: String,
    },
    /// A storage of a type that does not exist.
    #[error("the option `{option}` names the storage type `{given}`; available: {}", available.join(", "))]
    UnknownStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The type as given.
        given: String,
        /// The types there are.
        available: &'static [&'static str],
    },
    /// A storage that the operator has not named.
    #[error("the option `{option}` names the storage `{given}`, which does not exist")]
    NoStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The name as given.
        given: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// A storage that the operator has named, and that cannot be used now.
    #[error("the storage `{storage}` cannot be used now: {problem}")]
    UnusableStorage {
        /// Its name.
        storage: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        help: String,
    },
    /// A storage of another type than the one it is used as.
    #[error("the option `{option}` names the storage `{storage}` as `{given}`, and it is `{found}`")]
    OtherStorage {
        /// The option that holds the storage.
        option: &'static str,
        /// The name of the storage.
        storage: String,
        /// The type as given.
        given: &'static str,
        /// The type that it has.
        found: &'static str,
    },
    /// A storage that cannot be as the operator describes it.
    #[error("the storage `{storage}` {problem}")]
    BadStorage {
        /// Its name.
        storage: String,
        /// What is wrong: `has no bucket`.
        problem: String,
    },
    /// A storage whose folder is not there.
    #[error("the storage `{storage}`: `{path}` is not a folder that can be opened")]
    NoFolder {
        /// Its name.
        storage: String,
        /// The folder, as the operator describes it.
        path: String,
    },
    /// Files would go to a storage without TLS, over addresses that the policy does not open.
    #[error("the storage `{storage}` has an `endpoint` {} without TLS, and {} are not open", at(*network), network.in_words())]
    ClosedEndpoint {
        /// Its name.
        storage: String,
        /// Which addresses would have to be open.
        network: Network,
    },
    /// A storage of jobs in which what machines share can lie, or that lies in it.
    #[error("the storage `{storage}` and what machines share lie in each other")]
    StorageOverlaps {
        /// Its name.
        storage: String,
    },
    /// What machines share is marked as another installation's.
    #[error("the storage `{storage}` {}", taken(by.as_deref()))]
    StorageTaken {
        /// Its name.
        storage: String,
        /// Where the other one's store is; none if the mark cannot be read.
        by: Option<String>,
    },
    /// A bucket did not allow it, or did not answer.
    #[error("cannot {action} `{path}` in the storage `{storage}`: {}", problem.text())]
    Bucket {
        /// `open`, `read`, `write` …
        action: &'static str,
        /// The name of the storage.
        storage: String,
        /// As given.
        path: String,
        /// What kind of problem it is.
        problem: BucketProblem,
    },
    /// A path that could not name a file anywhere.
    #[error("the path `{}` {problem}", path.escape_debug())]
    BadPath {
        /// As given.
        path: String,
        /// What is wrong: `is empty`.
        problem: &'static str,
    },
    /// The operating system, or the folders granted, did not allow it.
    #[error("cannot {action} `{path}`: {}", problem.text(source))]
    File {
        /// `open`, `read`, `write` …
        action: &'static str,
        /// As given.
        path: String,
        /// What kind of problem it is.
        problem: FileProblem,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file without the first row or item that would tell the columns.
    #[error("`{path}` has no row that names its columns")]
    EmptyFile {
        /// As given.
        path: String,
    },
    /// A column without a name.
    #[error("the header of `{path}` has no name for column {column}")]
    EmptyColumnName {
        /// As given.
        path: String,
        /// From 1.
        column: usize,
    },
    /// Two columns of one name.
    #[error("the header of `{path}` names columns {first} and {second} both `{name}`")]
    DuplicateColumnName {
        /// As given.
        path: String,
        /// The name.
        name: String,
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
    },
    /// More columns than rows can have.
    #[error("`{path}` has more than {max} columns")]
    TooManyColumns {
        /// As given.
        path: String,
        /// How many are allowed.
        max: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line} of `{path}` is not UTF-8{}", looks_like(*encoding))]
    NotUtf8 {
        /// As given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// What its first bytes are those of.
        encoding: Encoding,
    },
    /// A file of another format.
    #[error("`{path}` looks like {found}")]
    OtherFormat {
        /// As given.
        path: String,
        /// Which one.
        found: OtherFormat,
    },
    /// A header of one column in which another delimiter stands, or one with two likely ones.
    #[error("{}", delimiter_doubt(path, header, likely))]
    DelimiterUnclear {
        /// As given.
        path: String,
        /// The header as it stands in the file.
        header: String,
        /// What the delimiter may be.
        likely: Vec<char>,
    },
    /// A column that a header of CSV cannot name, as its reader would refuse it.
    #[error("column {column} of the items has no name, and the header of `{path}` needs one")]
    UnnamedOutputColumn {
        /// As given.
        path: String,
        /// From 1.
        column: usize,
    },
    /// A name that cannot be written without an enclosure.
    #[error("the column `{column}` cannot stand in the header of `{path}` without an enclosure")]
    NeedsEnclosure {
        /// As given.
        path: String,
        /// Its name.
        column: String,
    },
    /// A cell that is enclosed at its beginning and nowhere else.
    #[error("the row on line {line} of `{path}` opens a {enclosure} that is never closed")]
    UnclosedEnclosure {
        /// As given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// The character.
        enclosure: char,
    },
    /// A row larger than a chunk may be.
    #[error("the row on line {line} of `{path}` is longer than {max_mib} MiB")]
    RowTooLong {
        /// As given.
        path: String,
        /// The line on which the row begins, from 1.
        line: u64,
        /// The limit.
        max_mib: usize,
    },
    /// The input is not the file that an earlier attempt read.
    #[error("`{path}` is not the file this run began with: {difference}")]
    InputChanged {
        /// As given.
        path: String,
        /// What gave it away.
        difference: String,
    },
    /// The output is not as the last checkpoint left it.
    #[error("the unfinished output of `{path}` is not as this run left it: {difference}")]
    OutputChanged {
        /// As given.
        path: String,
        /// What gave it away.
        difference: String,
    },
    /// A bucket said that it has kept the output, and does not have it.
    #[error("the bucket took the output `{path}`, but {difference}")]
    OutputNotKept {
        /// As given.
        path: String,
        /// What it has instead.
        difference: String,
    },
    /// The name of the unfinished output is another file's by now.
    #[error("another worker has taken the unfinished output of `{path}` over")]
    OutputTakenOver {
        /// As given.
        path: String,
    },
    /// The rows have other columns than those that the output was begun with.
    #[error("the unfinished output of `{path}` was begun with other columns than the items have now")]
    ColumnsChanged {
        /// As given.
        path: String,
    },
    /// A checkpoint that this version cannot read.
    #[error("the checkpoint cannot be read: {source}")]
    BadState {
        /// Why.
        source: serde_json::Error,
    },
    /// More was skipped than a rejected items file may hold.
    #[error("the rejected items file would be longer than {bytes_max} bytes")]
    RejectedTooLarge {
        /// How long it may be.
        bytes_max: u64,
    },
    /// The execution context has no room for the path of the output.
    #[error("the path of `{path}` cannot be kept for later steps: {reason}")]
    ContextFull {
        /// As given.
        path: String,
        /// What the context said.
        reason: String,
    },
    /// A call out of order: a defect of whoever calls.
    #[error("it was used before it was opened")]
    NotOpen,
}

/// The result of everything in this crate.
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
    /// A failed file operation, sorted by what went wrong.
    pub(crate) fn file(action: &'static str, path: &str, source: io::Error) -> Self {
        // A bucket that is read like a file says itself what went wrong.
        let source = match source.downcast::<Self>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        if source.kind() == io::ErrorKind::InvalidFilename {
            return Self::BadPath { path: path.to_owned(), problem: "is longer than a path may be" };
        }
        Self::File { action, path: path.to_owned(), problem: FileProblem::of(&source), source }
    }

    /// A failed file operation of whoever builds on this crate.
    pub fn file_of(action: &'static str, path: &str, source: io::Error) -> Self {
        Self::file(action, path, source)
    }

    /// Settings that a storage cannot have: `has no bucket`.
    pub(crate) fn bad_storage(storage: &str, problem: &str) -> Self {
        Self::BadStorage { storage: storage.to_owned(), problem: problem.to_owned() }
    }

    /// A file operation that was never tried.
    pub(crate) fn not_tried(action: &'static str, path: &str, problem: FileProblem) -> Self {
        Self::File { action, path: path.to_owned(), problem, source: io::ErrorKind::Other.into() }
    }

    /// What else to do about it, for a front end to put in words.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoStorage { available, .. } if available.is_empty() => vec![Remedy::AddStorage],
            Self::ClosedEndpoint { network, .. } => vec![Remedy::OpenNetwork { network: *network }],
            Self::ColumnsChanged { .. } => vec![Remedy::RestartWithNewestComponents],
            _ => Vec::new(),
        }
    }

    /// Whether the same call may succeed later without anybody doing something.
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
