//! Requests to a registry: for manifests and layers, and for the token that the registry may require.
//!
//! The answers come from another machine. Each has a largest length and a time limit. The registry does not decide
//! where credentials go: they go to the registry itself, or to hosts that the caller names, and never without TLS if the
//! registry has it. Nor does it decide where requests go: each is judged, redirects included.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http_auth::{ChallengeRef, parse_challenges};
use oci_spec::distribution::Reference;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::error::{PullError, cut, with_causes};
use crate::reach::Reach;
use crate::{Credentials, MANIFEST_MEDIA_TYPE, Pull, is_loopback, reference};

/// The most bytes of a manifest: the most that registries accept.
const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// The most bytes of a token, and of an error that is read.
const TEXT_BYTES_MAX: usize = 64 << 10;
const CONNECT_SECONDS_MAX: u64 = 10;
/// How long the registry may send nothing in the middle of an answer.
const STILL_SECONDS_MAX: u64 = 30;
/// How many redirects the registry may send.
const REDIRECTS_MAX: usize = 5;

/// Registries with a login at another host of the same owner. Without a port, and with TLS, so that both hosts show
/// certificates for these names.
const LOGINS: [(&str, &str); 2] =
    [("index.docker.io", "auth.docker.io"), ("registry-1.docker.io", "auth.docker.io")];

/// A registry, and the credentials for it.
pub(crate) struct Registry<'a> {
    image: &'a Reference,
    base: Url,
    is_plain: bool,
    credentials: Option<Credentials>,
    /// Further hosts that may receive credentials: `auth.example.com`, with a port or for any port.
    auth_hosts: &'a [String],
    bytes_max: usize,
    reach: Reach,
    client: Client,
    /// For tokens. It follows no redirects.
    strict_client: Client,
    /// The authorization that the registry requires.
    pass: Option<HeaderValue>,
}

/// What a registry requires before it answers.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    /// Name and password.
    Basic,
    /// A token, from that address.
    Token { realm: String, service: Option<String> },
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    pub(crate) fn new(image: &'a Reference, pull: Pull<'a>) -> Result<Self, PullError> {
        let Pull { credentials, plain_http, auth_hosts, bytes_max, reach, reference: _ } = pull;
        let is_plain = plain_http || is_loopback(image.registry());
        let scheme = if is_plain { "http" } else { "https" };
        let failed = |problem: String| PullError::Client { problem };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", image.resolve_registry(), image.repository()));
        let base = base.map_err(|error| failed(error.to_string()))?;
        let client = |redirects: Policy| {
            let client = Client::builder()
                .user_agent(concat!("stepbox/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
                .read_timeout(Duration::from_secs(STILL_SECONDS_MAX))
                .referer(false)
                .redirect(redirects);
            reach.limit(client).build().map_err(|error| failed(with_causes(&error)))
        };
        // The client removes credentials when another host is next. A redirect never leaves TLS.
        let judge = reach.clone();
        let follow = move |attempt: Attempt<'_>| {
            let is_private = attempt.url().scheme() == "https" || is_plain;
            match (attempt.previous().len(), judge.refusal(attempt.url())) {
                (_, Some(refusal)) => attempt.error(refusal),
                (0..REDIRECTS_MAX, None) if is_private => attempt.follow(),
                _ => attempt.stop(),
            }
        };
        let (client, strict_client) = (client(Policy::custom(follow))?, client(Policy::none())?);
        Ok(Self {
            image,
            base,
            is_plain,
            credentials,
            auth_hosts,
            bytes_max,
            reach,
            client,
            strict_client,
            pass: None,
        })
    }

    /// The most bytes of a component.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The bytes of a manifest, by its digest or its tag.
    pub(crate) async fn manifest(&mut self, name: &str) -> Result<Vec<u8>, PullError> {
        let answer = self.get(&format!("manifests/{name}"), MANIFEST_MEDIA_TYPE).await?;
        let too_long = || self.failed(format!("its manifest has more than {MANIFEST_BYTES_MAX} bytes"));
        self.body(answer, MANIFEST_BYTES_MAX).await?.ok_or_else(too_long)
    }

    /// The bytes of a layer, by its digest. Other places that a manifest may name for it are ignored.
    pub(crate) async fn layer(&mut self, digest: &str) -> Result<Vec<u8>, PullError> {
        let answer = self.get(&format!("blobs/{digest}"), "*/*").await?;
        let bytes_max = self.bytes_max;
        self.body(answer, bytes_max).await?.ok_or(PullError::TooLarge { bytes_max })
    }

    /// Sends a request, and repeats it once with the authorization that the registry requires.
    async fn get(&mut self, path: &str, accept: &'static str) -> Result<Response, PullError> {
        let url = self.base.join(path).map_err(|error| self.failed(error.to_string()))?;
        let mut answer = self.send(url.clone(), accept).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.pass.is_none() {
            let said =
                answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|said| said.to_str().ok());
            self.pass = match challenge(said) {
                Some(Challenge::Basic) => self.credentials.as_ref().map(Credentials::header),
                Some(Challenge::Token { realm, service }) => Some(self.token(&realm, service).await?),
                None => None,
            };
            if self.pass.is_some() {
                answer = self.send(url, accept).await?;
            }
        }
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND => Err(PullError::NotFound { reference: reference::text(self.image) }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused()),
            status => {
                let words = self.words(answer).await;
                Err(self.failed(format!("it answers {}: {words}", status.as_u16())))
            }
        }
    }

    async fn send(&self, url: Url, accept: &'static str) -> Result<Response, PullError> {
        self.judge(&url)?;
        let mut request = self.client.get(url).header(ACCEPT, accept);
        if let Some(pass) = &self.pass {
            request = request.header(AUTHORIZATION, pass);
        }
        request.send().await.map_err(|error| self.failed(with_causes(&error)))
    }

    /// Gets a token from the registry's address for tokens, if credentials may go there, or if no credentials are
    /// needed.
    async fn token(&self, realm: &str, service: Option<String>) -> Result<HeaderValue, PullError> {
        let mut url = self.realm(realm)?;
        self.judge(&url)?;
        url.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.image.repository()));
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.strict_client.get(url);
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials.header());
        }
        let answer = request.send().await.map_err(|error| self.failed(with_causes(&error)))?;
        if !answer.status().is_success() {
            return Err(self.refused());
        }
        let unreadable = || self.failed("it gives no token that can be read".to_owned());
        let text = self.body(answer, TEXT_BYTES_MAX).await?.ok_or_else(unreadable)?;
        let token: Token = serde_json::from_slice(&text).map_err(|_| unreadable())?;
        let token = token.token.or(token.access_token).ok_or_else(unreadable)?;
        let mut pass = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unreadable())?;
        pass.set_sensitive(true);
        Ok(pass)
    }

    /// The address for tokens, if a request to it is allowed.
    fn realm(&self, realm: &str) -> Result<Url, PullError> {
        let url = Url::parse(realm).ok().filter(|url| url.has_host() && url.username().is_empty());
        let Some(url) = url.filter(|url| matches!(url.scheme(), "https" | "http")) else {
            return Err(self.failed(format!("it names no place that gives tokens: `{}`", cut(realm))));
        };
        let (registry, host) = (self.image.registry().to_owned(), host_of(&url));
        if url.scheme() != "https" && !self.is_plain {
            return Err(PullError::PlainRealm { registry, host });
        }
        let is_named = |named: &String| *named == host || url.host_str() == Some(named);
        let own = host_of(&self.base);
        let is_known =
            !self.is_plain && url.scheme() == "https" && LOGINS.contains(&(own.as_str(), host.as_str()));
        let is_its_own = host == own || is_known;
        if self.credentials.is_some() && !is_its_own && !self.auth_hosts.iter().any(is_named) {
            return Err(PullError::OtherAuthHost { registry, host });
        }
        Ok(url)
    }

    /// The whole answer; `None` if it is longer than that.
    async fn body(&self, mut answer: Response, bytes_max: usize) -> Result<Option<Vec<u8>>, PullError> {
        if answer.content_length().is_some_and(|length| length > bytes_max as u64) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let broken = |error| self.failed(with_causes(&error));
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            if bytes.len() + piece.len() > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// The beginning of an error's text.
    async fn words(&self, mut answer: Response) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < TEXT_BYTES_MAX
            && let Ok(Some(piece)) = answer.chunk().await
        {
            bytes.extend_from_slice(&piece[..piece.len().min(TEXT_BYTES_MAX - bytes.len())]);
        }
        cut(&String::from_utf8_lossy(&bytes))
    }

    /// Refuses a request that may not be sent from here.
    fn judge(&self, url: &Url) -> Result<(), PullError> {
        self.reach.refusal(url).map_or(Ok(()), |refusal| Err(self.failed(refusal)))
    }

    fn refused(&self) -> PullError {
        let problem = "these credentials, or none, do not do".to_owned();
        PullError::Unauthorized { registry: self.image.registry().to_owned(), problem }
    }

    fn failed(&self, problem: String) -> PullError {
        PullError::Registry { registry: self.image.registry().to_owned(), problem }
    }
}

impl Credentials {
    fn header(&self) -> HeaderValue {
        let encoded = BASE64_STANDARD.encode(format!("{}:{}", self.username, self.password));
        let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).expect("Base64 is ASCII");
        header.set_sensitive(true);
        header
    }
}

/// `auth.example.com`, with its port if that is not the usual one.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The requirement of the registry that this program meets: a token if the registry takes one, else a password.
fn challenge<'a>(said: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for ChallengeRef { scheme, params } in said.filter_map(|said| parse_challenges(said).ok()).flatten() {
        let param = |name: &str| {
            let found = params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Challenge::Token { realm: param("realm")?, service: param("service") });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_wants_a_token_or_a_password() {
        let check = |said: &[&str], expected: Option<Challenge>| {
            assert_eq!(challenge(said.iter().copied()), expected, "{said:?}");
        };
        let token = |realm: &str, service: Option<&str>| {
            Some(Challenge::Token { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        check(&[r#"Bearer realm="https://a/token",service="b""#], token("https://a/token", Some("b")));
        check(&[r#"Basic realm="x", bearer Realm="https://a""#], token("https://a", None));
        check(&[r#"Basic realm="x""#], Some(Challenge::Basic));
        check(&["Basic realm=\"x\"", "Bearer realm=\"https://a\""], token("https://a", None));
        check(&["Bearer service=\"b\""], None);
        check(&["Negotiate"], None);
        check(&["\u{7f}"], None);
        check(&[], None);
    }

    #[test]
    fn credentials_go_where_the_caller_says() {
        let check = |registry: &str, is_plain: bool, auth_hosts: &[&str], realm: &str, expected: &str| {
            let image = Reference::try_from(format!("{registry}/acme/a:1")).expect("a reference");
            let credentials =
                Some(Credentials { username: "acme".to_owned(), password: "secret".to_owned() });
            let auth_hosts: Vec<String> = auth_hosts.iter().map(|&host| host.to_owned()).collect();
            // Fails only if a provider is installed already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let pull = Pull {
                reference: "",
                credentials,
                plain_http: is_plain,
                auth_hosts: &auth_hosts,
                bytes_max: 1,
                reach: Reach::Machine,
            };
            let asker = Registry::new(&image, pull).expect("a client");
            let found =
                asker.realm(realm).map_or_else(|error| error.code().to_owned(), |url| url.to_string());
            assert_eq!(found, expected, "{registry} {realm}");
            let asker = Registry { credentials: None, ..asker };
            let is_let = asker.realm(realm).is_ok();
            assert_eq!(
                is_let,
                !matches!(expected, "pull-plain-realm" | "pull-failed"),
                "without credentials"
            );
        };
        let secure = "registry.example.com";
        check(secure, false, &[], "https://registry.example.com/token", "https://registry.example.com/token");
        check(secure, false, &[], "https://REGISTRY.example.com:443/t", "https://registry.example.com/t");
        check(secure, false, &[], "http://registry.example.com/token", "pull-plain-realm");
        check(secure, false, &[], "http://127.0.0.1:19396/token", "pull-plain-realm");
        check(secure, false, &["127.0.0.1"], "http://127.0.0.1:19396/token", "pull-plain-realm");
        check(secure, false, &[], "https://auth.example.com/token", "pull-other-auth-host");
        check(secure, false, &[], "https://registry.example.com:8443/token", "pull-other-auth-host");
        check(secure, false, &[], "https://registry.example.com.evil.example/t", "pull-other-auth-host");
        check(
            secure,
            false,
            &["auth.example.com"],
            "https://auth.example.com/t",
            "https://auth.example.com/t",
        );
        check(
            secure,
            false,
            &["auth.example.com:8443"],
            "https://auth.example.com/t",
            "pull-other-auth-host",
        );
        // Docker's own pair: both by their names and with TLS.
        let docker = "https://auth.docker.io/token";
        check("docker.io", false, &[], docker, docker);
        check("docker.io", false, &[], "http://auth.docker.io/token", "pull-plain-realm");
        check("docker.io", false, &[], "https://auth.docker.io:8443/token", "pull-other-auth-host");
        check("docker.io", false, &[], "https://auth.docker.io.evil.example/t", "pull-other-auth-host");
        check("registry-1.docker.io", false, &[], docker, docker);
        check("docker.io", true, &[], "http://auth.docker.io/token", "pull-other-auth-host");
        check(secure, false, &[], docker, "pull-other-auth-host");
        check(secure, false, &[], "https://me@registry.example.com/t", "pull-failed");
        check(secure, false, &[], "file:///etc/passwd", "pull-failed");
        check(secure, false, &[], "token", "pull-failed");
        check("127.0.0.1:5000", true, &[], "http://127.0.0.1:5000/t", "http://127.0.0.1:5000/t");
        check("127.0.0.1:5000", true, &[], "http://127.0.0.1:5001/t", "pull-other-auth-host");
        check("127.0.0.1:5000", true, &[], "http://localhost:5000/t", "pull-other-auth-host");
        check(
            "127.0.0.1:5000",
            true,
            &["127.0.0.1:5001"],
            "http://127.0.0.1:5001/t",
            "http://127.0.0.1:5001/t",
        );
    }
}
