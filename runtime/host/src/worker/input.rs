//! What a worker's loop hears, and from where.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use stepbox_batch::execution::{Claimed, JobExecution};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::event::WorkerEvent;
use super::pulse::TURN_MS;
use super::shared::Stage;
use crate::error::Error;
use crate::timing::RESCUE_MS;

/// What a worker's loop hears.
pub(super) enum WorkerInput {
    /// A run has ended, and its place is free. From the set of runs. `None` if its task panicked.
    RunEnded(Option<EndedRun>),
    /// The queue may have something to take. From the store, which is asked to wait for that.
    MayHaveWork,
    /// The store has answered a claim.
    Claimed(Result<Vec<Claimed>, RepositoryError>),
    /// The worker was moved to another stage: by its handle, by the grace, or by a store that cannot be worked with.
    /// From the channel of stages.
    Stage(Stage),
    /// The grace after a shutdown is over. From a timer.
    GraceOver,
    /// It is time for the heartbeat and for the background. From a timer.
    Beat,
    /// The store has answered a heartbeat.
    Beaten(Result<(), RepositoryError>),
    /// All services in the background have done their work.
    BackgroundDone(Vec<Result<Vec<WorkerEvent>, RepositoryError>>),
    /// The worker leaves, and must send no heartbeat and claim nothing any more. From the handle.
    Quiet(Quiet),
    /// The store has forgotten the worker, or has failed to.
    Forgotten,
    /// Nothing has happened for a while. From a timer: a loop that turns is well.
    Turn,
}

/// How a run ended.
pub(super) struct EndedRun {
    pub(super) tenant: TenantId,
    pub(super) id: JobExecutionId,
    pub(super) ended: Result<JobExecution, Error>,
}

/// Asks the loop to send no heartbeat and to claim nothing any more. Dropped once neither is under way.
pub(super) struct Quiet(#[expect(dead_code, reason = "its end is the answer")] oneshot::Sender<()>);

impl Quiet {
    /// The request, and what ends once it is carried out.
    pub(super) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

/// A future whose outcome the loop waits for; `None` while there is none.
type Open<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Where each input comes from.
pub(super) struct Inputs {
    pub(super) runs: JoinSet<EndedRun>,
    pub(super) work: Open<()>,
    pub(super) claim: Open<Result<Vec<Claimed>, RepositoryError>>,
    pub(super) grace: Open<()>,
    pub(super) heartbeat: Open<Result<(), RepositoryError>>,
    pub(super) background: Open<Vec<Result<Vec<WorkerEvent>, RepositoryError>>>,
    pub(super) forgetting: Open<()>,
    stage: watch::Receiver<Stage>,
    quiet: mpsc::Receiver<Quiet>,
    beat: Interval,
    turn: Interval,
}

impl Inputs {
    pub(super) fn new(stage: watch::Receiver<Stage>, quiet: mpsc::Receiver<Quiet>) -> Self {
        Self {
            runs: JoinSet::new(),
            work: None,
            claim: None,
            grace: None,
            heartbeat: None,
            background: None,
            forgetting: None,
            stage,
            quiet,
            beat: every(RESCUE_MS),
            turn: every(TURN_MS),
        }
    }

    /// Waits for the next input.
    pub(super) async fn next(&mut self) -> WorkerInput {
        tokio::select! {
            Some(ended) = self.runs.join_next() => WorkerInput::RunEnded(ended.ok()),
            () = outcome(&mut self.work) => WorkerInput::MayHaveWork,
            answer = outcome(&mut self.claim) => WorkerInput::Claimed(answer),
            Ok(()) = self.stage.changed() => WorkerInput::Stage(*self.stage.borrow_and_update()),
            () = outcome(&mut self.grace) => WorkerInput::GraceOver,
            _ = self.beat.tick() => WorkerInput::Beat,
            answer = outcome(&mut self.heartbeat) => WorkerInput::Beaten(answer),
            done = outcome(&mut self.background) => WorkerInput::BackgroundDone(done),
            Some(quiet) = self.quiet.recv() => WorkerInput::Quiet(quiet),
            () = outcome(&mut self.forgetting) => WorkerInput::Forgotten,
            _ = self.turn.tick() => WorkerInput::Turn,
        }
    }
}

/// The outcome of a future, which is taken out then. Waits for ever while there is none.
async fn outcome<T>(open: &mut Open<T>) -> T {
    match open {
        Some(future) => {
            let outcome = future.as_mut().await;
            *open = None;
            outcome
        }
        None => pending().await,
    }
}

fn every(ms: u64) -> Interval {
    let mut every = interval(Duration::from_millis(ms));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}
