//! Components from OCI registries, by their digest.
//!
//! The artifact has the layout of the CNCF for WebAssembly: a manifest with the configuration
//! `application/vnd.wasm.config.v0+json` and one layer `application/wasm`, which is the component. The digest in the
//! reference is that of the manifest, and the manifest names the digest of the layer. Both are checked. Whether the
//! bytes are a component that may come in is for others to say.
//!
//! - `reference.rs`: what a reference may say; `registry.rs`: the requests, the length of each answer, and where
//!   credentials go; `reach.rs`: where requests may go at all; `error.rs`: why a pull failed.
//!
//! ```no_run
//! use stepbox_registry::{Pull, Reach, pull};
//!
//! # async fn fetch() -> Result<(), stepbox_registry::PullError> {
//! let reference = "oci://registry.example.com/acme/normalise@sha256:…";
//! let wanted = Pull {
//!     reference,
//!     credentials: None,
//!     plain_http: false,
//!     auth_hosts: &[],
//!     bytes_max: 32 << 20,
//!     reach: Reach::Machine,
//! };
//! let component: Vec<u8> = pull(wanted).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The crate looks for no credentials, asks nobody, and keeps nothing.

mod error;
mod reach;
mod reference;
mod registry;

use std::fmt;
use std::time::Duration;

use oci_spec::distribution::Reference;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

pub use self::error::PullError;
pub use self::reach::Reach;
use self::reference::is_loopback;
use self::registry::Registry;
pub use reqwest::Url;

const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_MEDIA_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_MEDIA_TYPE: &str = "application/wasm";

/// The longest time for everything.
const SECONDS_MAX: u64 = 300;

/// What to pull, and how.
#[derive(Debug)]
pub struct Pull<'a> {
    /// `oci://registry.example.com/acme/normalise@sha256:…`.
    pub reference: &'a str,
    /// The credentials for the registry; `None` pulls what everybody may.
    pub credentials: Option<Credentials>,
    /// Whether to speak HTTP without TLS to a registry that is not on this machine.
    pub plain_http: bool,
    /// Hosts other than the registry that may receive credentials: `auth.example.com`.
    pub auth_hosts: &'a [String],
    /// The most bytes that a component may have.
    pub bytes_max: usize,
    /// Where requests may go.
    pub reach: Reach,
}

/// The credentials of a pull.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the user at the registry.
    pub username: String,
    /// The password, or what the registry takes for one.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
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

/// The registry of a reference: `registry.example.com`.
pub fn registry_of(reference: &str) -> Result<String, PullError> {
    Ok(reference::parse(reference)?.registry().to_owned())
}

/// Pulls a component's bytes.
pub async fn pull(pull: Pull<'_>) -> Result<Vec<u8>, PullError> {
    // Fails only if a provider is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let image = reference::parse(pull.reference)?;
    let mut registry = Registry::new(&image, pull)?;
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
    let bytes_max = registry.bytes_max();
    if layer.size > bytes_max as u64 {
        return Err(PullError::TooLarge { bytes_max });
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

/// The SHA-256 of some bytes, in hexadecimal digits.
fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
