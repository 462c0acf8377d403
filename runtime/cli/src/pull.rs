//! `stepbox steps pull`: a component from an OCI registry, by its digest.
//!
//! The artifact has the layout of the CNCF for WebAssembly: a manifest with the configuration
//! `application/vnd.wasm.config.v0+json` and one layer `application/wasm`, which is the component. The digest in the
//! reference is that of the manifest, and the manifest names the digest of the layer. This program checks both. The
//! component then passes the same checks as an upload.
//!
//! The request is the operator's own: no policy for guests applies to it, and it uses proxies of the environment.
//! [`registry`] limits the length of each answer, and decides where credentials go.

mod error;
mod reference;
mod registry;

use std::env;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_spec::distribution::Reference;
use serde::Deserialize;
use stepbox::{COMPONENT_BYTES_MAX, digest_of};
use tokio::time::timeout;

pub(crate) use self::error::PullError;
use self::reference::is_loopback;
use self::registry::Registry;

/// The environment variable with the password that belongs to `--username`.
pub(crate) const PASSWORD: &str = "STEPBOX_REGISTRY_PASSWORD";

const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_MEDIA_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_MEDIA_TYPE: &str = "application/wasm";

/// The longest time for everything.
const SECONDS_MAX: u64 = 300;

/// What to pull, and with which credentials.
#[derive(Debug)]
pub(crate) struct Pull<'a> {
    /// `oci://registry.example.com/acme/normalise@sha256:…`.
    pub(crate) reference: &'a str,
    /// The user, with the password in the environment. `None` for the credentials of Docker's configuration.
    pub(crate) username: Option<String>,
    /// Whether to speak HTTP without TLS to a registry that is not on this machine.
    pub(crate) plain_http: bool,
    /// Hosts other than the registry that may receive credentials: `auth.example.com`.
    pub(crate) auth_hosts: &'a [String],
}

/// The credentials of a pull.
struct Credentials {
    username: String,
    password: String,
}

/// The parts of a manifest that are read. The other parts are ignored.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Part,
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "mediaType")]
    media_type: String,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    /// In bytes.
    size: u64,
}

/// Pulls a component's bytes.
pub(crate) async fn pull(pull: Pull<'_>) -> Result<Vec<u8>, PullError> {
    // Fails only if a provider is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let image = reference::parse(pull.reference)?;
    let credentials = credentials(image.registry(), pull.username)?;
    let is_plain = pull.plain_http || is_loopback(image.registry());
    let mut registry = Registry::new(&image, credentials, is_plain, pull.auth_hosts)?;
    let pulled = timeout(Duration::from_secs(SECONDS_MAX), fetch(&mut registry, &image)).await;
    pulled.unwrap_or_else(|_| {
        let problem = format!("it took longer than {SECONDS_MAX} s");
        Err(PullError::Registry { registry: image.registry().to_owned(), problem })
    })
}

async fn fetch(registry: &mut Registry<'_>, image: &Reference) -> Result<Vec<u8>, PullError> {
    let Some(digest) = image.digest() else {
        // The user decides whether today's meaning of the tag is the wanted one.
        let manifest = registry.manifest(image.tag().unwrap_or("latest")).await?;
        let today = format!("sha256:{}", digest_of(&manifest));
        return Err(PullError::NoDigest {
            reference: reference::text(image),
            pinned: reference::pinned(image, &today),
        });
    };
    let manifest = registry.manifest(digest).await?;
    refuse_other(digest, &manifest)?;
    let layer = layer(&manifest).map_err(|problem| PullError::Artifact { problem })?;
    if layer.size > COMPONENT_BYTES_MAX as u64 {
        return Err(PullError::TooLarge);
    }
    let bytes = registry.layer(&layer.digest).await?;
    refuse_other(&layer.digest, &bytes)?;
    Ok(bytes)
}

/// The one layer of an artifact that is a component.
fn layer(manifest: &[u8]) -> Result<Layer, String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| format!("its manifest is not that of one: {error}"))?;
    let config = &manifest.config.media_type;
    if config != CONFIG_MEDIA_TYPE {
        return Err(format!("its configuration is `{config}`, not `{CONFIG_MEDIA_TYPE}`"));
    }
    let [layer] = <[Layer; 1]>::try_from(manifest.layers)
        .map_err(|layers| format!("it has {} layers, not one", layers.len()))?;
    if layer.media_type != LAYER_MEDIA_TYPE {
        return Err(format!("its layer is `{}`, not `{LAYER_MEDIA_TYPE}`", layer.media_type));
    }
    if !layer.digest.starts_with("sha256:") {
        return Err("its layer's digest is no SHA-256".to_owned());
    }
    Ok(layer)
}

/// Refuses bytes with another digest. The registry is not trusted for this.
fn refuse_other(digest: &str, bytes: &[u8]) -> Result<(), PullError> {
    let found = format!("sha256:{}", digest_of(bytes));
    match found == digest {
        true => Ok(()),
        false => Err(PullError::OtherDigest { expected: digest.to_owned(), found }),
    }
}

/// The credentials of the command and the environment, or else of Docker's configuration.
fn credentials(registry: &str, username: Option<String>) -> Result<Option<Credentials>, PullError> {
    if let Some(username) = username {
        let password =
            env::var(PASSWORD).map_err(|_| PullError::NoPassword { username: username.clone() })?;
        return Ok(Some(Credentials { username, password }));
    }
    match get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credentials { username, password }))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            problem: "it has an identity token, which is not supported".to_owned(),
        }),
        // Without a login: most registries allow everybody to pull public artifacts.
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            problem: format!("its helper `{helper}` failed"),
        }),
        Err(error) => {
            Err(PullError::Credentials { registry: registry.to_owned(), problem: format!("{error:?}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: impl FnOnce(&mut Value), expected: &str) {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "config": { "mediaType": CONFIG_MEDIA_TYPE, "digest": "sha256:00", "size": 2 },
            "layers": [{ "mediaType": LAYER_MEDIA_TYPE, "digest": "sha256:01", "size": 3 }],
        });
        change(&mut manifest);
        let found =
            layer(manifest.to_string().as_bytes()).map_or_else(|problem| problem, |layer| layer.digest);
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn takes_artifacts_of_one_component_alone() {
        check(|_| {}, "sha256:01");
        check(
            |manifest| manifest["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into(),
            "its configuration is `application/vnd.oci.image.config.v1+json`, not",
        );
        check(|manifest| manifest["layers"] = json!([]), "it has 0 layers, not one");
        check(
            |manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"] = json!([layer, layer]);
            },
            "it has 2 layers, not one",
        );
        check(
            |manifest| manifest["layers"][0]["mediaType"] = "application/gzip".into(),
            "its layer is `application/gzip`, not `application/wasm`",
        );
        check(
            |manifest| manifest["layers"][0]["digest"] = "sha512:01".into(),
            "its layer's digest is no SHA-256",
        );
        check(|manifest| manifest["layers"][0]["size"] = (-5).into(), "its manifest is not that of one: ");
        check(|manifest| *manifest = json!({ "manifests": [] }), "its manifest is not that of one: ");
        check(|manifest| *manifest = json!(7), "its manifest is not that of one: ");
    }
}
