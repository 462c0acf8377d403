//! A job's definition as JSON, kept with its connector and frozen into each execution.
//!
//! Form 1 has grown. Keys that it did not have at first are always written. If such a key is missing, it means what
//! every job did at that time. `settings.rs` has these keys.

mod settings;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use stepbox_batch::instance_form::FormLayout;
use stepbox_batch::job::{
    ChunkLimit, ComponentRef, Element, ElementSource, GrantRequest, ItemSettings, Job, Step, StepKind,
};
use stepbox_batch::limits::{LIMITS, Limit, LimitOverrides};
use stepbox_batch::name::Digest;
use stepbox_batch::ports::Result;

use super::{Row, json};
use settings::{CheckpointV1, FlowV1, RerunV1, RetryV1, SkipV1};

/// The stored form.
pub(crate) fn encode(job: &Job) -> String {
    json(&JobForm::V1(JobV1::from(job)))
}

/// The job of a stored form, in the given column.
pub(crate) fn decode(row: &Row, column: &str, text: &str) -> Result<Job> {
    let JobForm::V1(form) = row.json(column, text)?;
    form.into_job(row, column)
}

/// Executions keep the form of their time, so the program knows all forms.
#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum JobForm {
    #[serde(rename = "1")]
    V1(JobV1),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobV1 {
    connector: String,
    name: String,
    #[serde(rename = "type")]
    job_type: String,
    label: String,
    stoppable: bool,
    #[serde(default)]
    concurrency: Option<u32>,
    parameters: Value,
    /// This key came later. A job that follows its schema does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    form: Option<FormLayout>,
    steps: Vec<StepV1>,
    /// This key came later. A definition does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepV1 {
    name: String,
    work: WorkV1,
    grants: GrantsV1,
    limits: LimitsV1,
    #[serde(default)]
    retry: RetryV1,
    #[serde(default)]
    rerun: RerunV1,
    #[serde(default)]
    start_limit: Option<u32>,
    #[serde(default)]
    flow: FlowV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a job has few steps, and nearly all are item steps")]
enum WorkV1 {
    Item {
        reader: ElementV1,
        processors: Vec<ElementV1>,
        writer: ElementV1,
        chunk_rows: u32,
        chunk_bytes: u32,
        #[serde(default = "settings::chunk_ms")]
        chunk_ms: u64,
        #[serde(default = "settings::one_worker")]
        workers: u32,
        #[serde(default = "settings::in_order")]
        ordered: bool,
        #[serde(default)]
        checkpoint: CheckpointV1,
        #[serde(default)]
        skip: SkipV1,
        #[serde(default = "settings::one_part")]
        partitions: u32,
    },
    Tasklet {
        tasklet: ElementV1,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ElementV1 {
    source: SourceV1,
    options: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SourceV1 {
    Native {
        name: String,
    },
    Component {
        name: String,
        digest: String,
        #[serde(default)]
        is_stateless: bool,
        #[serde(default)]
        columns_in: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters: Option<Value>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsV1 {
    http: Vec<String>,
    files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct LimitsV1(LimitOverrides);

/// The limits of the first version. They are written even if they have their default. Later limits are written only
/// if they are set, so that an older job reads the same.
const FIRST_LIMITS: [&str; 5] =
    ["memory_bytes_max", "time_ms_max", "disk_bytes_max", "log_bytes_max", "http_requests_max"];

impl Serialize for LimitsV1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let (first, later): (Vec<_>, Vec<_>) =
            LIMITS.iter().partition(|limit| FIRST_LIMITS.contains(&limit.name));
        let value = |limit: &Limit| (limit.name, limit.of(&self.0));
        let later = later.into_iter().map(value).filter(|(_, value)| value.is_some());
        serializer.collect_map(first.into_iter().map(value).chain(later))
    }
}

impl From<&Job> for JobV1 {
    fn from(job: &Job) -> Self {
        let Job { connector, name, job_type, label, stoppable, concurrency, parameters, form, steps, folder } =
            job;
        Self {
            connector: connector.to_string(),
            name: name.to_string(),
            job_type: job_type.clone(),
            label: label.clone(),
            stoppable: *stoppable,
            concurrency: *concurrency,
            parameters: parameters.clone(),
            form: form.clone(),
            steps: steps.iter().map(StepV1::from).collect(),
            folder: folder.clone(),
        }
    }
}

impl From<&Step> for StepV1 {
    fn from(step: &Step) -> Self {
        let Step { name, kind, grants, limits, retry, rerun, start_limit, flow } = step;
        let GrantRequest { http, files } = grants;
        Self {
            name: name.to_string(),
            work: WorkV1::from(kind),
            grants: GrantsV1 { http: http.clone(), files: files.clone() },
            limits: LimitsV1(*limits),
            retry: retry.into(),
            rerun: (*rerun).into(),
            start_limit: *start_limit,
            flow: flow.into(),
        }
    }
}

impl From<&StepKind> for WorkV1 {
    fn from(kind: &StepKind) -> Self {
        match kind {
            StepKind::Item { reader, processors, writer, settings } => {
                let ItemSettings {
                    chunk: ChunkLimit { rows, bytes },
                    chunk_ms,
                    workers,
                    ordered,
                    checkpoint,
                    skip,
                    partitions,
                } = settings.as_ref();
                Self::Item {
                    reader: reader.into(),
                    processors: processors.iter().map(ElementV1::from).collect(),
                    writer: writer.into(),
                    chunk_rows: *rows,
                    chunk_bytes: *bytes,
                    chunk_ms: *chunk_ms,
                    workers: *workers,
                    ordered: *ordered,
                    checkpoint: (*checkpoint).into(),
                    skip: skip.into(),
                    partitions: *partitions,
                }
            }
            StepKind::Tasklet { tasklet } => Self::Tasklet { tasklet: tasklet.into() },
        }
    }
}

impl From<&Element> for ElementV1 {
    fn from(element: &Element) -> Self {
        let Element { source, options } = element;
        let source = match source {
            ElementSource::Native(name) => SourceV1::Native { name: name.clone() },
            ElementSource::Component(ComponentRef { name, digest, is_stateless, columns_in, parameters }) => {
                SourceV1::Component {
                    name: name.clone(),
                    digest: digest.to_string(),
                    is_stateless: *is_stateless,
                    columns_in: columns_in.clone(),
                    parameters: parameters.clone(),
                }
            }
        };
        Self { source, options: options.clone() }
    }
}

impl JobV1 {
    fn into_job(self, row: &Row, column: &str) -> Result<Job> {
        Ok(Job {
            connector: row.name(column, self.connector)?,
            name: row.name(column, self.name)?,
            job_type: self.job_type,
            label: self.label,
            stoppable: self.stoppable,
            concurrency: self.concurrency,
            parameters: self.parameters,
            form: self.form,
            steps: self.steps.into_iter().map(|step| step.into_step(row, column)).collect::<Result<_>>()?,
            folder: self.folder,
        })
    }
}

impl StepV1 {
    fn into_step(self, row: &Row, column: &str) -> Result<Step> {
        Ok(Step {
            name: row.name(column, self.name)?,
            kind: self.work.into_kind(row, column)?,
            grants: GrantRequest { http: self.grants.http, files: self.grants.files },
            limits: self.limits.0,
            retry: self.retry.into(),
            rerun: self.rerun.into(),
            start_limit: self.start_limit,
            flow: self.flow.into_flow(row, column)?,
        })
    }
}

impl WorkV1 {
    fn into_kind(self, row: &Row, column: &str) -> Result<StepKind> {
        let element = |form: ElementV1| form.into_element(row, column);
        Ok(match self {
            Self::Item {
                reader,
                processors,
                writer,
                chunk_rows,
                chunk_bytes,
                chunk_ms,
                workers,
                ordered,
                checkpoint,
                skip,
                partitions,
            } => StepKind::Item {
                reader: element(reader)?,
                processors: processors.into_iter().map(element).collect::<Result<_>>()?,
                writer: element(writer)?,
                settings: Box::new(ItemSettings {
                    chunk: ChunkLimit { rows: chunk_rows, bytes: chunk_bytes },
                    chunk_ms,
                    workers,
                    ordered,
                    checkpoint: checkpoint.into(),
                    skip: skip.into(),
                    partitions,
                }),
            },
            Self::Tasklet { tasklet } => StepKind::Tasklet { tasklet: element(tasklet)? },
        })
    }
}

impl ElementV1 {
    fn into_element(self, row: &Row, column: &str) -> Result<Element> {
        let source = match self.source {
            SourceV1::Native { name } => ElementSource::Native(name),
            SourceV1::Component { name, digest, is_stateless, columns_in, parameters } => {
                let digest =
                    Digest::parse(&digest).ok_or_else(|| row.corrupt(column, "a digest is malformed"))?;
                ElementSource::Component(ComponentRef { name, digest, is_stateless, columns_in, parameters })
            }
        };
        Ok(Element { source, options: self.options })
    }
}

#[cfg(test)]
mod tests;
