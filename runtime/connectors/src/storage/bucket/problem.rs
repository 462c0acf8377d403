//! The problems that a bucket can have, and the help for each.

use opendal_core::{Error, ErrorKind};

pub use super::answer::BadAnswer;

/// The kind of problem with a bucket.
///
/// Each kind has its own help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketProblem {
    /// There is no object of that name.
    NoObject,
    /// There is no bucket of that name.
    NoBucket,
    /// The keys are wrong, or do not allow the request.
    Refused,
    /// The object is not the one that was read or written at the beginning.
    Changed,
    /// There was no answer, or only the answer that the server cannot answer now.
    Unreachable,
    /// The answer is impossible, or more than was asked for.
    BadAnswer(BadAnswer),
    /// Any other answer of the server, by its code.
    Other(String),
}

impl BucketProblem {
    pub(super) fn of(error: &Error) -> Self {
        let source = std::error::Error::source(error);
        match source.and_then(|source| source.downcast_ref::<BadAnswer>()) {
            Some(BadAnswer::OtherLength) => return Self::Changed,
            Some(bad) => return Self::BadAnswer(*bad),
            None => {}
        }
        match error.kind() {
            ErrorKind::NotFound => Self::NoObject,
            ErrorKind::ConfigInvalid => Self::NoBucket,
            ErrorKind::PermissionDenied => Self::Refused,
            ErrorKind::ConditionNotMatch => Self::Changed,
            ErrorKind::RateLimited => Self::Unreachable,
            _ if error.is_temporary() || error.is_persistent() => Self::Unreachable,
            _ => Self::Other(code_in(error.message()).unwrap_or("an unknown error").to_owned()),
        }
    }

    /// Whether the server does not know the condition in a request.
    pub(super) fn is_unknown_condition(&self) -> bool {
        matches!(self, Self::Other(code) if code == "NotImplemented")
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoObject => "object-not-found",
            Self::NoBucket => "bucket-not-found",
            Self::Refused => "bucket-refused",
            Self::Changed => "file-changed",
            Self::Unreachable => "bucket-unreachable",
            Self::BadAnswer(_) => "bucket-bad-answer",
            Self::Other(_) => "bucket-failed",
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::NoObject => "no such object".to_owned(),
            Self::NoBucket => "no such bucket".to_owned(),
            Self::Refused => "the bucket refuses these keys, or what they are used for".to_owned(),
            Self::Changed => "it is not the object this run began with".to_owned(),
            Self::Unreachable => "no answer from the bucket, or none but that it cannot now".to_owned(),
            Self::BadAnswer(bad) => format!("the bucket {bad}"),
            Self::Other(code) => format!("the bucket says {code}"),
        }
    }

    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::NoObject => "check the path; it begins below the prefix of the storage",
            Self::NoBucket => "have the operator check `bucket`, `region` and `endpoint` of the storage",
            Self::Refused => {
                "check the keys of the storage, and that they may list, read, write and delete below its prefix"
            }
            Self::Changed => {
                "put the first object back, or start a new execution instead of restarting this one"
            }
            Self::Unreachable => {
                "look whether the bucket can be reached, then restart the execution: it goes on from its last \
                 checkpoint"
            }
            Self::BadAnswer(_) => {
                "look what answers at the storage's `endpoint`, such as a gateway or a proxy, then restart the \
                 execution"
            }
            Self::Other(_) => "see what the provider says of this code, then restart the execution",
        }
    }
}

/// The server's own code in the message that the library makes of its answer: `S3Error { code: "SlowDown", … }`.
fn code_in(message: &str) -> Option<&str> {
    let code = message.split("code: \"").nth(1)?.split('"').next()?;
    let is_code = !code.is_empty() && code.len() <= 60 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then_some(code)
}
