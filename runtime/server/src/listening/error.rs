//! Why the server does not listen.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Others could reach the address, and could read what is sent there.
    #[error("`{address}` can be reached by others, and what they send there would not be encrypted")]
    PublicWithoutTls {
        /// The address.
        address: SocketAddr,
    },
    /// The certificate or its key cannot be used.
    #[error("the certificate in `{}` cannot be used: {reason}", path.display())]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl ServerError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "listen-address",
            Self::CannotListen { .. } => "listen-failed",
            Self::PublicWithoutTls { .. } => "listen-public",
            Self::Certificate { .. } => "tls-certificate",
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
            Self::PublicWithoutTls { .. } => {
                "listen at a loopback address, name a certificate and its key, or name the network of the proxy that encrypts"
            }
            Self::Certificate { .. } => {
                "name the PEM files of a certificate with its chain, and of its private key"
            }
        }
    }
}
