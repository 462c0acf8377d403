//! What Stepbox answers over HTTP. The crate prints nothing and knows no more of Stepbox than an embedder does.
//!
//! - [`watching`] is the router for a worker: its health and its metrics. [`Listener`] takes an address, and [`Server`]
//!   serves such pages there, with limits for every client.
//! - [`api`] is the router of the interface: everything that a tenant can do, for exactly those who may. An embedder
//!   mounts it in a server of its own, with [`Authenticate`] for its own users; or [`ApiListener`] and [`ApiServer`]
//!   serve it, with TLS, HTTP/2 and limits.
//!
//! A request goes this way: `conventions/wrapping.rs` looks whom it is for; `table.rs` finds its route; `access/may.rs`
//! checks the credentials and looks up the thing; `conventions/input.rs` reads the rest; a handler in `routes/` calls
//! the tenant; `conventions/answer.rs` answers.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use stepbox::Stepbox;
//! use stepbox::batch::access::{Principal, Role};
//! use stepbox::batch::name::{TenantId, UserName};
//! use stepbox_server::{ApiOptions, Authenticate, Client, HeaderMap, NotAuthenticated, Router, api};
//!
//! /// The users of the embedder's own product.
//! struct OurUsers;
//!
//! #[async_trait]
//! impl Authenticate for OurUsers {
//!     async fn authenticate(
//!         &self,
//!         headers: &HeaderMap,
//!         _: &Client,
//!         tenant: Option<&TenantId>,
//!     ) -> Result<Option<Principal>, NotAuthenticated> {
//!         let Some(name) = headers.get("x-our-user").and_then(|name| name.to_str().ok()) else { return Ok(None) };
//!         let user = UserName::new(name).map_err(|_| NotAuthenticated::Rejected)?;
//!         // Each user has a tenant of the same name.
//!         let own = TenantId::new(name).map_err(|_| NotAuthenticated::Rejected)?;
//!         Ok(Some(Principal {
//!             user: Some(user),
//!             memberships: [(own, Role::Author)].into(),
//!             tenant: tenant.cloned(),
//!             ..Principal::default()
//!         }))
//!     }
//! }
//!
//! fn routes(stepbox: Stepbox) -> Router {
//!     api(stepbox, Arc::new(OurUsers), ApiOptions::new(std::env::temp_dir()))
//! }
//! ```

mod access;
mod api;
mod conventions;
mod identity_provider;
mod listening;
mod openapi;
mod pages;
mod reference;
mod routes;
mod streams;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tools;
mod watching;

pub use access::{Authenticate, NotAuthenticated, OwnUsers};
pub use api::{ApiOptions, Tenants, api};
pub use axum::Router;
pub use axum::http::HeaderMap;
pub use conventions::asking::Client;
pub use conventions::limits::ApiLimits;
pub use conventions::request_log::{RequestEntry, RequestListener};
pub use identity_provider::{
    ATTEMPT_MS_MAX, GroupRole, IdentityProvider, IdentityProviderError, IdentityProviderSettings,
    InvalidSettings, ProvenIdentity, SignInAttempt,
};
pub use listening::origin::{Origins, Peer};
pub use listening::{ApiListener, ApiServer, Exposure, Listener, Server, ServerError, TlsFiles};
pub use openapi::document;
pub use watching::watching;
