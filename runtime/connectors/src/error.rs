//! How readers, writers and storages fail.

use std::io;

use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::nearest::nearest;
use stepbox_batch::remedy::{Network, Remedy};

use crate::bucket::{BadAnswer, BucketProblem};
use crate::file_problem::FileProblem;
use crate::other_format::{Encoding, OtherFormat};

/// Every code of this crate: of its errors, and of the items that its elements set aside.
///
/// Each has a heading in `docs/errors.md`.
pub const CODES: &[&str] = &[
    "bad-json",
    "bad-option",
    "bad-path",
    "bad-storage",
    "broken-enclosure",
    "bucket-bad-answer",
    "bucket-failed",
    "bucket-not-found",
    "bucket-refused",
    "bucket-unreachable",
    "columns-changed",
    "context-full",
    "delimiter-unclear",
    "disk-full",
    "file-changed",
    "file-empty",
    "file-failed",
    "file-is-directory",
    "file-not-found",
    "file-not-regular",
    "file-not-utf8",
    "file-other-format",
    "file-refused",
    "file-too-large",
    "folder-read-only",
    "header-duplicate-name",
    "header-empty-name",
    "line-too-long",
    "missing-option",
    "needs-enclosure",
    "not-an-object",
    "not-json",
    "not-open",
    "object-not-found",
    "output-changed",
    "output-not-kept",
    "output-taken-over",
    "path-in-data-folder",
    "path-of-kernel",
    "permission-denied",
    "ragged-row",
    "rejected-too-large",
    "row-too-long",
    "state-unreadable",
    "storage-overlaps",
    "storage-taken",
    "storage-unknown",
    "storage-unusable",
    "too-many-columns",
    "unclosed-enclosure",
    "unknown-option",
];

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

    /// A file operation that was never tried.
    pub(crate) fn not_tried(action: &'static str, path: &str, problem: FileProblem) -> Self {
        Self::File { action, path: path.to_owned(), problem, source: io::ErrorKind::Other.into() }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownOption { .. } => "unknown-option",
            Self::MissingOption { .. } => "missing-option",
            Self::BadOption { .. } => "bad-option",
            Self::UnknownStorage { .. } | Self::NoStorage { .. } => "storage-unknown",
            Self::OtherStorage { .. } => "storage-unknown",
            Self::UnusableStorage { .. } => "storage-unusable",
            Self::BadStorage { .. } | Self::ClosedEndpoint { .. } => "bad-storage",
            Self::StorageOverlaps { .. } => "storage-overlaps",
            Self::StorageTaken { .. } => "storage-taken",
            Self::Bucket { problem, .. } => problem.code(),
            Self::BadPath { .. } => "bad-path",
            Self::File { problem, .. } => problem.code(),
            Self::EmptyFile { .. } => "file-empty",
            Self::EmptyColumnName { .. } => "header-empty-name",
            Self::DuplicateColumnName { .. } => "header-duplicate-name",
            Self::TooManyColumns { .. } => "too-many-columns",
            Self::NotUtf8 { .. } => "file-not-utf8",
            Self::OtherFormat { .. } => "file-other-format",
            Self::DelimiterUnclear { .. } => "delimiter-unclear",
            Self::UnnamedOutputColumn { .. } => "header-empty-name",
            Self::NeedsEnclosure { .. } => "needs-enclosure",
            Self::UnclosedEnclosure { .. } => "unclosed-enclosure",
            Self::RowTooLong { .. } => "row-too-long",
            Self::InputChanged { .. } => "file-changed",
            Self::OutputChanged { .. } => "output-changed",
            Self::OutputNotKept { .. } => "output-not-kept",
            Self::OutputTakenOver { .. } => "output-taken-over",
            Self::ColumnsChanged { .. } => "columns-changed",
            Self::BadState { .. } => "state-unreadable",
            Self::RejectedTooLarge { .. } => "rejected-too-large",
            Self::ContextFull { .. } => "context-full",
            Self::NotOpen => "not-open",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownOption { option, known } => {
                format!("{}the options are {}", did_you_mean(option, known), quoted(known))
            }
            Self::MissingOption { option } => format!("add `{option}` to the element in the connector file"),
            Self::BadOption { .. } => "correct the option, or the parameter that it takes".to_owned(),
            Self::UnknownStorage { .. } => {
                r#"a storage is written `{"type": "local", "file_path": "…"}`, or `{"type": "s3", "storage": "…", "file_path": "…"}`"#
                    .to_owned()
            }
            Self::NoStorage { given, available, .. } if !available.is_empty() => {
                format!("{}the storages are {}", did_you_mean(given, available), quoted(available))
            }
            Self::NoStorage { .. } => String::new(),
            Self::UnusableStorage { help, .. } => help.clone(),
            Self::OtherStorage { found, .. } => format!("write `\"type\": \"{found}\"`"),
            Self::StorageOverlaps { .. } => {
                "give each of the two a prefix, a folder or a bucket of its own: a job could read and write what is in both"
                    .to_owned()
            }
            Self::StorageTaken { .. } => {
                "give each installation a prefix, or a folder, of its own: both count their executions from 1, and \
                 would write over each other's logs. If the other one is gone for good, remove all that it has left \
                 there, the object `installation` as the last"
                    .to_owned()
            }
            Self::BadStorage { .. } => "correct the settings of the storage".to_owned(),
            Self::ClosedEndpoint { network, .. } => format!("use an `endpoint` with TLS, or open {}", network.in_words()),
            Self::Bucket { problem, .. } => problem.help().to_owned(),
            Self::BadPath { .. } => "name a file, such as `out/products.csv`".to_owned(),
            Self::File { problem, .. } => problem.help().to_owned(),
            Self::EmptyFile { .. } => {
                "check that the file is the right one and was written to its end: CSV without items still has \
                 its header, and JSON Lines has an object on each line"
                    .to_owned()
            }
            Self::EmptyColumnName { .. } => {
                "name every column, or set `unnamed_columns` to `name` or `drop`; does the header end in a \
                 delimiter too many?"
                    .to_owned()
            }
            Self::DuplicateColumnName { .. } => {
                "give each column a name of its own, or set `repeated_columns` to `name` or `drop`".to_owned()
            }
            Self::TooManyColumns { .. } => {
                "check the delimiter; for JSON Lines, list the `columns` to be read".to_owned()
            }
            Self::NotUtf8 { encoding, .. } => {
                let from = match encoding {
                    Encoding::Unknown => "WINDOWS-1252",
                    Encoding::Utf16 => "UTF-16",
                    Encoding::Utf32 => "UTF-32",
                };
                format!("save the file as UTF-8, or convert it: `iconv -f {from} -t UTF-8 old.csv > new.csv`")
            }
            Self::OtherFormat { found, .. } => found.help().to_owned(),
            Self::DelimiterUnclear { likely, .. } => {
                let likely: Vec<_> = likely.iter().map(|c| format!("`{}`", c.escape_default())).collect();
                format!(
                    "set the delimiter ({}), as an option of the reader or by the parameter that it takes; if the \
                     character belongs to a name, enclose the name",
                    likely.join(" or ")
                )
            }
            Self::UnnamedOutputColumn { .. } => "give the column a name before it is written".to_owned(),
            Self::NeedsEnclosure { .. } => {
                "set another `delimiter`, or an `enclosure`; or rename the column".to_owned()
            }
            Self::UnclosedEnclosure { .. } => {
                "close it, or set `enclosure` to the character that this file uses, `none` if it uses none"
                    .to_owned()
            }
            Self::RowTooLong { .. } => {
                "look for an enclosure that is opened and not closed; check `enclosure`, which may be `none`"
                    .to_owned()
            }
            Self::InputChanged { .. } => {
                "let a file lie still while it is read (it may grow at its end); then put the first one back and \
                 restart, or start a new execution"
                    .to_owned()
            }
            Self::OutputChanged { .. } => {
                "put the unfinished output back, or start a new execution instead of restarting this one"
                    .to_owned()
            }
            Self::OutputNotKept { .. } => {
                "look what answers at the storage's `endpoint`, and who else writes there; then restart the execution: \
                 its parts are there"
                    .to_owned()
            }
            Self::OutputTakenOver { .. } => {
                "look whether another worker runs the execution, or another Stepbox writes the same file; if \
                 neither does, start a new execution"
                    .to_owned()
            }
            Self::ColumnsChanged { .. } => {
                "start a new execution, or install the components that this one began with and restart it with the \
                 newest components"
                    .to_owned()
            }
            Self::BadState { .. } => {
                "start a new execution, or restart with the version of Stepbox that began this one".to_owned()
            }
            Self::RejectedTooLarge { .. } => {
                "correct the input, or set `skip.limit` so that the step ends sooner".to_owned()
            }
            Self::ContextFull { .. } => "keep fewer or smaller values in the execution context".to_owned(),
            Self::NotOpen => "report this as a defect of Stepbox".to_owned(),
        }
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

/// `` did you mean `delimiter`? `` or nothing, if no known name is near.
fn did_you_mean(given: &str, known: &[impl AsRef<str>]) -> String {
    let near = nearest(given, known.iter().map(AsRef::as_ref));
    near.map_or_else(String::new, |name| format!("did you mean `{name}`? "))
}

/// Names in backticks; the first twenty of them.
fn quoted(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<_> = names.iter().take(20).map(|name| format!("`{}`", name.as_ref())).collect();
    let rest = if names.len() > 20 { " …" } else { "" };
    shown.join(", ") + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that a source file gives out: `=> "code"`, `code: "code"` and constants.
    fn codes_in(source: &str) -> Vec<&str> {
        let after = |mark: &'static str| source.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
        let is_code = |text: &&str| {
            text.contains('-') && text.bytes().all(|b| b"-0123456789abcdefghijklmnopqrstuvwxyz".contains(&b))
        };
        after("=> \"").chain(after("code: \"")).chain(after("CODE: &str = \"")).filter(is_code).collect()
    }

    #[test]
    fn lists_every_code() {
        let sources = [
            include_str!("bucket/problem.rs"),
            include_str!("error.rs"),
            include_str!("file_problem.rs"),
            include_str!("csv/faults.rs"),
            include_str!("csv/rows.rs"),
            include_str!("csv/writer.rs"),
            include_str!("jsonl/line.rs"),
            include_str!("jsonl/reader.rs"),
            include_str!("jsonl/writer.rs"),
        ];
        let mut found: Vec<&str> = sources.into_iter().flat_map(codes_in).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, CODES);
    }
}
