//! Why nothing listens.

use std::io::{self, ErrorKind};

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is no address.
    #[error("`{address}` is no address to listen at")]
    BadAddress {
        /// What was asked for.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The operating system does not let it listen there.
    #[error("nothing can listen at `{address}`")]
    CannotListen {
        /// What was asked for.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ServerError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "listen-address",
            Self::CannotListen { .. } => "listen-failed",
        }
    }

    /// The next action.
    pub fn help(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => {
                "write an address of this machine and a port, such as `127.0.0.1:9464`"
            }
            Self::CannotListen { source, .. } => match source.kind() {
                ErrorKind::AddrInUse => "something else listens there; choose another port",
                ErrorKind::AddrNotAvailable => "choose an address that this machine has",
                ErrorKind::PermissionDenied => "choose a port from 1024 on",
                _ => "choose another address",
            },
        }
    }
}
