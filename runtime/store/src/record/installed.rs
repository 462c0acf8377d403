//! Components and job instances: what is installed or saved for later runs. A connector is its code, its label and
//! its jobs' definitions, so it needs no record of its own.

use serde::{Deserialize, Serialize};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::inventory::{Component, Signer};
use stepbox_batch::job::{InstanceVersion, JobInstance};
use stepbox_batch::name::{Digest, InstanceCode};
use stepbox_batch::ports::{RepositoryError, Result};

use super::audit::actor;
use super::columns::Columns;
use super::{Row, json, stored};

/// A row of `job_instances`.
#[derive(Debug)]
pub(crate) struct InstanceRecord {
    pub tenant: String,
    pub code: String,
    pub label: String,
    pub connector: String,
    pub job: String,
    pub job_type: String,
    pub raw_parameters: String,
    pub version: i64,
    pub updated_at: i64,
}

impl From<&JobInstance> for InstanceRecord {
    fn from(instance: &JobInstance) -> Self {
        let JobInstance {
            tenant,
            code,
            label,
            connector,
            job,
            job_type,
            raw_parameters,
            version,
            updated_at,
        } = instance;
        Self {
            tenant: tenant.to_string(),
            code: code.to_string(),
            label: label.clone(),
            connector: connector.to_string(),
            job: job.to_string(),
            job_type: job_type.clone(),
            raw_parameters: json(raw_parameters),
            version: stored(*version),
            updated_at: updated_at.0,
        }
    }
}

/// Every column of [`InstanceRecord`].
pub(crate) const INSTANCE_COLUMNS: &str =
    "tenant, code, label, connector, job, type, raw_parameters, version, updated_at";

impl InstanceRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            tenant: row.text("tenant")?,
            code: row.text("code")?,
            label: row.text("label")?,
            connector: row.text("connector")?,
            job: row.text("job")?,
            job_type: row.text("type")?,
            raw_parameters: row.text("raw_parameters")?,
            version: row.number("version")?,
            updated_at: row.number("updated_at")?,
        })
    }

    pub(crate) fn into_instance(self) -> Result<JobInstance> {
        let row = Row(format!("instance `{}`", self.code));
        Ok(JobInstance {
            tenant: row.name("tenant", self.tenant)?,
            code: row.name("code", self.code)?,
            label: self.label,
            connector: row.name("connector", self.connector)?,
            job: row.name("job", self.job)?,
            job_type: self.job_type,
            raw_parameters: row.json("raw_parameters", &self.raw_parameters)?,
            version: row.count("version", self.version)?,
            updated_at: Timestamp(self.updated_at),
        })
    }

    /// The version of a row of `instance_history`, which has the columns of [`InstanceRecord`] and `user_name`.
    pub(crate) fn version<C: Columns>(row: &C) -> std::result::Result<InstanceVersion, C::Error> {
        let instance = Self::read(row)?.into_instance()?;
        let by = actor(row.maybe_text("user_name")?, instance.updated_at);
        Ok(InstanceVersion { instance, by })
    }
}

/// The instance with its next version.
pub(crate) fn next_version(instance: &JobInstance, last: i64, by: &Actor) -> Result<JobInstance> {
    let row = Row(format!("instance `{}`", instance.code));
    let version = row.count::<u64>("version", last)? + 1;
    Ok(JobInstance { version, updated_at: by.at, ..instance.clone() })
}

/// Refuses an instance of another version than the expected one.
pub(crate) fn check_version(code: &InstanceCode, expected: Option<u64>, current: i64) -> Result<()> {
    let current = Row(format!("instance `{code}`")).count("version", current)?;
    match expected {
        Some(expected) if expected != current => {
            Err(RepositoryError::StaleVersion { code: code.clone(), current })
        }
        _ => Ok(()),
    }
}

/// A row of `components`.
#[derive(Debug)]
pub(crate) struct ComponentRecord {
    pub digest: String,
    pub name: String,
    pub version: String,
    pub world: String,
    pub size_bytes: i64,
    pub uploaded_at: i64,
    pub description: String,
    /// A [`SignerV1`]; `None` if the component is not signed.
    pub signer: Option<String>,
}

/// The signer of a component, in the column `signer`.
#[derive(Debug, Serialize, Deserialize)]
struct SignerV1 {
    name: String,
    key: String,
}

impl From<&Component> for ComponentRecord {
    fn from(component: &Component) -> Self {
        let Component { digest, name, version, world, size_bytes, uploaded_at, description, signer } =
            component;
        Self {
            digest: digest.to_string(),
            name: name.clone(),
            version: version.clone(),
            world: world.clone(),
            size_bytes: stored(*size_bytes),
            uploaded_at: uploaded_at.0,
            description: json(description),
            signer: signer
                .as_ref()
                .map(|Signer { name, key }| json(&SignerV1 { name: name.clone(), key: key.clone() })),
        }
    }
}

/// Every column of [`ComponentRecord`].
pub(crate) const COMPONENT_COLUMNS: &str =
    "digest, name, version, world, size_bytes, uploaded_at, description, signer";

impl ComponentRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            digest: row.text("digest")?,
            name: row.text("name")?,
            version: row.text("version")?,
            world: row.text("world")?,
            size_bytes: row.number("size_bytes")?,
            uploaded_at: row.number("uploaded_at")?,
            description: row.text("description")?,
            signer: row.maybe_text("signer")?,
        })
    }

    pub(crate) fn into_component(self) -> Result<Component> {
        let row = Row(format!("component `{}`", self.digest));
        Ok(Component {
            digest: Digest::parse(&self.digest).ok_or_else(|| row.corrupt("digest", "it is malformed"))?,
            name: self.name,
            version: self.version,
            world: self.world,
            size_bytes: row.count("size_bytes", self.size_bytes)?,
            uploaded_at: Timestamp(self.uploaded_at),
            description: row.json("description", &self.description)?,
            signer: match &self.signer {
                Some(text) => {
                    let SignerV1 { name, key } = row.json("signer", text)?;
                    Some(Signer { name, key })
                }
                None => None,
            },
        })
    }
}
