//! The settings of a step: how items move, what is tried again, and what follows.

use serde::{Deserialize, Serialize};
use stepbox_batch::job;
use stepbox_batch::pattern::Pattern;

/// How an item step moves its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemSettings {
    /// How large a chunk is.
    pub chunk: Chunk,
    /// How many threads run the processors.
    pub workers: u32,
    /// Whether chunks are written in the order of the input.
    pub ordered: bool,
    /// How often a checkpoint is taken.
    pub checkpoint: Checkpoint,
    /// How many items may be skipped.
    pub skip: Skip,
    /// Into how many parts the input is split.
    pub partitions: u32,
}

/// A chunk ends at whichever of these comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Rows.
    pub rows: u32,
    /// Bytes.
    pub bytes: u32,
    /// For how long a chunk is to be under way, in milliseconds.
    pub ms: u64,
}

/// How often a checkpoint is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// After so many items; `null` if the time alone decides.
    pub items: Option<u64>,
    /// After so many milliseconds; 0 for every chunk.
    pub ms: u64,
}

/// How many items may be skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// How many; `null` if there is no limit.
    pub limit: Option<u64>,
    /// Which share of all items: `5%`.
    pub share: Option<String>,
    /// The codes that may be skipped, as patterns; `null` for all.
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

/// What a step tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often; 0 if nothing is tried again.
    pub limit: u32,
    /// The codes that are tried again, as patterns; `null` for all that may pass.
    pub on: Option<Vec<String>>,
    /// How long the step waits in between.
    pub backoff: Backoff,
}

/// How long a step waits before it tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first time, in milliseconds; twice as long each time after.
    pub ms: u64,
    /// At most, in milliseconds.
    pub ms_max: u64,
}

impl Retry {
    pub(crate) fn of(retry: &job::RetryPolicy) -> Self {
        let job::RetryPolicy { limit, on, backoff: job::Backoff { ms, ms_max } } = retry;
        let backoff = Backoff { ms: *ms, ms_max: *ms_max };
        Self { limit: *limit, on: texts(on.as_deref()), backoff }
    }
}

/// Whether a restart runs a step again.
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

/// Whether a step runs whatever happened before it: `false`, `true` or `unless_stopped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Always {
    /// Whether it runs, also after a failure and after a stop.
    Flag(bool),
    /// In which cases it does not.
    Word(AlwaysWord),
}

/// In which cases a step does not run that runs after failures.
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
