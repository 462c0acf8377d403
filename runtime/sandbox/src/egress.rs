//! How a step's requests leave: one policy and one client for both doors, `http` and `wasi:http`.
//!
//! A request passes in this order: grants (scheme, host, port, method, path), the operator's policy, the
//! address if the URL holds one, the budget; then the name is resolved once, addresses that may not be dialled are taken
//! out, and exactly the rest is dialled. On the way out the step's secrets are put in, where they may go, and
//! on the way back they are taken out. Nothing follows redirects, asks a proxy, or decompresses:
//! the client is bare hyper, which can do none of it.

mod address;
mod body;
mod client;
mod connections;
mod error;
pub(crate) mod head;
mod passage;
mod policy;
mod resolver;
mod rewriter;
mod rewritten;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub use self::address::AddressKind;
pub(crate) use self::body::{AnswerBody, RequestBody};
pub(crate) use self::client::{Egress, Outside, Timeouts, is_forbidden_header};
pub(crate) use self::connections::Connections;
pub(crate) use self::error::{EgressError, closed};
pub(crate) use self::head::url;
pub use self::policy::{HttpPolicy, HttpPolicyError};
pub(crate) use self::policy::{closed_by, host as parse_host};
pub use self::resolver::{Resolver, SystemResolver};

use std::net::IpAddr;

/// Which addresses beyond public ones the operator opens. By default none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Whether steps may reach this machine: 127.0.0.0/8 and `::1`. For development.
    pub allow_loopback: bool,
    /// Whether steps may reach private networks: RFC 1918, 100.64.0.0/10, fc00::/7.
    pub allow_private: bool,
}

impl NetworkPolicy {
    /// Why an address may not be dialled; none if it may. Link-local and metadata addresses are
    /// never opened.
    pub fn refuses(&self, address: IpAddr) -> Option<AddressKind> {
        match AddressKind::of(address) {
            AddressKind::Public => None,
            AddressKind::Loopback if self.allow_loopback => None,
            AddressKind::Private if self.allow_private => None,
            kind => Some(kind),
        }
    }
}
