//! The definition of a job: the schema of its parameters and its ordered steps. Nothing in this file has run yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::instance_form::{FormLayout, FormRights, Guard, InstanceForm, Veiled};
pub use crate::limits::LimitOverrides;
use crate::name::{ConnectorCode, Digest, InstanceCode, JobName, StepName, TenantId};
use crate::pattern::Pattern;
use crate::template::{self, OutputName};

/// A definition: ordered steps and a parameter schema.
///
/// Each execution keeps the definition with which it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The connector that the job belongs to.
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
    /// How many executions of one instance may run at a time, at least 1; `None` sets no limit.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// The JSON Schema (2020-12) of its parameters, including all that `extends` adds.
    pub parameters: Value,
    /// Where its parameters stand in the form of its instances; `None` follows the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<FormLayout>,
    /// At least one step; their names are unique.
    pub steps: Vec<Step>,
    /// The folder in which relative paths begin, as a path from the root of the file system.
    ///
    /// It is set when an execution is accepted, so it is the same wherever the execution runs. `None` in a
    /// definition that does not run, and in executions of earlier versions: their paths begin in the folder of the
    /// worker.
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
    /// Whether it needs a component: for a step, or to describe a part of its form.
    pub fn pins(&self, digest: &Digest) -> bool {
        let describers = self.form.iter().flat_map(FormLayout::describers);
        self.components().any(|component| component.digest == *digest)
            || describers.into_iter().any(|describer| describer.digest.as_ref() == Some(digest))
    }

    /// The form of its instances.
    pub fn instance_form(&self) -> InstanceForm {
        InstanceForm::new(&self.parameters, self.form.as_ref())
    }

    /// Which values of its parameters somebody with these rights may not see or change.
    pub fn guard(&self, rights: FormRights) -> Guard {
        Guard::new(&self.parameters, self.form.as_ref(), rights)
    }

    /// The default values of its parameters.
    pub fn defaults(&self) -> Map<String, Value> {
        let properties = self.parameters.get("properties").and_then(Value::as_object);
        let default =
            |(name, property): (&String, &Value)| Some((name.clone(), property.get("default")?.clone()));
        properties.into_iter().flatten().filter_map(default).collect()
    }

    /// Its parameters that not everybody sees.
    pub fn veiled(&self) -> Vec<Veiled> {
        Veiled::of(&self.parameters, self.form.as_ref())
    }
}

impl Job {
    /// The parameters that no step uses: their values have no effect.
    ///
    /// A component without options of its own gets all parameters, so then all count as used.
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
    /// Item step or tasklet.
    #[serde(flatten)]
    pub kind: StepKind,
    /// The access that its components ask for; empty if they ask for none.
    #[serde(default)]
    pub grants: GrantRequest,
    /// The limits of this step that differ from the defaults.
    #[serde(default)]
    pub limits: LimitOverrides,
    /// Which failures the step tries again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Whether a restart runs the step again after it has completed.
    #[serde(default)]
    pub rerun: Rerun,
    /// How often it may be begun, over all restarts; `None` sets no limit.
    #[serde(default)]
    pub start_limit: Option<u32>,
    /// Which step follows it.
    #[serde(default)]
    pub flow: StepFlow,
}

impl Step {
    /// The names of the secrets that its components ask for in their options, each once.
    pub fn secrets(&self) -> BTreeSet<String> {
        let elements = self.kind.elements().into_iter();
        let components = elements.filter(|element| matches!(element.source, ElementSource::Component(_)));
        let options = components.filter_map(|element| element.options.as_ref());
        // A broken template is ignored here; it fails the step when it is expanded.
        options.filter_map(|options| template::names(options).ok()).flat_map(|names| names.secrets).collect()
    }
}

impl Step {
    /// The outputs of other steps that its options and grants name, in the order of their appearance.
    pub fn outputs(&self) -> Vec<OutputName> {
        let options = self.kind.elements().into_iter().filter_map(|element| element.options.clone());
        let lines = self.grants.http.iter().chain(self.grants.files.values());
        let values = options.chain(lines.map(|line| Value::from(line.as_str())));
        // A broken template is ignored here; it fails the step when it is expanded.
        values.filter_map(|value| template::names(&value).ok()).flat_map(|names| names.outputs).collect()
    }
}

/// The two kinds of step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepKind {
    /// Reader → processors → writer, in chunks.
    Item {
        /// The reader.
        reader: Element,
        /// The processors, in order; if there are none, items stay as they are.
        processors: Vec<Element>,
        /// The writer.
        writer: Element,
        /// The size of chunks, how often to commit, and which items may be skipped.
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
    /// The same elements, to be changed.
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
    /// The implementation.
    pub source: ElementSource,
    /// Its options.
    ///
    /// Their texts may hold templates such as `${parameters.storage}`. `None` gives a component all parameters of
    /// the job.
    pub options: Option<Value>,
}

/// The implementation of an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementSource {
    /// A native element, by its registered name: `csv`, `jsonl`.
    Native(String),
    /// A component, pinned by its digest.
    Component(ComponentRef),
}

/// A component as a job names it, and the digest that the name meant at installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentRef {
    /// The name in the connector file.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Whether several instances of it may work side by side; taken from its description.
    #[serde(default)]
    pub is_stateless: bool,
    /// The columns it needs, if its description lists them.
    ///
    /// It does not get the other columns.
    #[serde(default)]
    pub columns_in: Option<Vec<String>>,
    /// A JSON Schema for its options, if its description has one.
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

/// The size of chunks, how often to commit, and which items may be skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemSettings {
    /// The limit at which a chunk is full.
    pub chunk: ChunkLimit,
    /// How long a chunk should take, in milliseconds.
    ///
    /// The slower a step's elements are, the fewer items make a chunk, down to one.
    pub chunk_ms: u64,
    /// How many instances of its processors work side by side, 1 to [`WORKERS_MAX`].
    ///
    /// With 1, one thread reads, processes and writes. With more, the reader and the writer have threads of their
    /// own.
    pub workers: u32,
    /// Whether chunks are written in the order in which they were read.
    pub ordered: bool,
    /// How often the output is made durable.
    pub checkpoint: CheckpointInterval,
    /// Which items may be set aside.
    pub skip: SkipPolicy,
    /// Into how many parts its input is split, 1 to [`PARTITIONS_MAX`].
    ///
    /// Any worker may take a part. 1 does not split.
    pub partitions: u32,
}

/// How many instances of a step's processors may work side by side.
pub const WORKERS_MAX: u32 = 64;

/// How long a chunk should take by default, in milliseconds.
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

/// How much is done between two checkpoints: `items` items or `ms` milliseconds, whichever is reached first.
///
/// A checkpoint costs two waits for the disk, about 8 ms on an ordinary disk. A crash costs the work since the last
/// checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointInterval {
    /// At least 1; `None` if only the time counts.
    pub items: Option<u64>,
    /// In milliseconds; 0 makes a checkpoint after every chunk.
    pub ms: u64,
}

impl Default for CheckpointInterval {
    fn default() -> Self {
        Self { items: None, ms: 1000 }
    }
}

/// Which items may be set aside, and how many.
///
/// An item that is set aside becomes a warning and a row of the rejected items file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SkipPolicy {
    /// How many items may be skipped, counted over all restarts.
    ///
    /// At the next one the step fails with `skip-limit`. `None` sets no limit.
    pub limit: Option<u64>,
    /// Which share of the items read may be skipped.
    ///
    /// It is checked at the end of the step: above the share the step fails with `skip-share`, and its output is
    /// not published. `None` requires at least one written item if any were skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The codes with which an item may be set aside, by an element itself or because an element failed on it.
    ///
    /// `None` allows all codes of items that elements set aside themselves, and no failure.
    pub on: Option<Vec<Pattern>>,
}

/// A part of a whole, from 0 to 100 %, in steps of a hundredth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Share(u16);

impl Share {
    /// 100 %.
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

/// A text is not a share.
///
/// Shares are texts such as `5%` or `0.25%`.
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

/// Which failures a step tries again, how often, and after how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// How many retries the step has in all, counted over all restarts; 0 for no retries.
    pub limit: u32,
    /// The codes of failures that are tried again; `None` tries those that are marked as retryable.
    pub on: Option<Vec<Pattern>>,
    /// How long to wait before a retry.
    pub backoff: Backoff,
}

/// The wait before a retry.
///
/// It doubles with each retry in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first retry, in milliseconds.
    pub ms: u64,
    /// Before any retry at most, in milliseconds.
    pub ms_max: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ms: 1000, ms_max: 60_000 }
    }
}

/// Whether a restart runs a step again that has completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    /// It does not run again; its results are kept.
    #[default]
    UnlessCompleted,
    /// It runs again from its beginning.
    Always,
}

/// Which step follows a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepFlow {
    /// Transitions by exit status: an exact code first, then the first pattern that fits.
    ///
    /// If no transition fits, a completed step is followed by the next one, and a step that did not complete ends
    /// the job with its own status.
    pub on: Vec<Transition>,
    /// Whether the step also runs after a failure or a stop.
    pub always: Always,
    /// Its place in a split, if it is in one.
    pub branch: Option<Branch>,
}

/// Whether a step also runs after a failure or a stop.
///
/// As JSON and YAML: `false`, `true` or `unless_stopped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AlwaysWritten", into = "AlwaysWritten")]
pub enum Always {
    /// Only if the flow leads to it.
    #[default]
    No,
    /// Also after a failure and after a stop.
    ///
    /// A stop or a pause that is requested while it runs does not end it.
    Yes,
    /// Also after a failure, but not after a stop.
    ///
    /// A stop or a pause applies to it as to any other step.
    UnlessStopped,
}

/// The stored form of [`Always`].
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

/// A transition: what follows an exit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The exit code, or a pattern.
    pub exit: Pattern,
    /// The target.
    pub to: Target,
}

/// The target of a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The next step in the order of the job.
    Next,
    /// The job, or in a split the branch, ends as COMPLETED.
    End,
    /// The job, or in a split the branch, ends as FAILED.
    Fail,
    /// The job, or in a split the branch, ends as STOPPED.
    ///
    /// A restart continues with the next step in the order of the job.
    Stop,
    /// A step further down.
    Step(StepName),
}

/// A step's place in a split: consecutive steps with the same split run side by side, one branch each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The split.
    pub split: StepName,
    /// Which of its branches, from 0; the steps of a branch follow each other.
    pub number: u32,
}

/// The limit at which a chunk is full: `rows` rows or `bytes` bytes, whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLimit {
    /// How many rows fill a chunk, at least 1.
    pub rows: u32,
    /// How many bytes fill a chunk, at least 1.
    ///
    /// The item that exceeds it still belongs to the chunk.
    pub bytes: u32,
}

impl Default for ChunkLimit {
    /// 1000 rows or 256 KiB: large enough that the call costs nothing, small enough for any guest.
    fn default() -> Self {
        Self { rows: 1000, bytes: 256 << 10 }
    }
}

/// The access that a step's components ask for.
///
/// Texts may hold templates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantRequest {
    /// `METHOD scheme://host[:port]`, such as `POST https://api.example.com`.
    pub http: Vec<String>,
    /// By the folder's name in the guest: `read PATH` or `write PATH`.
    pub files: BTreeMap<String, String>,
}

impl GrantRequest {
    /// Whether the step asks for no access.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.files.is_empty()
    }
}

/// A job with saved parameters, which can be run any number of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInstance {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Unique in its tenant.
    pub code: InstanceCode,
    /// For people; the code if no label was given.
    pub label: String,
    /// The connector of the job.
    pub connector: ConnectorCode,
    /// The job.
    pub job: JobName,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The parameters as they were given: only those that differ from the job's defaults.
    ///
    /// A JSON object.
    pub raw_parameters: Value,
    /// How often it was written: 1 at its creation, and one more with each change.
    ///
    /// The store sets it. The numbers of a deleted instance are not given again: an instance that is created later
    /// under the same code begins with the next one.
    pub version: u64,
    /// When it was created or changed last.
    ///
    /// The store sets it.
    pub updated_at: Timestamp,
}

/// How many versions of an instance are kept, the newest ones.
pub const INSTANCE_VERSIONS_KEPT: u32 = 100;

/// What an instance was from one change until the next.
///
/// Versions are also kept of instances that are deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceVersion {
    /// The instance as it was.
    pub instance: JobInstance,
    /// The user who created it or changed it to that, and when.
    pub by: Actor,
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
