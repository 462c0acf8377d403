//! A store with a listener before it. The listener gets each call before and after the call is made.

mod access;

use async_trait::async_trait;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::execution::queue::{QueueClaim, QueueDepth, QueueEntry};
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
    AuditTrail, EventPage, ExecutionJournal, Executions, Installation, Instances, Inventory, JobQueue,
    JobRepository, Leases, Listing, Outbox, Parts, Result, SavedViews, Uploads, Workers,
};
use stepbox_batch::saved_view::SavedView;
use stepbox_batch::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};
use stepbox_batch::worker::{Held, Worker};

/// A call to the store.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    /// The call changes nothing.
    Read(&'static str),
    /// The call changes something.
    Write(&'static str),
    /// The call is a save by the holder of a lease.
    Save(&'a Lease, Save<'a>),
}

impl Call<'_> {
    /// The method.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read(name) | Self::Write(name) => name,
            Self::Save(..) => "save",
        }
    }
}

/// A listener before a store.
#[async_trait]
pub trait Interposer: Send + Sync + 'static {
    /// Called before a call is made.
    ///
    /// If it returns an error, the caller gets the error, and the store is not called.
    async fn before(&self, call: Call<'_>) -> Result<()>;

    /// Called after a call that succeeded.
    ///
    /// If it returns an error, the caller gets the error instead of the store's answer.
    async fn after(&self, call: Call<'_>) -> Result<()>;
}

/// A store with a listener before it.
#[derive(Debug)]
pub struct Interposed<S, I> {
    /// The store itself.
    pub store: S,
    /// The listener.
    pub interposer: I,
}

impl<S: JobRepository, I: Interposer> Interposed<S, I> {
    async fn around<T>(&self, call: Call<'_>, made: impl Future<Output = Result<T>>) -> Result<T> {
        self.interposer.before(call).await?;
        let answer = made.await?;
        self.interposer.after(call).await?;
        Ok(answer)
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Installation for Interposed<S, I> {
    async fn installation(&self) -> Result<InstallationId> {
        self.around(Call::Read("installation"), self.store.installation()).await
    }

    async fn store_now(&self) -> Result<Option<Timestamp>> {
        self.around(Call::Read("store_now"), self.store.store_now()).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Inventory for Interposed<S, I> {
    async fn put_connector(&self, tenant: &TenantId, connector: &Connector, by: &Actor) -> Result<()> {
        self.around(Call::Write("put_connector"), self.store.put_connector(tenant, connector, by)).await
    }

    async fn connectors(&self, tenant: &TenantId) -> Result<Listing<Connector>> {
        self.around(Call::Read("connectors"), self.store.connectors(tenant)).await
    }

    async fn remove_connector(&self, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Result<()> {
        self.around(Call::Write("remove_connector"), self.store.remove_connector(tenant, code, by)).await
    }

    async fn put_component(
        &self,
        tenant: &TenantId,
        component: &Component,
        quota: &ComponentQuota,
        by: &Actor,
    ) -> Result<()> {
        self.around(Call::Write("put_component"), self.store.put_component(tenant, component, quota, by))
            .await
    }

    async fn components(&self, tenant: &TenantId) -> Result<Listing<Component>> {
        self.around(Call::Read("components"), self.store.components(tenant)).await
    }

    async fn remove_component(&self, tenant: &TenantId, digest: &Digest, by: &Actor) -> Result<bool> {
        self.around(Call::Write("remove_component"), self.store.remove_component(tenant, digest, by)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Instances for Interposed<S, I> {
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<JobInstance> {
        self.around(Call::Write("create_instance"), self.store.create_instance(instance, by)).await
    }

    async fn copy_instance(
        &self,
        copy: &JobInstance,
        original: &InstanceCode,
        by: &Actor,
    ) -> Result<JobInstance> {
        self.around(Call::Write("copy_instance"), self.store.copy_instance(copy, original, by)).await
    }

    async fn update_instance(
        &self,
        instance: &JobInstance,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<JobInstance> {
        let asked = self.store.update_instance(instance, expected, by);
        self.around(Call::Write("update_instance"), asked).await
    }

    async fn delete_instance(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
        expected: Option<u64>,
        by: &Actor,
    ) -> Result<()> {
        let asked = self.store.delete_instance(tenant, code, expected, by);
        self.around(Call::Write("delete_instance"), asked).await
    }

    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>> {
        self.around(Call::Read("instance"), self.store.instance(tenant, code)).await
    }

    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>> {
        self.around(Call::Read("instances"), self.store.instances(tenant, job_type)).await
    }

    async fn instance_history(
        &self,
        tenant: &TenantId,
        code: &InstanceCode,
    ) -> Result<Listing<InstanceVersion>> {
        self.around(Call::Read("instance_history"), self.store.instance_history(tenant, code)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Executions for Interposed<S, I> {
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)> {
        self.around(Call::Write("create_execution"), self.store.create_execution(new, claim)).await
    }

    async fn create_executions(&self, new: &[NewJobExecution]) -> Result<Vec<Result<JobExecutionId>>> {
        self.around(Call::Write("create_executions"), self.store.create_executions(new)).await
    }

    async fn published_before(
        &self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<JobExecutionId>> {
        let asked = self.store.published_before(tenant, idempotency, now);
        self.around(Call::Read("published_before"), asked).await
    }

    async fn drop_keys(&self, before: Timestamp) -> Result<u64> {
        self.around(Call::Write("drop_keys"), self.store.drop_keys(before)).await
    }

    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest> {
        self.around(Call::Write("request_stop"), self.store.request_stop(tenant, id, by)).await
    }

    async fn request_pause(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<PauseRequest> {
        self.around(Call::Write("request_pause"), self.store.request_pause(tenant, id, by)).await
    }

    async fn enqueue_paused(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        self.around(Call::Write("enqueue_paused"), self.store.enqueue_paused(tenant, id, by)).await
    }

    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()> {
        self.around(Call::Write("abandon"), self.store.abandon(tenant, id, by)).await
    }

    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>> {
        self.around(Call::Read("execution"), self.store.execution(tenant, id)).await
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>> {
        self.around(Call::Read("executions"), self.store.executions(tenant, filter)).await
    }

    async fn count_executions(&self, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Result<u64> {
        let asked = self.store.count_executions(tenant, filter, max);
        self.around(Call::Read("count_executions"), asked).await
    }

    async fn remains(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<Remains>> {
        self.around(Call::Read("remains"), self.store.remains(tenant, id)).await
    }

    async fn ancestry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Vec<Ancestor>> {
        self.around(Call::Read("ancestry"), self.store.ancestry(tenant, id)).await
    }

    async fn warnings(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Listing<Warning>> {
        self.around(Call::Read("warnings"), self.store.warnings(tenant, id)).await
    }

    async fn some_warnings(
        &self,
        tenant: &TenantId,
        id: JobExecutionId,
        skip: u64,
        limit: u32,
    ) -> Result<Listing<Warning>> {
        self.around(Call::Read("some_warnings"), self.store.some_warnings(tenant, id, skip, limit)).await
    }

    async fn purgeable(&self, tenant: &TenantId, filter: &ExecutionFilter) -> Result<Vec<Purgeable>> {
        self.around(Call::Read("purgeable"), self.store.purgeable(tenant, filter)).await
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        by: &Actor,
    ) -> Result<Vec<JobExecutionId>> {
        self.around(Call::Write("purge"), self.store.purge(tenant, filter, by)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Parts for Interposed<S, I> {
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()> {
        self.around(Call::Write("create_partitions"), self.store.create_partitions(lease, parts)).await
    }

    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>> {
        self.around(Call::Read("partitions"), self.store.partitions(tenant, of)).await
    }

    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>> {
        let asked = self.store.partition_states(tenant, of, position);
        self.around(Call::Read("partition_states"), asked).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> ExecutionJournal for Interposed<S, I> {
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<Requests> {
        self.around(Call::Write("heartbeat"), self.store.heartbeat(lease, now, lease_ms)).await
    }

    async fn requests(&self, lease: &Lease) -> Result<Requests> {
        self.around(Call::Read("requests"), self.store.requests(lease)).await
    }

    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()> {
        self.around(Call::Save(lease, save), self.store.save(lease, save)).await
    }

    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()> {
        self.around(Call::Write("save_tracking"), self.store.save_tracking(lease, position, tracking, now))
            .await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> JobQueue for Interposed<S, I> {
    async fn claim_next(&self, wanted: &QueueClaim) -> Result<Vec<Claimed>> {
        self.around(Call::Write("claim_next"), self.store.claim_next(wanted)).await
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.store.wait_for_work(timeout_ms).await;
    }

    async fn queue_entry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<QueueEntry>> {
        self.around(Call::Read("queue_entry"), self.store.queue_entry(tenant, id)).await
    }

    async fn queue_depths(&self) -> Result<Vec<QueueDepth>> {
        self.around(Call::Read("queue_depths"), self.store.queue_depths()).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Leases for Interposed<S, I> {
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease> {
        self.around(Call::Write("claim"), self.store.claim(tenant, id, claim, by)).await
    }

    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()> {
        self.around(Call::Write("expire_leases"), self.store.expire_leases(worker, now)).await
    }

    async fn cut_leases(&self, now: Timestamp) -> Result<()> {
        self.around(Call::Write("cut_leases"), self.store.cut_leases(now)).await
    }

    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>> {
        self.around(Call::Write("rescue_lost"), self.store.rescue_lost_of(now, whose)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Workers for Interposed<S, I> {
    async fn worker_beat(&self, worker: &Worker) -> Result<()> {
        self.around(Call::Write("worker_beat"), self.store.worker_beat(worker)).await
    }

    async fn forget_worker(&self, name: &str) -> Result<()> {
        self.around(Call::Write("forget_worker"), self.store.forget_worker(name)).await
    }

    async fn workers(&self) -> Result<Listing<Worker>> {
        self.around(Call::Read("workers"), self.store.workers()).await
    }

    async fn held(&self, now: Timestamp) -> Result<Listing<Held>> {
        self.around(Call::Read("held"), self.store.held(now)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> AuditTrail for Interposed<S, I> {
    async fn record(&self, tenant: &TenantId, deed: &Deed, by: &Actor) -> Result<()> {
        self.around(Call::Write("record"), self.store.record(tenant, deed, by)).await
    }

    async fn audit(&self, tenant: &TenantId, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        self.around(Call::Read("audit"), self.store.audit(tenant, filter)).await
    }

    async fn purge_audit(&self, tenant: &TenantId, before: Timestamp, by: &Actor) -> Result<u64> {
        self.around(Call::Write("purge_audit"), self.store.purge_audit(tenant, before, by)).await
    }

    async fn record_of_installation(&self, deed: &Deed, by: &Actor) -> Result<()> {
        let recorded = self.store.record_of_installation(deed, by);
        self.around(Call::Write("record_of_installation"), recorded).await
    }

    async fn audit_of_installation(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>> {
        let listed = self.store.audit_of_installation(filter);
        self.around(Call::Read("audit_of_installation"), listed).await
    }

    async fn purge_audit_of_installation(&self, before: Timestamp, by: &Actor) -> Result<u64> {
        let purged = self.store.purge_audit_of_installation(before, by);
        self.around(Call::Write("purge_audit_of_installation"), purged).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Outbox for Interposed<S, I> {
    async fn events_after(
        &self,
        tenant: Option<&TenantId>,
        after: EventNumber,
        limit: u32,
    ) -> Result<EventPage> {
        self.around(Call::Read("events_after"), self.store.events_after(tenant, after, limit)).await
    }

    async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        self.store.wait_for_events(after, timeout_ms).await;
    }

    async fn checkpointed(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Listing<Checkpointed>> {
        self.around(Call::Read("checkpointed"), self.store.checkpointed(tenant, since, limit)).await
    }

    async fn drop_events(&self, before: Timestamp, kept_max: u64) -> Result<u64> {
        self.around(Call::Write("drop_events"), self.store.drop_events(before, kept_max)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Uploads for Interposed<S, I> {
    async fn begin_file(&self, file: &UploadedFile, quota: &FileQuota) -> Result<()> {
        self.around(Call::Write("begin_file"), self.store.begin_file(file, quota)).await
    }

    async fn complete_file(&self, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Result<()> {
        self.around(Call::Write("complete_file"), self.store.complete_file(file, quota, by)).await
    }

    async fn file(&self, tenant: &TenantId, id: &FileId) -> Result<Option<UploadedFile>> {
        self.around(Call::Read("file"), self.store.file(tenant, id)).await
    }

    async fn files(&self, tenant: &TenantId) -> Result<Listing<UploadedFile>> {
        self.around(Call::Read("files"), self.store.files(tenant)).await
    }

    async fn file_usage(&self, tenant: &TenantId) -> Result<FileUsage> {
        self.around(Call::Read("file_usage"), self.store.file_usage(tenant)).await
    }

    async fn retire_file(&self, tenant: &TenantId, id: &FileId, by: &Actor) -> Result<()> {
        self.around(Call::Write("retire_file"), self.store.retire_file(tenant, id, by)).await
    }

    async fn retire_files(&self, now: Timestamp) -> Result<Vec<(TenantId, FileId)>> {
        self.around(Call::Write("retire_files"), self.store.retire_files(now)).await
    }

    async fn forget_file(&self, tenant: &TenantId, id: &FileId) -> Result<()> {
        self.around(Call::Write("forget_file"), self.store.forget_file(tenant, id)).await
    }

    async fn is_known_file(&self, tenant: &TenantId, id: &FileId) -> Result<bool> {
        self.around(Call::Read("is_known_file"), self.store.is_known_file(tenant, id)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> SavedViews for Interposed<S, I> {
    async fn views(&self, tenant: &TenantId, user: &UserName) -> Result<Vec<SavedView>> {
        self.around(Call::Read("views"), self.store.views(tenant, user)).await
    }

    async fn put_view(&self, tenant: &TenantId, user: &UserName, view: &SavedView) -> Result<()> {
        self.around(Call::Write("put_view"), self.store.put_view(tenant, user, view)).await
    }

    async fn remove_view(&self, tenant: &TenantId, user: &UserName, name: &str) -> Result<()> {
        self.around(Call::Write("remove_view"), self.store.remove_view(tenant, user, name)).await
    }
}
