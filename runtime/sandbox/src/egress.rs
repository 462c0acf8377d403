//! How a step's requests leave: one policy and one client for both doors, `http` and `wasi:http`.
//!
//! A request passes in this order: grants (scheme, host, port, method, path), the operator's policy, the
//! address if the URL holds one, the budget; then the name is resolved once, addresses that may not be dialled are taken
//! out, and exactly the rest is dialled. On the way out the step's secrets are put in, where they may go, and
//! on the way back they are taken out. Nothing follows redirects, asks a proxy, or decompresses:
//! the client is bare hyper, which can do none of it.

mod body;
mod client;
mod connections;
mod error;
pub(crate) mod head;
mod passage;
mod policy;
mod rewriter;
mod rewritten;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub(crate) use self::body::{AnswerBody, RequestBody};
pub(crate) use self::client::{Egress, Outside, Timeouts, is_forbidden_header};
pub(crate) use self::connections::Connections;
pub(crate) use self::error::EgressError;
pub(crate) use self::head::url;
pub(crate) use self::policy::host as parse_host;
pub use self::policy::{HttpPolicy, HttpPolicyError};
