//! Connectors, the components that their steps use, and what the steps ask for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
#[cfg(feature = "host")]
use stepbox::AskedGrant;
use stepbox_batch::inventory;

use crate::job::Job;

/// A connector and the names of its jobs, as a list has it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorSummary {
    /// Its code, unique in its tenant.
    pub code: String,
    /// Its name for people.
    pub label: String,
    /// The names of its jobs, in the order of its file.
    pub jobs: Vec<String>,
}

impl ConnectorSummary {
    /// Built from an installed connector.
    pub fn of(connector: &inventory::Connector) -> Self {
        Self {
            code: connector.code.to_string(),
            label: connector.label.clone(),
            jobs: connector.jobs.iter().map(|job| job.name.to_string()).collect(),
        }
    }
}

/// A connector with its jobs, and what their steps ask for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Its code, unique in its tenant.
    pub code: String,
    /// Its name for people.
    pub label: String,
    /// Its jobs, in the order of its file.
    pub jobs: Vec<Job>,
    /// What the steps ask for, job by job and step by step.
    pub grants: Vec<Grant>,
}

impl Connector {
    /// Built from an installed connector, and from its grants as its tenant's policy allows them.
    pub fn of(connector: &inventory::Connector, grants: Vec<Grant>) -> Self {
        Self {
            code: connector.code.to_string(),
            label: connector.label.clone(),
            jobs: connector.jobs.iter().map(Job::of).collect(),
            grants,
        }
    }
}

/// What became of installing a connector, and what its author should look at.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// The connector as it is installed now.
    #[serde(flatten)]
    pub connector: Connector,
    /// The instances that do not run any more; there are some only if the installation was forced.
    pub broken: Vec<BrokenInstance>,
    /// How many further instances do not run any more, which you may not see; absent if there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_hidden: u64,
    /// The parameters that no step takes.
    pub unused: Vec<UnusedParameter>,
    /// The parameters that may be left out although a grant names them.
    pub optional_in_grants: Vec<OptionalInGrant>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An instance that does not run with a new version of its connector.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenInstance {
    /// Its code.
    pub code: String,
    /// Why it does not run.
    pub reason: String,
}

/// A parameter that no step takes.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedParameter {
    /// The name of the job.
    pub job: String,
    /// The name of the parameter.
    pub parameter: String,
}

/// A parameter that a grant names, and that has no default and is not required. The step fails without it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionalInGrant {
    /// The name of the job.
    pub job: String,
    /// The name of the step.
    pub step: String,
    /// The name of the parameter.
    pub parameter: String,
}

#[cfg(feature = "host")]
impl Installed {
    /// Built from a connector that was installed, from its grants, and from the instances that do not run any more.
    pub fn of(
        connector: &inventory::Connector,
        grants: Vec<Grant>,
        broken: &[stepbox::BrokenInstance],
        broken_hidden: usize,
    ) -> Self {
        let jobs = || connector.jobs.iter();
        let unused = jobs().flat_map(|job| {
            let parameters = job.unused_parameters().into_iter();
            parameters.map(|name| UnusedParameter { job: job.name.to_string(), parameter: name.to_owned() })
        });
        let optional = jobs().flat_map(|job| {
            let found = stepbox::connector_file::optional_in_grants(job).into_iter();
            found.map(|(step, parameter)| OptionalInGrant {
                job: job.name.to_string(),
                step: step.to_string(),
                parameter,
            })
        });
        Self {
            connector: Connector::of(connector, grants),
            broken: broken.iter().map(BrokenInstance::of).collect(),
            broken_hidden: broken_hidden as u64,
            unused: unused.collect(),
            optional_in_grants: optional.collect(),
        }
    }
}

#[cfg(feature = "host")]
impl BrokenInstance {
    fn of(stepbox::BrokenInstance { code, reason }: &stepbox::BrokenInstance) -> Self {
        Self { code: code.to_string(), reason: reason.clone() }
    }
}

/// One grant or limit that a step asks for, and what the policy allows of it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The job and the step: `csv_product_export_notify/notify`.
    pub step: String,
    /// What the step asks for: `http: POST https://example.com`.
    pub asked: String,
    /// What the policy allows at most.
    pub policy: String,
    /// The part of the request that the policy allows.
    pub effective: String,
}

#[cfg(feature = "host")]
impl Grant {
    /// Built from what the policy leaves of one wish.
    pub fn of(AskedGrant { step, asked, policy, effective }: &AskedGrant) -> Self {
        Self {
            step: step.clone(),
            asked: asked.clone(),
            policy: policy.clone(),
            effective: effective.clone(),
        }
    }
}

/// A component.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// The SHA-256 of its bytes: 64 hexadecimal digits in lower case.
    pub digest: String,
    /// The name in its own description.
    pub name: String,
    /// The version in its own description.
    pub version: String,
    /// `tasklet`, `item-reader`, `item-processor` or `item-writer`.
    pub world: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was uploaded; `null` for a file that was only inspected.
    pub uploaded_at: Option<String>,
    /// The name of the key that signed it; `null` if the policy asked for no signature, or if no signature is valid.
    pub signed_by: Option<String>,
    /// Its whole description of itself.
    pub description: Value,
}

impl Component {
    /// Its name and version: `normalise@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The beginning of its digest, as tables show it.
    pub fn short_digest(&self) -> &str {
        short(&self.digest)
    }

    /// Built from an uploaded component.
    pub fn of(component: &inventory::Component) -> Self {
        Self {
            digest: component.digest.to_string(),
            name: component.name.clone(),
            version: component.version.clone(),
            world: component.world.clone(),
            size_bytes: component.size_bytes,
            uploaded_at: Some(component.uploaded_at.to_string()),
            signed_by: component.signer.as_ref().map(|signer| signer.name.clone()),
            description: component.description.clone(),
        }
    }
}

/// The first digits of a digest, as tables and lists show it.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, survives};

    #[test]
    fn connectors_and_components_survive_a_wire() {
        let connector = testing::connector();
        survives(&ConnectorSummary::of(&connector));
        let grant = Grant {
            step: "export/notify".to_owned(),
            asked: "http: POST https://a.example".to_owned(),
            policy: "any host".to_owned(),
            effective: "POST https://a.example".to_owned(),
        };
        survives(&Connector::of(&connector, vec![grant.clone()]));
        let (job, text) = ("export".to_owned(), |text: &str| text.to_owned());
        let installed = Installed {
            connector: Connector::of(&connector, vec![grant]),
            broken: vec![BrokenInstance { code: text("a"), reason: text("no job") }],
            broken_hidden: 2,
            unused: vec![UnusedParameter { job: job.clone(), parameter: text("x") }],
            optional_in_grants: vec![OptionalInGrant { job, step: text("notify"), parameter: text("y") }],
        };
        assert_eq!(survives(&installed)["code"], "acme");
        let component = testing::component();
        let shown = survives(&Component::of(&component));
        assert_eq!(shown["uploaded_at"], "2023-11-14T22:13:20.000Z");
        let inspected = Component { uploaded_at: None, signed_by: None, ..Component::of(&component) };
        assert_eq!(survives(&inspected)["uploaded_at"], json!(null));
    }
}
