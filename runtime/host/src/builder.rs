//! How an installation is built: what it is made of, and in which order it opens.

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

/// Says how an installation is to be.
///
/// Without more words: the embedded store in the data folder, the native elements that Stepbox brings,
/// no tenants, and components compiled in this process.
pub struct Builder {
    data_dir: PathBuf,
    native: NativeElements,
    tenants: BTreeMap<TenantId, Policy>,
    /// `None` for the store's clock.
    clock: Option<Arc<dyn Clock>>,
    compiler: Compiler,
    resolver: Arc<dyn Resolver>,
    lease_ms: u64,
    /// What machines share; `None` for one machine alone.
    shared: Option<NamedStorage>,
    /// Further files and folders that no job touches.
    own: Vec<PathBuf>,
    /// `None` for a store that Stepbox opens itself.
    repository: Option<Arc<dyn JobRepository>>,
    /// `None` for the embedded store.
    database_url: Option<DatabaseUrl>,
}

/// Here rather than with the other methods, so that the builder knows the installation and not the other way round.
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
            // To be behind the wall the folder has to exist. Where it cannot be made, no job can write to it either.
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
        retention::drop_old_events(&installation).await;
        Ok(Stepbox { installation: Arc::new(installation) })
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

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("data_dir", &self.data_dir)
            .field("native", &self.native)
            .finish_non_exhaustive()
    }
}
