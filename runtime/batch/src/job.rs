//! What a job is: its parameters' schema and its ordered steps. Nothing here has run yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{ConnectorCode, Digest, InstanceCode, JobName, StepName, TenantId};

/// A definition: ordered steps, a parameter schema, a form. It is frozen into each execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The connector that brings it.
    pub connector: ConnectorCode,
    /// Unique in its tenant.
    pub name: JobName,
    /// `import`, `export` or any other word; instances inherit it.
    #[serde(rename = "type")]
    pub job_type: String,
    /// For people.
    pub label: String,
    /// Whether its executions may be stopped by a request.
    pub stoppable: bool,
    /// The JSON Schema (2020-12) of its parameters, with everything that `extends` brought in.
    pub parameters: Value,
    /// At least one, with unique names.
    pub steps: Vec<Step>,
}

impl Job {
    /// The digests of all components that its steps use.
    pub fn components(&self) -> impl Iterator<Item = &ComponentRef> {
        self.steps.iter().flat_map(|step| step.kind.elements()).filter_map(|element| match &element.source {
            ElementSource::Component(component) => Some(component),
            ElementSource::Native(_) => None,
        })
    }
}

/// One of a job's ordered steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its job.
    pub name: StepName,
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
    /// What its components ask for; empty asks for nothing.
    #[serde(default)]
    pub grants: GrantRequest,
    /// Where this step's limits differ from the defaults.
    #[serde(default)]
    pub limits: LimitOverrides,
}

/// The two kinds of step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepKind {
    /// Reader → processors → writer, in chunks.
    Item {
        /// Where items come from.
        reader: Element,
        /// What happens to them, in order; none passes them on as they are.
        processors: Vec<Element>,
        /// Where they go.
        writer: Element,
        /// How many items make a chunk.
        chunk: ChunkLimit,
    },
    /// One task without items.
    Tasklet {
        /// The task; always a component or a native tasklet of the embedder.
        tasklet: Element,
    },
}

impl StepKind {
    /// Its elements, in the order of an item's journey.
    pub fn elements(&self) -> Vec<&Element> {
        match self {
            Self::Item { reader, processors, writer, .. } => {
                std::iter::once(reader).chain(processors).chain(std::iter::once(writer)).collect()
            }
            Self::Tasklet { tasklet } => vec![tasklet],
        }
    }
}

/// A reader, processor, writer or tasklet, as a job names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// Who implements it.
    pub source: ElementSource,
    /// Its options, whose texts may hold templates such as `${parameters.storage}`. None gives a
    /// component all parameters of the job.
    pub options: Option<Value>,
}

/// Who implements an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementSource {
    /// A native element, by the name it is registered under: `csv`, `jsonl`.
    Native(String),
    /// A component, pinned by its digest.
    Component(ComponentRef),
}

/// A component as a job names it, and the bytes that name stood for at installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentRef {
    /// The name in the connector file.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

impl Element {
    /// Its name, for people.
    pub fn name(&self) -> &str {
        match &self.source {
            ElementSource::Native(name) => name,
            ElementSource::Component(component) => &component.name,
        }
    }
}

/// When a chunk is full: at so many rows or so many bytes, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLimit {
    /// At least 1.
    pub rows: u32,
    /// At least 1. The item that passes it still belongs to the chunk.
    pub bytes: u32,
}

impl Default for ChunkLimit {
    /// 1000 rows or 256 KiB: large enough that the call costs nothing, small enough for any guest.
    fn default() -> Self {
        Self { rows: 1000, bytes: 256 << 10 }
    }
}

/// What a step's components ask to touch. Texts may hold templates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantRequest {
    /// `METHOD scheme://host[:port]`, such as `POST https://api.example.com`.
    pub http: Vec<String>,
    /// By the folder's name in the guest: `read PATH` or `write PATH`.
    pub files: BTreeMap<String, String>,
}

impl GrantRequest {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.files.is_empty()
    }
}

/// Where a step's limits differ from the defaults of the sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitOverrides {
    /// How many bytes all memories and tables of one component may take together.
    pub memory_bytes_max: Option<u64>,
    /// How long the step's components may run in one call of an element, or a tasklet in all, in
    /// milliseconds.
    pub time_ms_max: Option<u64>,
    /// How many bytes a step's components may write to files.
    pub disk_bytes_max: Option<u64>,
    /// How many bytes of messages a step's components may log.
    pub log_bytes_max: Option<u64>,
    /// How many HTTP requests a step's components may send.
    pub http_requests_max: Option<u64>,
}

/// A job with saved parameters: what is run, again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInstance {
    /// Whose it is.
    pub tenant: TenantId,
    /// Unique in its tenant.
    pub code: InstanceCode,
    /// For people; the code where none was given.
    pub label: String,
    /// Where the job comes from.
    pub connector: ConnectorCode,
    /// The job.
    pub job: JobName,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// As they were given: only what differs from the job's defaults. A JSON object.
    pub raw_parameters: Value,
}
