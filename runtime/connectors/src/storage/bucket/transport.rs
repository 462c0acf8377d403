//! The client that sends requests to a bucket: that of `stepbox-net`, without a policy of addresses. The operator alone
//! decides where the requests go.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyDataStream, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use md5::{Digest as _, Md5};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use stepbox_net::http::{client, connector, machines_certificates, with_tls};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub(in crate::storage) struct Transport(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Transport {
    pub(in crate::storage) fn new() -> Self {
        let connector = with_tls(connector(GaiResolver::new()), machines_certificates());
        Self(client().build(connector))
    }
}

/// A failure of the network may not happen the next time.
fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "the connection failed").set_source(source).set_temporary()
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        let mut request = request.map(|body| body.to_bytes());
        let agent = HeaderValue::from_static(concat!("stepbox/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if request.method() == Method::PUT {
            // A server that receives other bytes than these refuses them.
            let digest = BASE64_STANDARD.encode(Md5::digest(request.body()));
            request.headers_mut().insert(CONTENT_MD5, HeaderValue::from_str(&digest).map_err(broken)?);
        }
        let answer = self.0.request(request.map(Full::new)).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = BodyDataStream::new(body).map(|piece| piece.map(Buffer::from).map_err(broken));
        // hyper checks that the body has the length of its header.
        Ok(Response::from_parts(head, HttpBody::new(body, None)))
    }
}
