//! Job instances.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::job::{self, JobInstance};
use stepbox_batch::parameters;

/// A job instance: a saved configuration of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its code, unique in its tenant.
    pub code: String,
    /// Its name for people.
    pub label: String,
    /// The code of its connector.
    pub connector: String,
    /// The name of its job.
    pub job: String,
    /// The type of its job.
    pub r#type: String,
    /// Its own parameters. A JSON object.
    pub raw_parameters: Value,
    /// How often it was written: 1 at its creation, and one more with each change.
    pub version: u64,
    /// When it was created or changed last.
    pub updated_at: String,
}

impl Instance {
    /// Built from a stored instance.
    pub fn of(instance: &JobInstance) -> Self {
        Self {
            code: instance.code.to_string(),
            label: instance.label.clone(),
            connector: instance.connector.to_string(),
            job: instance.job.to_string(),
            r#type: instance.job_type.clone(),
            raw_parameters: instance.raw_parameters.clone(),
            version: instance.version,
            updated_at: instance.updated_at.to_string(),
        }
    }
}

/// An instance as it was from one change until the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceVersion {
    /// The instance as it was.
    #[serde(flatten)]
    pub instance: Instance,
    /// The user who created it or changed it to that; `null` if the user is unknown.
    pub user: Option<String>,
}

impl InstanceVersion {
    /// Built from a stored version.
    pub fn of(version: &job::InstanceVersion) -> Self {
        Self { instance: Instance::of(&version.instance), user: version.by.user.clone() }
    }
}

/// A job instance, with the parameters of a future execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceDetails {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// The parameters with the job's defaults; `null` if they break the job's constraints.
    pub effective_parameters: Option<Value>,
    /// The constraints that the parameters break. There are some if the job was installed again since, with other
    /// constraints.
    pub violations: Vec<Violation>,
}

impl InstanceDetails {
    /// Built from a stored instance, and from the check of its parameters.
    pub fn of(instance: &JobInstance, effective: &Result<Value, Vec<parameters::Violation>>) -> Self {
        Self {
            instance: Instance::of(instance),
            effective_parameters: effective.as_ref().ok().cloned(),
            violations: effective.as_ref().err().into_iter().flatten().map(Violation::of).collect(),
        }
    }
}

/// A value that breaks a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Its place in the parameters: a JSON pointer (RFC 6901), empty for the parameters as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The place, or `parameters`, and what is wrong there.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "parameters" } else { &self.path };
        write!(f, "{place}: {}", self.message)
    }
}

impl Violation {
    /// Built from a violation.
    pub fn of(violation: &parameters::Violation) -> Self {
        Self { path: violation.path.clone(), message: violation.message.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::actor::Actor;

    use super::*;
    use crate::testing::{self, survives};

    #[test]
    fn an_instance_survives_a_wire_with_good_and_with_bad_parameters() {
        let instance = testing::instance();
        survives(&Instance::of(&instance));
        let by = Actor::new(Some("julia"), instance.updated_at);
        let version = job::InstanceVersion { instance: instance.clone(), by };
        let version = survives(&InstanceVersion::of(&version));
        assert_eq!((&version["version"], &version["user"]), (&json!(3), &json!("julia")));
        let good = survives(&InstanceDetails::of(&instance, &Ok(json!({ "delimiter": ";" }))));
        assert_eq!((&good["code"], &good["violations"]), (&json!("a"), &json!([])));
        let broken = parameters::Violation { path: "/storage".to_owned(), message: "is required".to_owned() };
        let bad = survives(&InstanceDetails::of(&instance, &Err(vec![broken])));
        assert_eq!(bad["effective_parameters"], json!(null));
        assert_eq!(bad["violations"][0]["path"], "/storage");
    }
}
