//! The sandbox: compiles components, and returns them as programs.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use stepbox_batch::name::Digest;
use stepbox_net::{Resolver, SystemResolver};
use tokio::sync::Semaphore;

use crate::budget::Handles;
use crate::compile_cache::{Cached, CompileCache};
use crate::compiler::Compiler;
use crate::digest;
use crate::egress::Outside;
use crate::engine::{Ticker, engine};
use crate::error::{ComponentError, SandboxError};
use crate::linker::linker;
use crate::machine::Machine;
use crate::memory::SharedMemory;
use crate::program::Program;
use crate::share::{Processors, Share, ShareLimits};
use crate::upload::{self, Inspected};

/// The maximum memory of all components that describe themselves at the same time, in bytes.
const UPLOADS_MEMORY_BYTES_MAX: u64 = 256 << 20;

/// The settings of a sandbox.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The folder for compiled components. It is created if it does not exist, and is private to this user.
    /// The key that vouches for them is beside it: `<cache dir>.key`.
    pub cache_dir: PathBuf,
    /// The maximum memory of all running components together, in bytes.
    pub memory_bytes_max: u64,
    /// Whether one compilation may use all cores. Use it on your own machine. Where many tenants upload, it
    /// would slow down all steps.
    pub compiles_in_parallel: bool,
    /// Where components are compiled. Use separate processes where other people upload components.
    pub compiler: Compiler,
    /// The resolver of the hosts that steps call.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for SandboxConfig {
    /// A cache below the system's folder for temporary files, 4 GiB for all components together, compilation
    /// in this process, and the system's resolver.
    fn default() -> Self {
        Self {
            cache_dir: std::env::temp_dir().join("stepbox-compiled"),
            memory_bytes_max: 4 << 30,
            compiles_in_parallel: true,
            compiler: Compiler::InProcess,
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// Compiles and runs components. Cheap to clone; a process needs one.
#[derive(Clone)]
pub struct Sandbox(Arc<Machine>);

impl Sandbox {
    /// Starts the engine and opens the cache.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError::Engine { problem: format!("{error:#}") };
        let engine = engine(config.compiles_in_parallel).map_err(failed)?;
        let (memory, handles) = (SharedMemory::new(config.memory_bytes_max), Handles::of_process());
        let processors = Processors::new(&engine, thread::available_parallelism().map_or(1, usize::from));
        let of_uploads = ShareLimits { memory_bytes_max: UPLOADS_MEMORY_BYTES_MAX, ..ShareLimits::default() };
        let uploads = Share::new(processors.clone(), &memory, &handles, of_uploads);
        Ok(Self(Arc::new(Machine {
            linker: linker(&engine).map_err(failed)?,
            cache: CompileCache::open(&config.cache_dir, &engine)?,
            memory,
            handles,
            processors,
            uploads,
            outside: Arc::new(Outside::new(config.resolver)),
            loaded: Mutex::default(),
            compiler: config.compiler,
            compiles_in_parallel: config.compiles_in_parallel,
            compiling: Semaphore::new(1),
            ticker: Ticker::start(&engine).map_err(|source| SandboxError::Ticker { source })?,
            engine,
        })))
    }

    /// How long ago running components were last interrupted for a check, in milliseconds.
    ///
    /// Normally that happens every 10 ms, if the machine is not too busy. Without it no time limit works.
    pub fn ms_since_tick(&self) -> u64 {
        self.0.ticker.silent_ms()
    }

    /// A tenant's share of the machine: its turns on the processors, and how much all its running components
    /// may use together.
    pub fn share(&self, max: ShareLimits) -> Share {
        Share::new(self.0.processors.clone(), &self.0.memory, &self.0.handles, max)
    }

    /// Checks the bytes of an uploaded component, compiles it into the cache, and lets it describe itself.
    ///
    /// Only the compiled code is kept.
    pub async fn inspect(&self, bytes: &[u8]) -> Result<Inspected, ComponentError> {
        upload::inspect(&self.0, bytes).await
    }

    /// Loads a component that was inspected before, by its digest.
    ///
    /// Calls `bytes` only if the component must be compiled again.
    pub async fn load<E: From<ComponentError>>(
        &self,
        digest: &Digest,
        bytes: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Program, E> {
        let is_distrusted = match self.0.find(digest) {
            Cached::Whole(loaded) => return Ok(Program::new(loaded)),
            Cached::Distrusted => true,
            Cached::Nothing => false,
        };
        let bytes = bytes()?;
        let found = digest::of(&bytes);
        if found != *digest {
            return Err(ComponentError::OtherDigest { expected: digest.clone(), found }.into());
        }
        let program = Program::new(self.0.compile(digest, bytes.into()).await?);
        Ok(if is_distrusted { program.in_place_of_other_code() } else { program })
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.0.cache).finish_non_exhaustive()
    }
}
