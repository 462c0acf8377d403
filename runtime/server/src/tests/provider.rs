//! Signing in at an identity provider, with one on loopback that signs statements and takes each code once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::audit::{AuditAction, AuditFilter};
use stepbox::batch::name::UserName;
use stepbox::config::IdentityProviderConfig;
use url::Url;

use crate::listening::origin::Peer;
use crate::testing::{Sample, tenant_id};
use crate::{
    ATTEMPT_MS_MAX, ApiOptions, GroupRole, IdentityProvider, IdentityProviderSettings, Listener, Server,
};

const CALLBACK: &str = "/api/v1/session/provider/callback";

/// What the provider says of who signs in there.
#[derive(Clone)]
struct Account {
    subject: &'static str,
    user: &'static str,
    groups: &'static [&'static str],
    /// A nonce of somebody else's attempt.
    nonce: Option<&'static str>,
}

const JULIA: Account =
    Account { subject: "248289", user: "julia", groups: &["catalogue", "everybody"], nonce: None };

/// A sign-in that the provider has agreed to.
struct Agreed {
    account: Account,
    nonce: String,
    challenge: String,
}

struct Provider {
    issuer: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
    agreed: Mutex<HashMap<String, Agreed>>,
}

impl Provider {
    fn signed(&self, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(&json!({ "alg": "ES256", "kid": "k" })), text(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// What the user does at the provider: the code that the browser comes back with.
    fn agree(&self, address: &Url, account: Account) -> (String, String) {
        assert!(address.as_str().starts_with(&format!("{}/authorize?", self.issuer)), "{address}");
        let query: HashMap<_, _> = address.query_pairs().into_owned().collect();
        let redirect = format!("https://jobs.example.com{CALLBACK}");
        assert_eq!(
            (query["redirect_uri"].as_str(), query["code_challenge_method"].as_str()),
            (&*redirect, "S256")
        );
        let (nonce, challenge) = (query["nonce"].clone(), query["code_challenge"].clone());
        let code = format!("code-of-{}", &query["state"][..8]);
        self.agreed.lock().unwrap().insert(code.clone(), Agreed { account, nonce, challenge });
        (code, query["state"].clone())
    }
}

async fn describe(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let (point, text) = (provider.key.public_key().as_ref(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
    Json(json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "kid": "k", "x": text(&point[1..33]), "y": text(&point[33..]) },
    ] }))
}

async fn token(State(provider): State<Arc<Provider>>, form: String) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    // A code counts once.
    let agreed = provider.agreed.lock().unwrap().remove(&form["code"]);
    let proof = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    let Some(Agreed { account, nonce, .. }) = agreed.filter(|agreed| agreed.challenge == proof) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let id_token = provider.signed(&json!({
        "iss": provider.issuer, "sub": account.subject, "aud": "stepbox", "iat": now, "exp": now + 60,
        "nonce": account.nonce.map_or(nonce, str::to_owned), "preferred_username": account.user,
        "name": "Julia", "groups": account.groups,
    }));
    Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token })).into_response()
}

/// A server, its provider, and a browser that is somewhere else for each step of a test.
struct Scene {
    sample: Sample,
    provider: Arc<Provider>,
    places: u8,
    _pages: Server,
}

/// An answer: its status, its code or where it leads, and its cookies.
struct Answered {
    status: u16,
    told: String,
    cookies: HashMap<String, String>,
}

impl Scene {
    async fn new() -> Self {
        let listener = Listener::open("127.0.0.1:0").await.unwrap();
        let (issuer, random) = (format!("http://{}", listener.address()), SystemRandom::new());
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let provider = Arc::new(Provider { issuer: issuer.clone(), key, random, agreed: Mutex::default() });
        let pages = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        let role = |group: &str, role: &str| GroupRole {
            group: group.to_owned(),
            tenant: tenant_id("acme"),
            role: role.parse().unwrap(),
        };
        let config = IdentityProviderConfig {
            issuer,
            client_id: "stepbox".to_owned(),
            client_secret: None,
            redirect: None,
            groups_claim: "groups".to_owned(),
            roles: vec![role("catalogue", "author"), role("everybody", "viewer")],
            operator_groups: vec!["platform".to_owned()],
        };
        let public = Some("https://jobs.example.com");
        let settings = IdentityProviderSettings::of(config, public, "", |host| host == "jobs.example.com");
        let at = IdentityProvider::over_tls(settings.unwrap()).unwrap();
        let options = |options| ApiOptions { identity_provider: Some(Arc::new(at)), ..options };
        let sample = Sample::with(options).await;
        Self { sample, provider, places: 0, _pages: listener.serve(pages) }
    }

    /// Asks over TLS, from a place that no limit knows yet.
    async fn get(&mut self, path: &str, cookie: Option<&str>) -> Answered {
        self.places += 1;
        self.get_from(self.places, path, cookie).await
    }

    async fn get_from(&self, place: u8, path: &str, cookie: Option<&str>) -> Answered {
        let mut request = Request::builder().uri(path).header(HOST, "jobs.example.com");
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        let address = SocketAddr::from(([192, 0, 2, place], 4000));
        request.extensions_mut().insert(Peer { address, is_secure: true });
        let response = self.sample.send(request).await;
        let cookies = response.headers().get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap());
        let cookies = cookies.map(|set| {
            let (name, rest) = set.split_once('=').unwrap();
            (name.to_owned(), rest.to_owned())
        });
        let (status, cookies) = (response.status().as_u16(), cookies.collect());
        let told = match response.headers().get(LOCATION) {
            Some(to) => to.to_str().unwrap().to_owned(),
            None => {
                let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
                let problem: Value = serde_json::from_slice(&body).unwrap();
                problem["code"].as_str().unwrap().to_owned()
            }
        };
        Answered { status, told, cookies }
    }

    /// Begins, and signs in at the provider: the cookie of the attempt, the code and the state.
    async fn begin(&mut self, query: &str, account: Account) -> (String, String, String) {
        let begun = self.get(&format!("/api/v1/session/provider{query}"), None).await;
        assert_eq!(begun.status, 303, "{}", begun.told);
        let cookie = &begun.cookies["__Host-stepbox-sign-in"];
        let (value, rest) = cookie.split_once(';').unwrap();
        assert_eq!(rest, " HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
        let (code, state) = self.provider.agree(&begun.told.parse().unwrap(), account);
        (format!("__Host-stepbox-sign-in={value}"), code, state)
    }

    async fn back(&mut self, cookie: Option<&str>, code: &str, state: &str) -> Answered {
        // Providers add parameters of their own.
        let path = format!("{CALLBACK}?code={code}&state={state}&session_state=7&iss=x");
        self.get(&path, cookie).await
    }

    async fn sign_in(&mut self, account: Account) -> Answered {
        let (cookie, code, state) = self.begin("", account).await;
        self.back(Some(&cookie), &code, &state).await
    }

    /// Whom the session of an answer stands for in the tenant.
    async fn principal(&self, answered: &Answered) -> Option<Principal> {
        let session = answered.cookies["__Host-stepbox"].split(';').next().unwrap();
        let accounts = self.sample.stepbox.accounts();
        let found = accounts.principal_of_session(session, Some(&tenant_id("acme"))).await.unwrap();
        found.map(|found| found.principal)
    }

    async fn failures(&self) -> Vec<String> {
        let filter = AuditFilter { action: Some(AuditAction::SignInFailed), ..AuditFilter::default() };
        let events = self.sample.stepbox.accounts().audit(&filter).await.unwrap();
        events.iter().map(|event| event.deed.detail["reason"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_user_of_the_provider_comes_in_with_the_roles_of_its_groups() {
    let mut scene = Scene::new().await;
    let (cookie, code, state) = scene.begin("?next=/jobs%3Fa=b", JULIA).await;
    let signed_in = scene.back(Some(&cookie), &code, &state).await;
    assert_eq!((signed_in.status, signed_in.told.as_str()), (303, "/jobs?a=b"));
    let (_, attributes) = signed_in.cookies["__Host-stepbox"].split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; SameSite=Lax; Secure; Path=/");
    assert!(signed_in.cookies["__Host-stepbox-sign-in"].starts_with(';'), "the attempt is over");
    let principal = scene.principal(&signed_in).await.unwrap();
    assert_eq!(principal.user, UserName::new("julia").ok());
    assert!(principal.may(Right::Edit, Thing::Instances) && !principal.is_operator);
    assert_eq!(scene.sign_in(JULIA).await.told, "/api/v1/session", "without a wish");

    // The provider decides anew at the next sign-in.
    let viewer = scene.sign_in(Account { groups: &["everybody"], ..JULIA }).await;
    assert_eq!(scene.principal(&signed_in).await, None, "with another role, sessions end");
    let principal = scene.principal(&viewer).await.unwrap();
    assert!(principal.may(Right::View, Thing::Instances) && !principal.may(Right::Edit, Thing::Instances));
    let gone = scene.sign_in(Account { groups: &["strangers"], ..JULIA }).await;
    assert_eq!((gone.status, gone.told.as_str()), (403, "sign-in-without-role"));
    assert_eq!(scene.principal(&viewer).await, None);
    let operator = scene.sign_in(Account { groups: &["platform"], ..JULIA }).await;
    assert!(scene.principal(&operator).await.unwrap().is_operator);

    let events = scene.sample.stepbox.accounts().audit(&AuditFilter::default()).await.unwrap();
    let actions: Vec<_> = events.iter().rev().map(|event| event.deed.action.as_str().to_owned()).collect();
    let expected = [
        "user-created",
        "signed-in",
        "signed-in",
        "signed-in",
        "sign-in-failed",
        "user-changed",
        "signed-in",
    ];
    assert_eq!(actions, expected);
    assert_eq!(scene.failures().await, ["sign-in-without-role"]);
}

#[tokio::test]
async fn nothing_else_that_a_browser_brings_back_is_believed() {
    let mut scene = Scene::new().await;
    let (cookie, code, state) = scene.begin("", JULIA).await;
    let (other, other_code, other_state) = scene.begin("", JULIA).await;
    let planted = format!("{cookie}; {other}");
    let mut rows = Vec::new();
    for (cookie, code, state) in [
        (Some(cookie.as_str()), code.as_str(), "wrong"),
        (Some(cookie.as_str()), &code, ""),
        (Some(cookie.as_str()), &code, &other_state),
        // Another browser, or two attempts of one name.
        (None, &code, &state),
        (Some(other.as_str()), &code, &state),
        (Some(planted.as_str()), &code, &state),
        // The code of another attempt has another challenge.
        (Some(cookie.as_str()), &other_code, &state),
        (Some(cookie.as_str()), "invented", &state),
        (Some(cookie.as_str()), "", &state),
    ] {
        let answered = scene.back(cookie, code, state).await;
        assert!(!answered.cookies.contains_key("__Host-stepbox"), "{}", answered.told);
        rows.push(format!("{} {}", answered.status, answered.told));
    }
    let (expired, refused) = ("400 sign-in-expired", "403 identity-provider-refused");
    assert_eq!(rows, [expired, expired, expired, expired, expired, expired, refused, refused, refused]);

    // A code counts once, also for the browser whose it is.
    assert_eq!(scene.back(Some(&cookie), &code, &state).await.status, 303);
    let again = scene.back(Some(&cookie), &code, &state).await;
    assert_eq!((again.status, again.told.as_str()), (403, "identity-provider-refused"));

    let foreign = scene.sign_in(Account { nonce: Some("of another attempt"), ..JULIA }).await;
    assert_eq!((foreign.status, foreign.told.as_str()), (502, "identity-provider-answer"));

    let (cookie, code, state) = scene.begin("", JULIA).await;
    let (name, rest) = cookie.split_once('=').unwrap();
    let (began_at, rest) = rest.split_once('.').unwrap();
    let long_ago = began_at.parse::<i64>().unwrap() - ATTEMPT_MS_MAX - 1;
    let expired = scene.back(Some(&format!("{name}={long_ago}.{rest}")), &code, &state).await;
    assert_eq!((expired.status, expired.told.as_str()), (400, "sign-in-expired"));

    let denied = format!("{CALLBACK}?error=access_denied&state={state}");
    let denied = scene.get(&denied, Some(&cookie)).await;
    assert_eq!((denied.status, denied.told.as_str()), (403, "identity-provider-refused"));
    assert_eq!(scene.failures().await.len(), 13, "each of them is in the trail");
}

#[tokio::test]
async fn afterwards_nobody_is_sent_elsewhere() {
    let mut scene = Scene::new().await;
    for next in ["https://evil.example", "//evil.example", "/%5Cevil.example", "javascript:alert(1)"] {
        let refused = scene.get(&format!("/api/v1/session/provider?next={next}"), None).await;
        assert_eq!((refused.status, refused.told.as_str()), (400, "query-invalid"), "{next}");
    }
    let refused = scene.get("/api/v1/session/provider?redirect_uri=https://evil.example", None).await;
    assert_eq!((refused.status, refused.told.as_str()), (400, "query-invalid"));
    let (cookie, code, state) = scene.begin("?next=/a", JULIA).await;
    let (rest, _) = cookie.rsplit_once('.').unwrap();
    let changed = format!("{rest}.{}", URL_SAFE_NO_PAD.encode("https://evil.example/"));
    let answered = scene.back(Some(&changed), &code, &state).await;
    assert_eq!((answered.status, answered.told.as_str()), (303, "/api/v1/session"));
}

/// A name is no identity: the provider's `julia` is not the one who is here already.
#[tokio::test]
async fn nobody_takes_over_a_user_by_name() {
    let mut scene = Scene::new().await;
    let accounts = scene.sample.stepbox.accounts();
    let new = stepbox::NewUser { name: "julia".to_owned(), ..stepbox::NewUser::default() };
    accounts.create_user(new).await.unwrap();
    let refused = scene.sign_in(JULIA).await;
    assert_eq!((refused.status, refused.told.as_str()), (409, "user-of-another-account"));
    let suspended = stepbox::batch::access::UserChange { is_suspended: Some(true), ..Default::default() };
    let other = Account { subject: "9", user: "maria", ..JULIA };
    assert_eq!(scene.sign_in(other.clone()).await.status, 303);
    accounts.change_user("maria", suspended).await.unwrap();
    let refused = scene.sign_in(other).await;
    assert_eq!((refused.status, refused.told.as_str()), (401, "sign-in-refused"));
}

#[tokio::test]
async fn attempts_are_counted_before_the_provider_is_asked() {
    let scene = Scene::new().await;
    let path = format!("{CALLBACK}?code=a&state=b");
    let mut seen = Vec::new();
    for _ in 0..31 {
        seen.push(scene.get_from(200, &path, None).await.told);
    }
    assert_eq!((seen[29].as_str(), seen[30].as_str()), ("sign-in-expired", "too-many-attempts"));
    assert_eq!(scene.failures().await.len(), 30);
}
