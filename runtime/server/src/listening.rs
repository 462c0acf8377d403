//! Listens at addresses: for a worker's pages with the least of everything, and for the interface with TLS, HTTP/2 and
//! connections that last.

mod api_server;
mod connection_slots;
mod error;
pub(crate) mod origin;
mod places;
mod server;
mod tls;

pub use api_server::{ApiListener, ApiServer, Exposure};
pub use error::ServerError;
pub(crate) use origin::Origins;
pub use server::{Listener, Server};
pub use tls::TlsFiles;
