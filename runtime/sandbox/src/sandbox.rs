//! The sandbox: compiles components, and hands them out as programs.

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

/// What components that describe themselves may take together, in bytes.
const UPLOADS_MEMORY_BYTES_MAX: u64 = 256 << 20;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where compiled components are kept. Made if it is not there, and private to this user. The key that vouches
    /// for them lies beside it: `<cache dir>.key`.
    pub cache_dir: PathBuf,
    /// What all running components may take together, in bytes.
    pub memory_bytes_max: u64,
    /// Whether one compilation may take all cores. Good on one's own machine; where many tenants
    /// upload, it would slow down everybody's steps.
    pub compiles_in_parallel: bool,
    /// Where components are compiled. Where others upload, in processes of their own.
    pub compiler: Compiler,
    /// Who finds the addresses of the hosts that steps call.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for SandboxConfig {
    /// A cache below the system's folder for temporary files, 4 GiB for all components together, compiled
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

    /// How long ago components were last asked whether they must end, in milliseconds. While all is well
    /// that happens each 10 ms, as far as the machine lets it; without it no time limit holds.
    pub fn ms_since_tick(&self) -> u64 {
        self.0.ticker.silent_ms()
    }

    /// A tenant's part of the machine: its turns on the processors, and how much all its running
    /// components may have together.
    pub fn share(&self, max: ShareLimits) -> Share {
        Share::new(self.0.processors.clone(), &self.0.memory, &self.0.handles, max)
    }

    /// Checks the bytes of an uploaded component, compiles it into the cache, and lets it describe
    /// itself. Nothing of it is kept but what was compiled.
    pub async fn inspect(&self, bytes: &[u8]) -> Result<Inspected, ComponentError> {
        upload::inspect(&self.0, bytes).await
    }

    /// A component that was inspected before, by its digest. Its bytes are asked for only if it has
    /// to be compiled again.
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
