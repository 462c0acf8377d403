//! The common state of the parts of a step: whether they are over, whether they are completed, and why the
//! step cannot complete.

use stepbox_batch::error::StepError;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Failure, PartitionState, Tracking};
use stepbox_batch::job::{Step, StepKind};

/// Whether no worker works on a part any more. A part that is set aside waits for a person.
pub(super) fn is_over(part: &PartitionState) -> bool {
    part.has_ended || part.set_aside.is_some()
}

pub(super) fn are_completed(parts: &[PartitionState]) -> bool {
    parts.iter().all(|part| part.status == BatchStatus::Completed)
}

/// Why the step cannot complete; `None` if no part has failed, was stopped or is set aside.
fn failed(parts: &[PartitionState]) -> Option<StepError> {
    let has_ended_badly = |part: &&PartitionState| is_over(part) && part.status != BatchStatus::Completed;
    let part = parts.iter().filter(has_ended_badly).max_by_key(|part| part.status == BatchStatus::Failed)?;
    let failure = part.failure.clone().unwrap_or_else(|| Failure {
        code: "part-stopped".to_owned(),
        culprit: String::new(),
        place: String::new(),
        message: match &part.set_aside {
            Some(reason) => format!("it is set aside: {reason}"),
            None => format!("it is {}", part.status),
        },
        help: String::new(),
        remedies: Vec::new(),
    });
    Some(StepError::Part { execution: part.id, partition: part.partition, failure: Box::new(failure) })
}

/// Why the step cannot complete. In order of priority: a part that has failed by itself, too many skipped
/// items, or a part that was stopped, perhaps because of these items.
pub(super) fn cause(step: &Step, parts: &[PartitionState]) -> Option<StepError> {
    let has_failed = |part: &PartitionState| is_over(part) && part.status == BatchStatus::Failed;
    match parts.iter().any(has_failed) {
        true => failed(parts),
        false => too_many_skipped(step, parts).or_else(|| failed(parts)),
    }
}

/// A limit applies to all parts together.
fn too_many_skipped(step: &Step, parts: &[PartitionState]) -> Option<StepError> {
    let StepKind::Item { settings, .. } = &step.kind else { return None };
    let limit = settings.skip.limit?;
    let skipped: u64 = parts.iter().map(|part| part.skipped).sum();
    (skipped > limit).then(|| StepError::SkipLimit {
        limit,
        culprit: String::new(),
        place: String::new(),
        last: format!("its parts together have skipped {skipped}"),
    })
}

/// The progress of all parts together.
pub(super) fn tracking(parts: &[PartitionState]) -> Tracking {
    let of_parts = || parts.iter().map(|part| part.tracking);
    Tracking {
        processed: of_parts().map(|tracking| tracking.processed).sum(),
        total: of_parts().map(|tracking| tracking.total).sum(),
        is_estimate: of_parts().any(|tracking| tracking.is_estimate),
    }
}
