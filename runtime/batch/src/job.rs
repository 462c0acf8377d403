//! What a job is: its parameters' schema and its ordered steps. Nothing here has run yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::limits::LimitOverrides;
use crate::name::{ConnectorCode, Digest, InstanceCode, JobName, StepName, TenantId};
use crate::pattern::Pattern;
use crate::template::{self, OutputName};

/// A definition: ordered steps and a parameter schema. Each execution keeps the definition with which it began.
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
    /// How many executions of one instance may run at a time, at least 1; none sets no limit.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// The JSON Schema (2020-12) of its parameters, with everything that `extends` brought in.
    pub parameters: Value,
    /// At least one, with unique names.
    pub steps: Vec<Step>,
    /// Where relative paths begin, from the root of the file system. It is bound when an execution is accepted, so
    /// that it means the same wherever the execution runs. `None` in a definition that nobody runs, and in
    /// executions of earlier versions: their paths begin where the worker's do.
    #[serde(default)]
    pub folder: Option<String>,
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

impl Job {
    /// The parameters that no step takes: whatever value they have, nothing changes. A component without options of
    /// its own is given all of them.
    pub fn unused_parameters(&self) -> Vec<&str> {
        let mut used = BTreeSet::new();
        for step in &self.steps {
            for element in step.kind.elements() {
                match (&element.source, &element.options) {
                    (ElementSource::Component(_), None) => return Vec::new(),
                    (_, Some(options)) => used.extend(parameters_in(options)),
                    (ElementSource::Native(_), None) => {}
                }
            }
            let lines = step.grants.http.iter().chain(step.grants.files.values());
            used.extend(lines.flat_map(|line| parameters_in(&Value::from(line.as_str()))));
        }
        let properties = self.parameters.get("properties").and_then(Value::as_object);
        let names = properties.into_iter().flat_map(|properties| properties.keys());
        names.map(String::as_str).filter(|name| !used.contains(*name)).collect()
    }
}

fn parameters_in(value: &Value) -> Vec<String> {
    template::names(value).map(|names| names.parameters).unwrap_or_default()
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
    /// What is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// What a restart does with it once it has completed.
    #[serde(default)]
    pub rerun: Rerun,
    /// How often it may be begun, over all restarts; none sets no limit.
    #[serde(default)]
    pub start_limit: Option<u32>,
    /// Where the job goes after it.
    #[serde(default)]
    pub flow: StepFlow,
}

impl Step {
    /// The names of the secrets that its components ask for in their options, each once.
    pub fn secrets(&self) -> BTreeSet<String> {
        let elements = self.kind.elements().into_iter();
        let components = elements.filter(|element| matches!(element.source, ElementSource::Component(_)));
        let options = components.filter_map(|element| element.options.as_ref());
        // A template that is none fails the step when it is expanded.
        options.filter_map(|options| template::names(options).ok()).flat_map(|names| names.secrets).collect()
    }
}

impl Step {
    /// The outputs of other steps that its options and grants name, in the order they stand.
    pub fn outputs(&self) -> Vec<OutputName> {
        let options = self.kind.elements().into_iter().filter_map(|element| element.options.clone());
        let lines = self.grants.http.iter().chain(self.grants.files.values());
        let values = options.chain(lines.map(|line| Value::from(line.as_str())));
        // A template that is none fails the step when it is expanded.
        values.filter_map(|value| template::names(&value).ok()).flat_map(|names| names.outputs).collect()
    }
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
        /// How items move.
        settings: Box<ItemSettings>,
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

impl StepKind {
    /// The same, to be changed.
    pub fn elements_mut(&mut self) -> Vec<&mut Element> {
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
    /// Whether several instances of it may work side by side; from its description.
    #[serde(default)]
    pub is_stateless: bool,
    /// The columns it needs, if it says so; the others pass it by.
    #[serde(default)]
    pub columns_in: Option<Vec<String>>,
    /// A JSON Schema for what it is given, if it describes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
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

/// How an item step moves its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemSettings {
    /// How many items make a chunk at most.
    pub chunk: ChunkLimit,
    /// How long a chunk is to be under way, in milliseconds: the slower a step's elements are, the fewer items
    /// make a chunk, down to one.
    pub chunk_ms: u64,
    /// How many instances of its processors work side by side, 1 to [`WORKERS_MAX`]. With 1, one
    /// thread reads, processes and writes; with more, reading and writing have threads of their own.
    pub workers: u32,
    /// Whether chunks are written in the order they were read.
    pub ordered: bool,
    /// When what was written is made durable.
    pub checkpoint: CheckpointInterval,
    /// Which items may be set aside.
    pub skip: SkipPolicy,
    /// Into how many parts its input is split, 1 to [`PARTITIONS_MAX`], for any worker to take; 1 does not split.
    pub partitions: u32,
}

/// How many instances of a step's processors may work side by side.
pub const WORKERS_MAX: u32 = 64;

/// How long a chunk is under way, in milliseconds, unless a step says otherwise.
pub const CHUNK_MS: u64 = 1000;

/// Into how many parts a step's input may be split.
pub const PARTITIONS_MAX: u32 = 1000;

impl Default for ItemSettings {
    fn default() -> Self {
        Self {
            chunk: ChunkLimit::default(),
            chunk_ms: CHUNK_MS,
            workers: 1,
            ordered: true,
            checkpoint: CheckpointInterval::default(),
            skip: SkipPolicy::default(),
            partitions: 1,
        }
    }
}

/// How much is done between two checkpoints: so many items or so much time, whichever comes first.
/// A checkpoint costs two waits for the disk, about 8 ms on a plain one; a crash costs what was done
/// since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointInterval {
    /// At least 1; none leaves it to the time.
    pub items: Option<u64>,
    /// In milliseconds; 0 is every chunk.
    pub ms: u64,
}

impl Default for CheckpointInterval {
    fn default() -> Self {
        Self { items: None, ms: 1000 }
    }
}

/// Which items may be set aside, and how many. What is set aside becomes a warning and a row of the
/// rejected items file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SkipPolicy {
    /// The step fails with `skip-limit` at the item after so many, counted over all restarts; none
    /// sets no limit.
    pub limit: Option<u64>,
    /// Which share of the items read may be skipped, counted at the end of the step: with more of them it fails
    /// with `skip-share`, and its output does not appear. `None` wants no more than one item that arrives, if any
    /// were skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The codes with which an item may be set aside, whether an element does it itself or fails over
    /// it. None allows what elements set aside themselves, whatever the code, and no failure.
    pub on: Option<Vec<Pattern>>,
}

/// A part of a whole, from 0 to 100 %, in steps of a hundredth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Share(u16);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(Self::WHOLE);
    const WHOLE: u16 = 10_000;

    /// Whether a part of a whole is more than this share of it.
    pub(crate) fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(whole) * u128::from(self.0)
    }
}

/// `5%`, `0.25%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        write!(f, "{}%", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A text is no share, such as `5%` or `0.25%`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share from 0% to 100%")]
pub struct BadShare(String);

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let bad = || BadShare(text.to_owned());
        let (whole, part) = {
            let digits = text.strip_suffix('%').ok_or_else(bad)?;
            digits.split_once('.').unwrap_or((digits, "0"))
        };
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 2 {
            return Err(bad());
        }
        let hundredths: u16 = format!("{part:0<2}").parse().map_err(|_| bad())?;
        let share =
            whole.parse::<u16>().ok().and_then(|whole| whole.checked_mul(100)?.checked_add(hundredths));
        share.filter(|share| *share <= Self::WHOLE).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Share {
    type Error = BadShare;

    fn try_from(text: String) -> Result<Self, BadShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

/// What a step tries again, how often, and after how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// How many retries the step has in all, counted over all restarts; 0 is none.
    pub limit: u32,
    /// The codes of failures that are worth it; none takes those that say so of themselves.
    pub on: Option<Vec<Pattern>>,
    /// How long to wait before.
    pub backoff: Backoff,
}

/// Waiting that doubles with each retry in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first retry, in milliseconds.
    pub ms: u64,
    /// Before any retry, in milliseconds.
    pub ms_max: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ms: 1000, ms_max: 60_000 }
    }
}

/// What a restart does with a step that has completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    /// Its results stand.
    #[default]
    UnlessCompleted,
    /// It runs again from its beginning.
    Always,
}

/// Where a job goes after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepFlow {
    /// By exit status: an exact code first, then the first pattern that fits. Where nothing fits, a
    /// step that completed is followed by the next one, and any other ends the job as it ended.
    pub on: Vec<Transition>,
    /// Whether it runs whatever happened before it.
    pub always: Always,
    /// Its place in a split, if it is in one.
    pub branch: Option<Branch>,
}

/// Whether a step runs whatever happened before it. As JSON and YAML: `false`, `true` or `unless_stopped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AlwaysWritten", into = "AlwaysWritten")]
pub enum Always {
    /// Only if the flow leads to it.
    #[default]
    No,
    /// Also after a failure and after a stop. A stop or a pause that is requested while it runs does not end it.
    Yes,
    /// Also after a failure, but not after a stop. It takes part in a stop and in a pause as any other step.
    UnlessStopped,
}

/// How [`Always`] is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "`always` is `true`, `false` or `unless_stopped`")]
enum AlwaysWritten {
    Flag(bool),
    Word(AlwaysWord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AlwaysWord {
    UnlessStopped,
}

impl From<AlwaysWritten> for Always {
    fn from(written: AlwaysWritten) -> Self {
        match written {
            AlwaysWritten::Flag(false) => Self::No,
            AlwaysWritten::Flag(true) => Self::Yes,
            AlwaysWritten::Word(AlwaysWord::UnlessStopped) => Self::UnlessStopped,
        }
    }
}

impl From<Always> for AlwaysWritten {
    fn from(always: Always) -> Self {
        match always {
            Always::No => Self::Flag(false),
            Always::Yes => Self::Flag(true),
            Always::UnlessStopped => Self::Word(AlwaysWord::UnlessStopped),
        }
    }
}

/// What follows an exit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The exit code, or a pattern.
    pub exit: Pattern,
    /// What follows.
    pub to: Target,
}

/// What follows a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The step that stands next.
    Next,
    /// The job ends well, or, in a split, the branch.
    End,
    /// The job ends as FAILED, or, in a split, the branch.
    Fail,
    /// The job ends as STOPPED, or, in a split, the branch. A restart goes on with what stands next.
    Stop,
    /// A step further down.
    Step(StepName),
}

/// A step's place in a split: consecutive steps with the same split run side by side, one branch each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The split.
    pub split: StepName,
    /// Which of its branches, from 0; a branch's own steps stand together.
    pub number: u32,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        for text in ["0%", "5%", "0.25%", "99.9%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        assert_eq!("05.50%".parse::<Share>().unwrap().to_string(), "5.5%");
        for text in
            ["", "%", "5", "-5%", "100.01%", "101%", "0.125%", "1e1%", ".5%", "5.%", "9999999%", " 5%"]
        {
            assert_eq!(
                text.parse::<Share>().unwrap_err().to_string(),
                format!("`{text}` is no share from 0% to 100%")
            );
        }
    }

    #[test]
    fn always_is_a_truth_value_or_a_word() {
        for (written, always) in
            [("false", Always::No), ("true", Always::Yes), ("\"unless_stopped\"", Always::UnlessStopped)]
        {
            assert_eq!(serde_json::from_str::<Always>(written).unwrap(), always);
            assert_eq!(serde_json::to_string(&always).unwrap(), written);
        }
        let error = serde_json::from_str::<Always>("\"yes\"").unwrap_err().to_string();
        assert_eq!(error, "`always` is `true`, `false` or `unless_stopped`");
    }

    #[test]
    fn a_share_is_exceeded_by_more_than_it() {
        let share: Share = "12.5%".parse().unwrap();
        assert_eq!((share.is_exceeded(1, 8), share.is_exceeded(2, 8)), (false, true));
        assert!(!share.is_exceeded(0, 0));
        assert!(!Share::ALL.is_exceeded(u64::MAX, u64::MAX));
        assert!(share.is_exceeded(u64::MAX, u64::MAX));
    }
}
