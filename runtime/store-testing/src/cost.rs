//! Measures what the lives of executions cost a store. To compare two versions, run them alternately.

use std::time::{Duration, Instant};

use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{Claimed, JobExecution, Lease, NewJobExecution, Save, StepExecution};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

/// How many calls are in progress at a time.
const TOGETHER: usize = 16;

/// How long each phase took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Publishing the executions.
    pub submitted: Duration,
    /// Claiming them, 16 at a time.
    pub claimed: Duration,
    /// Saving that they have begun, a checkpoint, and their end.
    pub run: Duration,
}

/// Publishes executions of `nightly`, claims them and runs them to their end.
pub async fn lives(store: &dyn JobRepository, count: usize) -> Cost {
    let new = NewJobExecution { queue: Some(Enqueue::at_once(EARLIER)), ..new("nightly") };
    let begin = Instant::now();
    for some in (0..count).collect::<Vec<_>>().chunks(TOGETHER) {
        all_at_once(some.iter().map(|_| async { store.create_execution(&new, None).await.unwrap() })).await;
    }
    let submitted = begin.elapsed();

    let begin = Instant::now();
    let wanted = QueueClaim {
        claim: claim("w-1", EARLIER),
        tenants: vec![(tenant(), u64::MAX)],
        filter: QueueFilter::default(),
        limit: TOGETHER as u32,
    };
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(store.claim_next(&wanted).await.unwrap());
    }
    let claimed = begin.elapsed();

    let begin = Instant::now();
    while !taken.is_empty() {
        let some = taken.split_off(taken.len().saturating_sub(TOGETHER));
        all_at_once(some.into_iter().map(|Claimed { execution, lease }| run(store, execution, lease))).await;
    }
    Cost { submitted, claimed, run: begin.elapsed() }
}

async fn run(store: &dyn JobRepository, mut execution: JobExecution, lease: Lease) {
    move_to(store, &lease, &mut execution, BatchStatus::Started).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    execution.status = BatchStatus::Completed;
    execution.exit_status = ExitStatus::new(ExitStatus::COMPLETED);
    execution.ended_at = Some(NOW);
    let step = StepExecution { status: BatchStatus::Completed, ended_at: Some(NOW), ..step() };
    let save = Save { execution: Some(&execution), step: Some(&step), is_last: true, ..Save::default() };
    store.save(&lease, save).await.unwrap();
}
