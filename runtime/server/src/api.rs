//! The interface as a router, for a server of our own or of an embedder.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use stepbox::Stepbox;
use stepbox::batch::name::TenantId;
use stepbox_web::frame::plain;
use stepbox_web::pages::reference;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::access::{Authenticate, Doors, Whose};
use crate::conventions::failure::Failure;
use crate::conventions::limits::{ApiLimits, Limiters};
use crate::conventions::metrics::HttpMeters;
use crate::conventions::pending::Pending;
use crate::conventions::request_log::RequestListener;
use crate::conventions::wrapping::{Around, around};
use crate::identity_provider::IdentityProvider;
use crate::listening::Origins;
use crate::openapi;
use crate::pages;
use crate::routes::table;
use crate::streams::broadcaster::Broadcaster;
use crate::table::App;
use crate::tools::Tools;

/// Answers below this length are not worth compressing, in bytes.
const COMPRESSED_FROM: u64 = 1024;

/// Whose things an interface gives.
#[derive(Debug, Clone, Default)]
pub enum Tenants {
    /// All tenants of the process, and the installation itself.
    #[default]
    All,
    /// These tenants alone, and nothing of the installation.
    Only(Vec<TenantId>),
}

/// How the interface is served.
#[derive(Clone)]
pub struct ApiOptions {
    /// Whose things it gives.
    pub tenants: Tenants,
    /// The path before `/api/v1`; may be empty.
    pub base_path: String,
    /// Whether people get pages beside the interface, below the same path.
    pub with_pages: bool,
    /// The folder for large bodies while they arrive. It needs room, and belongs to the process alone.
    ///
    /// It is created if it is missing. It is outside of the data folder: connectors are unpacked there, and the data
    /// folder is out of reach for everything that comes from outside.
    pub spool: PathBuf,
    /// The proxies that are believed, and the names of the server.
    pub origins: Origins,
    /// How much one client or principal may ask for.
    pub limits: ApiLimits,
    /// Where users sign in beside passwords; `None` is nowhere. It needs accounts of our own: see [`OwnUsers`].
    ///
    /// [`OwnUsers`]: crate::OwnUsers
    pub identity_provider: Option<Arc<IdentityProvider>>,
    /// Receives each request after its answer has begun.
    pub listener: Option<RequestListener>,
}

impl ApiOptions {
    /// Serves all tenants below `/api/v1`, under any name, since the server of an embedder looks at names itself.
    pub fn new(spool: impl Into<PathBuf>) -> Self {
        Self {
            tenants: Tenants::All,
            base_path: String::new(),
            with_pages: false,
            spool: spool.into(),
            origins: Origins { any_name: true, ..Origins::default() },
            limits: ApiLimits::default(),
            identity_provider: None,
            listener: None,
        }
    }
}

/// The interface of an installation. Without credentials that `authenticate` accepts, nothing of it can be reached.
pub fn api(stepbox: Stepbox, authenticate: Arc<dyn Authenticate>, options: ApiOptions) -> Router {
    let ApiOptions { tenants, base_path, with_pages, spool, origins, limits, identity_provider, listener } =
        options;
    let whose = match tenants {
        Tenants::All => Whose::All,
        Tenants::Only(tenants) => Whose::Only(tenants),
    };
    let base = format!("{}/api/v1", base_path.trim_end_matches('/'));
    let document = openapi::document();
    let tools = Arc::new(Tools {
        spool,
        limits: Limiters::new(&limits),
        meters: HttpMeters::new(),
        components: Pending::default(),
        packages: Pending::default(),
        streams: Broadcaster::new(stepbox.clone()),
        provider: identity_provider,
        base: base.clone(),
        document: document.to_string(),
        reference: plain("The HTTP API of Stepbox", &reference::show(&document, "openapi.json"))
            .into_string(),
    });
    let doors = Doors::new(stepbox, whose, authenticate);
    let around_all = Around { origins: Arc::new(origins), tools: tools.clone(), listener };
    let app = App::new(doors, tools.clone());
    let mut routes = Router::new().nest(&base, table().into_router().fallback(no_route));
    if with_pages {
        let pages = pages::router(&app);
        routes = match tools.base_path() {
            "" => routes.merge(pages),
            below => routes.nest(below, pages),
        };
    }
    if !with_pages || !tools.base_path().is_empty() {
        routes = routes.fallback(no_route);
    }
    let compressed = CompressionLayer::new().compress_when(
        SizeAbove::new(COMPRESSED_FROM)
            .and(NotForContentType::const_new("text/event-stream"))
            .and(NotForContentType::const_new("application/zip"))
            .and(NotForContentType::const_new("application/octet-stream"))
            // A file goes out as it is, with its length.
            .and(|_, _, headers: &HeaderMap, _: &Extensions| !headers.contains_key(CONTENT_DISPOSITION)),
    );
    routes
        .with_state(app)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(compressed)
        .layer(CsrfLayer::new())
        .layer(from_fn(cross_site))
        .layer(from_fn_with_state(around_all, around))
}

/// The answer where the interface has no route.
async fn no_route() -> Failure {
    Failure::no_route()
}

/// The answer after a panic. What it says goes to the log alone.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Failure::unexpected(format!("a panic: {}", said.unwrap_or_default())).into_response()
}

/// Puts the refusal of a request of another site into our words.
async fn cross_site(request: Request, next: axum::middleware::Next) -> Response {
    let response = next.run(request).await;
    match response.extensions().get::<ProtectionError>() {
        Some(_) => Failure::new(
            stepbox::ErrorKind::Forbidden,
            "cross-site",
            "the request comes from a page of another site",
        )
        .into_response(),
        None => response,
    }
}
