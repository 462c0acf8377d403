//! The provider: its addresses and keys, where the browser goes, and the exchange of the code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stepbox::batch::clock::Timestamp;
use stepbox_net::http::machines_certificates;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::attempt::SignInAttempt;
use super::id_token::{BadToken, Keys, prove};
use super::identity::ProvenIdentity;
use super::settings::{IdentityProviderSettings, InvalidSettings, is_private};

/// How long an answer of the provider may be, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the provider's addresses and keys are used before they are asked for again.
const KNOWN: Duration = Duration::from_secs(60 * 60);
/// How soon they may be asked for again because a statement names an unknown key.
const KNOWN_MIN: Duration = Duration::from_secs(60);
/// How long a code or a state of an answer may be, in bytes.
const CODE_BYTES_MAX: usize = 4 << 10;

/// A provider at which users sign in.
#[derive(Debug)]
pub struct IdentityProvider {
    settings: IdentityProviderSettings,
    http: Client,
    known: Mutex<Option<Arc<Known>>>,
}

/// What the provider says of itself.
#[derive(Debug)]
struct Known {
    metadata: Metadata,
    keys: Keys,
    asked_at: Instant,
}

/// The addresses of the provider that a sign-in needs.
#[derive(Debug, Clone)]
struct Metadata {
    authorization: Url,
    token: Url,
    keys: Url,
}

/// The parts of the provider's description that a sign-in needs (OpenID Connect Discovery, section 3).
#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

/// Why a sign-in at a provider does not succeed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProviderError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The browser did not begin this attempt, began it too long ago, or has used it.
    #[error("this browser has no sign-in under way that the answer belongs to")]
    NoAttempt,
    /// The provider refused the sign-in, or the exchange of the code.
    #[error("the identity provider refused the sign-in")]
    Refused,
    /// The provider cannot be reached, or answers with an error.
    #[error("the identity provider {issuer} does not answer as it should: {problem}")]
    Unavailable {
        /// The provider.
        issuer: String,
        /// What is wrong.
        problem: String,
    },
    /// The provider's answer is not what the protocol says.
    #[error("the answer of the identity provider {issuer} is not believed: {problem}")]
    NotBelieved {
        /// The provider.
        issuer: String,
        /// What is wrong.
        problem: String,
    },
}

impl IdentityProviderError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "identity-provider-settings",
            Self::NoAttempt => "sign-in-expired",
            Self::Refused => "identity-provider-refused",
            Self::Unavailable { .. } => "identity-provider-unavailable",
            Self::NotBelieved { .. } => "identity-provider-answer",
        }
    }

    /// The next action.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Settings(_) => "correct the settings of the identity provider",
            Self::NoAttempt => "begin the sign-in again",
            Self::Refused => "sign in with another account, or ask the administrator of the provider",
            Self::Unavailable { .. } => "try again later; an operator finds the reason in the server's log",
            Self::NotBelieved { .. } => "tell the operator: the reason is in the server's log",
        }
    }
}

impl IdentityProvider {
    /// A provider with these settings, and the certificates that its address is trusted by.
    ///
    /// Nothing is asked of the provider yet, so the server starts without it.
    pub fn new(
        settings: IdentityProviderSettings,
        certificates: ClientConfig,
    ) -> Result<Self, IdentityProviderError> {
        settings.check()?;
        let http = Client::builder()
            .tls_backend_preconfigured(certificates)
            .user_agent(concat!("stepbox/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(REQUEST)
            .build();
        let http = http.map_err(|error| IdentityProviderError::Unavailable {
            issuer: settings.issuer().to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { settings, http, known: Mutex::default() })
    }

    /// A provider whose address is trusted by the certificates of this machine.
    pub fn over_tls(settings: IdentityProviderSettings) -> Result<Self, IdentityProviderError> {
        Self::new(settings, machines_certificates())
    }

    /// The settings.
    pub fn settings(&self) -> &IdentityProviderSettings {
        &self.settings
    }

    /// Begins an attempt, and returns it with the address to which the browser goes.
    ///
    /// `next` is where the browser goes afterwards.
    pub async fn begin(
        &self,
        now: Timestamp,
        next: Option<String>,
    ) -> Result<(SignInAttempt, Url), IdentityProviderError> {
        let attempt = SignInAttempt::begin(now, next);
        let mut address = self.metadata().await?.authorization;
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", self.settings.redirect.as_str())
            .append_pair("scope", "openid profile email")
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok((attempt, address))
    }

    /// Finishes an attempt with what the provider sent the browser back with, and returns who the user is.
    pub async fn finish(
        &self,
        attempt: &SignInAttempt,
        state: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<ProvenIdentity, IdentityProviderError> {
        if state.len() > CODE_BYTES_MAX || !attempt.is_answered_by(state) {
            return Err(IdentityProviderError::NoAttempt);
        }
        if code.is_empty() || code.len() > CODE_BYTES_MAX {
            return Err(IdentityProviderError::Refused);
        }
        let token = self.exchange(attempt, code).await?;
        let prove =
            |known: &Known| prove(token.expose_secret(), &known.keys, &self.settings, &attempt.nonce, now);
        let proven = match prove(&*self.known(KNOWN).await?) {
            // The provider may have new keys.
            Err(BadToken::UnknownKey) => prove(&*self.known(KNOWN_MIN).await?),
            proven => proven,
        };
        proven.map_err(|bad| self.not_believed(format!("the statement about the user: {bad}")))
    }

    /// Exchanges the code for the signed statement (RFC 6749, section 4.1.3).
    async fn exchange(
        &self,
        attempt: &SignInAttempt,
        code: &str,
    ) -> Result<SecretString, IdentityProviderError> {
        let Self { settings, http, .. } = self;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", settings.redirect.as_str())
            .append_pair("client_id", &settings.client_id)
            .append_pair("code_verifier", attempt.verifier.expose_secret())
            .finish();
        let mut request = http.post(self.metadata().await?.token);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        if let Some(secret) = &settings.client_secret {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&settings.client_id), encoded(secret.expose_secret()));
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        let Tokens { id_token } = self.answer(request).await?;
        id_token.map(SecretString::from).ok_or_else(|| self.not_believed("it has no `id_token`".to_owned()))
    }

    async fn metadata(&self) -> Result<Metadata, IdentityProviderError> {
        Ok(self.known(KNOWN).await?.metadata.clone())
    }

    /// What the provider says of itself. It is asked if it was not asked yet, or that long ago.
    async fn known(&self, age_max: Duration) -> Result<Arc<Known>, IdentityProviderError> {
        let mut known = self.known.lock().await;
        match &*known {
            Some(known) if known.asked_at.elapsed() < age_max => Ok(known.clone()),
            _ => Ok(known.insert(Arc::new(self.ask().await?)).clone()),
        }
    }

    /// Asks the provider about itself (OpenID Connect Discovery, section 4).
    async fn ask(&self) -> Result<Known, IdentityProviderError> {
        let address = format!("{}/.well-known/openid-configuration", self.settings.issuer());
        let told: Description = self.answer(self.http.get(address)).await?;
        if told.issuer.trim_end_matches('/') != self.settings.issuer() {
            return Err(self.not_believed(format!("it calls itself `{}`", told.issuer)));
        }
        let address = |text: &str| match text.parse::<Url>() {
            Ok(address) if is_private(&address) => Ok(address),
            _ => Err(self.not_believed(format!("its address `{text}` is not `https`"))),
        };
        let metadata = Metadata {
            authorization: address(&told.authorization_endpoint)?,
            token: address(&told.token_endpoint)?,
            keys: address(&told.jwks_uri)?,
        };
        let keys = self.read(self.http.get(metadata.keys.clone())).await?;
        let keys = Keys::read(&keys).map_err(|error| self.not_believed(format!("its keys: {error}")))?;
        Ok(Known { metadata, keys, asked_at: Instant::now() })
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, IdentityProviderError> {
        let bytes = self.read(request).await?;
        // The answer may contain tokens, so no error quotes it.
        serde_json::from_slice(&bytes).map_err(|error| {
            self.not_believed(format!(
                "it is no such JSON (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    /// The body of a good answer, if it is not too long.
    async fn read(&self, request: RequestBuilder) -> Result<Vec<u8>, IdentityProviderError> {
        let unavailable = |problem: String| IdentityProviderError::Unavailable {
            issuer: self.settings.issuer().to_owned(),
            problem,
        };
        let sent = request.header(ACCEPT, "application/json").send().await;
        let mut answer = sent.map_err(|error| unavailable(error.without_url().to_string()))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(IdentityProviderError::Refused);
            }
            status => return Err(unavailable(format!("it answers with {status}"))),
        }
        let mut body = Vec::new();
        while let Some(piece) =
            answer.chunk().await.map_err(|error| unavailable(error.without_url().to_string()))?
        {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(self.not_believed(format!("it has more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn not_believed(&self, problem: String) -> IdentityProviderError {
        IdentityProviderError::NotBelieved { issuer: self.settings.issuer().to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse as _, Redirect, Response};
    use axum::routing::{get, post};
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use rustls::RootCertStore;
    use serde_json::{Value, json};
    use stepbox_net::http::trusting;

    use super::super::settings::settings;
    use super::*;
    use crate::{Listener, Server};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// How a provider behaves.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Manner {
        Good,
        /// Has a new key since it was asked.
        NewKey,
        /// Calls itself otherwise.
        OtherName,
        /// Sends the token request elsewhere.
        Redirects,
        /// Names an address without TLS.
        OpenAddress,
        /// Answers without end.
        Endless,
        /// Answers with a page.
        Page,
        /// Refuses the code.
        Refuses,
        /// Has an error.
        Fails,
    }

    struct Scene {
        manner: Manner,
        issuer: String,
        key: Ed25519KeyPair,
        asked: AtomicUsize,
        /// The nonce that the browser brought.
        nonce: std::sync::Mutex<String>,
        challenge: std::sync::Mutex<String>,
    }

    async fn describe(State(scene): State<Arc<Scene>>) -> Response {
        scene.asked.fetch_add(1, Ordering::SeqCst);
        let issuer = &scene.issuer;
        let name = if scene.manner == Manner::OtherName { "https://other.example.com" } else { issuer };
        let token = match scene.manner {
            Manner::OpenAddress => "http://id.example.com/token".to_owned(),
            _ => format!("{issuer}/token"),
        };
        match scene.manner {
            Manner::Endless => {
                let pieces =
                    futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
                axum::body::Body::from_stream(pieces).into_response()
            }
            Manner::Page => "<html></html>".into_response(),
            Manner::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => axum::Json(json!({
                "issuer": name, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": token, "jwks_uri": format!("{issuer}/keys"),
            }))
            .into_response(),
        }
    }

    async fn keys(State(scene): State<Arc<Scene>>) -> axum::Json<Value> {
        let is_old = scene.manner == Manner::NewKey && scene.asked.load(Ordering::SeqCst) == 1;
        let x = URL_SAFE_NO_PAD.encode(scene.key.public_key().as_ref());
        let kid = if is_old { "old" } else { "new" };
        axum::Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x }] }))
    }

    async fn token(State(scene): State<Arc<Scene>>, headers: HeaderMap, form: String) -> Response {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        match scene.manner {
            Manner::Redirects => return Redirect::temporary("http://127.0.0.1:1/token").into_response(),
            Manner::Refuses => return StatusCode::BAD_REQUEST.into_response(),
            _ => {}
        }
        let password = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let expected = format!("Basic {}", STANDARD.encode("stepbox:client+secret"));
        let hash = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
        let is_proof = URL_SAFE_NO_PAD.encode(hash) == *scene.challenge.lock().unwrap();
        if password != expected || form["code"] != "code" || !is_proof {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let claims = json!({
            "iss": scene.issuer, "sub": "1", "aud": "stepbox", "iat": 1_700_000_000, "exp": 1_700_000_300,
            "nonce": *scene.nonce.lock().unwrap(),
        });
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(&json!({ "alg": "EdDSA", "kid": "new" })), text(&claims));
        let signature = URL_SAFE_NO_PAD.encode(scene.key.sign(signed.as_bytes()).as_ref());
        axum::Json(json!({ "access_token": "a", "id_token": format!("{signed}.{signature}") }))
            .into_response()
    }

    async fn scene(manner: Manner) -> (Arc<Scene>, IdentityProvider, Server) {
        let listener = Listener::open("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.address());
        let random = SystemRandom::new();
        let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let scene = Arc::new(Scene {
            manner,
            issuer: issuer.clone(),
            key,
            asked: AtomicUsize::new(0),
            nonce: Default::default(),
            challenge: Default::default(),
        });
        let pages = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(scene.clone());
        let server = listener.serve(pages);
        let provider = IdentityProvider::new(settings(&issuer), trusting(RootCertStore::empty())).unwrap();
        (scene, provider, server)
    }

    /// Goes through a sign-in, with the state that the provider sends back.
    async fn sign_in(
        scene: &Scene,
        provider: &IdentityProvider,
        state: Option<&str>,
        code: &str,
    ) -> Result<ProvenIdentity, IdentityProviderError> {
        let (attempt, address) = provider.begin(NOW, None).await?;
        let query: HashMap<_, _> = address.query_pairs().into_owned().collect();
        assert_eq!(
            (query["response_type"].as_str(), query["code_challenge_method"].as_str()),
            ("code", "S256")
        );
        assert!(address.as_str().starts_with(&format!("{}/authorize?", scene.issuer)), "{address}");
        scene.nonce.lock().unwrap().clone_from(&query["nonce"]);
        scene.challenge.lock().unwrap().clone_from(&query["code_challenge"]);
        let cookie = attempt.to_cookie();
        let attempt = SignInAttempt::of_cookie(cookie.expose_secret(), NOW).unwrap();
        provider.finish(&attempt, state.unwrap_or(&query["state"]), code, NOW).await
    }

    #[tokio::test]
    async fn a_user_signs_in_also_after_the_providers_keys_changed() {
        let (good, provider, _server) = scene(Manner::Good).await;
        for _ in 0..2 {
            let proven = sign_in(&good, &provider, None, "code").await.unwrap();
            assert_eq!((proven.issuer, proven.subject), (good.issuer.clone(), "1".to_owned()));
        }
        assert_eq!(good.asked.load(Ordering::SeqCst), 1, "the provider is asked about itself once");

        let (new, mut provider, _server) = scene(Manner::NewKey).await;
        provider.known(KNOWN).await.unwrap();
        let early = sign_in(&new, &provider, None, "code").await.unwrap_err();
        assert_eq!(
            early.code(),
            "identity-provider-answer",
            "its keys were asked for less than a minute ago"
        );
        let known = provider.known.get_mut().take().unwrap();
        let asked_at = Instant::now().checked_sub(KNOWN_MIN).unwrap();
        let Known { metadata, keys, .. } = Arc::into_inner(known).unwrap();
        provider.known = Mutex::new(Some(Arc::new(Known { metadata, keys, asked_at })));
        assert!(sign_in(&new, &provider, None, "code").await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_to_another_attempt_is_refused() {
        let (good, provider, _server) = scene(Manner::Good).await;
        let long = "x".repeat(CODE_BYTES_MAX + 1);
        let rows = [
            (Some("state"), "code", "sign-in-expired"),
            (Some(""), "code", "sign-in-expired"),
            (Some(long.as_str()), "code", "sign-in-expired"),
            (None, "", "identity-provider-refused"),
            (None, long.as_str(), "identity-provider-refused"),
            (None, "another code", "identity-provider-refused"),
        ];
        for (state, code, expected) in rows {
            let error = sign_in(&good, &provider, state, code).await.unwrap_err();
            assert_eq!(error.code(), expected, "{state:.20?} {code:.20}");
        }
    }

    #[tokio::test]
    async fn a_provider_that_misbehaves_is_not_believed() {
        let rows = [
            (Manner::OtherName, "identity-provider-answer"),
            (Manner::OpenAddress, "identity-provider-answer"),
            (Manner::Endless, "identity-provider-answer"),
            (Manner::Page, "identity-provider-answer"),
            (Manner::Redirects, "identity-provider-unavailable"),
            (Manner::Fails, "identity-provider-unavailable"),
            (Manner::Refuses, "identity-provider-refused"),
        ];
        for (manner, expected) in rows {
            let (scene, provider, _server) = scene(manner).await;
            let error = sign_in(&scene, &provider, None, "code").await.unwrap_err();
            assert_eq!(error.code(), expected, "{manner:?}: {error}");
            assert!(!error.to_string().contains("<html>"), "{error}");
        }
    }
}
