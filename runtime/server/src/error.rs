//! Why the server does not listen.

use std::io::{self, ErrorKind};

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not valid.
    #[error("`{address}` is no address to listen at")]
    BadAddress {
        /// The address that was given.
        address: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// The operating system does not allow listening at the address.
    #[error("nothing can listen at `{address}`")]
    CannotListen {
        /// The address that was given.
        address: String,
        /// The error of the operating system.
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
