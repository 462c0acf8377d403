//! Why a step cannot go on.

use std::fmt::{self, Display};

/// Why a step cannot go on: it ends as FAILED, with this as its failure.
///
/// For one bad item among good ones, see [`Verdict::Skip`](crate::Verdict::Skip).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// For machines: lower-case words joined by hyphens, at most 100 bytes.
    pub code: String,
    /// For people: what is wrong, where, and what to do about it.
    pub message: String,
    /// Whether the same call may succeed when it is repeated later.
    pub retryable: bool,
}

impl StepError {
    /// An error that a repetition will not mend.
    pub fn new(code: &str, message: impl Display) -> StepError {
        StepError { code: code.to_owned(), message: message.to_string(), retryable: false }
    }

    /// An error in the value of a parameter, which is named: `bad-parameter`.
    pub fn parameter(name: &str, problem: impl Display) -> StepError {
        StepError::new("bad-parameter", format_args!("parameter `{name}`: {problem}"))
    }

    /// The same error, and a repetition may mend it.
    #[must_use]
    pub fn retryable(self) -> StepError {
        StepError { retryable: true, ..self }
    }
}

impl Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for StepError {}

impl From<std::io::Error> for StepError {
    fn from(error: std::io::Error) -> StepError {
        StepError::new("input-output", error)
    }
}

impl From<serde_json::Error> for StepError {
    fn from(error: serde_json::Error) -> StepError {
        StepError::new("bad-json", error)
    }
}
