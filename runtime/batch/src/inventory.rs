//! What is installed for a tenant: connectors and components.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::job::Job;
use crate::name::{ConnectorCode, Digest};

/// An installed connector: a named family of jobs, with the digests of the components that they use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Unique in its tenant.
    pub code: ConnectorCode,
    /// For people; commands accept it as a name, too.
    ///
    /// Unique in its tenant.
    pub label: String,
    /// Its jobs, whose names are unique in the tenant.
    pub jobs: Vec<Job>,
}

/// The description of an uploaded component.
///
/// Its bytes are stored elsewhere, under the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The name that the component gave in `describe`.
    pub name: String,
    /// The version that the component gave in `describe`.
    pub version: String,
    /// `tasklet`, `item-reader`, `item-processor` or `item-writer`.
    pub world: String,
    /// The size of the component, in bytes.
    pub size_bytes: u64,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
    /// The component's whole answer to `describe`.
    ///
    /// A JSON object.
    pub description: Value,
    /// The owner of the key with which the component's signature was checked at its upload; `None` if no signature
    /// was asked for.
    pub signer: Option<Signer>,
}

/// The signer of a component.
///
/// The key identifies the signer; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The operator's name for the key when the signature was checked.
    pub name: String,
    /// The public key, as text.
    pub key: String,
}

impl Component {
    /// The component's name for people: `normalise@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Whether it answers questions about forms, as found at its upload.
    pub fn describes_forms(&self) -> bool {
        self.description.get("form").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether its version is a release: a release means the same bytes for good.
    ///
    /// A version `0.y.z` and a pre-release, such as `1.2.0-dev`, are in development: they mean the newest upload.
    pub fn is_release(&self) -> bool {
        // The text after a `+` is build metadata.
        let version = self.version.split('+').next().unwrap_or_default();
        !version.starts_with("0.") && !version.contains('-')
    }
}
