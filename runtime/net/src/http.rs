//! The HTTP client that everything shares: bare hyper, so that redirects, proxies, decompression and cookies are absent.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// How long to wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept for a further request.
const IDLE: Duration = Duration::from_secs(15);

/// The certificates of this machine. Without any, every `https` host is refused as unknown, and plain `http` still works.
pub fn machines_certificates() -> ClientConfig {
    match begin().with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(_) => trusting(RootCertStore::empty()),
    }
}

/// Exactly these certificates.
pub fn trusting(roots: RootCertStore) -> ClientConfig {
    begin().with_root_certificates(roots).with_no_client_auth()
}

fn begin() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().expect("ring has the usual versions")
}

/// What dials a host that a resolver has found. `https` is not refused here: TLS comes on top.
pub fn connector<R>(resolver: R) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp
}

/// TLS over what dials, for `https`; plain connections for `http`. HTTP/1.1 alone.
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
