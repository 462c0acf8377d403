//! The stable codes of errors.

use super::ConnectorError;

/// All codes of this crate: those of its errors, and those of the items that its elements set aside.
///
/// Each code has a heading in `docs/errors.md`.
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

impl ConnectorError {
    /// The stable code of the error, which is a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownOption { .. } => "unknown-option",
            Self::MissingOption { .. } => "missing-option",
            Self::BadOption { .. } => "bad-option",
            Self::UnknownStorage { .. } | Self::NoStorage { .. } => "storage-unknown",
            Self::OtherStorage { .. } => "storage-unknown",
            Self::UnusableStorage { .. } => "storage-unusable",
            Self::BadStorage { .. } | Self::NoFolder { .. } | Self::ClosedEndpoint { .. } => "bad-storage",
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes in the text of a source file: `=> "code"`, `code: "code"` and constants.
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
            include_str!("../storage/bucket/problem.rs"),
            include_str!("code.rs"),
            include_str!("../file_problem.rs"),
            include_str!("../formats/csv/faults.rs"),
            include_str!("../formats/csv/rows.rs"),
            include_str!("../formats/csv/writer.rs"),
            include_str!("../formats/jsonl/line.rs"),
            include_str!("../formats/jsonl/reader.rs"),
            include_str!("../formats/jsonl/writer.rs"),
        ];
        let mut found: Vec<&str> = sources.into_iter().flat_map(codes_in).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, CODES);
    }
}
