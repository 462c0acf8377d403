//! Resolving names: each name once for a connection, and only to addresses that may be dialled.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::address::AddressKind;
use crate::policy::{NetworkPolicy, closed};

/// Finds the addresses of a host.
///
/// A resolver is asked once for each connection. It need not be trusted: of its answer, only addresses that the policy
/// allows are dialled.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of a name, the preferred addresses first.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system, with its `hosts` file and its name servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a host has no address that may be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The resolver found no address.
    #[error("{0}")]
    Unreachable(String),
    /// The policy refuses all of its addresses.
    #[error("`{host}` is {kind} ({address}), and {}", closed(*kind))]
    Forbidden {
        /// The name of the host.
        host: String,
        /// The first address of the host.
        address: IpAddr,
        /// The kind of this address.
        kind: AddressKind,
    },
}

/// A resolver that removes every address that the policy refuses.
#[derive(Debug, Clone)]
pub struct VettedResolver {
    resolver: Arc<dyn Resolver>,
    policy: NetworkPolicy,
}

impl VettedResolver {
    /// Asks `resolver`, and applies `policy`.
    pub fn new(resolver: Arc<dyn Resolver>, policy: NetworkPolicy) -> Self {
        Self { resolver, policy }
    }

    /// The addresses of a host that may be dialled, with the port 0.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, NoAddress> {
        let found = self.resolver.resolve(host).await;
        let found =
            found.map_err(|error| NoAddress::Unreachable(format!("`{host}` does not resolve: {error}")))?;
        vet(self.policy, host, found)
    }
}

impl Service<Name> for VettedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NoAddress;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoAddress>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAddress>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { resolver.addresses(name.as_str()).await.map(Vec::into_iter) })
    }
}

/// The addresses that may be dialled. If there are none, the error names the first address that was refused.
fn vet(
    policy: NetworkPolicy,
    host: &str,
    found: impl IntoIterator<Item = IpAddr>,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match policy.refuses(address) {
            // The port 0 means "not known here". The connector replaces it.
            None => allowed.push(SocketAddr::new(address, 0)),
            Some(kind) => refused = refused.or(Some((address, kind))),
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some((address, kind))) => Err(NoAddress::Forbidden { host: host.to_owned(), address, kind }),
        (true, None) => Err(NoAddress::Unreachable(format!("`{host}` has no address"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: NetworkPolicy, found: &[&str], expected: &str) {
        let found = found.iter().map(|text| text.parse().unwrap());
        let text = match vet(policy, "x.example", found) {
            Ok(allowed) => {
                allowed.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn dials_only_what_the_policy_leaves() {
        let closed = NetworkPolicy::default();
        let loopback = NetworkPolicy { allow_loopback: true, ..closed };
        let private = NetworkPolicy { allow_private: true, ..closed };
        check(closed, &["8.8.8.8", "10.0.0.1", "::1"], "8.8.8.8");
        check(
            closed,
            &["127.0.0.1", "10.0.0.1"],
            "`x.example` is a loopback address (127.0.0.1), and loopback addresses are not open",
        );
        check(
            loopback,
            &["10.0.0.1"],
            "`x.example` is a private address (10.0.0.1), and private addresses are not open",
        );
        check(loopback, &["127.0.0.1", "::1", "10.0.0.1"], "127.0.0.1 ::1");
        check(private, &["10.0.0.1", "127.0.0.1", "fd00::1"], "10.0.0.1 fd00::1");
        check(
            NetworkPolicy { allow_loopback: true, allow_private: true },
            &["169.254.169.254"],
            "`x.example` is a cloud metadata address (169.254.169.254), and such addresses are never opened",
        );
        check(closed, &[], "`x.example` has no address");
    }
}
