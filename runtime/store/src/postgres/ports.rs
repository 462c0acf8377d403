//! The ports of the store for many machines. Each method makes records and calls the module of its table, which
//! does the work on a connection. Users and what they come in with are in a file of their own.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::execution::queue::{QueueClaim, QueueDepth, QueueEntry};
use stepbox_batch::execution::rescue::rescued;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    Ancestor, Claim, Claimed, ExecutionFilter, ExecutionSummary, Idempotency, JobExecution, Lease,
    NewJobExecution, PartitionState, PauseRequest, Purgeable, Remains, Rescued, Save, StopRequest, Tracking,
    Warning, Whose,
};
use stepbox_batch::flow::Requests;
use stepbox_batch::inventory::{Component, Connector};
use stepbox_batch::job::{InstanceVersion, JobInstance};
use stepbox_batch::name::{
    ConnectorCode, Digest, InstallationId, InstanceCode, JobExecutionId, TenantId, UserName,
};
use stepbox_batch::ports::{
    AuditTrail, EVENTS_PURGED_TOGETHER, EventPage, ExecutionJournal, Executions, Installation, Instances,
    Inventory, JobQueue, Leases, Listing, Outbox, Parts, Result, SavedViews, Uploads, Workers,
};
use stepbox_batch::saved_view::SavedView;
use stepbox_batch::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};
use stepbox_batch::worker::{Held, Worker};
use tokio::time::Instant;

use super::connection::{self, Db};
use super::saves::REPEATS_MAX;
use super::trouble::{Outcome, Remedy, explained};
use super::{
    PostgresStore, aside, audit, claim, components, connectors, endings, executions, idempotency,
    installation, instance_rights, instances, leases, outbox, parts, pauses, purging, queue, rescue, steps,
    submit, uploads, views, workers,
};
use crate::record::audit::Trail;
use crate::record::idempotency::KeyRecord;
use crate::record::stored_id;
use crate::record::worker::WorkerRecord;
use crate::save::{ClaimRecord, ClaimedExecution, LeaseRecord, NewRecord, SaveRecord};

/// How often a waiting reader looks for events of other processes. Ends and new entries of this process wake the
/// reader at once.
const EVENTS_LOOK: Duration = Duration::from_millis(250);
/// How many executions are rescued at the same time.
const RESCUES_AT_A_TIME: usize = 4;

/// Work on a connection that is one statement, or that ends its own transaction.
macro_rules! work {
    ($self:ident, |$db:ident| $work:expr) => {
        again!($self, |session| {
            let $db: &Db = &session;
            let outcome = $work.await;
            session.settle(outcome)
        })
    };
}

/// Work in a transaction.
macro_rules! transaction {
    ($self:ident, |$db:ident| $work:expr) => {
        again!($self, |session| {
            session.run("BEGIN").await?;
            let $db: &Db = &session;
            let outcome = $work.await;
            session.end(outcome).await
        })
    };
}

/// Works on a connection. Tries again if other transactions were in the way.
macro_rules! again {
    ($self:ident, |$session:ident| $work:block) => {{
        let mut repeats = 0;
        loop {
            let outcome = async {
                let $session = $self.connections.get().await?;
                $work
            };
            match outcome.await {
                Err(trouble) if trouble.remedy() == Remedy::Repeat && repeats < REPEATS_MAX => repeats += 1,
                outcome => break explained(outcome, &$self.name),
            }
        }
    }};
}

/// Looks something up. Tries again on another connection if the first was broken, because it may have been broken
/// for a long time.
macro_rules! look {
    ($self:ident, |$db:ident| $work:expr) => {{
        let mut is_first = true;
        loop {
            let outcome: Outcome<_> = async {
                let session = $self.connections.get().await?;
                let $db: &Db = &session;
                let outcome = $work.await;
                session.settle(outcome)
            }
            .await;
            match outcome {
                Err(trouble) if trouble.remedy() != Remedy::Nothing && is_first => is_first = false,
                outcome => break explained(outcome, &$self.name),
            }
        }
    }};
}

mod access;

#[async_trait]
impl Installation for PostgresStore {
    async fn installation(&self) -> Result<InstallationId> {
        look!(self, |db| installation::get(db))
    }

    async fn store_now(&self) -> Result<Option<Timestamp>> {
        look!(self, |db| connection::now(db)).map(Some)
    }
}

#[async_trait]
impl Inventory for PostgresStore {
    async fn put_connector(&self, tenant: &TenantId, connector: &Connector, by: &Actor) -> Result<()> {
        transaction!(self, |db| connectors::put(db, tenant, connector, by))
    }

    async fn connectors(&self, tenant: &TenantId) -> Result<Listing<Connector>> {
        look!(self, |db| connectors::list(db, tenant))
    }

    async fn remove_connector(&self, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Result<()> {
        transaction!(self, |db| connectors::remove(db, tenant, code, by))
    }

    async fn put_component(
        &self,
        tenant: &TenantId,
        component: &Component,
        quota: &ComponentQuota,
        by: &Actor,
    ) -> Result<()> {
        transaction!(self, |db| components::put(db, tenant, component, quota, by))
    }

    async fn components(&self, tenant: &TenantId) -> Result<Listing<Component>> {
        look!(self, |db| components::list(db, tenant))
    }

    async fn remove_component(&self, tenant: &TenantId, digest: &Digest, by: &Actor) -> Result<bool> {
        transaction!(self, |db| components::remove(db, tenant, digest, by))
    }
}

#[async_trait]
impl Instances for PostgresStore {
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<JobInstance> {
        transaction!(self, |db| instances::create(db, instance, by))
    }

    async fn copy_instance(
        &self,
        copy: &JobInstance,
        original: &InstanceCode,
        by: &Actor,
    ) -> Result<JobInstance> {
        transaction!(self, |db| instance_rights::copy(db, copy, original, by))
    }

    async fn update_instance(
        &self,
        instance: &JobInstance,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<JobInstance> {
        transaction!(self, |db| instances::update(db, instance, expected, by))
    }

    async fn delete_instance(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<()> {
        transaction!(self, |db| instances::delete(db, tenant, code, expected, by))
    }

    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>> {
        look!(self, |db| instances::get(db, tenant, code))
    }

    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>> {
        look!(self, |db| instances::list(db, tenant, job_type))
    }

    async fn instance_history(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
    ) -> Result<Listing<InstanceVersion>> {
        look!(self, |db| instances::history(db, tenant, code))
    }
}

#[async_trait]
impl Executions for PostgresStore {
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)> {
        let mut execution = new.accepted(claim);
        let (record, claim) = (NewRecord::from(&execution), claim.map(ClaimRecord::from));
        let claim = claim.as_ref();
        execution.id = match submit::is_plain(new, claim) {
            true => work!(self, |db| submit::create(db, new, &record, claim))?,
            false => transaction!(self, |db| submit::create(db, new, &record, claim))?,
        };
        if new.queue.is_some() && claim.is_none() {
            self.wake.everywhere(&self.connections).await;
        }
        let lease = Lease { tenant: execution.tenant.clone(), id: execution.id, token: 1 };
        Ok((execution, claim.map(|_| lease)))
    }

    async fn create_executions(&self, new: &[NewJobExecution]) -> Result<Vec<Result<JobExecutionId>>> {
        let executions: Vec<_> = new.iter().map(|new| (new, NewRecord::from(&new.accepted(None)))).collect();
        let answers = transaction!(self, |db| submit::create_each(db, &executions))?;
        self.wake.everywhere(&self.connections).await;
        Ok(answers)
    }

    async fn published_before(
        &self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<JobExecutionId>> {
        let key = KeyRecord::new(tenant, idempotency, now);
        look!(self, |db| idempotency::first(db, &key))
    }

    async fn drop_keys(&self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        loop {
            let together = work!(self, |db| idempotency::drop_some(db, before))?;
            gone += together;
            if together < idempotency::DROPPED_TOGETHER.into() {
                return Ok(gone);
            }
        }
    }

    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest> {
        transaction!(self, |db| endings::request_stop(db, tenant, id, by))
    }

    async fn request_pause(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<PauseRequest> {
        transaction!(self, |db| pauses::request(db, tenant, id, by))
    }

    async fn enqueue_paused(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        transaction!(self, |db| pauses::enqueue(db, tenant, id, by))?;
        self.wake.everywhere(&self.connections).await;
        Ok(())
    }

    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        transaction!(self, |db| endings::abandon(db, tenant, id, by))
    }

    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>> {
        look!(self, |db| executions::get(db, tenant, id))
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>> {
        look!(self, |db| executions::list(db, tenant, filter))
    }

    async fn count_executions(&self, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Result<u64> {
        look!(self, |db| executions::count(db, tenant, filter, max))
    }

    async fn remains(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<Remains>> {
        look!(self, |db| executions::remains(db, tenant, id))
    }

    async fn ancestry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Vec<Ancestor>> {
        look!(self, |db| executions::ancestry(db, tenant, id))
    }

    async fn warnings(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Listing<Warning>> {
        look!(self, |db| steps::warnings(db, tenant, id))
    }

    async fn some_warnings(
        &self,
        tenant: &TenantId,
        id: JobExecutionId,
        skip: u64,
        limit: u32,
    ) -> Result<Listing<Warning>> {
        look!(self, |db| steps::some_warnings(db, tenant, id, skip, limit))
    }

    async fn purgeable(&self, tenant: &TenantId, filter: &ExecutionFilter) -> Result<Vec<Purgeable>> {
        look!(self, |db| purging::purgeable(db, tenant, filter))
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        by: &Actor,
    ) -> Result<Vec<JobExecutionId>> {
        transaction!(self, |db| purging::purge(db, tenant, filter, by))
    }
}

#[async_trait]
impl Parts for PostgresStore {
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()> {
        let lease = LeaseRecord::from(lease);
        let parts: Vec<_> = parts.iter().map(|new| (new, NewRecord::from(&new.accepted(None)))).collect();
        transaction!(self, |db| submit::create_partitions(db, &lease, &parts))?;
        self.wake.everywhere(&self.connections).await;
        Ok(())
    }

    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>> {
        look!(self, |db| parts::whole(db, tenant, of))
    }

    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>> {
        look!(self, |db| parts::states(db, tenant, of, position))
    }
}

#[async_trait]
impl ExecutionJournal for PostgresStore {
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<Requests> {
        let (lease, end) = (LeaseRecord::from(lease), now.plus_ms(lease_ms));
        work!(self, |db| leases::heartbeat(db, &lease, now.0, end.0))
    }

    async fn requests(&self, lease: &Lease) -> Result<Requests> {
        let lease = LeaseRecord::from(lease);
        work!(self, |db| leases::requests(db, &lease))
    }

    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()> {
        self.desk.save(LeaseRecord::from(lease), SaveRecord::from(save)).await?;
        if save.is_last {
            // The save may have made room for another entry, or its own entry may wait again.
            match save.execution {
                Some(execution) if execution.status == BatchStatus::Paused => {
                    self.wake.everywhere(&self.connections).await;
                }
                Some(execution) if execution.job.concurrency.is_some() => {
                    self.wake.everywhere(&self.connections).await;
                }
                _ => self.wake.here(),
            }
        }
        Ok(())
    }

    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()> {
        let lease = LeaseRecord::from(lease);
        work!(self, |db| leases::save_tracking(db, &lease, position, tracking.into(), now.0))
    }
}

#[async_trait]
impl JobQueue for PostgresStore {
    async fn claim_next(&self, wanted: &QueueClaim) -> Result<Vec<Claimed>> {
        let QueueClaim { claim, tenants, filter, limit } = wanted;
        let claim = ClaimRecord::from(claim);
        self.wake.look();
        if *limit == 0 || tenants.is_empty() || !look!(self, |db| queue::has_work(db, claim.now))? {
            return Ok(Vec::new());
        }
        let mut claimed = Vec::new();
        // Claims once more if no entry that was taken could be read. Such executions are set aside, so they are not
        // in the way any more.
        while claimed.is_empty() {
            let (taken, damaged) = work!(self, |db| claim::next(db, &claim, tenants, filter, *limit))?;
            let has_to_make_way = !damaged.is_empty();
            for damaged in damaged {
                let now = wanted.claim.now;
                transaction!(self, |db| aside::set_claimed_aside(db, &damaged, now))?;
            }
            claimed = taken;
            if !has_to_make_way {
                break;
            }
        }
        Ok(claimed.into_iter().map(ClaimedExecution::with_lease).collect())
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.wake.wait(timeout_ms).await;
    }

    async fn queue_entry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<QueueEntry>> {
        look!(self, |db| queue::entry(db, tenant, stored_id(id)))
    }

    async fn queue_depths(&self) -> Result<Vec<QueueDepth>> {
        look!(self, |db| queue::depths(db))
    }
}

#[async_trait]
impl Leases for PostgresStore {
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease> {
        let claim = ClaimRecord::from(claim);
        let token = transaction!(self, |db| claim::by_number(db, tenant, id, &claim, by))?;
        Ok(Lease { tenant: tenant.clone(), id, token })
    }

    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()> {
        work!(self, |db| leases::expire(db, worker, now.0))
    }

    async fn cut_leases(&self, now: Timestamp) -> Result<()> {
        work!(self, |db| leases::cut(db, now.0))
    }

    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>> {
        let mut outcomes = Vec::new();
        // All wholes before the first part.
        for lost in look!(self, |db| rescue::lost(db, now))? {
            let lost = lost.into_iter().filter(|(_, _, worker)| whose.takes(worker));
            let rescues = lost.map(|(tenant, id, _)| async move {
                transaction!(self, |db| rescue::rescue(db, &tenant, id, now))
            });
            outcomes.extend(stream::iter(rescues).buffered(RESCUES_AT_A_TIME).collect::<Vec<_>>().await);
        }
        let rescued = rescued(outcomes)?;
        if !rescued.is_empty() {
            self.wake.everywhere(&self.connections).await;
        }
        Ok(rescued)
    }
}

#[async_trait]
impl Workers for PostgresStore {
    async fn worker_beat(&self, worker: &Worker) -> Result<()> {
        let worker = WorkerRecord::from(worker);
        work!(self, |db| workers::beat(db, &worker))
    }

    async fn forget_worker(&self, name: &str) -> Result<()> {
        work!(self, |db| workers::forget(db, name))
    }

    async fn workers(&self) -> Result<Listing<Worker>> {
        look!(self, |db| workers::list(db))
    }

    async fn held(&self, now: Timestamp) -> Result<Listing<Held>> {
        look!(self, |db| workers::held(db, now))
    }
}

#[async_trait]
impl AuditTrail for PostgresStore {
    async fn record(&self, tenant: &TenantId, deed: &Deed, by: &Actor) -> Result<()> {
        work!(self, |db| audit::append(db, tenant, deed, by))
    }

    async fn audit(&self, tenant: &TenantId, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        look!(self, |db| audit::list(db, Trail::Tenant(tenant), filter))
    }

    async fn purge_audit(&self, tenant: &TenantId, before: Timestamp, by: &Actor) -> Result<u64> {
        self.purge_trail(Trail::Tenant(tenant), before, by).await
    }

    async fn record_of_installation(&self, deed: &Deed, by: &Actor) -> Result<()> {
        work!(self, |db| audit::append(db, Trail::Installation, deed, by))
    }

    async fn audit_of_installation(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        look!(self, |db| audit::list(db, Trail::Installation, filter))
    }

    async fn purge_audit_of_installation(&self, before: Timestamp, by: &Actor) -> Result<u64> {
        self.purge_trail(Trail::Installation, before, by).await
    }
}

impl PostgresStore {
    async fn purge_trail(&self, trail: Trail<'_>, before: Timestamp, by: &Actor) -> Result<u64> {
        let (mut gone, mut is_first) = (0, true);
        loop {
            let together = transaction!(self, |db| audit::purge(db, trail, before, is_first, by))?;
            (gone, is_first) = (gone + together, false);
            if together < EVENTS_PURGED_TOGETHER.into() {
                return Ok(gone);
            }
        }
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn events_after(
        &self,
        tenant: Option<&TenantId>,
        after: EventNumber,
        limit: u32,
    ) -> Result<EventPage> {
        work!(self, |db| outbox::after(db, tenant, after, limit))
    }

    async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            // If the server cannot be reached, only the timeout ends the wait.
            let is_there: Result<bool> = look!(self, |db| outbox::may_be_after(db, after));
            let left = end.saturating_duration_since(Instant::now());
            if is_there.unwrap_or(false) || left.is_zero() {
                return;
            }
            self.wake.hear(left.min(EVENTS_LOOK)).await;
        }
    }

    async fn checkpointed(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Listing<Checkpointed>> {
        look!(self, |db| outbox::checkpointed(db, tenant, since, limit))
    }

    async fn drop_events(&self, before: Timestamp, kept_max: u64) -> Result<u64> {
        let mut gone = 0;
        while look!(self, |db| outbox::has_old_ones(db, before, kept_max))? {
            let together = transaction!(self, |db| outbox::drop_some(db, before, kept_max))?;
            gone += together;
            if together == 0 {
                break;
            }
        }
        Ok(gone)
    }
}

#[async_trait]
impl Uploads for PostgresStore {
    async fn begin_file(&self, file: &UploadedFile, quota: &FileQuota) -> Result<()> {
        transaction!(self, |db| uploads::begin(db, file, quota))
    }

    async fn complete_file(&self, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Result<()> {
        transaction!(self, |db| uploads::complete(db, file, quota, by))
    }

    async fn file(&self, tenant: &TenantId, id: &FileId) -> Result<Option<UploadedFile>> {
        look!(self, |db| uploads::get(db, tenant, id))
    }

    async fn files(&self, tenant: &TenantId) -> Result<Listing<UploadedFile>> {
        look!(self, |db| uploads::list(db, tenant))
    }

    async fn file_usage(&self, tenant: &TenantId) -> Result<FileUsage> {
        look!(self, |db| uploads::usage(db, tenant))
    }

    async fn retire_file(&self, tenant: &TenantId, id: &FileId, by: &Actor) -> Result<()> {
        transaction!(self, |db| uploads::retire(db, tenant, id, by))
    }

    async fn retire_files(&self, now: Timestamp) -> Result<Vec<(TenantId, FileId)>> {
        transaction!(self, |db| uploads::retire_old(db, now))
    }

    async fn forget_file(&self, tenant: &TenantId, id: &FileId) -> Result<()> {
        work!(self, |db| uploads::forget(db, tenant, id))
    }

    async fn is_known_file(&self, tenant: &TenantId, id: &FileId) -> Result<bool> {
        look!(self, |db| uploads::is_known(db, tenant, id))
    }
}

#[async_trait]
impl SavedViews for PostgresStore {
    async fn views(&self, tenant: &TenantId, user: &UserName) -> Result<Vec<SavedView>> {
        look!(self, |db| views::list(db, tenant, user))
    }

    async fn put_view(&self, tenant: &TenantId, user: &UserName, view: &SavedView) -> Result<()> {
        transaction!(self, |db| views::put(db, tenant, user, view))
    }

    async fn remove_view(&self, tenant: &TenantId, user: &UserName, name: &str) -> Result<()> {
        work!(self, |db| views::remove(db, tenant, user, name))
    }
}
