//! A worker: it takes executions from the queue, runs them, and rescues what other workers lost.
//!
//! ```text
//! working ── shut_down ──▶ finishing ── grace over ──▶ pausing ──▶ ended
//!     ├────────────────────── leave ──────────────────────────────▶ ended
//!     └── the store cannot be worked with ──────────▶ pausing ──▶ ended
//! ```
//!
//! What it pauses waits in the queue again from its checkpoint. What it leaves is lost, and another worker
//! takes it up at once. So is what it runs on a store that cannot be worked with, once its leases have run out.

mod health;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use stepbox_batch::execution::queue::{QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Claim, Fate, JobExecution, Lease, Rescued, Whose};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Listing, Outlook, RepositoryError};
use stepbox_batch::step_context::RunContext;
use stepbox_batch::worker::{Worker as Registered, WorkerStatus};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::error::Error;
use crate::job_lifecycle::BEATS_PER_LEASE;
use crate::listening::tell;
use crate::retention::RETENTION_MS;
use crate::stepbox::{Installation, Stepbox};
use crate::store_clock::{STEP_MS, Step};
use crate::tenant::Running;
use crate::tenants::TenantStanding;
use crate::worker_lock::WorkerLock;
use health::{Pulse, Round, silent_ms_max};
pub use health::{WorkerHealth, WorkerProbe, WorkerProblem};

/// How long a worker waits at most before it looks into the queue again, in milliseconds: entries whose time has
/// come tell nobody.
const LOOK_MS: u64 = 500;
/// How often a worker looks for lost executions, in milliseconds.
pub const RESCUE_MS: u64 = 1_000;
/// How long a worker that ends waits for a store that does not answer, in milliseconds: what runs could not be saved as
/// PAUSED, and goes on elsewhere once its leases have run out.
const SILENT_AT_END_MS: u64 = 5_000;
/// How long a worker that leaves waits for the store to take its leases back, in milliseconds.
const LEAVE_MS: u64 = 2_000;

/// What a worker takes, and how.
#[derive(Clone)]
pub struct WorkerOptions {
    /// How many executions it runs at a time, at least 1.
    pub concurrency: usize,
    /// The tenants that it works for, among those of the installation; empty means all.
    pub tenants: Vec<TenantId>,
    /// What it takes of theirs.
    pub filter: QueueFilter,
    /// How long what runs may go on after a shutdown was asked for before it is paused, in milliseconds.
    pub grace_ms: u64,
    /// Hears of everything that happens.
    pub listener: Option<WorkerListener>,
}

impl Default for WorkerOptions {
    /// As many at a time as there are processors, of all tenants and jobs, with a grace of 5 seconds.
    fn default() -> Self {
        let concurrency = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            concurrency,
            tenants: Vec::new(),
            filter: QueueFilter::default(),
            grace_ms: 5_000,
            listener: None,
        }
    }
}

/// Receives each event as it happens.
pub type WorkerListener = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;

/// Something that happened to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// It began to look into the queue.
    Began {
        /// Its name.
        worker: String,
    },
    /// It runs an execution.
    Claimed {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// Of which instance.
        instance: String,
        /// How many workers have begun it.
        attempt: u32,
    },
    /// An execution ended here, or was handed back as PAUSED.
    Ended {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// How it stands.
        status: BatchStatus,
    },
    /// It no longer runs an execution, which has not ended.
    Lost {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// Why, as a stable code.
        code: &'static str,
        /// Why, for people.
        reason: String,
    },
    /// It dealt with an execution that another worker had lost.
    Rescued(Rescued),
    /// The store does not answer; it tries again.
    Trouble {
        /// As a stable code.
        code: &'static str,
        /// For people.
        reason: String,
    },
    /// The clock of its machine differs from the store's by a second or more, by another difference than before, or no
    /// longer differs. Nothing goes by that clock; whoever reads times there should know.
    ClockSkewed {
        /// By how many milliseconds the machine's clock is ahead; negative if it is behind.
        skew_ms: i64,
    },
    /// The store cannot be worked with, and trying again is no use: it ends, and [`Worker::wait`] says why.
    GaveUp {
        /// As a stable code.
        code: &'static str,
        /// For people.
        reason: String,
        /// How many executions it runs. They are left to others.
        running: usize,
    },
    /// It takes nothing new, and waits for what runs.
    ShuttingDown {
        /// How many executions run.
        running: usize,
    },
    /// The grace is over: what runs is to rest at its next checkpoint.
    Pausing {
        /// How many executions run.
        running: usize,
    },
    /// It has ended in good order.
    Over,
}

/// A worker at work. Dropping it ends it as [`Worker::leave`] does.
pub struct Worker {
    shared: Arc<Shared>,
    task: Option<tokio::task::JoinHandle<()>>,
}

struct Shared {
    installation: Arc<Installation>,
    stepbox: Stepbox,
    options: WorkerOptions,
    /// What runs, with what asks it to pause.
    running: Mutex<BTreeMap<JobExecutionId, Arc<RunContext>>>,
    stage: watch::Sender<Stage>,
    /// Whether it is listed among the workers. Whoever holds this says that it lives, or sees to it that nobody does
    /// so any more.
    is_listed: tokio::sync::Mutex<bool>,
    /// When it was last seen to work.
    pulse: Pulse,
    /// By how much the clock of this machine was ahead of the store's when somebody was told.
    skew_told_ms: AtomicI64,
    /// Why it ends by itself.
    failure: Mutex<Option<RepositoryError>>,
    /// Whether it is the worker of the installation.
    is_the_one: AtomicBool,
}

/// How far a worker is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It takes executions from the queue.
    Working,
    /// It takes nothing new, and lets what runs go on for the grace.
    Finishing,
    /// What runs is to rest at its next checkpoint.
    Pausing,
}

impl Stepbox {
    /// Starts a worker in this process; one at a time for an installation.
    pub async fn start_worker(&self, options: WorkerOptions) -> Result<Worker, Error> {
        let installation = self.installation.clone();
        installation.refuse_unknown(&options.tenants)?;
        if installation.has_worker.swap(true, Ordering::AcqRel) {
            return Err(Error::WorkerExists);
        }
        installation.metrics.has_slots(options.concurrency.max(1));
        let shared = Arc::new(Shared {
            pulse: Pulse::begin(installation.clock.clone()),
            failure: Mutex::default(),
            is_the_one: AtomicBool::new(true),
            stepbox: self.clone(),
            options,
            running: Mutex::default(),
            stage: watch::Sender::new(Stage::Working),
            is_listed: tokio::sync::Mutex::new(true),
            skew_told_ms: AtomicI64::new(0),
            installation,
        });
        if let Err(error) = shared.pulse.asking(Round::Watch, shared.beat()).await {
            shared.installation.has_worker.store(false, Ordering::Release);
            return Err(error.into());
        }
        shared.tell_of_skew();
        let task = tokio::spawn(shared.clone().live());
        Ok(Worker { shared, task: Some(task) })
    }

    /// The workers that live on this store, by name, and what each runs.
    pub async fn workers(&self) -> Result<Listing<WorkerStatus>, Error> {
        let (repository, now) = (&self.installation.repository, self.installation.clock.now());
        let (workers, held) = (repository.workers().await?, repository.held(now).await?);
        let status = |worker: Registered| WorkerStatus {
            // One seen in the future went by a clock that was ahead.
            is_alive: now.0.abs_diff(worker.seen_at.0) < self.installation.lease_ms,
            running: held.iter().filter(|held| held.worker == worker.name).cloned().collect(),
            worker,
        };
        let mut listing = workers.map(status);
        listing.damaged.extend(held.damaged.iter().cloned());
        Ok(listing)
    }
}

impl Worker {
    /// Its name, unique among all processes.
    pub fn name(&self) -> &str {
        &self.shared.installation.worker
    }

    /// How many executions it runs.
    pub fn running(&self) -> usize {
        self.shared.running().len()
    }

    /// Tells how it is, for as long as anybody asks.
    pub fn probe(&self) -> WorkerProbe {
        WorkerProbe(self.shared.clone())
    }

    /// Has it take nothing new, finish what runs within the grace, pause the rest, and end.
    pub fn shut_down(&self) {
        self.shared.enter(Stage::Finishing);
    }

    /// Waits for its end; an error if it ended by itself, since the store cannot be worked with.
    pub async fn wait(&mut self) -> Result<(), Error> {
        if let Some(task) = &mut self.task {
            // It catches what runs there, and has no panics of its own; if it had, it would be over as well.
            let _ = task.await;
            self.task = None;
            self.shared.make_room();
        }
        let failure = self.shared.failure().take();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Leaves at once: the leases of what runs end now, so that another worker goes on from the last
    /// checkpoints. The process should end now, too.
    pub async fn leave(mut self) {
        // A beat that is on its way would list it again.
        let _ = timeout(Duration::from_millis(LEAVE_MS), self.shared.beat_no_more()).await;
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let (repository, now) = (&self.shared.installation.repository, self.shared.installation.clock.now());
        let worker = &self.shared.installation.worker;
        // If the store does not answer, the leases run out by themselves.
        let _ = timeout(Duration::from_millis(LEAVE_MS), repository.expire_leases(worker, now)).await;
        let _ = timeout(Duration::from_millis(LEAVE_MS), repository.forget_worker(worker)).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.shared.make_room();
    }
}

impl Shared {
    async fn live(self: Arc<Self>) {
        self.tell(|| WorkerEvent::Began { worker: self.installation.worker.clone() });
        let watching = tokio::spawn(self.clone().watch());
        let ending = tokio::spawn(self.clone().end_in_stages());
        let _ends_with_this = (AbortOnDrop(watching), AbortOnDrop(ending));
        let mut runs = JoinSet::new();
        while self.stage() == Stage::Working {
            let free = self.options.concurrency.max(1).saturating_sub(runs.len());
            let taken = if free == 0 { 0 } else { self.take(free, &mut runs).await };
            if taken == 0 || taken == free {
                self.pulse.turning(Round::Work, self.rest(free == taken, &mut runs)).await;
            }
            while runs.try_join_next().is_some() {}
        }
        self.tell(|| WorkerEvent::ShuttingDown { running: self.running().len() });
        let ending = async {
            self.pulse.turning(Round::Work, async { while runs.join_next().await.is_some() {} }).await;
            // Listed until it is forgotten, as one that was not heard of.
            let _ = self.pulse.turning(Round::Work, self.forget()).await;
        };
        tokio::select! {
            () = ending => {}
            () = self.silence_at_the_end() => self.give_up_on_the_store(),
        }
        if self.failure().is_none() {
            self.tell(|| WorkerEvent::Over);
        }
    }

    /// Comes back once what runs is to rest, and the store has left a question open for too long.
    async fn silence_at_the_end(&self) {
        let mut stage = self.stage.subscribe();
        let _ = stage.wait_for(|stage| *stage >= Stage::Pausing).await;
        // A store that was silent before may be back.
        sleep(Duration::from_millis(SILENT_AT_END_MS)).await;
        while !self.pulse.has_waited_for(SILENT_AT_END_MS) {
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    fn give_up_on_the_store(&self) {
        let store = self.installation.store_called.clone();
        let detail = format!("it has not answered for {} seconds", SILENT_AT_END_MS / 1000);
        let error = RepositoryError::Unavailable { store, detail };
        let (code, reason, running) = (error.code(), error.to_string(), self.running().len());
        self.failure().get_or_insert(error);
        self.tell(|| WorkerEvent::GaveUp { code, reason, running });
    }

    /// Claims up to so many executions and lets them run; returns how many.
    async fn take(self: &Arc<Self>, free: usize, runs: &mut JoinSet<()>) -> usize {
        let tenants = self.installation.worked_for(&self.options.tenants);
        if tenants.is_empty() {
            return 0;
        }
        let wanted = QueueClaim {
            claim: Claim {
                worker: self.installation.worker.clone(),
                now: self.installation.clock.now(),
                lease_ms: self.installation.lease_ms,
            },
            tenants,
            filter: self.options.filter.clone(),
            limit: u32::try_from(free).unwrap_or(u32::MAX),
        };
        let began = self.installation.clock.ticks_us();
        let question = self.installation.repository.claim_next(&wanted);
        let claimed = self.pulse.asking(Round::Work, question).await;
        let us = self.installation.clock.ticks_us().saturating_sub(began);
        self.installation.metrics.claimed(us, claimed.as_ref().ok().map(Vec::len));
        match claimed {
            Ok(claimed) => {
                let taken = claimed.len();
                for claimed in claimed {
                    if let Some(tenant) = self.installation.tenants.get(&claimed.0.tenant) {
                        tenant.meters.claimed();
                    }
                    runs.spawn(self.clone().run(claimed));
                }
                taken
            }
            Err(error) => {
                self.trouble(error);
                self.pulse.turning(Round::Work, sleep(Duration::from_millis(LOOK_MS))).await;
                0
            }
        }
    }

    /// Waits until there may be something to take, or a place for it: a place is free once its run is over, not before.
    async fn rest(&self, is_full: bool, runs: &mut JoinSet<()>) {
        let mut stage = self.stage.subscribe();
        tokio::select! {
            Some(_) = runs.join_next() => {}
            _ = stage.wait_for(|stage| *stage > Stage::Working) => {}
            () = self.installation.repository.wait_for_work(LOOK_MS), if !is_full => {}
        }
    }

    async fn run(self: Arc<Self>, claimed: (JobExecution, Lease)) {
        let (tenant, id) = (claimed.0.tenant.clone(), claimed.0.id);
        self.tell(|| WorkerEvent::Claimed {
            tenant: tenant.clone(),
            id,
            instance: claimed.0.instance.to_string(),
            attempt: claimed.0.attempt,
        });
        let ended = self.clone().run_to_its_end(claimed).await;
        self.running().remove(&id);
        self.tell(|| match ended {
            Ok(execution) => WorkerEvent::Ended { tenant, id, status: execution.status },
            Err(error) => WorkerEvent::Lost { tenant, id, code: error.code(), reason: error.to_string() },
        });
    }

    async fn run_to_its_end(self: Arc<Self>, claimed: (JobExecution, Lease)) -> Result<JobExecution, Error> {
        let id = claimed.0.id;
        let tenant = self.stepbox.tenant(&claimed.0.tenant)?;
        let mut run: Running = tenant.run_claimed(claimed).await?;
        self.running().insert(id, run.run_context());
        if self.stage() == Stage::Pausing {
            run.pause();
        }
        run.wait().await
    }

    /// After a shutdown was asked for: waits for the grace, then has what runs pause.
    async fn end_in_stages(self: Arc<Self>) {
        let mut stage = self.stage.subscribe();
        let _ = stage.wait_for(|stage| *stage > Stage::Working).await;
        let grace = timeout(
            Duration::from_millis(self.options.grace_ms),
            stage.wait_for(|stage| *stage > Stage::Finishing),
        );
        // The grace begins now, whether or not the store hears of it.
        let told = async {
            let _ = self.beat().await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            _ = grace => {}
            () = told => {}
        }
        self.enter(Stage::Pausing);
        let running: Vec<_> = self.running().values().cloned().collect();
        self.tell(|| WorkerEvent::Pausing { running: running.len() });
        for run in running {
            run.request_pause();
        }
    }

    /// Says that this worker lives, and looks for what others lost.
    async fn watch(self: Arc<Self>) {
        let mut every = interval(Duration::from_millis(RESCUE_MS));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = self.installation.clock.clone();
        let (mut last_beat_us, mut last_retention_us) = (clock.ticks_us(), clock.ticks_us());
        // What a process left that was killed at the very end of an execution; nobody waits for it.
        self.pulse.turning(Round::Watch, self.installation.sweep()).await;
        loop {
            self.pulse.turning(Round::Watch, every.tick()).await;
            let ms_since_beat = clock.ticks_us().saturating_sub(last_beat_us) / 1000;
            if ms_since_beat >= self.installation.lease_ms / BEATS_PER_LEASE {
                last_beat_us = clock.ticks_us();
                self.heed(self.pulse.asking(Round::Watch, self.beat()).await);
                self.tell_of_skew();
            }
            if clock.ticks_us().saturating_sub(last_retention_us) / 1000 >= RETENTION_MS {
                last_retention_us = clock.ticks_us();
                self.pulse.turning(Round::Watch, self.installation.drop_old_events()).await;
            }
            let rescued = self.pulse.asking(Round::Watch, self.installation.rescue_lost()).await;
            for rescued in self.heed(rescued).unwrap_or_default() {
                self.tell(|| WorkerEvent::Rescued(rescued));
            }
        }
    }

    async fn beat(&self) -> Result<(), RepositoryError> {
        let is_listed = self.is_listed.lock().await;
        if !*is_listed {
            return Ok(());
        }
        let now = self.installation.clock.now();
        let worker = Registered {
            name: self.installation.worker.clone(),
            started_at: self.installation.opened_at,
            seen_at: now,
            concurrency: u32::try_from(self.options.concurrency).unwrap_or(u32::MAX),
            filter: self.options.filter.clone(),
            tenants: self.options.tenants.clone(),
            is_stopping: self.stage() > Stage::Working,
            clock_skew_ms: self.installation.clock_skew_ms(),
        };
        self.installation.repository.worker_beat(&worker).await
    }

    /// Says so once each time the clock of this machine differs by another second from the store's.
    fn tell_of_skew(&self) {
        let Some(skew_ms) = self.installation.clock_skew_ms() else { return };
        let skew_ms = if skew_ms.unsigned_abs() < STEP_MS { 0 } else { skew_ms };
        let told = self.skew_told_ms.load(Ordering::Relaxed);
        if told.abs_diff(skew_ms) >= STEP_MS {
            self.skew_told_ms.store(skew_ms, Ordering::Relaxed);
            self.tell(|| WorkerEvent::ClockSkewed { skew_ms });
        }
    }

    /// Another worker may be started, once.
    fn make_room(&self) {
        if self.is_the_one.swap(false, Ordering::AcqRel) {
            self.installation.has_worker.store(false, Ordering::Release);
        }
    }

    async fn beat_no_more(&self) {
        *self.is_listed.lock().await = false;
    }

    async fn forget(&self) -> Result<(), RepositoryError> {
        self.beat_no_more().await;
        self.installation.repository.forget_worker(&self.installation.worker).await
    }

    fn heed<T>(&self, answer: Result<T, RepositoryError>) -> Option<T> {
        answer.map_err(|error| self.trouble(error)).ok()
    }

    /// Tries again what may pass, and ends on what does not: at once if no question can have another answer, or once
    /// each answer for the time of a lease was an error, and the last one is for somebody to mend. One row that is
    /// damaged ends nothing, since other questions are answered.
    fn trouble(&self, error: RepositoryError) {
        let lasts = || self.pulse.has_failed_for(silent_ms_max(self.installation.lease_ms));
        let is_over = match error.outlook() {
            Outlook::Final => true,
            Outlook::Lasting => lasts(),
            Outlook::Passing => false,
        };
        let (code, reason) = (error.code(), error.to_string());
        let mut failure = self.failure();
        if failure.is_some() {
            return;
        }
        if !is_over {
            drop(failure);
            return self.tell(|| WorkerEvent::Trouble { code, reason });
        }
        *failure = Some(error);
        drop(failure);
        self.tell(|| WorkerEvent::GaveUp { code, reason, running: self.running().len() });
        self.enter(Stage::Pausing);
    }

    fn failure(&self) -> MutexGuard<'_, Option<RepositoryError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// There is no way back.
    fn enter(&self, next: Stage) {
        self.stage.send_if_modified(|stage| {
            let is_later = next > *stage;
            *stage = (*stage).max(next);
            is_later
        });
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<JobExecutionId, Arc<RunContext>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: impl FnOnce() -> WorkerEvent) {
        if let Some(listener) = &self.options.listener {
            tell(&**listener, &event());
        }
    }
}

impl Installation {
    /// Removes the working folders of executions that have ended. Processes leave them that are killed after the last
    /// save of an execution; one that has ended never runs again, so no folder of a running one goes.
    pub(crate) async fn sweep(&self) {
        let data = self.data.clone();
        // What cannot be looked at now stays for the next time.
        let found = spawn_blocking(move || data.with_work()).await;
        for id in found.ok().and_then(Result::ok).unwrap_or_default() {
            for (tenant, _) in self.tenants.all() {
                let execution = self.repository.execution(&tenant, id).await;
                if matches!(execution, Ok(Some(execution)) if execution.status.has_ended()) {
                    let _ = self.data.end_execution(id);
                }
            }
        }
    }

    fn refuse_unknown(&self, wanted: &[TenantId]) -> Result<(), Error> {
        match wanted.iter().find(|wanted| self.tenants.get(wanted).is_none()) {
            Some(unknown) => Err(Error::UnknownTenant(unknown.clone())),
            None => Ok(()),
        }
    }

    /// The tenants to work for now, each with how many of its executions may run.
    fn worked_for(&self, wanted: &[TenantId]) -> Vec<(TenantId, u64)> {
        let is_wanted = |id: &TenantId| wanted.is_empty() || wanted.contains(id);
        let tenants = self.tenants.all().into_iter();
        let tenants =
            tenants.filter(|(id, state)| is_wanted(id) && state.standing() == TenantStanding::Active);
        tenants.map(|(id, state)| (id, state.policy().quotas.running_max as u64)).collect()
    }

    /// By how many milliseconds the clock of this machine is ahead of the store's; none if somebody gave another one.
    pub(crate) fn clock_skew_ms(&self) -> Option<i64> {
        self.store_clock.as_ref().map(|clock| clock.skew_ms())
    }

    /// Asks the store what time it is, and goes by that from now on. Returns whether its clock was set.
    pub(crate) async fn look_at_clock(&self) -> Result<Option<Step>, RepositoryError> {
        let Some(clock) = &self.store_clock else { return Ok(None) };
        Ok(clock.look(self.repository.as_ref(), self.lease_ms).await?.step)
    }

    /// Deals with what dead workers have left behind before this process was there. A clock may have been set
    /// meanwhile: leases that were written in the future are cut, and workers of this machine that live are spared,
    /// who will say so themselves.
    pub(crate) async fn begin_with_what_was_lost(&self) -> Result<(), RepositoryError> {
        let mut whose = Whose::All;
        if self.store_clock.is_some() {
            // Two machines' clocks agree to the millisecond by chance only.
            self.repository.cut_leases(self.clock.now().plus_ms(STEP_MS)).await?;
            if self.repository.store_now().await?.is_none() {
                let (living, _) = WorkerLock::all(&self.data.workers()).unwrap_or_default();
                whose = Whose::AllBut(living);
            }
        }
        self.bury().await?;
        self.rescue(whose).await.map(drop)
    }

    /// Deals with what dead workers have left behind: those of this machine as soon as they are dead, others
    /// once their leases have run out. What time it is, the store says right before.
    ///
    /// If its clock was set, nobody's lease tells whether he lives until he had the time for a heartbeat.
    pub(crate) async fn rescue_lost(&self) -> Result<Vec<Rescued>, RepositoryError> {
        let mut is_quiet = false;
        if let Some(clock) = &self.store_clock {
            if self.look_at_clock().await? == Some(Step::Back) {
                self.repository.cut_leases(self.clock.now()).await?;
            }
            is_quiet = clock.is_quiet();
        }
        let dead = self.bury().await?;
        match is_quiet {
            true if dead.is_empty() => Ok(Vec::new()),
            true => self.rescue(Whose::Only(dead)).await,
            false => self.rescue(Whose::All).await,
        }
    }

    /// Ends the leases of workers of this machine that are dead, and forgets them. Returns who they were.
    async fn bury(&self) -> Result<Vec<String>, RepositoryError> {
        let workers = self.data.workers();
        // Without the folder, the leases tell it, only later.
        let dead = WorkerLock::dead(&workers).unwrap_or_default();
        if !dead.is_empty() {
            self.sweep().await;
        }
        for dead in &dead {
            self.repository.expire_leases(dead, self.clock.now()).await?;
            self.repository.forget_worker(dead).await?;
            WorkerLock::forget(&workers, dead);
        }
        Ok(dead)
    }

    async fn rescue(&self, whose: Whose) -> Result<Vec<Rescued>, RepositoryError> {
        let rescued = self.repository.rescue_lost_of(self.clock.now(), &whose).await?;
        for rescued in &rescued {
            self.metrics.rescued(rescued);
            if matches!(rescued.fate, Fate::Stopped | Fate::Failed) {
                // It is over whether or not its folder goes.
                let _ = self.data.end_execution(rescued.id);
            }
        }
        Ok(rescued)
    }
}

/// A task that ends with whoever holds this.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("concurrency", &self.concurrency)
            .field("tenants", &self.tenants)
            .field("filter", &self.filter)
            .field("grace_ms", &self.grace_ms)
            .finish_non_exhaustive()
    }
}
