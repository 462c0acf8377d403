//! The common code of the adapters.

use std::fmt;

use stepbox_batch::cut::cut;
use stepbox_batch::element::{Opening, SkippedRow};
use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::findings::TEXT_BYTES_MAX;
use stepbox_batch::rows::Rows;
use stepbox_batch::step_context::StepContext;
use wasmtime::Store;
use wasmtime::component::{Instance as WasmInstance, InstancePre};

use crate::failure;
use crate::instance::Instance;
use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::state::StepState;
use crate::text::storable;
use crate::upload::World;
use crate::v0_1::bindings::exports::stepbox::step::{partitioner, processor, reader, task, writer};
use crate::v0_1::bindings::stepbox::step::types::{RowsParam, RowsResult, Setup, Skipped, StepError};

/// The maximum length of an element's state, in bytes.
const STATE_BYTES_MAX: usize = 64 << 10;
/// The maximum number of a component's columns, and the maximum length of their names together, in bytes.
const COLUMNS_MAX: usize = 10_000;
const HEADER_BYTES_MAX: usize = 1 << 20;

/// A running component, with the functions of its world.
pub(super) struct Running<E> {
    pub(super) instance: Instance,
    pub(super) exports: E,
}

/// The functions of a world. Their names are looked up once in a component, and then used in each instance of
/// it.
pub(super) trait Exports: Sized {
    const WORLD: World;
    type Indices;

    fn find(component: &InstancePre<StepState>) -> wasmtime::Result<Self::Indices>;

    fn load(
        indices: &Self::Indices,
        store: &mut Store<StepState>,
        instance: &WasmInstance,
    ) -> wasmtime::Result<Self>;
}

macro_rules! exports {
    ($world:expr, $interface:ident) => {
        impl Exports for $interface::Guest {
            const WORLD: World = $world;
            type Indices = $interface::GuestIndices;

            fn find(component: &InstancePre<StepState>) -> wasmtime::Result<Self::Indices> {
                $interface::GuestIndices::new(component)
            }

            fn load(
                indices: &Self::Indices,
                store: &mut Store<StepState>,
                instance: &WasmInstance,
            ) -> wasmtime::Result<Self> {
                indices.load(store, instance)
            }
        }
    };
}

exports!(World::Tasklet, task);
exports!(World::ItemReader, reader);
exports!(World::PartitionedItemReader, partitioner);
exports!(World::ItemProcessor, processor);
exports!(World::ItemWriter, writer);

impl<E: Exports> Running<E> {
    /// Whether a component has the functions of the world.
    pub(super) fn is_possible(loaded: &Loaded) -> bool {
        E::find(loaded.pre()).is_ok()
    }

    /// Starts a component in a store of its own. Fails if it does not have the functions of the world.
    pub(super) async fn start(
        loaded: &Loaded,
        setup: &ComponentSetup,
        context: &StepContext,
    ) -> Result<Self, Halt> {
        let indices = E::find(loaded.pre()).map_err(|_| failure::wrong_world(E::WORLD))?;
        let (mut instance, wasm) = Instance::start(loaded, setup, context).await?;
        let exports = E::load(&indices, &mut instance.store, &wasm);
        let exports = instance.settle(exports)?;
        Ok(Self { instance, exports })
    }

    /// Converts the result of a call: a value, the component's own error, or a trap.
    pub(super) fn settle<T>(&mut self, result: wasmtime::Result<Result<T, StepError>>) -> Result<T, Halt> {
        let result = self.instance.settle(result)?;
        let remedy = self.instance.store.data().egress.take_remedy();
        result.map_err(|error| failure::of_step_error(error).with_remedies(remedy).into())
    }
}

impl<E> fmt::Debug for Running<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Calls a function of the component that an adapter runs, and returns its value. After a call that fails,
/// the component is dropped. Calls that return a batch are marked as such.
macro_rules! call {
    (batch $adapter:ident.$function:ident($($argument:expr),*)) => {{
        if let Some(running) = &mut $adapter.running {
            running.instance.returns_at_most($crate::instance::BATCH_BYTES_MAX);
        }
        let value = call!($adapter.$function($($argument),*));
        if let Some(mut running) = $adapter.running.take() {
            running.instance.returns_no_more();
            running.instance.has_returned($crate::v0_1::adapters::running::Returned::bytes(&value))?;
            $adapter.running = Some(running);
        }
        value
    }};
    ($adapter:ident.$function:ident($($argument:expr),*)) => {{
        let mut running = $adapter.running.take().ok_or_else($crate::failure::not_open)?;
        let call = running.exports.$function(&mut running.instance.store, $($argument),*);
        let result = running.instance.watch.guard($adapter.setup.limits.call_ms_max, call).await;
        let value = running.settle(result)?;
        $adapter.running = Some(running);
        value
    }};
}
pub(super) use call;

/// The arguments with which a component starts. The header is borrowed twice: each name as a text, and all of
/// them as a list.
pub(super) struct Beginning<'a> {
    header: Vec<&'a str>,
    parameters: String,
    state: Option<&'a [u8]>,
}

impl<'a> Beginning<'a> {
    pub(super) fn of(opening: &Opening<'a>, setup: &ComponentSetup) -> Self {
        Self {
            header: opening.header.iter().map(String::as_str).collect(),
            parameters: parameters(setup, opening.context),
            state: opening.state,
        }
    }

    pub(super) fn setup(&self) -> Setup<'_> {
        Setup { header: &self.header, parameters: &self.parameters, checkpoint: self.state }
    }
}

/// The options that the job gives the component; without options, all parameters of the job.
pub(super) fn parameters(setup: &ComponentSetup, context: &StepContext) -> String {
    match &setup.options {
        Some(options) => options.to_string(),
        None => context.run().parameters_text.clone(),
    }
}

/// A batch for a call: the only copy is the one into the component's memory.
pub(super) fn lent(rows: &Rows) -> RowsParam<'_> {
    RowsParam { data: rows.data(), ends: rows.ends(), nulls: rows.nulls() }
}

/// Checks every rule of a returned batch, and converts it.
pub(super) fn checked(columns: usize, rows: RowsResult) -> Result<Rows, ElementError> {
    Rows::from_parts(columns, rows.data, rows.ends, rows.nulls).map_err(failure::of_bad_rows)
}

/// Checks that the columns can be stored. The engine checks that their names are unique.
pub(super) fn checked_header(header: Vec<String>) -> Result<Vec<String>, ElementError> {
    let bytes = header.iter().map(String::len).sum::<usize>();
    if header.len() > COLUMNS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(failure::too_large("a header", bytes, HEADER_BYTES_MAX));
    }
    Ok(header.into_iter().map(|name| storable(&name).into_owned()).collect())
}

pub(super) fn checked_state(state: Vec<u8>) -> Result<Vec<u8>, ElementError> {
    if state.len() > STATE_BYTES_MAX {
        return Err(failure::too_large("a checkpoint", state.len(), STATE_BYTES_MAX));
    }
    Ok(state)
}

/// The value of a call that returns a batch.
pub(super) trait Returned {
    /// The memory that it takes, in bytes.
    fn bytes(&self) -> usize;
}

impl Returned for RowsResult {
    fn bytes(&self) -> usize {
        self.data.len() + size_of_val(&*self.ends) + size_of_val(&*self.nulls)
    }
}

impl Returned for Vec<Skipped> {
    fn bytes(&self) -> usize {
        let texts = self.iter().map(|skipped| skipped.code.len() + skipped.reason.len());
        size_of_val(&**self) + texts.sum::<usize>()
    }
}

impl Returned for processor::Outcome {
    fn bytes(&self) -> usize {
        self.rows.bytes() + self.skipped.bytes() + size_of_val(&*self.filtered)
    }
}

impl Returned for reader::Chunk {
    fn bytes(&self) -> usize {
        let texts = |found: &reader::Unreadable| {
            found.code.len() + found.reason.len() + found.place.len() + found.item.len()
        };
        let unreadable = size_of_val(&*self.unreadable) + self.unreadable.iter().map(texts).sum::<usize>();
        self.rows.bytes() + unreadable
    }
}

/// Converts the rows that a component set aside. The engine checks that these rows exist.
pub(super) fn skipped_rows(skipped: Vec<Skipped>) -> Vec<SkippedRow> {
    let one = |skipped: Skipped| SkippedRow {
        row: skipped.row,
        code: failure::code_of(skipped.code),
        reason: storable(cut(&skipped.reason, TEXT_BYTES_MAX)).into_owned(),
    };
    skipped.into_iter().map(one).collect()
}
