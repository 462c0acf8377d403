//! The settings of a step: how items move, which failures are retried, and what follows.

use serde::{Deserialize, Serialize};
use stepbox_batch::job;
use stepbox_batch::pattern::Pattern;

/// How an item step moves its items.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemSettings {
    /// The size of a chunk.
    pub chunk: Chunk,
    /// How many threads run the processors.
    pub workers: u32,
    /// Whether chunks are written in the order of the input.
    pub ordered: bool,
    /// How often a checkpoint is taken.
    pub checkpoint: Checkpoint,
    /// How many items may be skipped.
    pub skip: Skip,
    /// The number of parts of the input.
    pub partitions: u32,
}

/// The size of a chunk. A chunk ends at the first of these limits.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The most rows.
    pub rows: u32,
    /// The most bytes.
    pub bytes: u32,
    /// How long a chunk should be under way, in milliseconds.
    pub ms: u64,
}

/// How often a checkpoint is taken.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The number of items between two checkpoints; `null` if only the time decides.
    pub items: Option<u64>,
    /// The time between two checkpoints, in milliseconds; 0 for a checkpoint after every chunk.
    pub ms: u64,
}

/// How many items may be skipped.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The most items; `null` if there is no limit.
    pub limit: Option<u64>,
    /// The largest share of all items: `5%`.
    pub share: Option<String>,
    /// The codes that may skip an item, as patterns; `null` for all.
    pub on: Option<Vec<String>>,
}

impl ItemSettings {
    pub(crate) fn of(settings: &job::ItemSettings) -> Self {
        let job::ItemSettings { chunk, chunk_ms, workers, ordered, checkpoint, skip, partitions } = settings;
        let job::CheckpointInterval { items, ms } = *checkpoint;
        let job::SkipPolicy { limit, share, on } = skip;
        Self {
            chunk: Chunk { rows: chunk.rows, bytes: chunk.bytes, ms: *chunk_ms },
            workers: *workers,
            ordered: *ordered,
            checkpoint: Checkpoint { items, ms },
            skip: Skip {
                limit: *limit,
                share: share.map(|share| share.to_string()),
                on: texts(on.as_deref()),
            },
            partitions: *partitions,
        }
    }
}

/// The settings of a step that sets none.
impl Default for ItemSettings {
    fn default() -> Self {
        Self::of(&job::ItemSettings::default())
    }
}

/// Which failures a step retries.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The most retries; 0 for none.
    pub limit: u32,
    /// The codes of the failures, as patterns; `null` for all failures that are marked as retryable.
    pub on: Option<Vec<String>>,
    /// The wait before a retry.
    pub backoff: Backoff,
}

/// The wait before a retry.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait, in milliseconds. It doubles with each retry in a row.
    pub ms: u64,
    /// The longest wait, in milliseconds.
    pub ms_max: u64,
}

impl Retry {
    pub(crate) fn of(retry: &job::RetryPolicy) -> Self {
        let job::RetryPolicy { limit, on, backoff: job::Backoff { ms, ms_max } } = retry;
        let backoff = Backoff { ms: *ms, ms_max: *ms_max };
        Self { limit: *limit, on: texts(on.as_deref()), backoff }
    }
}

/// The retries of a step that says nothing about them.
impl Default for Retry {
    fn default() -> Self {
        Self::of(&job::RetryPolicy::default())
    }
}

/// Whether a restart runs a step again.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    /// Unless it has completed.
    UnlessCompleted,
    /// In any case.
    Always,
}

impl From<job::Rerun> for Rerun {
    fn from(rerun: job::Rerun) -> Self {
        match rerun {
            job::Rerun::UnlessCompleted => Self::UnlessCompleted,
            job::Rerun::Always => Self::Always,
        }
    }
}

/// What follows an exit status.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The exit status, as a pattern.
    pub exit: String,
    /// `next`, `end`, `fail`, `stop`, or the name of a step. No step has one of these four names.
    pub to: String,
}

impl Transition {
    pub(crate) fn of(job::Transition { exit, to }: &job::Transition) -> Self {
        let to = match to {
            job::Target::Next => "next",
            job::Target::End => "end",
            job::Target::Fail => "fail",
            job::Target::Stop => "stop",
            job::Target::Step(name) => name.as_str(),
        };
        Self { exit: exit.to_string(), to: to.to_owned() }
    }
}

/// The place of a step in a split.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The name of the split.
    pub split: String,
    /// Which branch, from 0.
    pub number: u32,
}

impl Branch {
    pub(crate) fn of(job::Branch { split, number }: &job::Branch) -> Self {
        Self { split: split.to_string(), number: *number }
    }
}

fn texts(patterns: Option<&[Pattern]>) -> Option<Vec<String>> {
    patterns.map(|patterns| patterns.iter().map(ToString::to_string).collect())
}

/// In which cases a step also runs if the flow does not lead to it: `false`, `true` or `unless_stopped`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Always {
    /// `true`: in every case, also after a failure and after a stop. `false`: in none.
    Flag(bool),
    /// In every case but one.
    Word(AlwaysWord),
}

/// The case in which a step with `always` does not run.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlwaysWord {
    /// After a stop.
    UnlessStopped,
}

impl From<job::Always> for Always {
    fn from(always: job::Always) -> Self {
        match always {
            job::Always::No => Self::Flag(false),
            job::Always::Yes => Self::Flag(true),
            job::Always::UnlessStopped => Self::Word(AlwaysWord::UnlessStopped),
        }
    }
}
