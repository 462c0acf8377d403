//! The inputs of a worker's loop, and their sources.

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

/// An input of a worker's loop.
pub(super) enum WorkerInput {
    /// A run has ended, and its place is free. From the set of runs. `None` if its task panicked.
    RunEnded(Option<EndedRun>),
    /// The queue may have an entry. From the store, which waits for one on request.
    MayHaveWork,
    /// The store has answered a claim.
    Claimed(Result<Vec<Claimed>, RepositoryError>),
    /// The worker has entered another stage: because of its handle, the end of the grace, or a store that
    /// cannot be used. From the channel of stages.
    Stage(Stage),
    /// The grace after a shutdown is over. From a timer.
    GraceOver,
    /// It is time for the heartbeat and for the background. From a timer.
    Beat,
    /// The store has answered a heartbeat.
    Beaten(Result<(), RepositoryError>),
    /// All services in the background have done their work.
    BackgroundDone(Vec<Result<Vec<WorkerEvent>, RepositoryError>>),
    /// The worker is leaving, and must send no more heartbeats and claims. From the handle.
    Quiet(Quiet),
    /// The store has removed the worker, or has failed to do so.
    Forgotten,
    /// Nothing has happened for some time. From a timer, so that the loop still turns and shows that it is
    /// well.
    Turn,
}

/// How a run ended.
pub(super) struct EndedRun {
    pub(super) tenant: TenantId,
    pub(super) id: JobExecutionId,
    pub(super) ended: Result<JobExecution, Error>,
}

/// Asks the loop to send no more heartbeats and claims. The loop drops it when neither is in progress.
pub(super) struct Quiet(#[expect(dead_code, reason = "its end is the answer")] oneshot::Sender<()>);

impl Quiet {
    /// The request, and a receiver that ends when the request is carried out.
    pub(super) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

/// A future whose outcome the loop waits for; `None` if there is no such future.
type Open<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// The sources of the inputs.
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

/// Waits for the outcome of a future and then removes the future. Without a future, it waits forever.
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
