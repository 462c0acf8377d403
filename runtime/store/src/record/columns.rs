//! A row of any engine. Records are read through this trait, so one mapper serves all engines.

use stepbox_batch::ports::RepositoryError;

/// The values of a row, by the name of the column.
pub(crate) trait Columns {
    /// The errors of this engine.
    type Error: From<RepositoryError>;

    fn text(&self, column: &str) -> Result<String, Self::Error>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>, Self::Error>;
    fn number(&self, column: &str) -> Result<i64, Self::Error>;
    fn maybe_number(&self, column: &str) -> Result<Option<i64>, Self::Error>;
    fn flag(&self, column: &str) -> Result<bool, Self::Error>;
    fn maybe_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, Self::Error>;
}
