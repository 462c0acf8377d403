//! The keys that form 1 did not have at first: how a step moves its items, what it tries again, which step follows
//! it. The defaults here are for jobs that were stored without these keys, whatever the domain's defaults are now.

use serde::{Deserialize, Serialize};
use stepbox_batch::job::{
    Always, Backoff, Branch, CheckpointInterval, Rerun, RetryPolicy, Share, SkipPolicy, StepFlow, Target,
    Transition,
};
use stepbox_batch::pattern::Pattern;
use stepbox_batch::ports::Result;

use super::Row;

/// The only default here that differs from what jobs did at that time: it changes the number of calls, but not the
/// output.
pub(super) fn chunk_ms() -> u64 {
    1000
}

pub(super) fn one_worker() -> u32 {
    1
}

pub(super) fn one_part() -> u32 {
    1
}

pub(super) fn in_order() -> bool {
    true
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointV1 {
    items: Option<u64>,
    ms: u64,
}

impl Default for CheckpointV1 {
    fn default() -> Self {
        Self { items: None, ms: 1000 }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipV1 {
    limit: Option<u64>,
    /// Missing in data from before this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    on: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryV1 {
    limit: u32,
    on: Option<Vec<String>>,
    backoff_ms: u64,
    backoff_ms_max: u64,
}

impl Default for RetryV1 {
    fn default() -> Self {
        Self { limit: 0, on: None, backoff_ms: 1000, backoff_ms_max: 60_000 }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RerunV1 {
    #[default]
    UnlessCompleted,
    Always,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowV1 {
    on: Vec<TransitionV1>,
    always: Always,
    branch: Option<BranchV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransitionV1 {
    exit: String,
    to: TargetV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TargetV1 {
    Next,
    End,
    Fail,
    Stop,
    Step(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BranchV1 {
    split: String,
    number: u32,
}

impl From<CheckpointInterval> for CheckpointV1 {
    fn from(CheckpointInterval { items, ms }: CheckpointInterval) -> Self {
        Self { items, ms }
    }
}

impl From<CheckpointV1> for CheckpointInterval {
    fn from(CheckpointV1 { items, ms }: CheckpointV1) -> Self {
        Self { items, ms }
    }
}

impl From<&SkipPolicy> for SkipV1 {
    fn from(SkipPolicy { limit, share, on }: &SkipPolicy) -> Self {
        Self { limit: *limit, share: *share, on: texts(on.as_ref()) }
    }
}

impl From<SkipV1> for SkipPolicy {
    fn from(SkipV1 { limit, share, on }: SkipV1) -> Self {
        Self { limit, share, on: patterns(on) }
    }
}

impl From<&RetryPolicy> for RetryV1 {
    fn from(RetryPolicy { limit, on, backoff: Backoff { ms, ms_max } }: &RetryPolicy) -> Self {
        Self { limit: *limit, on: texts(on.as_ref()), backoff_ms: *ms, backoff_ms_max: *ms_max }
    }
}

impl From<RetryV1> for RetryPolicy {
    fn from(RetryV1 { limit, on, backoff_ms, backoff_ms_max }: RetryV1) -> Self {
        Self { limit, on: patterns(on), backoff: Backoff { ms: backoff_ms, ms_max: backoff_ms_max } }
    }
}

impl From<Rerun> for RerunV1 {
    fn from(rerun: Rerun) -> Self {
        match rerun {
            Rerun::UnlessCompleted => Self::UnlessCompleted,
            Rerun::Always => Self::Always,
        }
    }
}

impl From<RerunV1> for Rerun {
    fn from(rerun: RerunV1) -> Self {
        match rerun {
            RerunV1::UnlessCompleted => Self::UnlessCompleted,
            RerunV1::Always => Self::Always,
        }
    }
}

impl From<&StepFlow> for FlowV1 {
    fn from(StepFlow { on, always, branch }: &StepFlow) -> Self {
        let branch = branch.as_ref();
        Self {
            on: on.iter().map(TransitionV1::from).collect(),
            always: *always,
            branch: branch
                .map(|Branch { split, number }| BranchV1 { split: split.to_string(), number: *number }),
        }
    }
}

impl FlowV1 {
    pub(super) fn into_flow(self, row: &Row, column: &str) -> Result<StepFlow> {
        let branch = self
            .branch
            .map(|BranchV1 { split, number }| Ok(Branch { split: row.name(column, split)?, number }));
        let on = self.on.into_iter().map(|transition| transition.into_transition(row, column));
        Ok(StepFlow { on: on.collect::<Result<_>>()?, always: self.always, branch: branch.transpose()? })
    }
}

impl From<&Transition> for TransitionV1 {
    fn from(Transition { exit, to }: &Transition) -> Self {
        let to = match to {
            Target::Next => TargetV1::Next,
            Target::End => TargetV1::End,
            Target::Fail => TargetV1::Fail,
            Target::Stop => TargetV1::Stop,
            Target::Step(step) => TargetV1::Step(step.to_string()),
        };
        Self { exit: exit.to_string(), to }
    }
}

impl TransitionV1 {
    fn into_transition(self, row: &Row, column: &str) -> Result<Transition> {
        let to = match self.to {
            TargetV1::Next => Target::Next,
            TargetV1::End => Target::End,
            TargetV1::Fail => Target::Fail,
            TargetV1::Stop => Target::Stop,
            TargetV1::Step(step) => Target::Step(row.name(column, step)?),
        };
        Ok(Transition { exit: Pattern::new(self.exit), to })
    }
}

fn texts(patterns: Option<&Vec<Pattern>>) -> Option<Vec<String>> {
    patterns.map(|patterns| patterns.iter().map(ToString::to_string).collect())
}

fn patterns(texts: Option<Vec<String>>) -> Option<Vec<Pattern>> {
    texts.map(|texts| texts.into_iter().map(Pattern::new).collect())
}
