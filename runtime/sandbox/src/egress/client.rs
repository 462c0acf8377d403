//! The client: checks a request, and sends it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use stepbox_batch::step_context::StepContext;
use url::{Host, Url};

use super::resolver::VettedResolver;
use super::{AnswerBody, EgressError, NetworkPolicy, RequestBody};
use crate::budget::Budget;
use crate::grants::Grants;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// The most headers of an answer.
const HEADERS_MAX: usize = 100;

type Connector = HttpsConnector<HttpConnector<VettedResolver>>;

/// What the machine trusts, read once for all components.
#[derive(Debug, Default)]
pub(crate) struct Trust(OnceLock<ClientConfig>);

impl Trust {
    fn connector(&self, policy: NetworkPolicy) -> Connector {
        let mut tcp = HttpConnector::new_with_resolver(VettedResolver::new(policy));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = self.0.get_or_init(tls).clone();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        builder.https_or_http().enable_http1().wrap_connector(tcp)
    }
}

/// On a machine without any certificates every `https` host is refused as unknown, and plain `http`
/// still works.
fn tls() -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has the usual versions");
    match builder.clone().with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(_) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    }
}

/// How long each phase of a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// From the first step to the answer's head.
    pub(crate) head: Duration,
    /// Between two pieces of the answer's body.
    pub(crate) between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), between_bytes: Duration::from_secs(30) }
    }
}

/// The way out of one component: its grants, its budget, its connections.
#[derive(Debug)]
pub(crate) struct Egress {
    policy: NetworkPolicy,
    trust: Arc<Trust>,
    grants: Arc<Grants>,
    budget: Budget,
    context: StepContext,
    pub(crate) body_bytes_max: u64,
    /// Made at the first request. Connections are never shared between components, let alone tenants.
    client: OnceLock<Client<Connector, RequestBody>>,
}

impl Egress {
    pub(crate) fn new(
        policy: NetworkPolicy,
        trust: Arc<Trust>,
        grants: Arc<Grants>,
        budget: Budget,
        context: StepContext,
        body_bytes_max: u64,
    ) -> Self {
        Self { policy, trust, grants, budget, context, body_bytes_max, client: OnceLock::new() }
    }

    /// Whether a request may be sent, as far as can be said before its host is resolved; counts it.
    pub(crate) fn check(&self, method: &Method, url: &Url) -> Result<(), EgressError> {
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            return Err(EgressError::BadRequest(format!("the method `{method}` is never sent")));
        }
        if !matches!(url.scheme(), "http" | "https") {
            let text = format!("the scheme `{}` is neither http nor https", url.scheme());
            return Err(EgressError::BadRequest(text));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let text = "credentials in a URL are not sent; use the header `authorization`".to_owned();
            return Err(EgressError::BadRequest(text));
        }
        if !self.grants.http().iter().any(|grant| grant.permits(method, url)) {
            let origin = url.origin().ascii_serialization();
            let (method, url) = (method.to_string(), format!("{origin}{}", url.path()));
            return Err(EgressError::NotGranted { method, url, origin });
        }
        // A name is judged when it is resolved; an address in the URL never is.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some((address, kind)) =
            address.and_then(|address| Some((address, self.policy.refuses(address)?)))
        {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(EgressError::Forbidden { host, address, kind });
        }
        self.budget.http_requests.take(1)?;
        self.context.metering().sent_request();
        Ok(())
    }

    /// Sends a request that was checked, to the URL that was checked.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
        url: &Url,
        timeouts: Timeouts,
    ) -> Result<Response<AnswerBody>, EgressError> {
        let mut request = request.map(|body| counted(body, self.context.clone()));
        *request.uri_mut() = uri(url)?;
        let agent = HeaderValue::from_static(concat!("stepbox/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let answer = self.client().request(request);
        let answer = match tokio::time::timeout(timeouts.head, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("no answer within {} ms", timeouts.head.as_millis());
                return Err(EgressError::TimedOut(text));
            }
        };
        let answer = answer.map_err(|error| EgressError::from_client(&error, self.body_bytes_max))?;
        Ok(answer.map(|body| {
            AnswerBody::new(body, self.context.clone(), self.body_bytes_max, timeouts.between_bytes)
        }))
    }

    fn client(&self) -> &Client<Connector, RequestBody> {
        self.client.get_or_init(|| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(15))
                .pool_max_idle_per_host(4)
                .http1_max_buf_size(HEAD_BYTES_MAX)
                .http1_max_headers(HEADERS_MAX)
                .build(self.trust.connector(self.policy))
        })
    }
}

fn counted(body: RequestBody, context: StepContext) -> RequestBody {
    let counted = body.map_frame(move |frame| {
        context.metering().sent_body(frame.data_ref().map_or(0, |data| data.len() as u64));
        frame
    });
    counted.boxed_unsync()
}

/// The URL as hyper wants it: what was checked is what is dialled. Fragments stay here.
fn uri(url: &Url) -> Result<Uri, EgressError> {
    let text = &url[..url::Position::AfterQuery];
    text.parse().map_err(|error: http::uri::InvalidUri| {
        EgressError::BadRequest(format!("the URL cannot be sent: {error}"))
    })
}

/// Whether only the runtime sets a header: it would change where a request goes or where it ends.
pub(crate) fn is_forbidden_header(name: &HeaderName) -> bool {
    const FORBIDDEN: [HeaderName; 7] = [
        header::CONNECTION,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let name_text = name.as_str();
    FORBIDDEN.contains(name)
        || name_text.starts_with("proxy-")
        || matches!(name_text, "keep-alive" | "http2-settings")
}
