//! How a request shows who makes it.

use async_trait::async_trait;
use axum::http::HeaderMap;
use stepbox::batch::access::Principal;
use stepbox::batch::name::TenantId;
use stepbox::{Accounts, Error};

use crate::conventions::asking::Client;

/// Finds out who makes a request. An embedder gives its own, for its own users.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The sender of these headers, as a principal that acts in that tenant, or in none.
    ///
    /// The result is `None` if the request shows no credentials at all. Credentials in other places than headers do not
    /// exist: addresses are logged, kept and sent on by browsers. An open event stream calls this again while it lasts.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        client: &Client,
        tenant: Option<&TenantId>,
    ) -> Result<Option<Principal>, NotAuthenticated>;

    /// The accounts in which these users are kept; `None` if they are kept elsewhere. Then nobody signs in here, and there
    /// are no routes to users and tokens.
    fn accounts(&self) -> Option<&Accounts> {
        None
    }
}

/// Why credentials were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotAuthenticated {
    /// They are malformed, unknown, expired or revoked. The answer does not say which.
    #[error("the credentials are of no use")]
    Rejected,
    /// They could not be checked.
    #[error(transparent)]
    Failed(#[from] Error),
}
