//! The parts that all tenants of an installation share: store, sandbox, native elements, clock, and the
//! identity of this process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::execution::Claim;
use stepbox_batch::inventory::Connector;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{ExecutionJournal, JobRepository, RepositoryError};
use stepbox_connectors::{NamedStorage, Wall};
use stepbox_sandbox::{Program, Sandbox};
use tokio::sync::Mutex;

use crate::access::Reception;
use crate::data_folder::DataFolder;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::native::NativeElements;
use crate::policy::Policy;
use crate::store_clock::{ClockStep, StoreClock};
use crate::tenants::{TenantState, Tenants};
use crate::uploads::TenantUploads;
use crate::worker_lock::WorkerLock;

/// The parts that all tenants of an installation share. The builder creates one value, and every handle holds
/// it.
pub(crate) struct Installation {
    pub(crate) data: DataFolder,
    pub(crate) repository: Arc<dyn JobRepository>,
    /// The repository for running executions. It measures how long the answers take.
    pub(crate) journal: Arc<dyn ExecutionJournal>,
    /// The name of the store in error messages.
    pub(crate) store_called: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sandbox: Sandbox,
    pub(crate) native: NativeElements,
    pub(crate) native_connector: Connector,
    pub(crate) clock: Arc<dyn Clock>,
    /// The clock of the store; `None` if the embedder gave another clock.
    pub(crate) store_clock: Option<Arc<StoreClock>>,
    /// The name of this process, unique among all processes on the store.
    pub(crate) worker: String,
    /// Held as long as this process lives, so that other processes on its machine know that it is alive.
    pub(crate) lock: WorkerLock,
    pub(crate) opened_at: Timestamp,
    /// How long a lease lasts without a heartbeat, in milliseconds.
    pub(crate) lease_ms: u64,
    /// Whether this process takes entries from the queue.
    pub(crate) has_worker: AtomicBool,
    pub(crate) tenants: Tenants,
    /// What all sign-ins of this process share.
    pub(crate) reception: Reception,
    /// The files that no job may touch.
    pub(crate) wall: Arc<Wall>,
    /// The storage that machines share; `None` for a single machine.
    pub(crate) shared: Option<NamedStorage>,
    /// Held while the bytes and the row of a component are added or removed, so that both change together.
    pub(crate) keeping: Mutex<()>,
}

/// A tenant in this process: its name, its state, and its installation.
#[derive(Clone, Copy)]
pub(crate) struct TenantRef<'a> {
    pub(crate) installation: &'a Arc<Installation>,
    pub(crate) id: &'a TenantId,
    pub(crate) state: &'a Arc<TenantState>,
}

impl Installation {
    /// The uploaded files of a tenant, for its readers.
    pub(crate) fn uploads_of(&self, tenant: &TenantId) -> Arc<TenantUploads> {
        Arc::new(TenantUploads { data: self.data.clone(), tenant: tenant.clone() })
    }

    /// A tenant that is new to this process, with this policy.
    pub(crate) fn new_tenant(&self, id: &TenantId, policy: Policy) -> TenantState {
        let share = self.sandbox.share(policy.quotas.of_share());
        TenantState::new(policy, share, Arc::new(self.metrics.of_tenant(id)))
    }

    /// A compiled component; from the cache if it was compiled before.
    pub(crate) async fn program(&self, digest: &Digest) -> Result<Program, Error> {
        self.data.fetch_component(digest).await?;
        let bytes = || self.data.component_bytes(digest);
        self.sandbox.load(digest, bytes).await
    }

    /// The claim with which this process takes executions.
    pub(crate) fn claim(&self) -> Claim {
        Claim { worker: self.worker.clone(), now: self.clock.now(), lease_ms: self.lease_ms }
    }

    /// By how many milliseconds the clock of this machine is ahead of the store's clock. `None` if the
    /// embedder gave another clock.
    pub(crate) fn clock_skew_ms(&self) -> Option<i64> {
        self.store_clock.as_ref().map(|clock| clock.skew_ms())
    }

    /// Asks the store for the time, and uses that time from now on. Returns whether the store's clock was
    /// set.
    pub(crate) async fn look_at_clock(&self) -> Result<Option<ClockStep>, RepositoryError> {
        let Some(clock) = &self.store_clock else { return Ok(None) };
        Ok(clock.look(self.repository.as_ref(), self.lease_ms).await?.step)
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installation")
            .field("data", &self.data)
            .field("worker", &self.worker)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}
