//! Why a request was not carried out, as far as this side knows.

use std::io;
use std::path::PathBuf;

use stepbox_api::problem::Problem;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server has answered why it does not do that.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The address of the server is none that this client can use.
    #[error("`{address}` is no address of a server: {problem}")]
    BadAddress {
        /// The address as given, without a password.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The text is no token.
    #[error("the token cannot be sent: {problem}")]
    BadToken {
        /// What is wrong with it. It never quotes the token.
        problem: &'static str,
    },
    /// A token would travel without encryption.
    #[error("a token is not sent to `{host}` without TLS, where others could read it")]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// A name that no address can contain.
    #[error("`{name}` is no name that an address can contain")]
    BadName {
        /// The name.
        name: String,
    },
    /// The server cannot be reached.
    #[error("the server {server} cannot be reached: {problem}")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why not.
        problem: String,
    },
    /// The connection broke before the answer was complete. The server may have carried the request out.
    #[error("the answer of the server {server} broke off: {problem}")]
    BrokenOff {
        /// Its address.
        server: String,
        /// What happened.
        problem: String,
    },
    /// The server was silent for too long. It may have carried the request out.
    #[error("the server {server} said nothing for {seconds} s")]
    Silent {
        /// Its address.
        server: String,
        /// How long this client has waited.
        seconds: u64,
    },
    /// An answer that the API of Stepbox does not give.
    #[error("the server {server} does not answer as Stepbox does: {problem}")]
    Strange {
        /// Its address.
        server: String,
        /// What is strange about the answer.
        problem: String,
        /// The status of the answer.
        status: u16,
    },
    /// The answer is longer than this client reads.
    #[error("the answer of the server {server} is longer than {bytes_max} bytes")]
    TooLong {
        /// Its address.
        server: String,
        /// The most bytes that are read.
        bytes_max: u64,
    },
    /// A file to be sent cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The client cannot be made, or the operating system has no random bytes.
    #[error("the client does not start: {0}")]
    Start(String),
}

impl ClientError {
    /// The stable code, a heading in docs/errors.md. That of a problem is the server's.
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::BadAddress { .. } => "server-address",
            Self::BadToken { .. } => "token-malformed",
            Self::PlainHttp { .. } => "token-over-plain-http",
            Self::BadName { .. } => "bad-name",
            Self::Unreachable { .. } => "server-unreachable",
            Self::BrokenOff { .. } => "answer-broken-off",
            Self::Silent { .. } => "server-silent",
            Self::Strange { .. } => "server-strange",
            Self::TooLong { .. } => "answer-too-long",
            Self::Unreadable { .. } => "file-unreadable",
            Self::Start(_) => "program-does-not-start",
        }
    }

    /// The next action; `None` if there is none.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.help.as_deref(),
            Self::BadAddress { .. } => {
                Some("write it as `https://stepbox.example.com`, with the server's prefix if it has one")
            }
            Self::BadToken { .. } => Some("check that it is the whole token, `sbx_…`, on one line"),
            Self::PlainHttp { .. } => Some("use the `https` address of the server"),
            Self::Unreachable { .. } => Some("check the address, and that the server runs"),
            Self::BrokenOff { .. } | Self::Silent { .. } => {
                Some("look whether the server has done it before you try again")
            }
            Self::Strange { .. } => Some(
                "check the address: its path ends before `/api/v1`; and look whether something stands before the server",
            ),
            Self::TooLong { .. } => Some("ask for less at a time"),
            Self::Unreadable { .. } => Some("check the path; it must be a file you may read"),
            Self::BadName { .. } | Self::Start(_) => None,
        }
    }

    /// The answer of the server, if it has answered why it does not do that.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Strange { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server says that there is no such thing, or none that the token may see.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404) && self.problem().is_some()
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

/// What lies beneath an error of the transport. The layers above it say only that a request was not sent.
pub(crate) fn root_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let said = cause.to_string();
    // The number that the operating system gives an error is for programs.
    said.split(" (os error ").next().unwrap_or_default().to_owned()
}
