//! One term of a filter.

/// A term, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// The place of its first character, from 1.
    pub at: usize,
    /// All of it.
    pub text: String,
    /// Whether a `-` stands before it.
    pub is_excluded: bool,
    /// The word before the colon.
    pub qualifier: Option<String>,
    /// The values between commas. A word has its own commas, which are put back.
    pub values: Vec<String>,
    /// Whether any of it stands in quotes.
    pub is_quoted: bool,
}
