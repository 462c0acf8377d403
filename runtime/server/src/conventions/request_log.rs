//! One line of the log for each request. No query, no body and no header are in it: they may hold secrets.

use std::sync::Arc;
use std::time::Duration;

/// The template of a route, on the way out of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template(pub(crate) &'static str);

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct RequestEntry {
    /// The method.
    pub method: String,
    /// The template of the route: `/tenants/{tenant}/instances`; `-` if there was none.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// How long it took until the answer began.
    pub took: Duration,
    /// The id of the request, as its answer names it.
    pub request_id: String,
    /// The user, if one was recognised.
    pub user: Option<String>,
    /// Where it came from.
    pub client: Option<std::net::IpAddr>,
    /// The cause, if the server failed.
    pub cause: Option<String>,
}

/// Receives each request after its answer has begun.
pub type RequestListener = Arc<dyn Fn(&RequestEntry) + Send + Sync>;
