//! How an installation is built: its settings, and the order in which its parts are opened.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use stepbox_batch::clock::Clock;
use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Tasklet};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;
use stepbox_connectors::{ElementSetup, NamedStorage};
use stepbox_sandbox::{Compiler, Resolver, Sandbox, SandboxConfig, SystemResolver};
use tokio::sync::Mutex;

use crate::background::{retention, watchdog};
use crate::data_folder::{DataFolder, create_private_folder};
use crate::error::Error;
use crate::installation::Installation;
use crate::metrics::{Metrics, TimedJournal};
use crate::native::{NativeElements, native_connector};
use crate::own_files;
use crate::policy::Policy;
use crate::shared_folder::SharedFolder;
use crate::stepbox::Stepbox;
use crate::store::{DatabaseUrl, open_database, open_embedded};
use crate::store_clock::StoreClock;
use crate::system_clock::SystemClock;
use crate::tenants::{Tenants, check_policy};
use crate::timing::{LEASE_MS, LEASE_MS_MIN};
use crate::worker_lock::WorkerLock;

/// The settings of a new installation.
///
/// The defaults: the embedded store in the data folder, the native elements of Stepbox, no tenants, and
/// components that are compiled in this process.
pub struct Builder {
    data_dir: PathBuf,
    native: NativeElements,
    tenants: BTreeMap<TenantId, Policy>,
    /// `None` for the clock of the store.
    clock: Option<Arc<dyn Clock>>,
    compiler: Compiler,
    resolver: Arc<dyn Resolver>,
    lease_ms: u64,
    /// The storage that machines share; `None` for a single machine.
    shared: Option<NamedStorage>,
    /// Further files and folders that no job may touch.
    own: Vec<PathBuf>,
    /// `None` for a store that Stepbox opens itself.
    repository: Option<Arc<dyn JobRepository>>,
    /// `None` for the embedded store.
    database_url: Option<DatabaseUrl>,
}

/// This is here and not with the other methods of `Stepbox`, so that the builder knows the installation and
/// the installation does not know the builder.
impl Stepbox {
    /// Starts to build an installation with its data in a folder; the folder is created if it is missing.
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
}

impl Builder {
    /// Adds a tenant with its policy: the most that its jobs may touch.
    #[must_use]
    pub fn tenant(mut self, id: TenantId, policy: Policy) -> Self {
        self.tenants.insert(id, policy);
        self
    }

    /// Adds a native reader that jobs may name.
    ///
    /// The factory creates a reader for each step from its [`ElementSetup`]. Open files with `setup.reach`,
    /// so that the reader respects the tenant's policy.
    #[must_use]
    pub fn reader(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemReader>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.readers.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native processor that jobs may name.
    ///
    /// The factory works as for [`reader`](Self::reader).
    #[must_use]
    pub fn processor(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemProcessor>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.processors.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native writer that jobs may name.
    ///
    /// The factory works as for [`reader`](Self::reader).
    #[must_use]
    pub fn writer(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn ItemWriter>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.writers.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Adds a native tasklet that jobs may name.
    ///
    /// The factory works as for [`reader`](Self::reader).
    #[must_use]
    pub fn tasklet(
        mut self,
        name: &str,
        factory: impl Fn(&ElementSetup) -> Result<Box<dyn Tasklet>, ElementError> + Send + Sync + 'static,
    ) -> Self {
        self.native.tasklets.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// Stores everything in this store instead of the embedded store in the data folder.
    #[must_use]
    pub fn repository(mut self, repository: Arc<dyn JobRepository>) -> Self {
        self.repository = Some(repository);
        self
    }

    /// Sets how long leases last without a heartbeat, in milliseconds, at least [`LEASE_MS_MIN`].
    ///
    /// There are three heartbeats in that time. If this process sends no heartbeat for that long, another
    /// worker takes over its executions. Use the same value for all processes on a store. The default is
    /// [`LEASE_MS`](crate::LEASE_MS).
    #[must_use]
    pub fn lease_ms(mut self, lease_ms: u64) -> Self {
        self.lease_ms = lease_ms.max(LEASE_MS_MIN);
        self
    }

    /// Stores everything in a PostgreSQL database, version 15 or later, which any number of machines may use.
    ///
    /// The database must be up to date: run [`migrate_store`](crate::migrate_store) to update it.
    #[must_use]
    pub fn database_url(mut self, url: DatabaseUrl) -> Self {
        self.database_url = Some(url);
        self
    }

    /// Takes the time from this clock.
    ///
    /// By default, the time comes from the clock of the database or, with a store in a file, from the clock
    /// of this machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the storage for the data that workers on several machines must share beside the store: the bytes
    /// of components, the logs and the rejected items.
    ///
    /// The data folder then has copies. All workers must use the same storage. No tenant's job can name it.
    #[must_use]
    pub fn shared_storage(mut self, storage: NamedStorage) -> Self {
        self.shared = Some(storage);
        self
    }

    /// Protects a file, or a folder with everything below it, from every job, as the data folder is
    /// protected.
    ///
    /// Examples are a policy, a file with a secret, and a store outside the data folder.
    #[must_use]
    pub fn own_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.own.push(path.into());
        self
    }

    /// Sets where components are compiled.
    ///
    /// The default is in this process. If other people upload components, compile them in separate processes,
    /// which can be killed: [`Compiler::Process`].
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Resolves the names of the hosts that steps call with this resolver instead of the system's.
    ///
    /// Whatever addresses it returns, steps connect only to addresses that the tenant's policy allows.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    ///
    /// Opens the data folder and the store, starts the sandbox, and handles the executions that dead
    /// processes have left behind.
    ///
    /// An execution from the queue waits there again, an execution with a stop request is STOPPED, and every
    /// other execution is FAILED.
    pub async fn open(self) -> Result<Stepbox, Error> {
        for (tenant, policy) in &self.tenants {
            check_policy(tenant, policy, self.shared.as_ref())?;
        }
        let data = DataFolder::open(&self.data_dir)?;
        if let Some(folder) = self.shared.as_ref().and_then(NamedStorage::folder) {
            // The folder must exist, or it cannot be protected from jobs. If it cannot be created, no job can
            // write to it either.
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
                let store = store_for_people(url, &data);
                Some(shared_folder(shared, store, repository.as_ref()).await?)
            }
        };
        let data = data.sharing(shared);
        let store_clock = match &self.clock {
            Some(_) => None,
            None => Some(store_clock(repository.as_ref(), self.lease_ms).await?),
        };
        let clock = match (&store_clock, self.clock) {
            (Some(clock), _) => clock.clone() as Arc<dyn Clock>,
            (None, clock) => clock.unwrap_or_else(|| Arc::new(SystemClock)),
        };
        let config = SandboxConfig {
            cache_dir: data.compiled(),
            compiler: self.compiler,
            resolver: self.resolver,
            // A component of one tenant must not take the processor cores from the steps of another tenant.
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
            lock,
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
        watchdog::begin_with_what_was_lost(&installation).await?;
        // An installation opens although old events stay: a worker deletes them later.
        let _ = retention::drop_old_data(&installation).await;
        Ok(Stepbox { installation: Arc::new(installation) })
    }
}

/// The folder that machines share, unless it belongs to another installation.
async fn shared_folder(
    shared: &NamedStorage,
    store: String,
    repository: &dyn JobRepository,
) -> Result<SharedFolder, Error> {
    let shared = SharedFolder::of(shared, &repository.installation().await?, store);
    shared.refuse_if_taken().await?;
    Ok(shared)
}

/// The store's time, compared with this machine's once.
async fn store_clock(repository: &dyn JobRepository, lease_ms: u64) -> Result<Arc<StoreClock>, Error> {
    let clock = Arc::new(StoreClock::default());
    clock.look(repository, lease_ms).await?;
    clock.begin_quiet_no_more();
    Ok(clock)
}

/// The place of the store, as messages of other installations may show it: without a password.
fn store_for_people(url: Option<&DatabaseUrl>, data: &DataFolder) -> String {
    let of_file = || format!("the store {} on {}", data.database().display(), hostname());
    url.and_then(DatabaseUrl::name).unwrap_or_else(of_file)
}

fn hostname() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "localhost".to_owned() } else { host.trim().to_owned() }
}

/// A name that no other process on this store has. It also shows people which process it is.
fn worker_name(clock: &dyn Clock) -> String {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let number = if number == 0 { String::new() } else { format!(".{number}") };
    format!("{}:{}:{:x}{number}", hostname(), std::process::id(), clock.now().0)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("data_dir", &self.data_dir)
            .field("native", &self.native)
            .finish_non_exhaustive()
    }
}
