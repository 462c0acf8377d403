//! The host's state of a running component: its step, its grants, and what it used.

use std::sync::Arc;

use stepbox_batch::log::LogLevel;
use stepbox_batch::step_context::StepContext;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::budget::{Budget, Handles};
use crate::console::{Console, Journal};
use crate::egress::{Egress, Outside};
use crate::grants::Grants;
use crate::memory::{Account, MemoryMeter};
use crate::setup::ComponentSetup;
use crate::wasi::files::Folders;
use crate::wasi::http::{FIELDS_BYTES_MAX, Held, HttpDoor};

/// The maximum number of host resources that a component may hold: files, streams, errors and others
/// together.
const RESOURCES_MAX: usize = 1000;
/// How many random bytes one call returns at most.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// The state of a running component, apart from its own memory.
pub(crate) struct StepState {
    pub(crate) context: StepContext,
    pub(crate) journal: Journal,
    /// Standard error, which gives its last words.
    pub(crate) stderr: Console,
    pub(crate) grants: Arc<Grants>,
    pub(crate) budget: Budget,
    pub(crate) handles: Handles,
    /// The files and folders that were opened through `wasi:filesystem`.
    pub(crate) folders: Folders,
    /// The number of host calls of the component since they were last counted.
    pub(crate) host_calls: u64,
    pub(crate) egress: Arc<Egress>,
    /// The memory that it takes, including what the host keeps for it.
    pub(crate) account: Account,
    pub(crate) memory: MemoryMeter,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) wasi_http: WasiHttpCtx,
    pub(crate) http_door: HttpDoor,
    /// The data that `wasi:http` keeps for it.
    pub(crate) http_held: Held,
}

impl StepState {
    pub(crate) fn new(
        context: &StepContext,
        setup: &ComponentSetup,
        grants: Arc<Grants>,
        outside: Arc<Outside>,
    ) -> Self {
        let budget = Budget::new(&setup.limits, &setup.usage);
        let journal = Journal::new(context.clone(), budget.clone());
        let stdout = Console::new(journal.clone(), LogLevel::Info);
        let stderr = Console::new(journal.clone(), LogLevel::Warning);
        let max = setup.limits.memory_bytes_max;
        let account = Account::new(max, setup.share.memory.clone(), context.clone());
        let egress = Egress::new(setup, outside, grants.clone(), budget.clone(), account.clone());
        let egress = Arc::new(egress);
        let handles = setup.share.handles.of_component(&setup.limits);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let mut wasi_http = WasiHttpCtx::new();
        wasi_http.set_field_size_limit(FIELDS_BYTES_MAX);
        Self {
            context: context.clone(),
            handles: handles.clone(),
            folders: Folders::default(),
            host_calls: 0,
            memory: MemoryMeter::new(account.clone()),
            http_held: Held::new(account.clone()),
            account,
            wasi: wasi(stdout, stderr.clone()),
            http_door: HttpDoor::new(egress.clone(), handles, journal.clone()),
            wasi_http,
            journal,
            stderr,
            grants,
            budget,
            egress,
            table,
        }
    }
}

/// WASI without arguments, environment, input or sockets. Folders are added separately, by `wasi/files.rs`.
/// Clocks and randomness are the machine's.
fn wasi(stdout: Console, stderr: Console) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder.stdout(stdout).stderr(stderr).max_random_size(RANDOM_BYTES_MAX);
    builder.build()
}

impl WasiView for StepState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host_calls += 1;
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
