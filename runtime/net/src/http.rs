//! The HTTP client for all of Stepbox: bare hyper, which has no redirects, proxies, decompression or cookies.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// The longest wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for a further request.
const IDLE: Duration = Duration::from_secs(15);

/// TLS with the certificates of this machine.
///
/// If it has none, every `https` host is refused as unknown, and plain `http` still works.
pub fn machines_certificates() -> ClientConfig {
    match begin().with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(_) => trusting(RootCertStore::empty()),
    }
}

/// TLS with exactly these certificates.
pub fn trusting(roots: RootCertStore) -> ClientConfig {
    begin().with_root_certificates(roots).with_no_client_auth()
}

fn begin() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().expect("ring has the usual versions")
}

/// The connector that dials the addresses of a resolver.
///
/// It does not refuse `https`, because TLS is added on top.
pub fn connector<R>(resolver: R) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp
}

/// TLS over a connector for `https`; plain connections for `http`.
///
/// HTTP/1.1 only.
pub fn with_tls<C>(connector: C, tls: ClientConfig) -> HttpsConnector<C> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
    builder.https_or_http().enable_http1().wrap_connector(connector)
}

/// A client that keeps idle connections for 15 seconds.
pub fn client() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    builder
}
