//! What the tests of this crate share: an installation with things in it, users who say who they are, and requests.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::{Value, json};
use stepbox::batch::access::{InstanceRight, Principal, Role, Scope, TokenId, TokenLimits};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::name::{InstanceCode, TenantId, UserName};
use stepbox::{Accounts, NewInstance, Policy, PublishOptions, Stepbox};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::access::{Authenticate, NotAuthenticated};
use crate::api::{ApiOptions, api};
use crate::conventions::asking::Client;
use crate::conventions::limits::{ApiLimits, Limiters};
use crate::conventions::metrics::HttpMeters;
use crate::conventions::pending::Pending;
use crate::streams::broadcaster::Broadcaster;
use crate::tools::Tools;

/// An installation with two tenants; each has the instance `a` and the execution of it, and `hidden` with one more.
pub(crate) struct Sample {
    pub(crate) stepbox: Stepbox,
    pub(crate) routes: Router,
    folder: TempDir,
}

pub(crate) fn tenant_id(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

impl Sample {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(change: impl FnOnce(ApiOptions) -> ApiOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        let spool = folder.path().join("spool");
        for path in [&files, &spool] {
            std::fs::create_dir(path).unwrap();
        }
        std::fs::write(files.join("in.csv"), "sku\n1\n").unwrap();
        let mut builder = Stepbox::builder(folder.path().join("data"));
        for name in ["acme", "other"] {
            builder = builder.tenant(tenant_id(name), Policy::nothing().with_folder(&files));
        }
        let stepbox = builder.open().await.unwrap();
        for name in ["acme", "other"] {
            let tenant = stepbox.tenant(&tenant_id(name)).unwrap();
            for code in ["a", "hidden"] {
                tenant.create_instance(instance(code)).await.unwrap();
                tenant.publish(code, PublishOptions::default()).await.unwrap();
            }
        }
        let options = change(ApiOptions::new(&spool));
        let routes = api(stepbox.clone(), Arc::new(SayWho(stepbox.accounts())), options);
        Self { stepbox, routes, folder }
    }

    /// The folder with everything of the installation; `data` in it is the data folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The number of an execution of the instance with that code.
    pub(crate) async fn execution_of(&self, tenant: &str, code: &str) -> u64 {
        let tenant = self.stepbox.tenant(&tenant_id(tenant)).unwrap();
        let all = tenant.executions(&Default::default()).await.unwrap();
        all.iter().find(|execution| execution.instance.as_str() == code).unwrap().id.0
    }

    pub(crate) async fn send(&self, request: Request) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    /// The status and the body of an answer to this principal.
    pub(crate) async fn ask(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(request(who, method, path, body)).await;
        let status = response.status().as_u16();
        let text = to_bytes(response.into_body(), 1 << 22).await.unwrap();
        (status, serde_json::from_slice(&text).unwrap_or_else(|_| String::from_utf8_lossy(&text).into()))
    }
}

fn instance(code: &str) -> NewInstance {
    NewInstance {
        connector: "stepbox".to_owned(),
        job: "csv_export".to_owned(),
        job_type: "export".to_owned(),
        code: code.to_owned(),
        label: None,
        parameters: json!({
            "source": { "type": "local", "file_path": "in.csv" },
            "storage": { "type": "local", "file_path": format!("{code}.csv") },
        }),
    }
}

/// A request of whoever this is, below `/api/v1`.
pub(crate) fn request(who: &str, method: &str, path: &str, body: Option<Value>) -> Request {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    request = request.uri(format!("/api/v1{path}")).header("host", "localhost");
    if !who.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {who}"));
    }
    match body {
        Some(body) => {
            request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    }
}

/// Believes what a request says of itself:
///
/// - `viewer@acme`: a role in a tenant; `narrow@acme`: an author who may not see the instance `hidden`;
/// - `executions:read@acme`: an administrator's token with that scope alone; `one@acme`: with all scopes, for the
///   instance `a` alone;
/// - `operator`: an operator of the installation; `operator-token`: a token with all scopes; `operator+operate`: with one.
struct SayWho(Accounts);

#[async_trait]
impl Authenticate for SayWho {
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        _: &Client,
        tenant: Option<&TenantId>,
    ) -> Result<Option<Principal>, NotAuthenticated> {
        let Some(text) = headers.get(AUTHORIZATION) else { return Ok(None) };
        let text = text.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let principal = text.and_then(principal).ok_or(NotAuthenticated::Rejected)?;
        Ok(Some(Principal { tenant: tenant.cloned(), ..principal }))
    }

    fn accounts(&self) -> Option<&Accounts> {
        Some(&self.0)
    }
}

fn principal(text: &str) -> Option<Principal> {
    let user = UserName::new(text).ok();
    if text == "operator" {
        return Some(Principal { user, is_operator: true, ..Principal::default() });
    }
    if let Some(scope) = text.strip_prefix("operator+") {
        let token = Some(token(None, None, vec![scope.parse().ok()?]));
        return Some(Principal { user, is_operator: true, token, ..Principal::default() });
    }
    if text == "operator-token" {
        let token = Some(token(None, None, Scope::ALL.to_vec()));
        return Some(Principal { user, is_operator: true, token, ..Principal::default() });
    }
    let (what, tenant) = text.split_once('@')?;
    let tenant = TenantId::new(tenant).ok()?;
    let as_role = |role| Principal {
        user: user.clone(),
        memberships: [(tenant.clone(), role)].into(),
        ..Principal::default()
    };
    if let Ok(role) = what.parse::<Role>() {
        return Some(as_role(role));
    }
    if what == "narrow" {
        let barred = [(InstanceCode::new("hidden").ok()?, [InstanceRight::View].into())].into();
        return Some(Principal { barred, ..as_role(Role::Author) });
    }
    if what == "one" {
        let token = Some(token(Some(tenant.clone()), InstanceCode::new("a").ok(), Scope::ALL.to_vec()));
        return Some(Principal { token, ..as_role(Role::Administrator) });
    }
    let scope = what.parse::<Scope>().ok()?;
    let token = Some(token(Some(tenant.clone()), None, vec![scope]));
    Some(Principal { token, ..as_role(Role::Administrator) })
}

fn token(tenant: Option<TenantId>, instance: Option<InstanceCode>, scopes: Vec<Scope>) -> TokenLimits {
    TokenLimits {
        id: TokenId(1),
        tenant,
        instance,
        scopes: scopes.into_iter().collect(),
        expires_at: Timestamp(i64::MAX),
    }
}

/// Tools without any route.
pub(crate) async fn tools() -> Arc<Tools> {
    let folder = tempfile::tempdir().unwrap();
    let stepbox = Stepbox::builder(folder.path().join("data")).open().await.unwrap();
    Arc::new(Tools {
        spool: folder.path().to_owned(),
        limits: Limiters::new(&ApiLimits::default()),
        meters: HttpMeters::new(),
        components: Pending::default(),
        packages: Pending::default(),
        streams: Broadcaster::new(stepbox),
        provider: None,
        base: String::new(),
        document: String::new(),
        reference: String::new(),
    })
}
