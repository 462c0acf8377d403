//! The ports of the embedded store. Each method makes records that own their data, and passes them to the writer or
//! a reader, which calls the module of the table. Users and what they come in with are in a file of their own.

mod access;

use async_trait::async_trait;
use futures_util::future::join_all;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::execution::queue::{QueueClaim, QueueDepth, QueueEntry};
use stepbox_batch::execution::rescue::rescued;
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

use super::writer::Durability;
use super::{
    SqliteStore, audit, claim, components, connectors, endings, executions, idempotency, installation,
    instance_rights, instances, leases, outbox, parts, pauses, purging, queue, rescue, steps, submit,
    uploads, views, workers,
};
use crate::record::audit::Trail;
use crate::record::idempotency::KeyRecord;
use crate::record::worker::WorkerRecord;
use crate::record::{stored, stored_id};
use crate::save::{ClaimRecord, ClaimedExecution, LeaseRecord, NewRecord, SaveRecord};

#[async_trait]
impl Installation for SqliteStore {
    async fn installation(&self) -> Result<InstallationId> {
        self.readers.read(installation::get).await
    }

    async fn store_now(&self) -> Result<Option<Timestamp>> {
        // All users of the file are on one machine.
        Ok(None)
    }
}

#[async_trait]
impl Inventory for SqliteStore {
    async fn put_connector(&self, tenant: &TenantId, connector: &Connector, by: &Actor) -> Result<()> {
        let (tenant, connector, by) = (tenant.clone(), connector.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| connectors::put(db, &tenant, &connector, &by)).await
    }

    async fn connectors(&self, tenant: &TenantId) -> Result<Listing<Connector>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| connectors::list(db, &tenant)).await
    }

    async fn remove_connector(&self, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Result<()> {
        let (tenant, code, by) = (tenant.clone(), code.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| connectors::remove(db, &tenant, &code, &by)).await
    }

    async fn put_component(
        &self,
        tenant: &TenantId,
        component: &Component,
        quota: &ComponentQuota,
        by: &Actor,
    ) -> Result<()> {
        let (tenant, component, quota, by) = (tenant.clone(), component.clone(), *quota, by.clone());
        self.writer
            .write(Durability::Power, move |db| components::put(db, &tenant, &component, &quota, &by))
            .await
    }

    async fn components(&self, tenant: &TenantId) -> Result<Listing<Component>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| components::list(db, &tenant)).await
    }

    async fn remove_component(&self, tenant: &TenantId, digest: &Digest, by: &Actor) -> Result<bool> {
        let (tenant, digest, by) = (tenant.clone(), digest.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| components::remove(db, &tenant, &digest, &by)).await
    }
}

#[async_trait]
impl Instances for SqliteStore {
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<JobInstance> {
        let (instance, by) = (instance.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| instances::create(db, &instance, &by)).await
    }

    async fn copy_instance(
        &self,
        copy: &JobInstance,
        original: &InstanceCode,
        by: &Actor,
    ) -> Result<JobInstance> {
        let (copy, original, by) = (copy.clone(), original.clone(), by.clone());
        let copied = move |db: &_| instance_rights::copy(db, &copy, &original, &by);
        self.writer.write(Durability::Power, copied).await
    }

    async fn update_instance(
        &self,
        instance: &JobInstance,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<JobInstance> {
        let (instance, by) = (instance.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| instances::update(db, &instance, expected, &by)).await
    }

    async fn delete_instance(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<()> {
        let (tenant, code, by) = (tenant.clone(), code.clone(), by.clone());
        let work = move |db: &_| instances::delete(db, &tenant, &code, expected, &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>> {
        let (tenant, code) = (tenant.clone(), code.clone());
        self.readers.read(move |db| instances::get(db, &tenant, &code)).await
    }

    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>> {
        let (tenant, job_type) = (tenant.clone(), job_type.map(str::to_owned));
        self.readers.read(move |db| instances::list(db, &tenant, job_type.as_deref())).await
    }

    async fn instance_history(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
    ) -> Result<Listing<InstanceVersion>> {
        let (tenant, code) = (tenant.clone(), code.clone());
        self.readers.read(move |db| instances::history(db, &tenant, &code)).await
    }
}

#[async_trait]
impl Executions for SqliteStore {
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)> {
        let mut execution = new.accepted(claim);
        let (record, claim) = (NewRecord::from(&execution), claim.map(ClaimRecord::from));
        let (new, is_claimed, is_queued) = (new.clone(), claim.is_some(), new.queue.is_some());
        execution.id = self
            .writer
            .write(Durability::Power, move |db| submit::create(db, &new, &record, claim.as_ref()))
            .await?;
        if is_queued {
            self.wake.now();
        }
        let lease = Lease { tenant: execution.tenant.clone(), id: execution.id, token: 1 };
        Ok((execution, is_claimed.then_some(lease)))
    }

    async fn create_executions(&self, new: &[NewJobExecution]) -> Result<Vec<Result<JobExecutionId>>> {
        let executions: Vec<_> =
            new.iter().map(|new| (new.clone(), NewRecord::from(&new.accepted(None)))).collect();
        let answers =
            self.writer.write(Durability::Power, move |db| submit::create_each(db, &executions)).await?;
        self.wake.now();
        Ok(answers)
    }

    async fn published_before(
        &self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<JobExecutionId>> {
        let key = KeyRecord::new(tenant, idempotency, now);
        self.readers.read(move |db| idempotency::first(db, &key)).await
    }

    async fn drop_keys(&self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        while self.readers.read(move |db| idempotency::has_old_ones(db, before)).await? {
            gone +=
                self.writer.write(Durability::Process, move |db| idempotency::drop_some(db, before)).await?;
        }
        Ok(gone)
    }

    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest> {
        let (tenant, by) = (tenant.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| endings::request_stop(db, &tenant, id, &by)).await
    }

    async fn request_pause(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<PauseRequest> {
        let (tenant, by) = (tenant.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| pauses::request(db, &tenant, id, &by)).await
    }

    async fn enqueue_paused(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        let (tenant, by) = (tenant.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| pauses::enqueue(db, &tenant, id, &by)).await?;
        self.wake.now();
        Ok(())
    }

    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        let (tenant, by) = (tenant.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| endings::abandon(db, &tenant, id, &by)).await
    }

    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| executions::get(db, &tenant, id)).await
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.readers.read(move |db| executions::list(db, &tenant, &filter)).await
    }

    async fn count_executions(&self, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Result<u64> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.readers.read(move |db| executions::count(db, &tenant, &filter, max)).await
    }

    async fn remains(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<Remains>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| executions::remains(db, &tenant, id)).await
    }

    async fn ancestry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Vec<Ancestor>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| executions::ancestry(db, &tenant, id)).await
    }

    async fn warnings(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Listing<Warning>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| steps::warnings(db, &tenant, id)).await
    }

    async fn some_warnings(
        &self,
        tenant: &TenantId,
        id: JobExecutionId,
        skip: u64,
        limit: u32,
    ) -> Result<Listing<Warning>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| steps::some_warnings(db, &tenant, id, skip, limit)).await
    }

    async fn purgeable(&self, tenant: &TenantId, filter: &ExecutionFilter) -> Result<Vec<Purgeable>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.readers.read(move |db| purging::purgeable(db, &tenant, &filter)).await
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        by: &Actor,
    ) -> Result<Vec<JobExecutionId>> {
        let (tenant, filter, by) = (tenant.clone(), filter.clone(), by.clone());
        let work = move |db: &_| purging::purge(db, &tenant, &filter, &by);
        let purged = self.writer.write(Durability::Power, work).await?;
        self.give_back_room().await?;
        Ok(purged)
    }
}

#[async_trait]
impl Parts for SqliteStore {
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()> {
        let lease = LeaseRecord::from(lease);
        let parts: Vec<_> =
            parts.iter().map(|new| (new.clone(), NewRecord::from(&new.accepted(None)))).collect();
        self.writer.write(Durability::Power, move |db| submit::create_partitions(db, &lease, &parts)).await?;
        self.wake.now();
        Ok(())
    }

    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| parts::whole(db, &tenant, of)).await
    }

    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| parts::states(db, &tenant, of, position)).await
    }
}

#[async_trait]
impl ExecutionJournal for SqliteStore {
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<Requests> {
        let (lease, end) = (LeaseRecord::from(lease), now.plus_ms(lease_ms));
        self.writer.write(Durability::Power, move |db| leases::heartbeat(db, &lease, now.0, end.0)).await
    }

    async fn requests(&self, lease: &Lease) -> Result<Requests> {
        let lease = LeaseRecord::from(lease);
        self.readers.read(move |db| leases::requests(db, &lease)).await
    }

    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()> {
        let (lease, record, is_last) = (LeaseRecord::from(lease), SaveRecord::from(save), save.is_last);
        self.writer.write(Durability::Power, move |db| leases::save(db, &lease, &record)).await?;
        if is_last {
            // The save may have made room for another entry, or its own entry may wait again.
            self.wake.now();
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
        self.writer
            .write(Durability::Process, move |db| {
                leases::save_tracking(db, &lease, position, tracking.into(), now.0)
            })
            .await
    }
}

#[async_trait]
impl JobQueue for SqliteStore {
    async fn claim_next(&self, wanted: &QueueClaim) -> Result<Vec<Claimed>> {
        let QueueClaim { claim, tenants, filter, limit } = wanted.clone();
        // The check for work does not need the writer.
        if limit == 0 || !self.readers.read(move |db| queue::has_work(db, claim.now.0)).await? {
            return Ok(Vec::new());
        }
        let claim = ClaimRecord::from(&wanted.claim);
        let claimed =
            self.writer.write(Durability::Power, move |db| claim::next(db, &claim, &tenants, &filter, limit));
        Ok(claimed.await?.into_iter().map(ClaimedExecution::with_lease).collect())
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.wake.wait(timeout_ms).await;
    }

    async fn queue_entry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<QueueEntry>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| queue::entry(db, &tenant, stored_id(id))).await
    }

    async fn queue_depths(&self) -> Result<Vec<QueueDepth>> {
        self.readers.read(queue::depths).await
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease> {
        let (owner, claim, by) = (tenant.clone(), ClaimRecord::from(claim), by.clone());
        let token = self
            .writer
            .write(Durability::Power, move |db| claim::by_number(db, &owner, id, &claim, &by))
            .await?;
        Ok(Lease { tenant: tenant.clone(), id, token })
    }

    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()> {
        let (worker, asked) = (worker.to_owned(), worker.to_owned());
        // Most processes leave no leases, and each command asks for the processes before it.
        if !self.readers.read(move |db| leases::has_any(db, &asked, now.0)).await? {
            return Ok(());
        }
        self.writer.write(Durability::Power, move |db| leases::expire(db, &worker, now.0)).await
    }

    async fn cut_leases(&self, now: Timestamp) -> Result<()> {
        // Each command checks this when it opens the store, and most commands only read.
        if !self.readers.read(move |db| leases::has_future(db, now.0)).await? {
            return Ok(());
        }
        self.writer.write(Durability::Power, move |db| leases::cut(db, now.0)).await
    }

    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>> {
        let lost = self.readers.read(move |db| rescue::lost(db, now)).await?;
        // The requests reach the writer in this order, and share its commits.
        let lost = lost.into_iter().filter(|(_, _, worker)| whose.takes(worker));
        let rescues = lost.map(|(tenant, id, _)| {
            self.writer.write(Durability::Power, move |db| rescue::rescue(db, &tenant, id, now))
        });
        let rescued = rescued(join_all(rescues).await)?;
        if !rescued.is_empty() {
            self.wake.now();
        }
        Ok(rescued)
    }
}

#[async_trait]
impl Workers for SqliteStore {
    async fn worker_beat(&self, worker: &Worker) -> Result<()> {
        let worker = WorkerRecord::from(worker);
        self.writer.write(Durability::Process, move |db| workers::beat(db, &worker)).await
    }

    async fn forget_worker(&self, name: &str) -> Result<()> {
        let (name, asked) = (name.to_owned(), name.to_owned());
        // Most processes were never listed, and each command removes the processes before it.
        if !self.readers.read(move |db| workers::is_listed(db, &asked)).await? {
            return Ok(());
        }
        self.writer.write(Durability::Process, move |db| workers::forget(db, &name)).await
    }

    async fn workers(&self) -> Result<Listing<Worker>> {
        self.readers.read(workers::list).await
    }

    async fn held(&self, now: Timestamp) -> Result<Listing<Held>> {
        self.readers.read(move |db| workers::held(db, now)).await
    }
}

#[async_trait]
impl AuditTrail for SqliteStore {
    async fn record(&self, tenant: &TenantId, deed: &Deed, by: &Actor) -> Result<()> {
        self.record_in(Some(tenant), deed, by).await
    }

    async fn audit(&self, tenant: &TenantId, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        self.audit_in(Some(tenant), filter).await
    }

    async fn purge_audit(&self, tenant: &TenantId, before: Timestamp, by: &Actor) -> Result<u64> {
        self.purge_audit_in(Some(tenant), before, by).await
    }

    async fn record_of_installation(&self, deed: &Deed, by: &Actor) -> Result<()> {
        self.record_in(None, deed, by).await
    }

    async fn audit_of_installation(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        self.audit_in(None, filter).await
    }

    async fn purge_audit_of_installation(&self, before: Timestamp, by: &Actor) -> Result<u64> {
        self.purge_audit_in(None, before, by).await
    }
}

/// The audit trails of tenants, and that of the installation.
impl SqliteStore {
    async fn record_in(&self, tenant: Option<&TenantId>, deed: &Deed, by: &Actor) -> Result<()> {
        let (tenant, deed, by) = (tenant.cloned(), deed.clone(), by.clone());
        let work = move |db: &_| audit::append(db, Trail::of(tenant.as_ref()), &deed, &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn audit_in(&self, tenant: Option<&TenantId>, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        let (tenant, filter) = (tenant.cloned(), filter.clone());
        self.readers.read(move |db| audit::list(db, Trail::of(tenant.as_ref()), &filter)).await
    }

    async fn purge_audit_in(&self, tenant: Option<&TenantId>, before: Timestamp, by: &Actor) -> Result<u64> {
        let (mut gone, mut after, mut is_first) = (0, 0, true);
        loop {
            let owner = tenant.cloned();
            let look = move |db: &_| audit::old_ones(db, Trail::of(owner.as_ref()), before, after);
            let last = self.readers.read(look).await?;
            if last.is_none() && !is_first {
                break;
            }
            let (owner, by, range) = (tenant.cloned(), by.clone(), (after, last.unwrap_or(after)));
            let work = move |db: &_| audit::purge(db, Trail::of(owner.as_ref()), before, range, &by);
            let together = self.writer.write(Durability::Power, work).await?;
            (gone, after, is_first) = (gone + together, range.1, false);
            if together < EVENTS_PURGED_TOGETHER.into() {
                break;
            }
        }
        self.give_back_room().await?;
        Ok(gone)
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn events_after(
        &self,
        tenant: Option<&TenantId>,
        after: EventNumber,
        limit: u32,
    ) -> Result<EventPage> {
        let tenant = tenant.cloned();
        self.readers.read(move |db| outbox::after(db, tenant.as_ref(), after, limit)).await
    }

    async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        self.wake.wait_until(timeout_ms, |db| Ok(outbox::last(db)? > stored(after.0))).await;
    }

    async fn checkpointed(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Listing<Checkpointed>> {
        let tenant = tenant.cloned();
        self.readers.read(move |db| outbox::checkpointed(db, tenant.as_ref(), since, limit)).await
    }

    async fn drop_events(&self, before: Timestamp, kept_max: u64) -> Result<u64> {
        let mut gone = 0;
        while let Some(last) = self.readers.read(move |db| outbox::old_ones(db, before, kept_max)).await? {
            gone += self.writer.write(Durability::Process, move |db| outbox::drop_up_to(db, last)).await?;
        }
        if gone > 0 {
            self.give_back_room().await?;
        }
        Ok(gone)
    }
}

#[async_trait]
impl Uploads for SqliteStore {
    async fn begin_file(&self, file: &UploadedFile, quota: &FileQuota) -> Result<()> {
        let (file, quota) = (file.clone(), *quota);
        self.writer.write(Durability::Power, move |db| uploads::begin(db, &file, &quota)).await
    }

    async fn complete_file(&self, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Result<()> {
        let (file, quota, by) = (file.clone(), *quota, by.clone());
        self.writer.write(Durability::Power, move |db| uploads::complete(db, &file, &quota, &by)).await
    }

    async fn file(&self, tenant: &TenantId, id: &FileId) -> Result<Option<UploadedFile>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.readers.read(move |db| uploads::get(db, &tenant, &id)).await
    }

    async fn files(&self, tenant: &TenantId) -> Result<Listing<UploadedFile>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| uploads::list(db, &tenant)).await
    }

    async fn file_usage(&self, tenant: &TenantId) -> Result<FileUsage> {
        let tenant = tenant.clone();
        self.readers.read(move |db| uploads::usage(db, &tenant)).await
    }

    async fn retire_file(&self, tenant: &TenantId, id: &FileId, by: &Actor) -> Result<()> {
        let (tenant, id, by) = (tenant.clone(), id.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| uploads::retire(db, &tenant, &id, &by)).await
    }

    async fn retire_files(&self, now: Timestamp) -> Result<Vec<(TenantId, FileId)>> {
        if !self.readers.read(move |db| uploads::has_old_ones(db, now)).await? {
            return Ok(Vec::new());
        }
        self.writer.write(Durability::Power, move |db| uploads::retire_old(db, now)).await
    }

    async fn forget_file(&self, tenant: &TenantId, id: &FileId) -> Result<()> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.writer.write(Durability::Power, move |db| uploads::forget(db, &tenant, &id)).await
    }

    async fn is_known_file(&self, tenant: &TenantId, id: &FileId) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.readers.read(move |db| uploads::is_known(db, &tenant, &id)).await
    }
}

#[async_trait]
impl SavedViews for SqliteStore {
    async fn views(&self, tenant: &TenantId, user: &UserName) -> Result<Vec<SavedView>> {
        let (tenant, user) = (tenant.clone(), user.clone());
        self.readers.read(move |db| views::list(db, &tenant, &user)).await
    }

    async fn put_view(&self, tenant: &TenantId, user: &UserName, view: &SavedView) -> Result<()> {
        let (tenant, user, view) = (tenant.clone(), user.clone(), view.clone());
        self.writer.write(Durability::Power, move |db| views::put(db, &tenant, &user, &view)).await
    }

    async fn remove_view(&self, tenant: &TenantId, user: &UserName, name: &str) -> Result<()> {
        let (tenant, user, name) = (tenant.clone(), user.clone(), name.to_owned());
        self.writer.write(Durability::Power, move |db| views::remove(db, &tenant, &user, &name)).await
    }
}

/// How many pages are given back to the disk in one transaction: 4 MB.
const PAGES_GIVEN_BACK: u32 = 1000;

impl SqliteStore {
    /// Gives the space of deleted rows back to the disk, in small transactions.
    async fn give_back_room(&self) -> Result<()> {
        let give_back = |db: &_| purging::give_back_room(db, PAGES_GIVEN_BACK);
        while self.writer.write(Durability::Process, give_back).await? {}
        Ok(())
    }
}
