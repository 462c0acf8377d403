//! A history in a real store, beside the model of it: each action is done in both, and both must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter, QueueState};
use stepbox_batch::execution::status::BatchStatus::{self, *};
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{
    Checkpoint, Claim, Claimed, ExecutionFilter, Fate, JobExecution, Lease, NewJobExecution, Partition, Save,
    StepExecution,
};
use stepbox_batch::flow::Requests;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{JobRepository, RepositoryError, Result as Answer};

use super::state::{Action, Execution, Model, PARTS};
use crate::sample::{LEASE_MS, all_events, by, claim, in_words, instance, new, step, told, warning};

/// An error says where the store differs from the model.
pub(super) type Agreement<T = ()> = Result<T, String>;

/// The tenants of a world.
const TENANTS: usize = 2;
/// All workers, as bits.
pub(super) const ALL_WORKERS: u8 = u8::MAX;
/// The worker that brings everything to its end.
const LAST_WORKER: usize = 7;

/// Executions of tenants that no other world uses, in a store that may have data of other worlds.
pub(super) struct World<'a> {
    store: &'a dyn JobRepository,
    pub(super) model: Model,
    tenants: Vec<TenantId>,
    /// Each execution as it was accepted.
    accepted: Vec<JobExecution>,
}

fn worker(index: usize) -> String {
    format!("w-{index}")
}

impl<'a> World<'a> {
    pub(super) async fn new(store: &'a dyn JobRepository, model: Model) -> Agreement<Self> {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let mut tenants = Vec::new();
        for index in 0..TENANTS {
            let tenant = TenantId::new(format!("t{number}-{index}")).map_err(|error| error.to_string())?;
            let instance = JobInstance { tenant: tenant.clone(), ..instance("nightly") };
            store.create_instance(&instance, &by(model.now)).await.map_err(|error| error.to_string())?;
            tenants.push(tenant);
        }
        Ok(Self { store, model, tenants, accepted: Vec::new() })
    }

    /// Carries out an action in both, and compares the answers.
    pub(super) async fn perform(&mut self, action: Action) -> Agreement<String> {
        let before = self.model.clone();
        let expected = self.model.act(action);
        let found = self.act(action, &before).await?;
        if found == expected {
            return Ok(found);
        }
        Err(format!("{action:?} is answered `{found}`, and should be `{expected}`, where\n{}", before.told()))
    }

    async fn act(&mut self, action: Action, before: &Model) -> Agreement<String> {
        use Action::*;
        let now = self.model.now;
        let answer = match action {
            Publish { tenant, attempts_max } => {
                let queue = Enqueue { attempts_max, ..Enqueue::at_once(now) };
                self.create(tenant, Some(queue), None, None).await
            }
            Run { tenant, by } => self.create(tenant, None, None, Some(claim(&worker(by), now))).await,
            Restart(index) => {
                let queue = Enqueue { attempts_max: 2, ..Enqueue::at_once(now) };
                let tenant = before.executions[index].tenant;
                self.create(tenant, Some(queue), Some(self.id(index)), None).await
            }
            ClaimNext { tenant, by } => return self.claim_next(tenant, &worker(by)).await,
            Claim { execution, by: name } => {
                let (tenant, id) = self.name(execution);
                told(self.store.claim(tenant, id, &claim(&worker(name), now), &by(now)).await)
            }
            Begin(index) => told(self.save(before, index, Started, false).await),
            Heed(index) => told(self.save(before, index, Stopping, false).await),
            Yield(index) => told(self.save(before, index, Pausing, false).await),
            Rest(index) => told(self.save(before, index, Paused, true).await),
            End(index, status) => told(self.save(before, index, status, true).await),
            Keep(index) => told(self.keep(before, index).await),
            Split(index) => return self.split(before, index).await,
            Beat(index) => {
                let lease = self.lease(index, before.executions[index].token);
                return Ok(match self.store.heartbeat(&lease, now, LEASE_MS).await {
                    Ok(Requests { stop, pause }) => format!("ok, to stop: {stop}, to pause: {pause}"),
                    Err(error) => error.code().to_owned(),
                });
            }
            Late(index) => {
                let lease = self.lease(index, before.executions[index].token - 1);
                told(self.store.save(&lease, Save::default()).await)
            }
            Stop(index) => {
                let (tenant, id) = self.name(index);
                return Ok(match self.store.request_stop(tenant, id, &by(now)).await {
                    Ok(answer) => format!("{answer:?}"),
                    Err(error) => error.code().to_owned(),
                });
            }
            Pause(index) => {
                let (tenant, id) = self.name(index);
                return Ok(match self.store.request_pause(tenant, id, &by(now)).await {
                    Ok(answer) => format!("{answer:?}"),
                    Err(error) => error.code().to_owned(),
                });
            }
            Resume(index) => {
                let (tenant, id) = self.name(index);
                told(self.store.enqueue_paused(tenant, id, &by(now)).await)
            }
            Abandon(index) => {
                let (tenant, id) = self.name(index);
                told(self.store.abandon(tenant, id, &by(now)).await)
            }
            Purge { tenant } => {
                let all = ExecutionFilter::default();
                let purged = self.store.purge(&self.tenants[tenant], &all, &by(now)).await.map_err(failed)?;
                return Ok(format!("{:?}", self.indices(&purged)));
            }
            Lose(_) | Later => told(self.beat_all(before).await),
            Die(index) => told(self.store.expire_leases(&worker(index), now).await),
            Rescue => return self.rescue().await,
        };
        Ok(answer.to_owned())
    }

    async fn create(
        &mut self,
        tenant: usize,
        queue: Option<Enqueue>,
        restart_of: Option<JobExecutionId>,
        claim: Option<Claim>,
    ) -> &'static str {
        let tenant = self.tenants[tenant].clone();
        let new = NewJobExecution { tenant, queue, restart_of, by: by(self.model.now), ..new("nightly") };
        match self.store.create_execution(&new, claim.as_ref()).await {
            Ok((execution, _)) => {
                self.accepted.push(execution);
                "ok"
            }
            Err(error) => error.code(),
        }
    }

    async fn claim_next(&mut self, tenant: usize, worker: &str) -> Agreement<String> {
        let wanted = QueueClaim {
            claim: claim(worker, self.model.now),
            tenants: vec![(self.tenants[tenant].clone(), 1000)],
            filter: QueueFilter::default(),
            limit: 1,
        };
        let claimed = self.store.claim_next(&wanted).await.map_err(failed)?;
        let ids: Vec<_> = claimed.iter().map(|claimed| claimed.execution.id).collect();
        let next = self.indices(&ids).first().copied();
        if let (Some(index), Some(Claimed { lease, .. })) = (next, claimed.first()) {
            let token = self.model.executions[index].token;
            agree(&format!("the token of {index}"), &lease.token, &token)?;
        }
        Ok(format!("{next:?}"))
    }

    async fn save(&self, before: &Model, index: usize, status: BatchStatus, is_last: bool) -> Answer<()> {
        let now = self.model.now;
        let ended_at = status.has_ended().then_some(now);
        let exit_status = ExitStatus::new(status.as_str());
        let step = StepExecution { status, ended_at, exit_status: exit_status.clone(), ..step() };
        let execution =
            JobExecution { status, ended_at, exit_status, updated_at: now, ..self.accepted[index].clone() };
        let lease = self.lease(index, before.executions[index].token);
        let save = Save { execution: Some(&execution), step: Some(&step), is_last, ..Save::default() };
        self.store.save(&lease, save).await
    }

    async fn keep(&self, before: &Model, index: usize) -> Answer<()> {
        let execution = &before.executions[index];
        let step = StepExecution { status: execution.status, ..step() };
        let checkpoint = Checkpoint { reader: vec![execution.checkpoints + 1], ..Checkpoint::default() };
        let warnings = [warning("no name")];
        let save =
            Save { step: Some(&step), checkpoint: Some(&checkpoint), warnings: &warnings, ..Save::default() };
        self.store.save(&self.lease(index, execution.token), save).await
    }

    async fn split(&mut self, before: &Model, index: usize) -> Agreement<String> {
        let queue = Enqueue { attempts_max: 2, ..Enqueue::at_once(self.model.now) };
        let part = |number| NewJobExecution {
            tenant: self.tenants[before.executions[index].tenant].clone(),
            partition: Some(Partition { of: self.id(index), position: 0, number, count: PARTS as u32 }),
            steps: vec![StepExecution { status: Starting, ..step() }],
            queue: Some(queue.clone()),
            ..new("nightly")
        };
        let parts: Vec<_> = (0..PARTS as u32).map(part).collect();
        let lease = self.lease(index, before.executions[index].token);
        if let Err(error) = self.store.create_partitions(&lease, &parts).await {
            return Ok(error.code().to_owned());
        }
        self.accepted.extend(self.parts_of(index).await?);
        Ok("ok".to_owned())
    }

    /// The workers that are alive send a heartbeat at the end of the time that passes.
    async fn beat_all(&self, before: &Model) -> Answer<()> {
        for (index, execution) in self.model.executions.iter().enumerate() {
            if before.executions[index].is_held() && execution.is_held() {
                self.store.heartbeat(&self.lease(index, execution.token), self.model.now, LEASE_MS).await?;
            }
        }
        Ok(())
    }

    /// The watchdog's answer. A part that ended with its whole may be included or not.
    async fn rescue(&self) -> Agreement<String> {
        let rescued = self.store.rescue_lost(self.model.now).await.map_err(failed)?;
        let mut told = Vec::new();
        for lost in rescued {
            let known = self.accepted.iter().position(|execution| execution.id == lost.id);
            let index = known.ok_or_else(|| format!("execution {} of an ended history is lost", lost.id))?;
            let fate = match lost.fate {
                Fate::Requeued(at) => {
                    let entry = self.model.executions[index].entry;
                    agree(
                        &format!("when {index} goes on"),
                        &Some(at),
                        &entry.map(|entry| entry.available_at),
                    )?;
                    "requeued"
                }
                Fate::Stopped => "stopped",
                Fate::Failed => "failed",
                Fate::SetAside => "set aside",
            };
            told.push((index, fate));
        }
        told.sort_unstable();
        Ok(format!("{told:?}"))
    }

    /// Compares everything that can be read from the store with the model.
    pub(super) async fn check(&self) -> Agreement {
        for index in 0..self.accepted.len() {
            self.check_execution(index).await.map_err(|what| format!("execution {index}: {what}"))?;
        }
        for tenant in 0..TENANTS {
            self.check_list(tenant).await?;
        }
        self.check_queue().await?;
        self.check_events().await?;
        self.check_holds().await
    }

    async fn check_execution(&self, index: usize) -> Agreement {
        let (expected, (tenant, id)) = (&self.model.executions[index], self.name(index));
        let found = self.store.execution(tenant, id).await.map_err(failed)?;
        agree("whether it is there", &found.is_some(), &!expected.is_purged)?;
        let entry = self.store.queue_entry(tenant, id).await.map_err(failed)?;
        let warnings = self.store.warnings(tenant, id).await.map_err(failed)?.items;
        let Some(found) = found else {
            return agree("what is left of it", &(entry, warnings), &(None, Vec::new()));
        };
        agree("status", &found.status, &expected.status)?;
        agree("whether it has an end time", &found.ended_at.is_some(), &found.status.has_ended())?;
        agree("attempt", &found.attempt, &expected.attempt)?;
        agree("stop request", &found.stop_requested, &expected.is_to_stop)?;
        agree("pause request", &found.pause_requested, &expected.is_to_pause)?;
        agree("warnings", &warnings.len(), &usize::from(expected.checkpoints))?;
        let step = found.steps.first();
        agree("step", &step.map(|step| step.status), &expected.step)?;
        let is_ended = step.is_some_and(|step| step.ended_at.is_some());
        agree(
            "whether its step has an end time",
            &is_ended,
            &expected.step.is_some_and(BatchStatus::has_ended),
        )?;
        let checkpoint = step.and_then(|step| step.checkpoint.as_ref()).map_or(0, |kept| kept.reader[0]);
        agree("checkpoint", &checkpoint, &expected.checkpoints)?;

        let told = entry.map(|entry| {
            let is_delayed = entry.available_at > self.model.now;
            let (is_claimed, is_paused) =
                (entry.state == QueueState::Claimed, entry.state == QueueState::Paused);
            (is_claimed, is_paused, is_delayed, entry.losses, entry.attempts_max)
        });
        let wanted = expected.entry.map(|entry| {
            let is_delayed = entry.available_at > self.model.now;
            (entry.is_claimed, entry.is_paused, is_delayed, entry.losses, entry.attempts_max)
        });
        agree("its place in the queue (claimed, paused, delayed, losses, attempts)", &told, &wanted)?;
        if told.is_some_and(|(_, _, _, losses, attempts_max)| losses >= attempts_max) {
            return Err("it has cost more workers than it may, and goes on".to_owned());
        }
        Ok(())
    }

    async fn check_list(&self, tenant: usize) -> Agreement {
        let listed = self.store.executions(&self.tenants[tenant], &ExecutionFilter::default()).await;
        let listed: Vec<_> = listed.map_err(failed)?.iter().map(|execution| execution.id).collect();
        let of = |wanted: Option<usize>| {
            let indices = (0..self.accepted.len()).filter(move |index| {
                let execution = &self.model.executions[*index];
                execution.tenant == tenant && execution.part_of == wanted && !execution.is_purged
            });
            indices.rev().collect::<Vec<_>>()
        };
        agree("the list of executions", &self.indices(&listed), &of(None))?;
        for whole in of(None) {
            let parts: Vec<_> = self.parts_of(whole).await?.iter().rev().map(|part| part.id).collect();
            agree("the list of parts", &self.indices(&parts), &of(Some(whole)))?;
        }
        Ok(())
    }

    async fn check_queue(&self) -> Agreement {
        let depths = self.store.queue_depths().await.map_err(failed)?;
        let mut found = [0, 0];
        for depth in depths.iter().filter(|depth| self.tenants.contains(&depth.tenant)) {
            found[usize::from(depth.state == QueueState::Claimed)] += depth.count;
        }
        let mut expected = [0, 0];
        for entry in self.model.executions.iter().filter_map(|execution| execution.entry) {
            expected[usize::from(entry.is_claimed)] += 1;
        }
        agree("how many wait and are claimed", &found, &expected)
    }

    /// The events are exactly those of each life.
    async fn check_events(&self) -> Agreement {
        for (index, tenant) in self.tenants.iter().enumerate() {
            let mut found: BTreeMap<JobExecutionId, Vec<String>> = BTreeMap::new();
            for event in all_events(self.store, Some(tenant)).await {
                found.entry(event.id).or_default().push(in_words(&event.happened));
            }
            let executions = self.model.executions.iter().enumerate();
            let told = executions.filter(|(_, execution)| execution.tenant == index && !execution.is_purged);
            let expected = told.map(|(at, execution)| (self.id(at), execution.events.clone())).collect();
            agree("the events", &found, &expected)?;
        }
        Ok(())
    }

    async fn check_holds(&self) -> Agreement {
        let held = self.store.held(self.model.now).await.map_err(failed)?;
        let of_ours = held.into_iter().filter(|held| self.tenants.contains(&held.tenant));
        let found: BTreeSet<_> = of_ours.map(|held| (held.id, held.worker)).collect();
        let executions = self.model.executions.iter().enumerate();
        let held = executions.filter(|(_, execution)| execution.is_held());
        let expected: BTreeSet<_> = held
            .filter_map(|(index, execution)| Some((self.id(index), worker(execution.hold?.worker))))
            .collect();
        agree("who holds what", &found, &expected)
    }

    /// Brings every execution to its end from any state: all workers are lost, and another one does the rest.
    /// Nothing is left for the worlds that follow.
    pub(super) async fn wind_up(&mut self) -> Agreement {
        self.perform(Action::Lose(ALL_WORKERS)).await?;
        self.perform(Action::Rescue).await?;
        agree("what a second look finds", &self.perform(Action::Rescue).await?, &"[]".to_owned())?;
        let left = (0..self.model.executions.len()).find(|index| self.model.is_left_behind(*index));
        agree("which part outlives its whole", &left, &None)?;
        self.check().await?;
        let is_paused = |execution: &Execution| execution.is_open() && execution.is_to_pause;
        for index in 0..self.model.executions.len() {
            let execution = &self.model.executions[index];
            if is_paused(execution) && execution.part_of.is_none() {
                let resumed = self.perform(Action::Resume(index)).await?;
                agree("whether it can be resumed", &resumed, &"ok".to_owned())?;
            }
        }
        agree("what stays paused", &self.model.executions.iter().position(is_paused), &None)?;
        self.perform(Action::Later).await?;
        for tenant in 0..TENANTS {
            let next = Action::ClaimNext { tenant, by: LAST_WORKER };
            while self.perform(next).await? != "None" {}
        }
        for index in (0..self.model.executions.len()).rev() {
            self.finish(index).await?;
        }
        let is_open = self.model.executions.iter().position(Execution::is_open);
        agree("what never ends", &is_open, &None)?;
        self.check().await
    }

    /// Brings an execution to its end, parts before their wholes.
    async fn finish(&mut self, index: usize) -> Agreement {
        if !self.model.executions[index].is_open() {
            return Ok(());
        }
        if !self.model.executions[index].is_held() {
            // It is in no queue: the process that paused it claims it again by its number.
            let claim = Action::Claim { execution: index, by: LAST_WORKER };
            agree("whether it can be taken up", &self.perform(claim).await?, &"ok".to_owned())?;
        }
        let is_to_stop = self.model.executions[index].is_to_stop;
        self.perform(Action::Begin(index)).await?;
        let end = if is_to_stop { Stopped } else { Completed };
        agree("whether it ends", &self.perform(Action::End(index, end)).await?, &"ok".to_owned())
    }

    async fn parts_of(&self, whole: usize) -> Agreement<Vec<JobExecution>> {
        let (tenant, id) = self.name(whole);
        self.store.partitions(tenant, id).await.map_err(failed)
    }

    fn id(&self, index: usize) -> JobExecutionId {
        self.accepted[index].id
    }

    fn name(&self, index: usize) -> (&TenantId, JobExecutionId) {
        (&self.accepted[index].tenant, self.id(index))
    }

    fn lease(&self, index: usize, token: u64) -> Lease {
        let (tenant, id) = self.name(index);
        Lease { tenant: tenant.clone(), id, token }
    }

    fn indices(&self, ids: &[JobExecutionId]) -> Vec<usize> {
        let index = |id: &JobExecutionId| self.accepted.iter().position(|execution| execution.id == *id);
        ids.iter().map(|id| index(id).unwrap_or(usize::MAX)).collect()
    }
}

/// The message for a call that must not fail, whatever has happened.
fn failed(error: RepositoryError) -> String {
    format!("the store fails: [{}] {error}", error.code())
}

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Agreement {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: the store has {found:?}, the model {expected:?}"))
}
