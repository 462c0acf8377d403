//! What is installed for a tenant: connectors and components.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::job::Job;
use crate::name::{ConnectorCode, Digest};

/// An installed connector: a named family of jobs, with the components they use pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Unique in its tenant.
    pub code: ConnectorCode,
    /// For people; commands take it as a name, too. Unique in its tenant.
    pub label: String,
    /// Its jobs, whose names are unique in the tenant.
    pub jobs: Vec<Job>,
}

/// What is known of an uploaded component. Its bytes lie elsewhere, under the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The name it gave in `describe`.
    pub name: String,
    /// The version it gave in `describe`.
    pub version: String,
    /// `tasklet`, `item-reader`, `item-processor` or `item-writer`.
    pub world: String,
    /// How long it is.
    pub size_bytes: u64,
    /// When it came in.
    pub uploaded_at: Timestamp,
    /// All it said in `describe`. A JSON object.
    pub description: Value,
    /// Whose signature of its bytes was checked when it came in; `None` if no signature was asked for.
    pub signer: Option<Signer>,
}

/// Who signed a component. The key decides; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// What the operator called the key when the signature was checked.
    pub name: String,
    /// The public key, as text.
    pub key: String,
}

impl Component {
    /// What people call it: `normalise@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Whether its version is a release, which stands for the same bytes for good. A version `0.y.z` and a
    /// pre-release, such as `1.2.0-dev`, are being worked on: they stand for the newest.
    pub fn is_release(&self) -> bool {
        // What follows a `+` says how it was built.
        let version = self.version.split('+').next().unwrap_or_default();
        !version.starts_with("0.") && !version.contains('-')
    }
}
