//! The settings of a step.

use serde::Serialize;
use stepbox::batch::job::{
    Backoff, Branch, CheckpointInterval, ItemSettings, Rerun, RetryPolicy, SkipPolicy, Target, Transition,
};
use stepbox::batch::pattern::Pattern;

/// How an item step moves its items.
#[derive(Debug, Serialize)]
pub(super) struct ItemSettingsView {
    chunk: ChunkView,
    workers: u32,
    ordered: bool,
    checkpoint: CheckpointView,
    skip: SkipView,
    partitions: u32,
}

#[derive(Debug, Serialize)]
struct ChunkView {
    rows: u32,
    bytes: u32,
    ms: u64,
}

/// `items` is null where the time alone decides.
#[derive(Debug, Serialize)]
struct CheckpointView {
    items: Option<u64>,
    ms: u64,
}

/// `limit` is null where there is none, `on` where codes are not looked at.
#[derive(Debug, Serialize)]
struct SkipView {
    limit: Option<u64>,
    share: Option<String>,
    on: Option<Vec<String>>,
}

impl ItemSettingsView {
    pub(super) fn of(settings: &ItemSettings) -> Self {
        let ItemSettings { chunk, chunk_ms, workers, ordered, checkpoint, skip, partitions } = settings;
        let CheckpointInterval { items, ms } = *checkpoint;
        let SkipPolicy { limit, share, on } = skip;
        let share = share.map(|share| share.to_string());
        Self {
            chunk: ChunkView { rows: chunk.rows, bytes: chunk.bytes, ms: *chunk_ms },
            workers: *workers,
            ordered: *ordered,
            checkpoint: CheckpointView { items, ms },
            skip: SkipView { limit: *limit, share, on: texts(on.as_deref()) },
            partitions: *partitions,
        }
    }
}

/// What a step tries again; a `limit` of 0 is nothing.
#[derive(Debug, Serialize)]
pub(super) struct RetryView {
    limit: u32,
    on: Option<Vec<String>>,
    backoff: BackoffView,
}

#[derive(Debug, Serialize)]
struct BackoffView {
    ms: u64,
    ms_max: u64,
}

impl RetryView {
    pub(super) fn of(retry: &RetryPolicy) -> Self {
        let RetryPolicy { limit, on, backoff: Backoff { ms, ms_max } } = retry;
        let backoff = BackoffView { ms: *ms, ms_max: *ms_max };
        Self { limit: *limit, on: texts(on.as_deref()), backoff }
    }
}

pub(super) fn rerun(rerun: Rerun) -> &'static str {
    match rerun {
        Rerun::UnlessCompleted => "unless_completed",
        Rerun::Always => "always",
    }
}

/// What follows an exit status: `next`, `end`, `fail`, `stop`, or a step, none of which is called so.
#[derive(Debug, Serialize)]
pub(super) struct TransitionView {
    exit: String,
    to: String,
}

impl TransitionView {
    pub(super) fn of(Transition { exit, to }: &Transition) -> Self {
        let to = match to {
            Target::Next => "next",
            Target::End => "end",
            Target::Fail => "fail",
            Target::Stop => "stop",
            Target::Step(name) => name.as_str(),
        };
        Self { exit: exit.to_string(), to: to.to_owned() }
    }
}

/// A step's place in a split; `number` is from 0.
#[derive(Debug, Serialize)]
pub(super) struct BranchView {
    split: String,
    number: u32,
}

impl BranchView {
    pub(super) fn of(Branch { split, number }: &Branch) -> Self {
        Self { split: split.to_string(), number: *number }
    }
}

fn texts(patterns: Option<&[Pattern]>) -> Option<Vec<String>> {
    patterns.map(|patterns| patterns.iter().map(ToString::to_string).collect())
}
