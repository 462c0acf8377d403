//! The steps of a job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepbox_batch::job;
use stepbox_batch::limits::{LIMITS, LimitOverrides};

use crate::step_settings::{Always, Branch, ItemSettings, Rerun, Retry, Transition};

/// A step of a job.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in its job.
    pub name: String,
    /// Its kind, with its elements.
    #[serde(flatten)]
    pub kind: StepKind,
    /// The access that it asks for.
    pub grants: Grants,
    /// The names of the secrets that it sends, in order.
    pub secrets: Vec<String>,
    /// Where its limits differ from the defaults.
    pub limits: Limits,
    /// The failures that it retries.
    pub retry: Retry,
    /// Whether a restart runs it again.
    pub rerun: Rerun,
    /// How often it may be started, over all restarts; `null` if there is no limit.
    pub start_limit: Option<u32>,
    /// What follows its exit statuses.
    pub on: Vec<Transition>,
    /// In which cases it also runs if the flow does not lead to it.
    pub always: Always,
    /// Its place in a split; `null` outside of splits.
    pub branch: Option<Branch>,
}

/// The elements of a step. `kind` is `item` or `tasklet`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepKind {
    /// Items go from a reader through processors to a writer.
    Item {
        /// Where the items come from.
        reader: Element,
        /// What changes them, in order.
        processors: Vec<Element>,
        /// Where the items go.
        writer: Element,
        /// How the items move.
        #[serde(flatten)]
        settings: Box<ItemSettings>,
    },
    /// One call to a component.
    Tasklet {
        /// The component.
        tasklet: Element,
    },
}

impl Step {
    /// Built from a step of a job.
    pub fn of(step: &job::Step) -> Self {
        Self {
            name: step.name.to_string(),
            kind: StepKind::of(&step.kind),
            grants: Grants::of(&step.grants),
            secrets: step.secrets().into_iter().collect(),
            limits: Limits::of(&step.limits),
            retry: Retry::of(&step.retry),
            rerun: step.rerun.into(),
            start_limit: step.start_limit,
            on: step.flow.on.iter().map(Transition::of).collect(),
            always: step.flow.always.into(),
            branch: step.flow.branch.as_ref().map(Branch::of),
        }
    }
}

impl StepKind {
    fn of(kind: &job::StepKind) -> Self {
        match kind {
            job::StepKind::Item { reader, processors, writer, settings } => Self::Item {
                reader: Element::of(reader),
                processors: processors.iter().map(Element::of).collect(),
                writer: Element::of(writer),
                settings: Box::new(ItemSettings::of(settings)),
            },
            job::StepKind::Tasklet { tasklet } => Self::Tasklet { tasklet: Element::of(tasklet) },
        }
    }
}

/// An element of a step.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// The name of the native element, or the connector's name for the component.
    pub name: String,
    /// The digest of the component; `null` for a native element.
    pub digest: Option<String>,
    /// The options that the job gives it; `null` if it gives none.
    pub options: Option<Value>,
}

impl Element {
    fn of(element: &job::Element) -> Self {
        let digest = match &element.source {
            job::ElementSource::Component(component) => Some(component.digest.to_string()),
            job::ElementSource::Native(_) => None,
        };
        Self { name: element.name().to_owned(), digest, options: element.options.clone() }
    }
}

/// The access that a step asks for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Requests: `POST https://example.com`.
    pub http: Vec<String>,
    /// Folders, by the name that the component sees: `read /srv/in`.
    pub files: BTreeMap<String, String>,
}

impl Grants {
    fn of(grants: &job::GrantRequest) -> Self {
        Self { http: grants.http.clone(), files: grants.files.clone() }
    }
}

/// The limits of a step that differ from the defaults, by their names: `memory_bytes_max`. The others are `null`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(pub Map<String, Value>);

impl Limits {
    /// Built from the limits in a job or a policy.
    pub fn of(limits: &LimitOverrides) -> Self {
        Self(LIMITS.iter().map(|limit| (limit.name.to_owned(), limit.of(limits).into())).collect())
    }

    /// The value of a limit; `None` for the default.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }
}
