//! Job instances: saved parameters that are validated at every change.

use serde_json::{Map, Value, json};
use stepbox_batch::instance_form::{FormRights, Mode};
use stepbox_batch::job::{InstanceVersion, Job, JobInstance};
use stepbox_batch::name::InstanceCode;
use stepbox_batch::nearest::nearest;
use stepbox_batch::parameters::Violation;
use stepbox_batch::ports::{Listing, RepositoryError};
use stepbox_batch::remedy::{Listed, Remedy};

use super::Tenant;
use super::connectors::job_of;
use crate::error::Error;
use crate::job_lifecycle::effective;

/// A job instance to create.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// The connector, by code or label.
    pub connector: String,
    /// The job's name.
    pub job: String,
    /// The job's type.
    pub job_type: String,
    /// The code, unique in its tenant.
    pub code: String,
    /// A name for people.
    ///
    /// The default is the code.
    pub label: Option<String>,
    /// The differences from the job's defaults.
    ///
    /// A JSON object.
    pub parameters: Value,
}

/// The changes to a job instance.
#[derive(Debug, Clone, Default)]
pub struct InstanceEdit {
    /// A new label.
    pub label: Option<String>,
    /// Parameters to set, by top-level key.
    ///
    /// A JSON object.
    pub set: Option<Value>,
    /// Parameters to reset to their defaults.
    pub unset: Vec<String>,
    /// The version that the caller has seen: an instance of another version is not changed.
    ///
    /// `None` changes the instance as it is now.
    pub expected: Option<u64>,
}

impl Tenant {
    /// Creates an instance if its effective parameters are valid.
    pub async fn create_instance(&self, new: NewInstance) -> Result<JobInstance, Error> {
        let connector = self.connector(&new.connector).await?;
        let job = job_of(&connector, &new.job)?;
        if job.job_type != new.job_type {
            return Err(Error::Mismatch {
                message: format!(
                    "the job `{}` is of type `{}`, not `{}`",
                    job.name, job.job_type, new.job_type
                ),
                help: format!("create it with the type `{}`", job.job_type),
            });
        }
        let given = (new.code.as_str(), &new.parameters, &json!({}));
        self.refuse_guarded(job, Mode::Create, given, &[])?;
        let instance = JobInstance {
            tenant: self.id.clone(),
            code: InstanceCode::new(new.code.clone())?,
            label: checked_label(new.label.unwrap_or(new.code))?,
            connector: connector.code.clone(),
            job: job.name.clone(),
            job_type: job.job_type.clone(),
            raw_parameters: new.parameters,
            version: 0,
            updated_at: self.now(),
        };
        self.created(job, instance).await
    }

    /// Stores a new instance, if its parameters are valid.
    async fn created(&self, job: &Job, instance: JobInstance) -> Result<JobInstance, Error> {
        effective(job, &instance, &json!({})).map_err(|error| self.veiled(job, error))?;
        self.check_files(&instance.raw_parameters).await?;
        let created = self.installation.repository.create_instance(&instance, &self.by()?).await?;
        self.seen_instance(created).await
    }

    /// Changes an instance if its parameters are still valid afterwards.
    pub async fn edit_instance(&self, code: &str, edit: InstanceEdit) -> Result<JobInstance, Error> {
        loop {
            let instance = self.edited(code, edit.clone()).await?;
            // The parameters were merged with those of this version, so another one must not be overwritten.
            let seen = Some(edit.expected.unwrap_or(instance.version));
            match self.installation.repository.update_instance(&instance, seen, &self.by()?).await {
                Err(RepositoryError::StaleVersion { .. }) if edit.expected.is_none() => {}
                changed => return self.seen_instance(changed?).await,
            }
        }
    }

    /// The stored instance with the changes.
    async fn edited(&self, code: &str, edit: InstanceEdit) -> Result<JobInstance, Error> {
        let mut instance = self.stored_instance(code).await?;
        if edit.expected.is_some_and(|expected| expected != instance.version) {
            let (code, current) = (instance.code, instance.version);
            return Err(RepositoryError::StaleVersion { code, current }.into());
        }
        if let Some(label) = edit.label {
            instance.label = checked_label(label)?;
        }
        let job = self.job(instance.job.as_str()).await?;
        let set = edit.set.unwrap_or_else(|| json!({}));
        let raw = instance.raw_parameters.as_object().cloned().unwrap_or_default();
        refuse_unknown(&job, &instance, &edit.unset)?;
        let given = (instance.code.as_str(), &set, &instance.raw_parameters);
        self.refuse_guarded(&job, Mode::Edit, given, &edit.unset)?;
        instance.raw_parameters = match set {
            Value::Object(set) => Value::Object(merged(raw, set, &edit.unset)),
            other => other,
        };
        effective(&job, &instance, &json!({})).map_err(|error| self.veiled(&job, error))?;
        self.check_files(&instance.raw_parameters).await?;
        Ok(instance)
    }

    /// Copies an instance under another code, also with the values that the viewer may not see.
    pub async fn duplicate_instance(
        &self,
        code: &str,
        new_code: &str,
        label: Option<String>,
    ) -> Result<JobInstance, Error> {
        let mut instance = self.stored_instance(code).await?;
        instance.code = InstanceCode::new(new_code)?;
        instance.label = checked_label(label.unwrap_or_else(|| new_code.to_owned()))?;
        let job = self.job(instance.job.as_str()).await?;
        self.created(&job, instance).await
    }

    /// Deletes an instance.
    ///
    /// Its executions and its versions stay as history. An instance of another version than `expected` is not
    /// deleted; `None` deletes it in any version.
    pub async fn delete_instance(&self, code: &str, expected: Option<u64>) -> Result<(), Error> {
        let code = self.stored_instance(code).await?.code;
        Ok(self.installation.repository.delete_instance(&self.id, &code, expected, &self.by()?).await?)
    }

    /// The versions of an instance, newest first, with the user who wrote each: at most the newest
    /// [`INSTANCE_VERSIONS_KEPT`](stepbox_batch::job::INSTANCE_VERSIONS_KEPT).
    ///
    /// Versions of deleted instances with that code are included.
    pub async fn instance_history(&self, code: &str) -> Result<Listing<InstanceVersion>, Error> {
        let history = match InstanceCode::new(code) {
            Ok(code) => self.installation.repository.instance_history(&self.id, &code).await?,
            Err(_) => Listing::default(),
        };
        if history.rows() == 0 {
            // The error names the nearest instance.
            self.stored_instance(code).await?;
        }
        self.seen_versions(history).await
    }

    /// The instance with that code; `None` if there is none. Nothing else is looked at.
    pub async fn find_instance(&self, code: &InstanceCode) -> Result<Option<JobInstance>, Error> {
        match self.installation.repository.instance(&self.id, code).await? {
            Some(instance) => Ok(Some(self.seen_instance(instance).await?)),
            None => Ok(None),
        }
    }

    /// Returns the instance with that code.
    pub async fn instance(&self, code: &str) -> Result<JobInstance, Error> {
        self.seen_instance(self.stored_instance(code).await?).await
    }

    /// The instance with all its parameters, for what is done with it here.
    pub(super) async fn stored_instance(&self, code: &str) -> Result<JobInstance, Error> {
        let found = match InstanceCode::new(code) {
            Ok(code) => self.installation.repository.instance(&self.id, &code).await?,
            Err(_) => None,
        };
        match found {
            Some(instance) => Ok(instance),
            None => {
                let instances = self.stored_instances(None).await?;
                let nearest = nearest(code, instances.iter().map(|instance| instance.code.as_str()));
                Err(Error::not_found("instance", code, nearest, Remedy::List { what: Listed::Instances }))
            }
        }
    }

    /// All instances, or those of one type, sorted by type, then by code.
    pub async fn instances(&self, job_type: Option<&str>) -> Result<Listing<JobInstance>, Error> {
        self.seen_instances(self.stored_instances(job_type).await?).await
    }

    /// The instances with all their parameters, for what is done with them here.
    pub(super) async fn stored_instances(
        &self,
        job_type: Option<&str>,
    ) -> Result<Listing<JobInstance>, Error> {
        Ok(self.installation.repository.instances(&self.id, job_type).await?)
    }

    /// The effective parameters of an instance without overrides. For a viewer who does not see all of them, the
    /// instance is taken as it is stored.
    pub async fn effective_parameters(&self, instance: &JobInstance) -> Result<Value, Error> {
        let instance = match self.rights {
            FormRights::Every => instance.clone(),
            FormRights::Of(_) => self.stored_instance(instance.code.as_str()).await?,
        };
        let job = self.job(instance.job.as_str()).await?;
        let effective = effective(&job, &instance, &json!({}));
        let mut parameters = effective.map_err(|error| self.veiled(&job, error))?;
        self.guard_of(&job).hide_in(&mut parameters);
        Ok(parameters)
    }
}

fn merged(mut raw: Map<String, Value>, set: Map<String, Value>, unset: &[String]) -> Map<String, Value> {
    raw.extend(set);
    raw.retain(|name, _| !unset.contains(name));
    raw
}

/// Refuses names that are neither a parameter of the job nor an old parameter of the instance.
fn refuse_unknown(job: &Job, instance: &JobInstance, names: &[String]) -> Result<(), Error> {
    let properties = job.parameters.get("properties").and_then(Value::as_object);
    let known: Vec<_> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let is_unknown = |name: &&String| {
        !known.contains(&name.as_str()) && instance.raw_parameters.get(name.as_str()).is_none()
    };
    let violations: Vec<_> = names.iter().filter(is_unknown).map(|name| unknown(name, &known)).collect();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::Violations { subject: format!("`{}`", instance.code), violations }),
    }
}

fn unknown(name: &str, known: &[&str]) -> Violation {
    let message = match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("is not a known parameter; did you mean `{nearest}`?"),
        None => "is not a known parameter".to_owned(),
    };
    Violation { path: format!("/{name}"), message }
}

pub(crate) fn checked_label(label: String) -> Result<String, Error> {
    let is_good = !label.trim().is_empty() && label.chars().count() <= 255;
    if is_good { Ok(label) } else { Err(Error::BadLabel) }
}
