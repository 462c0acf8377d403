//! How a step's requests leave the host: one policy and one client for both doors, `http` and `wasi:http`.
//!
//! The checks of a request come in this order: the grants (scheme, host, port, method, path), the operator's
//! policy, the address if the URL has one, the budget. Then the name is resolved once. Addresses that may not
//! be dialled are removed, and exactly the others are dialled. On the way out the step's secrets are inserted
//! where they may go; on the way back they are removed. The client follows no redirects, uses no proxy and
//! decompresses nothing: it is bare hyper, which can do none of these.

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
