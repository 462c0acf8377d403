//! A worker: it takes executions from the queue, runs them, and does the work in the background.
//!
//! ```text
//! working ── shut_down ──▶ finishing ── grace over ──▶ pausing ──▶ ended
//!     ├────────────────────── leave ──────────────────────────────▶ ended
//!     └── the store cannot be worked with ──────────▶ pausing ──▶ ended
//! ```
//!
//! An execution that a worker pauses waits in the queue again, at its checkpoint. An execution that a worker
//! leaves is lost, and another worker takes it over at once. If the store cannot be used, the executions are
//! also lost, and are taken over when their leases have expired.
//!
//! The worker is one loop, in this file, over one enum of inputs: [`WorkerInput`], which says where each
//! input comes from. The loop never waits for the store. It sends a question, and gets the answer as an
//! input. `handle` is the embedder's handle. `shared` is the state that the loop shares with the handle and
//! the runs. `event` has the events for the listener. `pulse` and `health` show whether the worker is well.
//! The work beside running executions is in [`crate::background`].

pub(crate) mod event;
mod handle;
mod health;
mod input;
mod options;
mod pulse;
mod shared;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stepbox_batch::execution::Claimed;
use stepbox_batch::execution::queue::QueueClaim;
use stepbox_batch::ports::{Outlook, RepositoryError};
use stepbox_batch::worker::Worker as Registered;
use tokio::sync::mpsc;
use tokio::time::sleep;

pub use event::{WorkerEvent, WorkerListener};
pub use handle::Worker;
pub use health::{WorkerHealth, WorkerProbe, WorkerProblem};
pub use options::WorkerOptions;
pub use shared::Stage;

use crate::background::{Background, services};
use crate::error::Error;
use crate::installation::{Installation, TenantRef};
use crate::job_lifecycle;
use crate::store_clock::STEP_MS;
use crate::timing::BEATS_PER_LEASE;
use input::{EndedRun, Inputs, Quiet, WorkerInput};
use pulse::{Question, silent_ms_max};
use shared::Shared;

/// The maximum time before a worker looks into the queue again, in milliseconds. An entry that becomes due
/// does not wake the worker.
const LOOK_MS: u64 = 500;
/// How long a worker that is ending waits for a store that does not answer, in milliseconds. After that,
/// running executions could not be saved as PAUSED. They continue on another worker when their leases have
/// expired.
const SILENT_AT_END_MS: u64 = 5_000;

/// Starts a worker in this process. An installation has at most one worker at a time.
pub(crate) async fn start_worker(
    installation: Arc<Installation>,
    options: WorkerOptions,
) -> Result<Worker, Error> {
    if let Some(unknown) = installation.tenants.first_unknown(&options.tenants) {
        return Err(Error::UnknownTenant(unknown.clone()));
    }
    if installation.has_worker.swap(true, Ordering::AcqRel) {
        return Err(Error::WorkerExists);
    }
    installation.metrics.has_slots(options.slots());
    let services = services(&installation);
    let shared = Shared::new(installation, options);
    if let Err(error) = heartbeat(shared.clone()).await {
        shared.make_room();
        return Err(error.into());
    }
    let (quiet, quiets) = mpsc::channel(1);
    let mut worker = WorkerLoop {
        inputs: Inputs::new(shared.stage.subscribe(), quiets),
        last_beat_us: shared.installation.clock.ticks_us(),
        shared: shared.clone(),
        services,
        skew_told_ms: 0,
        is_listed: true,
        leaving: None,
        is_shutting_down: false,
        pausing_since_us: None,
    };
    worker.tell_of_skew();
    Ok(Worker::new(shared, quiet, tokio::spawn(worker.run())))
}

/// The loop of a worker.
struct WorkerLoop {
    shared: Arc<Shared>,
    inputs: Inputs,
    services: Vec<Arc<dyn Background>>,
    last_beat_us: u64,
    /// By how much the clock of this machine was ahead of the store's clock when the listener was last
    /// informed.
    skew_told_ms: i64,
    /// Whether the worker may send heartbeats, and claim. If it may not, no heartbeat lists the worker again.
    is_listed: bool,
    /// The request to be quiet. It is answered when no heartbeat and no claim is in progress.
    leaving: Option<Quiet>,
    /// Whether the listener knows that the worker takes no new executions.
    is_shutting_down: bool,
    /// When running executions were asked to pause.
    pausing_since_us: Option<u64>,
}

impl WorkerLoop {
    async fn run(mut self) {
        self.shared.tell(&WorkerEvent::Began { worker: self.shared.name().to_owned() });
        self.tick_services(true);
        self.look_for_work();
        loop {
            self.shared.pulse.turn();
            match self.inputs.next().await {
                WorkerInput::RunEnded(run) => self.run_ended(run),
                WorkerInput::MayHaveWork => self.look_for_work(),
                WorkerInput::Claimed(answer) => self.claimed(answer),
                WorkerInput::Stage(stage) => self.entered(stage),
                WorkerInput::GraceOver => self.shared.enter(Stage::Pausing),
                WorkerInput::Beat => self.beat(),
                WorkerInput::Beaten(answer) => self.beaten(answer),
                WorkerInput::BackgroundDone(answers) => self.background_done(answers),
                WorkerInput::Quiet(quiet) => self.be_quiet(quiet),
                WorkerInput::Turn if self.is_store_silent_at_the_end() => {
                    self.give_up_on_the_store();
                    break;
                }
                WorkerInput::Turn => {}
                WorkerInput::Forgotten => break,
            }
            self.end_if_it_can();
            self.answer_if_quiet();
        }
        if self.shared.failure().is_none() {
            self.shared.tell(&WorkerEvent::Over);
        }
    }

    // Executions: claimed, run, ended.

    /// Asks the queue for executions, if there is a free place.
    fn look_for_work(&mut self) {
        let free = self.shared.options.slots().saturating_sub(self.inputs.runs.len());
        let may_claim = self.is_listed && self.shared.stage() == Stage::Working;
        if free == 0 || !may_claim || self.inputs.claim.is_some() {
            return;
        }
        self.inputs.work = None;
        let Shared { installation, options, .. } = &*self.shared;
        let tenants = installation.tenants.active(&options.tenants);
        if tenants.is_empty() {
            return self.wait_for_work(0);
        }
        let wanted = QueueClaim {
            claim: installation.claim(),
            tenants,
            filter: options.filter.clone(),
            limit: u32::try_from(free).unwrap_or(u32::MAX),
        };
        let shared = self.shared.clone();
        self.inputs.claim = Some(Box::pin(async move {
            let Installation { repository, clock, metrics, .. } = &*shared.installation;
            let began = clock.ticks_us();
            let claimed = shared.pulse.asking(Question::Claim, repository.claim_next(&wanted)).await;
            metrics.claimed(clock.ticks_us().saturating_sub(began), claimed.as_ref().ok().map(Vec::len));
            claimed
        }));
    }

    /// Looks again when the queue may have an entry, or after some time.
    fn wait_for_work(&mut self, first_ms: u64) {
        let repository = self.shared.installation.repository.clone();
        self.inputs.work = Some(Box::pin(async move {
            if first_ms > 0 {
                sleep(Duration::from_millis(first_ms)).await;
            }
            repository.wait_for_work(LOOK_MS).await;
        }));
    }

    fn claimed(&mut self, answer: Result<Vec<Claimed>, RepositoryError>) {
        let claimed = match answer {
            Ok(claimed) => claimed,
            Err(error) => {
                self.trouble(error);
                return self.wait_for_work(LOOK_MS);
            }
        };
        if claimed.is_empty() {
            return self.wait_for_work(0);
        }
        if !self.is_listed {
            // The worker is leaving. The leases of these executions end together with its other leases.
            return;
        }
        for claimed in claimed {
            self.begin_run(claimed);
        }
        // If a place is free, the queue may have more entries.
        self.look_for_work();
    }

    fn begin_run(&mut self, claimed: Claimed) {
        let execution = &claimed.execution;
        if let Some(tenant) = self.shared.installation.tenants.get(&execution.tenant) {
            tenant.meters.claimed();
        }
        self.shared.tell(&WorkerEvent::Claimed {
            tenant: execution.tenant.clone(),
            id: execution.id,
            instance: execution.instance.to_string(),
            attempt: execution.attempt,
        });
        self.inputs.runs.spawn(run(self.shared.clone(), claimed));
    }

    fn run_ended(&mut self, run: Option<EndedRun>) {
        if let Some(EndedRun { tenant, id, ended }) = run {
            self.shared.tell(&match ended {
                Ok(execution) => WorkerEvent::Ended { tenant, id, status: execution.status },
                Err(error) => WorkerEvent::Lost { tenant, id, code: error.code(), reason: error.to_string() },
            });
        }
        self.look_for_work();
    }

    // The background: the heartbeat and the services.

    fn beat(&mut self) {
        if self.inputs.heartbeat.is_some() || self.inputs.background.is_some() {
            return;
        }
        let installation = &self.shared.installation;
        let ms_since_beat = installation.clock.ticks_us().saturating_sub(self.last_beat_us) / 1000;
        match self.is_listed && ms_since_beat >= installation.lease_ms / BEATS_PER_LEASE {
            true => self.send_heartbeat(),
            false => self.tick_services(false),
        }
    }

    fn send_heartbeat(&mut self) {
        self.last_beat_us = self.shared.installation.clock.ticks_us();
        self.inputs.heartbeat = Some(Box::pin(heartbeat(self.shared.clone())));
    }

    fn beaten(&mut self, answer: Result<(), RepositoryError>) {
        self.heed(answer);
        self.tell_of_skew();
        if self.inputs.background.is_none() {
            self.tick_services(false);
        }
    }

    /// Starts a tick of all services. Before the first tick, it calls `begin` of each service.
    fn tick_services(&mut self, is_first: bool) {
        let (shared, services) = (self.shared.clone(), self.services.clone());
        self.inputs.background = Some(Box::pin(async move {
            if is_first {
                for service in &services {
                    service.begin().await;
                }
            }
            let mut answers = Vec::with_capacity(services.len());
            for service in services.iter().filter(|service| service.is_due()) {
                answers.push(shared.pulse.asking(Question::Background, service.tick()).await);
            }
            answers
        }));
    }

    fn background_done(&mut self, answers: Vec<Result<Vec<WorkerEvent>, RepositoryError>>) {
        for answer in answers {
            self.heed(answer).iter().flatten().for_each(|event| self.shared.tell(event));
        }
    }

    /// Informs the listener when the difference between this machine's clock and the store's clock changes by
    /// a second or more.
    fn tell_of_skew(&mut self) {
        let Some(skew_ms) = self.shared.installation.clock_skew_ms() else { return };
        let skew_ms = if skew_ms.unsigned_abs() < STEP_MS { 0 } else { skew_ms };
        if self.skew_told_ms.abs_diff(skew_ms) >= STEP_MS {
            self.skew_told_ms = skew_ms;
            self.shared.tell(&WorkerEvent::ClockSkewed { skew_ms });
        }
    }

    // Errors of the store.

    fn heed<T>(&self, answer: Result<T, RepositoryError>) -> Option<T> {
        answer.map_err(|error| self.trouble(error)).ok()
    }

    /// Tries again after an error that may pass, and ends the worker after an error that does not. An error
    /// is final if every question would get the same answer. It is also final if every answer during the time
    /// of a lease was an error, and a person must correct the last one. A single damaged row does not end the
    /// worker, because other questions are answered.
    fn trouble(&self, error: RepositoryError) {
        let shared = &self.shared;
        let is_over = match error.outlook() {
            Outlook::Final => true,
            Outlook::Lasting => shared.pulse.has_failed_for(silent_ms_max(shared.installation.lease_ms)),
            Outlook::Passing => false,
        };
        let (code, reason) = (error.code(), error.to_string());
        if shared.failure().is_some() {
            return;
        }
        if !is_over {
            return shared.tell(&WorkerEvent::Trouble { code, reason });
        }
        self.give_up(error);
        shared.enter(Stage::Pausing);
    }

    fn give_up(&self, error: RepositoryError) {
        let (code, reason) = (error.code(), error.to_string());
        self.shared.failure().get_or_insert(error);
        let running = self.shared.running().len();
        self.shared.tell(&WorkerEvent::GaveUp { code, reason, running });
    }

    // The end, in stages.

    /// Enters a stage of the shutdown: first waits for the grace, then asks running executions to pause.
    fn entered(&mut self, stage: Stage) {
        self.inputs.work = None;
        self.end_if_it_can();
        if stage == Stage::Finishing {
            // The grace begins now, whether or not the store is informed.
            self.inputs.grace = Some(Box::pin(sleep(Duration::from_millis(self.shared.options.grace_ms))));
            if self.is_listed && self.inputs.heartbeat.is_none() {
                self.send_heartbeat();
            }
        } else if stage == Stage::Pausing {
            self.inputs.grace = None;
            self.pausing_since_us = Some(self.shared.installation.clock.ticks_us());
            let running: Vec<_> = self.shared.running().values().cloned().collect();
            self.shared.tell(&WorkerEvent::Pausing { running: running.len() });
            running.iter().for_each(|run| run.request_pause());
        }
    }

    /// When no claim is open, reports that the worker takes no new executions. When nothing runs, removes the
    /// worker from the store.
    fn end_if_it_can(&mut self) {
        if self.shared.stage() == Stage::Working || self.inputs.claim.is_some() {
            return;
        }
        if !self.is_shutting_down {
            self.is_shutting_down = true;
            self.shared.tell(&WorkerEvent::ShuttingDown { running: self.shared.running().len() });
        }
        let is_idle = self.inputs.runs.is_empty() && self.inputs.heartbeat.is_none();
        if is_idle && self.inputs.forgetting.is_none() {
            self.is_listed = false;
            let shared = self.shared.clone();
            self.inputs.forgetting = Some(Box::pin(async move {
                // If the store does not remove the worker, the worker is listed until its last heartbeat is
                // old.
                let _ = shared.installation.repository.forget_worker(shared.name()).await;
            }));
        }
    }

    /// Sends no more heartbeats and claims. Those in progress end first: a heartbeat would list the worker
    /// again, and a claim would take new leases after the others have ended.
    fn be_quiet(&mut self, quiet: Quiet) {
        self.is_listed = false;
        self.leaving = Some(quiet);
    }

    /// Informs a handle that is leaving when nothing is in progress any more.
    fn answer_if_quiet(&mut self) {
        if self.inputs.heartbeat.is_none() && self.inputs.claim.is_none() {
            self.leaving = None;
        }
    }

    /// Whether running executions were asked to pause some time ago, and the store has not answered a
    /// question for too long. Both are checked, because a store that was silent before may answer again.
    fn is_store_silent_at_the_end(&self) -> bool {
        let clock = &self.shared.installation.clock;
        let is_over = |since: u64| clock.ticks_us().saturating_sub(since) / 1000 >= SILENT_AT_END_MS;
        self.pausing_since_us.is_some_and(is_over) && self.shared.pulse.has_waited_for(SILENT_AT_END_MS)
    }

    fn give_up_on_the_store(&self) {
        let store = self.shared.installation.store_called.clone();
        let detail = format!("it has not answered for {} seconds", SILENT_AT_END_MS / 1000);
        self.give_up(RepositoryError::Unavailable { store, detail });
    }
}

/// Reports to the store that the worker is alive, and which executions it takes.
async fn heartbeat(shared: Arc<Shared>) -> Result<(), RepositoryError> {
    let Shared { installation, options, pulse, .. } = &*shared;
    let worker = Registered {
        name: installation.worker.clone(),
        started_at: installation.opened_at,
        seen_at: installation.clock.now(),
        concurrency: u32::try_from(options.concurrency).unwrap_or(u32::MAX),
        filter: options.filter.clone(),
        tenants: options.tenants.clone(),
        is_stopping: shared.stage() > Stage::Working,
        clock_skew_ms: installation.clock_skew_ms(),
    };
    pulse.asking(Question::Beat, installation.repository.worker_beat(&worker)).await
}

/// Runs a claimed execution to its end.
async fn run(shared: Arc<Shared>, claimed: Claimed) -> EndedRun {
    let (tenant, id) = (claimed.execution.tenant.clone(), claimed.execution.id);
    let ended = async {
        let installation = &shared.installation;
        let state = installation.tenants.get(&tenant).ok_or_else(|| Error::UnknownTenant(tenant.clone()))?;
        let here = TenantRef { installation, id: &tenant, state: &state };
        let mut begun = job_lifecycle::run_claimed(here, claimed).await?;
        shared.running().insert(id, begun.run.clone());
        if shared.stage() == Stage::Pausing {
            begun.run.request_pause();
        }
        begun.wait().await
    };
    let ended = ended.await;
    shared.running().remove(&id);
    EndedRun { tenant, id, ended }
}
