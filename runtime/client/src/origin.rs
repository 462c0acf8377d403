//! The server as errors name it, and what is expected of its answers.

use std::time::Duration;

use reqwest::StatusCode;

use crate::address::ServerAddress;
use crate::error::ClientError;

/// How a client behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long the server may be silent while something is expected of it.
    pub(crate) silence_max: Duration,
    /// How many bytes an answer may have that is read as a whole.
    pub(crate) answer_bytes_max: u64,
    /// How long an answer may take that is read as a whole.
    pub(crate) answer_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence_max: Duration::from_secs(60),
            answer_bytes_max: 64 << 20,
            answer_time_max: Duration::from_secs(300),
        }
    }
}

/// A server, and what is expected of it.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: ServerAddress,
    pub(crate) limits: Limits,
}

impl Origin {
    /// The server in messages.
    pub(crate) fn server(&self) -> String {
        self.address.shown().to_owned()
    }

    /// The error of a server that says nothing.
    pub(crate) fn silent(&self) -> ClientError {
        ClientError::Silent { server: self.server(), seconds: self.limits.silence_max.as_secs() }
    }

    /// The error of an answer that Stepbox does not give.
    pub(crate) fn strange(&self, status: StatusCode, problem: impl Into<String>) -> ClientError {
        ClientError::Strange { server: self.server(), problem: problem.into(), status: status.as_u16() }
    }
}
