//! A running component: a store of its own, and the calls into it.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use stepbox_batch::counters::Tally;
use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::step_context::StepContext;
use wasmtime::component::{Instance as WasmInstance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

use crate::failure;
use crate::grants::{Access, Grants, WORK_FOLDER};
use crate::machine::{Loaded, Machine};
use crate::memory::{Charge, OutOfMemory};
use crate::setup::ComponentSetup;
use crate::state::StepState;
use crate::watch::{Cut, Watch};

/// How much may cross from a component at once, in bytes: the arguments of an import, or a returned value.
/// The host copies it before any check, which takes less than 10 ms.
const CROSSING_BYTES_MAX: usize = 5 << 20;
/// The same for a call that returns a batch: 16 MiB, its offsets, and the reasons of rows that were set
/// aside.
pub(crate) const BATCH_BYTES_MAX: usize = 40 << 20;
/// The same for a call that returns the parts of an input, or a description.
pub(crate) const LISTS_BYTES_MAX: usize = 16 << 20;
/// How many handles of any kind a component may hold.
const COMPONENT_HANDLES_MAX: usize = 10_000;

/// A running component. A call that fails is its last: the owner then drops it.
pub(crate) struct Instance {
    pub(crate) store: Store<StepState>,
    pub(crate) watch: Watch,
    /// The charge for the last returned batch, which the host uses until it asks for the next one.
    batch: Option<Charge>,
}

impl Instance {
    /// Starts a component in a store of its own, so that it sees nothing of any other run.
    pub(crate) async fn start(
        loaded: &Loaded,
        setup: &ComponentSetup,
        context: &StepContext,
    ) -> Result<(Self, WasmInstance), Halt> {
        let grants = with_work_folder(setup)?;
        Self::start_with(loaded.machine(), loaded.pre(), setup, grants, context).await
    }

    /// The same with exactly these grants and this component's imports, without a working folder.
    pub(crate) async fn start_with(
        machine: &Machine,
        component: &InstancePre<StepState>,
        setup: &ComponentSetup,
        grants: Grants,
        context: &StepContext,
    ) -> Result<(Self, WasmInstance), Halt> {
        let state = StepState::new(context, setup, Arc::new(grants), machine.outside.clone());
        let mut store = Store::new(&machine.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(CROSSING_BYTES_MAX);
        store.set_max_component_handles(COMPONENT_HANDLES_MAX);
        let cpu = store.data().budget.cpu.clone();
        let watch = Watch::new(context.clone(), setup.share.clone(), cpu, setup.limits.stop_grace_ms);
        interrupt(&mut store, watch.clone());
        let mut instance = Self { store, watch, batch: None };
        let starting = component.instantiate_async(&mut instance.store);
        let started = instance.watch.guard(setup.limits.call_ms_max, starting).await;
        let wasm = instance.settle(started)?;
        Ok((instance, wasm))
    }

    /// Sets how many bytes the next calls may return.
    pub(crate) fn returns_at_most(&mut self, bytes: usize) {
        self.store.set_hostcall_fuel(bytes);
    }

    /// Sets it back to the limit of most calls.
    pub(crate) fn returns_no_more(&mut self) {
        self.store.set_hostcall_fuel(CROSSING_BYTES_MAX);
    }

    /// Charges the component for the batch that it returned, instead of the one before.
    pub(crate) fn has_returned(&mut self, bytes: usize) -> Result<(), ElementError> {
        let charged = match self.batch.as_mut() {
            Some(batch) => batch.cover(bytes as u64),
            None => self.store.data().account.charge(bytes as u64).map(|charge| self.batch = Some(charge)),
        };
        charged.map_err(|refusal| {
            self.store.data().context.metering().tally().reached_memory_limit();
            failure::out_of_memory(&refusal, "")
        })
    }

    /// Converts a trap to the end of the call: a stop, or a failure with the component's last words if there
    /// are any.
    pub(crate) fn settle<T>(&mut self, result: wasmtime::Result<T>) -> Result<T, Halt> {
        let state = self.store.data_mut();
        state.context.metering().called_host(mem::take(&mut state.host_calls));
        let refusal = state.memory.take_refusal();
        result.map_err(|error| {
            let refusal = refusal.or_else(|| error.downcast_ref::<OutOfMemory>().cloned());
            count(&error, refusal.is_some(), state.context.metering().tally());
            let remedy = state.egress.take_remedy();
            match failure::of_trap(&error, refusal, &state.stderr.last_words()) {
                Halt::Stopped => Halt::Stopped,
                Halt::Failed(failure) => failure.with_remedies(remedy).into(),
            }
        })
    }
}

/// Counts the end of a call that a limit or a stop request has caused.
fn count(error: &wasmtime::Error, is_out_of_memory: bool, tally: &Tally) {
    match error.downcast_ref() {
        _ if is_out_of_memory => tally.reached_memory_limit(),
        Some(Cut::TimeLimit { .. } | Cut::CpuLimit { .. }) => tally.reached_time_limit(),
        Some(Cut::Stopped) => tally.forced_stop(),
        None => {}
    }
}

/// At each tick of the engine the component lets others run, and ends if it must.
fn interrupt(store: &mut Store<StepState>, watch: Watch) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match watch.check(Instant::now()) {
        Some(cut) => Err(cut.into()),
        None => Ok(UpdateDeadline::Yield(1)),
    });
}

fn with_work_folder(setup: &ComponentSetup) -> Result<Grants, ElementError> {
    let folder = Dir::open_ambient_dir(&setup.work, ambient_authority()).map_err(|error| {
        ElementError::failed("work-folder-unavailable", format!("the working folder does not open: {error}"))
    })?;
    let grants = setup.grants.clone().with_folder(WORK_FOLDER, Access::Write, folder);
    grants.map_err(|error| ElementError::failed(error.code(), error.to_string()).with_help(error.help()))
}
