//! An installation of Stepbox, and how it is built.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde::Serialize;
use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Tasklet};
use stepbox_batch::error::ElementError;
use stepbox_batch::execution::event::EventNumber;
use stepbox_batch::inventory::Connector;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{EventPage, ExecutionJournal, JobRepository};
use stepbox_connectors::{ElementSetup, NamedStorage, Wall};
use stepbox_sandbox::{Compiler, Program, Resolver, Sandbox, SandboxConfig, SystemResolver};
use tokio::sync::Mutex;

use crate::data_folder::{DataFolder, create_private_folder};
use crate::error::Error;
use crate::job_lifecycle::LEASE_MS;
use crate::metrics::{Metrics, TimedJournal};
use crate::native::{NativeElements, native_connector};
use crate::own_files;
use crate::policy::Policy;
use crate::shared_folder::SharedFolder;
use crate::store::{DatabaseUrl, open_database, open_embedded};
use crate::store_clock::StoreClock;
use crate::system_clock::SystemClock;
use crate::tenant::Tenant;
use crate::tenants::{TenantStanding, TenantState, Tenants, check_policy};
use crate::worker_lock::WorkerLock;

/// The shortest lease, in milliseconds: less would take a busy machine for a dead one.
pub const LEASE_MS_MIN: u64 = 1_000;

/// An installation of Stepbox: a store, a sandbox, native elements and tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stepbox {
    pub(crate) installation: Arc<Installation>,
}

/// What all tenants of an installation share.
pub(crate) struct Installation {
    pub(crate) data: DataFolder,
    pub(crate) repository: Arc<dyn JobRepository>,
    /// The same, with its answers timed: for running executions.
    pub(crate) journal: Arc<dyn ExecutionJournal>,
    /// What errors call the store.
    pub(crate) store_called: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sandbox: Sandbox,
    pub(crate) native: NativeElements,
    pub(crate) native_connector: Connector,
    pub(crate) clock: Arc<dyn Clock>,
    /// The same, unless the embedder gave another one.
    pub(crate) store_clock: Option<Arc<StoreClock>>,
    /// This process, among all that share the store.
    pub(crate) worker: String,
    _lock: WorkerLock,
    pub(crate) opened_at: Timestamp,
    /// How long a lease lasts without a heartbeat, in milliseconds.
    pub(crate) lease_ms: u64,
    /// Whether this process takes entries from the queue.
    pub(crate) has_worker: AtomicBool,
    pub(crate) tenants: Tenants,
    /// What no job touches.
    pub(crate) wall: Arc<Wall>,
    /// What machines share; `None` for one machine alone.
    shared: Option<NamedStorage>,
    /// Held while the bytes of a component and what is known of it come in or go, together.
    pub(crate) keeping: Mutex<()>,
}

/// Says how an installation is to be.
///
/// Without more words: the embedded store in the data folder, the native elements that Stepbox brings,
/// no tenants, and components compiled in this process.
pub struct Builder {
    data_dir: PathBuf,
    native: NativeElements,
    tenants: BTreeMap<TenantId, Policy>,
    /// None for the store's.
    clock: Option<Arc<dyn Clock>>,
    compiler: Compiler,
    resolver: Arc<dyn Resolver>,
    lease_ms: u64,
    /// What other machines share; none for one machine alone.
    shared: Option<NamedStorage>,
    /// Further files and folders that no job touches.
    own: Vec<PathBuf>,
    /// None for another store.
    repository: Option<Arc<dyn JobRepository>>,
    /// None for the embedded store.
    database_url: Option<DatabaseUrl>,
}

impl Stepbox {
    /// Begins an installation whose data lie in a folder; the folder is created if there is none.
    pub fn builder(data_dir: impl Into<PathBuf>) -> Builder {
        Builder {
            data_dir: data_dir.into(),
            native: NativeElements::default(),
            tenants: BTreeMap::new(),
            clock: None,
            compiler: Compiler::InProcess,
            resolver: Arc::new(SystemResolver),
            lease_ms: LEASE_MS,
            shared: None,
            own: Vec::new(),
            repository: None,
            database_url: None,
        }
    }

    /// A tenant that the builder or [`set_tenant`](Self::set_tenant) was told of.
    pub fn tenant(&self, id: &TenantId) -> Result<Tenant, Error> {
        match self.installation.tenants.get(id) {
            Some(state) => Ok(Tenant::new(self.installation.clone(), id.clone(), state)),
            None => Err(Error::UnknownTenant(id.clone())),
        }
    }

    /// Adds a tenant, or changes the policy of one that is there. What a step began with stays its own until it ends;
    /// all that begins from now on goes by the new policy, quotas included. A worker that works for all tenants works
    /// for a new one at once.
    ///
    /// Fails as [`Builder::open`] does on a policy with a setting that cannot be or has no effect; the tenant then keeps
    /// the policy that it had.
    pub fn set_tenant(&self, id: &TenantId, policy: Policy) -> Result<Tenant, Error> {
        self.set_tenant_as(id, policy, None)
    }

    /// The same with how it stands from the first moment on; `None` leaves that as it is, and a new one is active.
    pub(crate) fn set_tenant_as(
        &self,
        id: &TenantId,
        policy: Policy,
        standing: Option<TenantStanding>,
    ) -> Result<Tenant, Error> {
        let installation = &self.installation;
        check_policy(id, &policy, installation.shared.as_ref())?;
        own_files::check(id, &policy, &installation.wall)?;
        let state =
            installation.tenants.set(id, policy, standing, |policy| installation.new_tenant(id, policy));
        Ok(Tenant::new(installation.clone(), id.clone(), state))
    }

    /// Accepts and begins nothing of a tenant any more, in this process: to publish, run, resume or restart is refused as
    /// `tenant-suspended`, and the worker takes nothing of it from the queue. What runs goes on, and everything can be
    /// looked at and stopped. [`resume_tenant`](Self::resume_tenant) ends it.
    pub fn suspend_tenant(&self, id: &TenantId) -> Result<(), Error> {
        self.stand(id, TenantStanding::Suspended)
    }

    /// Ends a suspension.
    pub fn resume_tenant(&self, id: &TenantId) -> Result<(), Error> {
        self.stand(id, TenantStanding::Active)
    }

    fn stand(&self, id: &TenantId, standing: TenantStanding) -> Result<(), Error> {
        let state = self.installation.tenants.get(id).ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        state.set_standing(standing);
        Ok(())
    }

    /// Forgets a tenant in this process. What runs of it here rests as PAUSED at its next checkpoint; the answer is how
    /// many executions that are. What it has in the store stays, and is there again when the tenant is set again.
    pub fn remove_tenant(&self, id: &TenantId) -> Result<usize, Error> {
        let state = self.installation.tenants.remove(id).ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        state.set_standing(TenantStanding::Removed);
        Ok(state.pause_all())
    }

    /// The tenants of this process, and how each stands.
    pub fn tenants(&self) -> Vec<(TenantId, TenantStanding)> {
        let tenants = self.installation.tenants.all().into_iter();
        tenants.map(|(id, state)| (id, state.standing())).collect()
    }

    /// Keeps one more file from every job, from now on: see [`Builder::own_path`].
    pub fn keep_file(&self, path: &Path) -> Result<(), Error> {
        let absolute = std::path::absolute(path).map_err(|source| Error::DataFolder {
            path: path.to_owned(),
            action: "cannot be opened",
            source,
        })?;
        self.installation.wall.extend_around(absolute);
        Ok(())
    }

    /// The events of all tenants after a number, also of tenants that this process does not have: see
    /// [`Tenant::events`].
    pub async fn events(&self, after: EventNumber, limit: u32) -> Result<EventPage, Error> {
        Ok(self.installation.repository.events_after(None, after, limit).await?)
    }

    /// What keeps this installation safe, as it is now.
    pub fn health(&self) -> Health {
        Health { ms_since_tick: self.installation.sandbox.ms_since_tick() }
    }

    /// The same tenant, for whoever operates the installation: components may come in where the tenant
    /// itself may not upload (`ComponentsPolicy::upload`). Signatures and quotas hold here, too.
    pub fn operator_of(&self, id: &TenantId) -> Result<Tenant, Error> {
        self.tenant(id).map(Tenant::for_operator)
    }
}

/// What keeps an installation safe, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// How long ago running components were last asked whether they must end, in milliseconds. That happens
    /// each 10 ms, as far as the machine lets it. Without it no time limit holds: after seconds, end the
    /// process.
    pub ms_since_tick: u64,
}

impl Builder {
    /// Adds a tenant and what its jobs may touch at most.
    #[must_use]
    pub fn tenant(mut self, id: TenantId, policy: Policy) -> Self {
        self.tenants.insert(id, policy);
        self
    }

    /// Adds a native reader that jobs may name. The factory makes one for each step from its [`ElementSetup`]: files are
    /// opened through `setup.reach`, so that the reader keeps the tenant's policy.
    #[must_use]
    pub fn reader(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemReader>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.readers.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native processor that jobs may name; the factory as for [`reader`](Self::reader).
    #[must_use]
    pub fn processor(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemProcessor>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.processors.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native writer that jobs may name; the factory as for [`reader`](Self::reader).
    #[must_use]
    pub fn writer(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemWriter>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.writers.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native tasklet that jobs may name; the factory as for [`reader`](Self::reader).
    #[must_use]
    pub fn tasklet(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn Tasklet>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.tasklets.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Persists everything in another store than the embedded one in the data folder.
    #[must_use]
    pub fn repository(mut self, repository: Arc<dyn JobRepository>) -> Self {
        self.repository = Some(repository);
        self
    }

    /// Has leases last so long without a heartbeat, in milliseconds, at least [`LEASE_MS_MIN`]; there are three
    /// heartbeats in that time. What runs here is another worker's so long after this process was last heard of.
    /// All processes on a store should agree. Unless it is said, [`LEASE_MS`](crate::LEASE_MS).
    #[must_use]
    pub fn lease_ms(mut self, lease_ms: u64) -> Self {
        self.lease_ms = lease_ms.max(LEASE_MS_MIN);
        self
    }

    /// Persists everything in a PostgreSQL database, version 15 or later, which any number of machines may use. It
    /// must be up to date: [`migrate_store`](crate::migrate_store) brings it there.
    #[must_use]
    pub fn database_url(mut self, url: DatabaseUrl) -> Self {
        self.database_url = Some(url);
        self
    }

    /// Takes the time from somewhere else than the store: unless it is said, moments come from the clock of the
    /// database or, with a store in a file, of this machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps there what workers on several machines must share beside the store: the bytes of components, the
    /// logs and the rejected items. The data folder then has copies. All of them have to say the same; no
    /// tenant's job can name it.
    #[must_use]
    pub fn shared_storage(mut self, storage: NamedStorage) -> Self {
        self.shared = Some(storage);
        self
    }

    /// Keeps a file, or a folder with all below it, from every job, as the data folder is kept: a policy, a file with
    /// a secret, a store elsewhere.
    #[must_use]
    pub fn own_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.own.push(path.into());
        self
    }

    /// Compiles components elsewhere than in this process. Where others upload them, in processes of their
    /// own, which can be ended: [`Compiler::Process`].
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Finds the addresses of the hosts that steps call by other means than the system's. Whatever it
    /// answers, only addresses that the tenant's policy leaves are dialled.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Opens the data folder and the store, starts the sandbox, and deals with what processes that died
    /// have left behind: what was in the queue waits there again, the rest is FAILED.
    pub async fn open(self) -> Result<Stepbox, Error> {
        for (tenant, policy) in &self.tenants {
            check_policy(tenant, policy, self.shared.as_ref())?;
        }
        let data = DataFolder::open(&self.data_dir)?;
        if let Some(folder) = self.shared.as_ref().and_then(NamedStorage::folder) {
            // To be behind the wall it has to be there. Where it cannot be made, nobody can write to it either.
            let _ = create_private_folder(folder);
        }
        let wall = own_files::wall(&data, self.shared.as_ref(), &self.own)?;
        for (tenant, policy) in &self.tenants {
            own_files::check(tenant, policy, &wall)?;
        }
        let repository = match (self.repository, &self.database_url) {
            (Some(repository), _) => repository,
            (None, Some(url)) => open_database(url).await?,
            (None, None) => open_embedded(&data)?,
        };
        let url = self.database_url.as_ref();
        let store_called =
            url.and_then(DatabaseUrl::name).unwrap_or_else(|| data.database().display().to_string());
        let shared = match &self.shared {
            None => None,
            Some(shared) => {
                let store = store_for_people(self.database_url.as_ref(), &data);
                let shared = SharedFolder::of(shared, &repository.installation().await?, store);
                shared.refuse_if_taken().await?;
                Some(shared)
            }
        };
        let data = data.sharing(shared);
        let store_clock = match &self.clock {
            Some(_) => None,
            None => {
                let clock = Arc::new(StoreClock::default());
                clock.look(repository.as_ref(), self.lease_ms).await?;
                clock.begin_quiet_no_more();
                Some(clock)
            }
        };
        let clock = match (&store_clock, self.clock) {
            (Some(clock), _) => clock.clone() as Arc<dyn Clock>,
            (None, clock) => clock.unwrap_or_else(|| Arc::new(SystemClock)),
        };
        let config = SandboxConfig {
            cache_dir: data.compiled(),
            compiler: self.compiler,
            resolver: self.resolver,
            // One tenant's component is not to take the cores of another's steps.
            compiles_in_parallel: self.tenants.len() == 1,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::new(config).map_err(|error| Error::Sandbox(error.to_string()))?;
        let (workers, worker) = (data.workers(), worker_name(clock.as_ref()));
        let unusable = |source| Error::DataFolder { path: workers.clone(), action: "cannot be used", source };
        let lock = WorkerLock::take(&workers, &worker).map_err(unusable)?;
        let metrics = Arc::new(Metrics::new());
        let store = repository.clone();
        let journal = Arc::new(TimedJournal { store, clock: clock.clone(), metrics: metrics.clone() });
        let installation = Installation {
            data,
            repository,
            journal,
            store_called,
            metrics,
            sandbox,
            native: self.native,
            native_connector: native_connector(),
            worker,
            _lock: lock,
            opened_at: clock.now(),
            lease_ms: self.lease_ms,
            has_worker: AtomicBool::new(false),
            clock,
            store_clock,
            tenants: Tenants::default(),
            wall,
            shared: self.shared,
            keeping: Mutex::new(()),
        };
        for (id, policy) in self.tenants {
            installation.tenants.set(&id, policy, None, |policy| installation.new_tenant(&id, policy));
        }
        installation.begin_with_what_was_lost().await?;
        installation.drop_old_events().await;
        Ok(Stepbox { installation: Arc::new(installation) })
    }
}

impl Installation {
    fn new_tenant(&self, id: &TenantId, policy: Policy) -> TenantState {
        let share = self.sandbox.share(policy.quotas.of_share());
        TenantState::new(policy, share, Arc::new(self.metrics.of_tenant(id)))
    }

    /// A compiled component, from the cache if it was compiled before.
    pub(crate) async fn program(&self, digest: &Digest) -> Result<Program, Error> {
        self.data.fetch_component(digest).await?;
        let bytes = || self.data.component_bytes(digest);
        self.sandbox.load(digest, bytes).await
    }
}

/// Where the store is, as another installation may tell it: without a password.
fn store_for_people(url: Option<&DatabaseUrl>, data: &DataFolder) -> String {
    let of_file = || format!("the store {} on {}", data.database().display(), hostname());
    url.and_then(DatabaseUrl::name).unwrap_or_else(of_file)
}

fn hostname() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "localhost".to_owned() } else { host.trim().to_owned() }
}

/// A name that no other process on this store has, and that tells people which one it is.
fn worker_name(clock: &dyn Clock) -> String {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let number = if number == 0 { String::new() } else { format!(".{number}") };
    format!("{}:{}:{:x}{number}", hostname(), std::process::id(), clock.now().0)
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installation")
            .field("data", &self.data)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("data_dir", &self.data_dir)
            .field("native", &self.native)
            .finish_non_exhaustive()
    }
}
