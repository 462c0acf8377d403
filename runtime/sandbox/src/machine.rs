//! The machine: compiles components, keeps the compiled code, and runs it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use stepbox_batch::name::Digest;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::budget::Handles;
use crate::compile_cache::{Cached, CompileCache};
use crate::compiler::Compiler;
use crate::egress::Outside;
use crate::engine::Ticker;
use crate::error::ComponentError;
use crate::memory::SharedMemory;
use crate::share::{Processors, Share};
use crate::state::StepState;

/// What all programs share: the engine, the cache, the compiled components, and the network access.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) memory: Arc<SharedMemory>,
    pub(crate) handles: Handles,
    pub(crate) processors: Arc<Processors>,
    /// The share of components that describe themselves.
    pub(crate) uploads: Share,
    pub(crate) outside: Arc<Outside>,
    pub(crate) linker: Linker<StepState>,
    pub(crate) cache: CompileCache,
    /// The programs that are in use, so that they are found again.
    pub(crate) loaded: Mutex<HashMap<Digest, Weak<Compiled>>>,
    pub(crate) compiler: Compiler,
    pub(crate) compiles_in_parallel: bool,
    /// Allows one compilation at a time: compilations are long, and take much memory.
    pub(crate) compiling: Semaphore,
    pub(crate) ticker: Ticker,
}

/// What all runs of a component share.
pub(crate) struct Compiled {
    digest: Digest,
    pre: InstancePre<StepState>,
}

/// A compiled component on its machine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loaded {
    machine: Arc<Machine>,
    compiled: Arc<Compiled>,
}

impl Loaded {
    /// The digest of the component.
    pub(crate) fn digest(&self) -> &Digest {
        &self.compiled.digest
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn pre(&self) -> &InstancePre<StepState> {
        &self.compiled.pre
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("digest", self.digest()).finish_non_exhaustive()
    }
}

impl Machine {
    /// Finds a component in memory or in the cache.
    pub(crate) fn find(self: &Arc<Self>, digest: &Digest) -> Cached<Loaded> {
        let held = self.loaded().get(digest).and_then(Weak::upgrade);
        if let Some(compiled) = held {
            return Cached::Whole(Loaded { machine: self.clone(), compiled });
        }
        match self.cache.load(&self.engine, digest) {
            Cached::Whole(component) => {
                self.keep(digest, &component).map_or(Cached::Distrusted, Cached::Whole)
            }
            Cached::Distrusted => Cached::Distrusted,
            Cached::Nothing => Cached::Nothing,
        }
    }

    /// Compiles a component, unless another call has compiled it in the meantime.
    pub(crate) async fn compile(
        self: &Arc<Self>,
        digest: &Digest,
        bytes: Arc<[u8]>,
    ) -> Result<Loaded, ComponentError> {
        let _turn = self.compiling.acquire().await;
        if let Cached::Whole(loaded) = self.find(digest) {
            return Ok(loaded);
        }
        let code = self.compiler.compile(&self.engine, self.compiles_in_parallel, bytes).await?;
        let (machine, digest) = (self.clone(), digest.clone());
        let taking = tokio::task::spawn_blocking(move || {
            let component = machine.cache.take(&machine.engine, &digest, &code).map_err(does_not_compile)?;
            machine.keep(&digest, &component).map_err(does_not_compile)
        });
        taking.await.unwrap_or_else(|_| {
            Err(ComponentError::DoesNotCompile { problem: "its code confuses the engine".to_owned() })
        })
    }

    /// Removes a component from the cache if it is refused after compiling.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.cache.remove(digest);
    }

    fn keep(self: &Arc<Self>, digest: &Digest, component: &Component) -> wasmtime::Result<Loaded> {
        let pre = self.linker.instantiate_pre(component)?;
        let compiled = Arc::new(Compiled { digest: digest.clone(), pre });
        let mut loaded = self.loaded();
        loaded.retain(|_, program| program.strong_count() > 0);
        loaded.insert(digest.clone(), Arc::downgrade(&compiled));
        Ok(Loaded { machine: self.clone(), compiled })
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Weak<Compiled>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn does_not_compile(error: wasmtime::Error) -> ComponentError {
    ComponentError::DoesNotCompile { problem: format!("{error:#}") }
}
