//! The client: checks a request and sends it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use stepbox_batch::remedy::Remedy;
use stepbox_batch::step_context::StepContext;
use stepbox_net::{NetworkPolicy, Resolver, SystemResolver, VettedResolver};
use url::{Host, Url};

use super::body::{CountedBody, Received, SentBody};
use super::connections::{Connections, CountedConnector};
use super::passage::Passage;
use super::{AnswerBody, EgressError, HttpPolicy, RequestBody, head};
use crate::budget::Budget;
use crate::grants::Grants;
use crate::memory::{Account, Charge};
use crate::secrets::StepSecrets;
use crate::setup::ComponentSetup;

/// The maximum size of an answer's head, in bytes.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// The maximum number of headers of an answer.
const HEADERS_MAX: usize = 100;
/// The maximum memory that an answer takes, in bytes: its head, and the part of its body that was read ahead.
const ANSWER_BYTES: u64 = 2 * HEAD_BYTES_MAX as u64;

type Connector = HttpsConnector<CountedConnector<HttpConnector<VettedResolver>>>;

/// What all components share for their requests: the resolver of names, and the certificates that the machine
/// trusts.
#[derive(Debug)]
pub(crate) struct Outside {
    resolver: Arc<dyn Resolver>,
    /// Read once, at the very first request.
    trusted: OnceLock<ClientConfig>,
}

impl Default for Outside {
    fn default() -> Self {
        Self::new(Arc::new(SystemResolver))
    }
}

impl Outside {
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, trusted: OnceLock::new() }
    }

    /// Trusts these certificates instead of the machine's.
    #[cfg(test)]
    pub(super) fn trusting(roots: rustls::RootCertStore) -> Self {
        let config = stepbox_net::http::trusting(roots);
        Self { trusted: OnceLock::from(config), ..Self::default() }
    }

    fn connector(&self, policy: NetworkPolicy, connections: Connections) -> Connector {
        let resolver = VettedResolver::new(self.resolver.clone(), policy);
        let tcp = stepbox_net::http::connector(resolver);
        let tls = self.trusted.get_or_init(stepbox_net::http::machines_certificates).clone();
        stepbox_net::http::with_tls(CountedConnector::new(tcp, connections), tls)
    }
}

/// How long each phase of a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// From the start of the request to the answer's head.
    pub(crate) head: Duration,
    /// Between two pieces of the answer's body.
    pub(crate) between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), between_bytes: Duration::from_secs(30) }
    }
}

/// The network access of one component: its grants, its budget, its connections.
#[derive(Debug)]
pub(crate) struct Egress {
    network: NetworkPolicy,
    policy: HttpPolicy,
    secrets: StepSecrets,
    /// The connections of all components of the tenant.
    connections: Connections,
    outside: Arc<Outside>,
    grants: Arc<Grants>,
    budget: Budget,
    account: Account,
    context: StepContext,
    pub(crate) body_bytes_max: u64,
    /// The change that would have allowed the last request that was refused.
    remedy: Mutex<Option<Remedy>>,
    /// Made at the first request. Components never share connections, and neither do tenants. A connection
    /// that is kept alive was dialled at a checked address, and leads there as long as it lives.
    client: OnceLock<Client<Connector, SentBody>>,
}

impl Egress {
    pub(crate) fn new(
        setup: &ComponentSetup,
        outside: Arc<Outside>,
        grants: Arc<Grants>,
        budget: Budget,
        account: Account,
    ) -> Self {
        Self {
            network: setup.network,
            policy: setup.http.clone(),
            secrets: setup.secrets.clone(),
            connections: setup.share.connections.clone(),
            outside,
            grants,
            budget,
            context: account.context().clone(),
            account,
            body_bytes_max: setup.limits.http_body_bytes_max,
            remedy: Mutex::default(),
            client: OnceLock::new(),
        }
    }

    /// Returns the change that would have allowed the last request that was refused, and clears it. The
    /// component gets the refusal as a text; a front end gets the remedy if the component fails.
    pub(crate) fn take_remedy(&self) -> Option<Remedy> {
        self.remedy.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &EgressError) {
        if let Some(remedy) = error.remedy() {
            *self.remedy.lock().unwrap_or_else(PoisonError::into_inner) = Some(remedy);
        }
    }

    /// Checks whether a request may be sent, as far as possible before its host is resolved, and counts it as
    /// one of the step's requests. The memory of its head is charged until the request is sent.
    pub(crate) fn check(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<Charge, EgressError> {
        self.judge(method, url, headers).inspect_err(|error| self.note(error))
    }

    fn judge(&self, method: &Method, url: &Url, headers: &HeaderMap) -> Result<Charge, EgressError> {
        head::check(url.as_str().len(), head::lengths(headers))?;
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            return Err(EgressError::BadRequest(format!("the method `{method}` is never sent")));
        }
        // Some servers read `get` as `GET`. With such a server, lower case would get round a grant for other
        // methods.
        if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(EgressError::BadRequest(format!("`{method}` is no method in upper case")));
        }
        if !matches!(url.scheme(), "http" | "https") {
            let text = format!("the scheme `{}` is neither http nor https", url.scheme());
            return Err(EgressError::BadRequest(text));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let text = "credentials in a URL are not sent; use the header `authorization`".to_owned();
            return Err(EgressError::BadRequest(text));
        }
        if url.port() == Some(0) {
            return Err(EgressError::BadRequest("port 0 is no port".to_owned()));
        }
        if !self.grants.http().iter().any(|grant| grant.permits(method, url)) {
            let origin = url.origin().ascii_serialization();
            let (method, url) = (method.to_string(), format!("{origin}{}", url.path()));
            return Err(EgressError::NotGranted { method, url, origin });
        }
        if let Some(missing) = self.policy.refuses(method, url) {
            let (method, url) = (method.to_string(), url.origin().ascii_serialization());
            return Err(EgressError::NotInPolicy { method, url, missing });
        }
        // A name is judged when it is resolved. An address in the URL is never resolved, so it is judged
        // here.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some((address, kind)) =
            address.and_then(|address| Some((address, self.network.refuses(address)?)))
        {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(EgressError::Forbidden { host, address, kind });
        }
        if let Some(passage) = Passage::towards(url, &self.secrets) {
            passage.check(method, url, headers)?;
        }
        let charge = self.account.charge(head::memory(url, headers))?;
        self.budget.http_requests.take(1)?;
        Ok(charge)
    }

    /// Sends a checked request to the checked URL. `unsent` is the charge for the memory that the request
    /// takes.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
        url: &Url,
        timeouts: Timeouts,
        unsent: Charge,
    ) -> Result<Response<AnswerBody>, EgressError> {
        self.pass(request, url, timeouts, unsent).await.inspect_err(|error| self.note(error))
    }

    async fn pass(
        &self,
        request: Request<RequestBody>,
        url: &Url,
        timeouts: Timeouts,
        unsent: Charge,
    ) -> Result<Response<AnswerBody>, EgressError> {
        let arriving = self.account.charge(ANSWER_BYTES)?;
        let passage = Passage::towards(url, &self.secrets);
        let (mut head, body) = request.into_parts();
        head.uri = uri(url)?;
        let agent = HeaderValue::from_static(concat!("stepbox/", env!("CARGO_PKG_VERSION")));
        head.headers.entry(header::USER_AGENT).or_insert(agent);
        let body = match &passage {
            Some(passage) => {
                passage.fill(&mut head.headers, body, self.body_bytes_max, &self.account).await?
            }
            None => body.into_sent(),
        };
        let bytes = head::sent(&head.method, &head.uri, &head.headers);
        self.budget.http_bytes.take(bytes)?;
        self.context.metering().sent_request();
        self.context.metering().sent(bytes);
        let body = CountedBody::new(body, self.context.clone(), self.budget.http_bytes.clone(), unsent);
        let body = body.boxed_unsync();
        let answer = self.client().request(Request::from_parts(head, body));
        let answer = match tokio::time::timeout(timeouts.head, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("no answer within {} ms", timeouts.head.as_millis());
                return Err(EgressError::TimedOut(text));
            }
        };
        let answer = answer.map_err(|error| {
            let error = EgressError::from_client(&error, self.body_bytes_max);
            passage.as_ref().map_or(error.clone(), |passage| passage.redact_error(error))
        })?;
        let (mut head, body) = answer.into_parts();
        let bytes = head::received(&head);
        self.context.metering().received(bytes);
        self.budget.http_bytes.take(bytes)?;
        let has_body = !body.is_end_stream();
        let redactor = passage.and_then(|passage| passage.redact(&mut head.headers, has_body));
        let bytes = self.budget.http_bytes.clone();
        let body =
            Received::new(body, self.context.clone(), bytes, self.body_bytes_max, timeouts.between_bytes);
        Ok(Response::from_parts(head, AnswerBody::new(body, redactor, arriving)))
    }

    fn client(&self) -> &Client<Connector, SentBody> {
        self.client.get_or_init(|| {
            stepbox_net::http::client()
                .pool_max_idle_per_host(4)
                .http1_max_buf_size(HEAD_BYTES_MAX)
                .http1_max_headers(HEADERS_MAX)
                .build(self.outside.connector(self.network, self.connections.clone()))
        })
    }
}

/// Converts the URL to hyper's type, so that exactly the checked URL is dialled. Fragments are not sent.
fn uri(url: &Url) -> Result<Uri, EgressError> {
    let text = &url[..url::Position::AfterQuery];
    text.parse().map_err(|error: http::uri::InvalidUri| {
        EgressError::BadRequest(format!("the URL cannot be sent: {error}"))
    })
}

/// Whether only the runtime may set this header, because it changes where a request goes or where it ends.
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
