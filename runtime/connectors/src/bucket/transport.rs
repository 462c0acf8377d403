//! How requests to a bucket are sent: the same client as for components, without its checks. Where they go
//! is the operator's word alone. Redirects, proxies, cookies and decompression are absent.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyDataStream, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use md5::{Digest as _, Md5};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) struct Transport(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Transport {
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls());
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Self(client)
    }
}

/// On a machine without any certificates every `https` host is refused as unknown.
fn tls() -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has the usual versions");
    match builder.clone().with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(_) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    }
}

/// What the network does to a request may be otherwise the next time.
fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "the connection failed").set_source(source).set_temporary()
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        let mut request = request.map(|body| body.to_bytes());
        let agent = HeaderValue::from_static(concat!("stepbox/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if request.method() == Method::PUT {
            // Whoever keeps other bytes than these refuses them.
            let digest = BASE64_STANDARD.encode(Md5::digest(request.body()));
            request.headers_mut().insert(CONTENT_MD5, HeaderValue::from_str(&digest).map_err(broken)?);
        }
        let answer = self.0.request(request.map(Full::new)).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = BodyDataStream::new(body).map(|piece| piece.map(Buffer::from).map_err(broken));
        // That it has the length it says is for hyper to see.
        Ok(Response::from_parts(head, HttpBody::new(body, None)))
    }
}
