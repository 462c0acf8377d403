//! The provider's signed statement about a user: an ID token (OpenID Connect Core, section 2).
//!
//! Three signature algorithms are accepted, each with the kind of key that it belongs to. So a statement can neither be
//! unsigned, nor be signed with a public key as if it were a password.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use stepbox::batch::clock::Timestamp;
use stepbox::batch::strict_json;

use super::identity::ProvenIdentity;
use super::settings::IdentityProviderSettings;

/// How far the provider's clock may be off, in seconds.
const CLOCK_SECONDS_MAX: i64 = 60;
/// How long the provider's id of a user may be, in bytes (OpenID Connect Core, section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// How many keys of a provider are looked at.
const KEYS_MAX: usize = 100;

/// Why a statement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    /// It has not the form of a signed statement.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// Its algorithm is not accepted.
    #[error("its algorithm is not accepted")]
    Algorithm,
    /// It is signed with a key that the provider does not show.
    #[error("it is signed with a key that the provider does not show")]
    UnknownKey,
    /// The signature is not of this text.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is not as it must be.
    #[error("its claim `{0}` is wrong")]
    Claim(&'static str),
}

/// The public keys of a provider (RFC 7517).
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    kind: KeyKind,
}

#[derive(Debug)]
enum KeyKind {
    /// `RS256`.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// `ES256`: an uncompressed point on P-256.
    P256(Vec<u8>),
    /// `EdDSA` with Ed25519.
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct KeyFields {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// Extensions that a reader must understand. This one understands none.
    crit: Option<Value>,
}

impl Keys {
    /// Reads a key set. Keys of other kinds are passed over.
    pub(super) fn read(document: &[u8]) -> Result<Self, String> {
        let KeyDocument { keys } = serde_json::from_slice(document).map_err(|error| error.to_string())?;
        Ok(Self(keys.into_iter().take(KEYS_MAX).filter_map(Key::of).collect()))
    }

    fn verify(&self, head: &Head, text: &[u8], signature: &[u8]) -> Result<(), BadToken> {
        if !["RS256", "ES256", "EdDSA"].contains(&head.alg.as_str()) {
            return Err(BadToken::Algorithm);
        }
        let is_meant = |key: &&Key| head.kid.is_none() || key.id == head.kid;
        let meant = self.0.iter().filter(is_meant).filter(|key| key.kind.algorithm() == head.alg);
        let mut outcome = Err(BadToken::UnknownKey);
        for key in meant {
            if key.kind.verify(text, signature) {
                return Ok(());
            }
            outcome = Err(BadToken::Signature);
        }
        outcome
    }
}

impl Key {
    fn of(key: Value) -> Option<Self> {
        let fields: KeyFields = serde_json::from_value(key).ok()?;
        if fields.r#use.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let kind = match (fields.kty.as_str(), fields.crv.as_deref()) {
            ("RSA", _) => KeyKind::Rsa { n: bytes(&fields.n)?, e: bytes(&fields.e)? },
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&fields.x)?, bytes(&fields.y)?);
                KeyKind::P256([&[4], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => KeyKind::Ed25519(bytes(&fields.x)?),
            _ => return None,
        };
        Some(Self { id: fields.kid, kind })
    }
}

impl KeyKind {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
            }
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature)
            }
            Self::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(text, signature),
        };
        verified.is_ok()
    }
}

/// Checks a statement: its signature, and that it is of this provider, for this client, about this attempt, and of now.
pub(super) fn prove(
    token: &str,
    keys: &Keys,
    settings: &IdentityProviderSettings,
    nonce: &str,
    now: Timestamp,
) -> Result<ProvenIdentity, BadToken> {
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Malformed("it has no signature"))?;
    let (head, claims) = signed.split_once('.').ok_or(BadToken::Malformed("it has no claims"))?;
    let head: Head = serde_json::from_value(part(head)?).map_err(|_| BadToken::Malformed("its head"))?;
    if head.crit.is_some() {
        return Err(BadToken::Malformed("it has extensions"));
    }
    let signature = decoded(signature)?;
    keys.verify(&head, signed.as_bytes(), &signature)?;
    let claims = part(claims)?;
    check_claims(&claims, settings, nonce, now)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject = text("sub").filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()));
    Ok(ProvenIdentity {
        issuer: settings.issuer().to_owned(),
        subject: subject.ok_or(BadToken::Claim("sub"))?,
        user: text("preferred_username").or_else(|| text("email")),
        label: text("name"),
        groups: groups(claims.get(&settings.groups_claim)),
    })
}

fn check_claims(
    claims: &Value,
    settings: &IdentityProviderSettings,
    nonce: &str,
    now: Timestamp,
) -> Result<(), BadToken> {
    let is = |name: &'static str, good: bool| if good { Ok(()) } else { Err(BadToken::Claim(name)) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
    let now = now.0 / 1000;
    is("iss", text("iss").is_some_and(|issuer| issuer.trim_end_matches('/') == settings.issuer()))?;
    let client = settings.client_id.as_str();
    let audience: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    is("aud", audience.contains(&client))?;
    // A statement for several clients says which of them asked for it.
    is("azp", text("azp").map_or(audience.len() == 1, |party| party == client))?;
    is("exp", seconds("exp").is_some_and(|end| end.saturating_add(CLOCK_SECONDS_MAX) > now))?;
    is("iat", seconds("iat").is_some_and(|begin| begin.saturating_sub(CLOCK_SECONDS_MAX) <= now))?;
    is("nbf", seconds("nbf").is_none_or(|begin| begin.saturating_sub(CLOCK_SECONDS_MAX) <= now))?;
    is("nonce", text("nonce") == Some(nonce))
}

/// The groups of a claim: one text, or a list of texts.
fn groups(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(group)) => vec![group.clone()],
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A part of the token as JSON. A key that is there twice is refused, since two readers could read two values.
fn part(part: &str) -> Result<Value, BadToken> {
    let bytes = decoded(part)?;
    strict_json::parse(&bytes).map_err(|_| BadToken::Malformed("it is not JSON, or has a key twice"))
}

fn decoded(part: &str) -> Result<Vec<u8>, BadToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Malformed("it is not base64url"))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RsaKeyPair,
    };
    use serde_json::json;

    use super::super::settings::settings;
    use super::*;

    const ISSUER: &str = "https://id.example.com";
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// The keys of a provider for tests.
    struct Provider {
        ed25519: Ed25519KeyPair,
        p256: EcdsaKeyPair,
        rsa: RsaKeyPair,
        random: SystemRandom,
    }

    impl Provider {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let ed25519 = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            let p256 = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
            let rsa = RsaKeyPair::from_pkcs8(include_bytes!("test_rsa.pk8")).unwrap();
            Self { ed25519, p256, rsa, random }
        }

        fn keys(&self) -> Keys {
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let point = self.p256.public_key().as_ref();
            let rsa: RsaPublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
            let document = json!({ "keys": [
                { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": text(self.ed25519.public_key().as_ref()) },
                { "kty": "EC", "crv": "P-256", "kid": "ec", "x": text(&point[1..33]), "y": text(&point[33..]) },
                { "kty": "RSA", "kid": "rsa", "use": "sig", "n": text(&rsa.n), "e": text(&rsa.e) },
                { "kty": "RSA", "kid": "enc", "use": "enc", "n": text(&rsa.n), "e": text(&rsa.e) },
                { "kty": "oct", "kid": "oct", "k": "c2VjcmV0" },
                "no key",
            ] });
            Keys::read(document.to_string().as_bytes()).unwrap()
        }

        fn sign(&self, head: Value, claims: &Value) -> String {
            let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", text(&head), text(claims));
            let signature = match head["alg"].as_str() {
                Some("EdDSA") => self.ed25519.sign(signed.as_bytes()).as_ref().to_vec(),
                Some("ES256") => self.p256.sign(&self.random, signed.as_bytes()).unwrap().as_ref().to_vec(),
                Some("RS256") => {
                    let mut signature = vec![0; self.rsa.public().modulus_len()];
                    self.rsa
                        .sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature)
                        .unwrap();
                    signature
                }
                _ => Vec::new(),
            };
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn proven(&self, token: &str) -> Result<ProvenIdentity, BadToken> {
            prove(token, &self.keys(), &settings(ISSUER), "n", NOW)
        }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "sub": "248289", "aud": "stepbox", "nonce": "n", "iat": 1_700_000_000,
            "exp": 1_700_000_300, "preferred_username": "julia", "name": "Julia", "groups": ["catalogue"],
        })
    }

    #[test]
    fn each_kind_of_signature_proves_an_identity() {
        let provider = Provider::new();
        for (alg, kid) in
            [("EdDSA", json!("ed")), ("ES256", json!("ec")), ("RS256", json!("rsa")), ("RS256", json!(null))]
        {
            let token = provider.sign(json!({ "alg": alg, "kid": kid }), &claims());
            let proven = provider.proven(&token).unwrap();
            assert_eq!((proven.issuer.as_str(), proven.subject.as_str()), (ISSUER, "248289"), "{alg}");
            assert_eq!(
                (proven.user.as_deref(), proven.groups),
                (Some("julia"), vec!["catalogue".to_owned()])
            );
        }
    }

    #[test]
    fn nothing_but_the_providers_own_signature_counts() {
        let (provider, other) = (Provider::new(), Provider::new());
        let good = provider.sign(json!({ "alg": "EdDSA", "kid": "ed" }), &claims());
        let [head, body, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let as_other = text(&{
            let mut claims = claims();
            claims["sub"] = json!("1");
            claims
        });
        let twice = URL_SAFE_NO_PAD.encode(claims().to_string().replacen('{', r#"{"sub":"1","#, 1));
        let signed_twice = {
            let signed = format!("{head}.{twice}");
            let signature = provider.ed25519.sign(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        };
        let rows = [
            (format!("{head}.{as_other}.{signature}"), BadToken::Signature),
            (format!("{}.{body}.", text(&json!({ "alg": "none" }))), BadToken::Algorithm),
            (
                format!("{}.{body}.{signature}", text(&json!({ "alg": "HS256", "kid": "oct" }))),
                BadToken::Algorithm,
            ),
            (
                format!("{}.{body}.{signature}", text(&json!({ "alg": "RS256", "kid": "ed" }))),
                BadToken::UnknownKey,
            ),
            (
                format!("{}.{body}.{signature}", text(&json!({ "alg": "RS256", "kid": "enc" }))),
                BadToken::UnknownKey,
            ),
            (other.sign(json!({ "alg": "EdDSA", "kid": "ed" }), &claims()), BadToken::Signature),
            (other.sign(json!({ "alg": "ES256", "kid": "ec" }), &claims()), BadToken::Signature),
            (format!("{body}.{signature}"), BadToken::Malformed("it has no claims")),
            ("x".to_owned(), BadToken::Malformed("it has no signature")),
            (format!("{head}.{body}.%"), BadToken::Malformed("it is not base64url")),
            (signed_twice, BadToken::Malformed("it is not JSON, or has a key twice")),
            (
                provider.sign(json!({ "alg": "EdDSA", "kid": "ed", "crit": ["exp"] }), &claims()),
                BadToken::Malformed("it has extensions"),
            ),
        ];
        for (token, expected) in rows {
            assert_eq!(provider.proven(&token), Err(expected), "{token}");
        }
    }

    #[test]
    fn each_claim_is_of_this_provider_client_attempt_and_time() {
        let provider = Provider::new();
        let rows: [(&str, Value, Option<&str>); 20] = [
            ("iss", json!("https://id.example.com/"), None),
            ("iss", json!("https://id.example.com.evil"), Some("iss")),
            ("iss", json!(null), Some("iss")),
            ("aud", json!(["stepbox"]), None),
            ("aud", json!(["other"]), Some("aud")),
            ("aud", json!(["stepbox", "other"]), Some("azp")),
            ("azp", json!("other"), Some("azp")),
            ("azp", json!("stepbox"), None),
            ("exp", json!(1_699_999_941), None),
            ("exp", json!(1_699_999_940), Some("exp")),
            ("exp", json!("never"), Some("exp")),
            ("iat", json!(1_700_000_060), None),
            ("iat", json!(1_700_000_061), Some("iat")),
            ("nbf", json!(1_700_000_061), Some("nbf")),
            ("nonce", json!("m"), Some("nonce")),
            ("nonce", json!(null), Some("nonce")),
            ("sub", json!(""), Some("sub")),
            ("sub", json!("x".repeat(256)), Some("sub")),
            ("sub", json!(7), Some("sub")),
            ("groups", json!("one"), None),
        ];
        for (name, value, wrong) in rows {
            let mut claims = claims();
            claims[name] = value.clone();
            let token = provider.sign(json!({ "alg": "EdDSA", "kid": "ed" }), &claims);
            let found = provider.proven(&token).err();
            let expected = wrong.map(BadToken::Claim);
            assert_eq!(found, expected, "{name}: {value}");
        }
    }
}
