//! Why a step cannot continue.

use std::fmt::{self, Display};

/// Why a step cannot continue: it ends as FAILED, with this error as its failure.
///
/// For one bad item among good ones, see [`Verdict::Skip`](crate::Verdict::Skip).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// The code for machines: lower-case words joined by hyphens, at most 100 bytes.
    pub code: String,
    /// The text for people: the problem, its place, and what to do about it.
    pub message: String,
    /// Whether the same call may succeed if it is repeated later.
    pub retryable: bool,
}

impl StepError {
    /// An error that a repetition does not solve.
    pub fn new(code: &str, message: impl Display) -> StepError {
        StepError { code: code.to_owned(), message: message.to_string(), retryable: false }
    }

    /// An error in the value of a parameter: `bad-parameter`. The message names the parameter.
    pub fn parameter(name: &str, problem: impl Display) -> StepError {
        StepError::new("bad-parameter", format_args!("parameter `{name}`: {problem}"))
    }

    /// The same error, marked as one that a repetition may solve.
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
