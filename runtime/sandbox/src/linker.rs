//! The imports of components: these interfaces and no others.

use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{
    Component, HasData, HasSelf, InstancePre, Linker, LinkerInstance, Resource, ResourceTable, ResourceType,
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};
use wasmtime_wasi_io::bindings::wasi::io::{self, poll};

use crate::lengths::POLLABLES;
use crate::state::StepState;
use crate::v0_1::bindings::stepbox::step;
use crate::wasi::files::HasFolders;
use crate::wasi::http::HasHttp;

/// Everything that a component may import. `upload/contract.rs` lists the same by name.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<StepState>> {
    let mut linker = Linker::new(engine);
    add_contract(&mut linker)?;
    add_wasi(&mut linker)?;
    http::outgoing_handler::add_to_linker::<_, HasHttp>(&mut linker, StepState::http_resources)?;
    let options = LinkOptions::default();
    http::types::add_to_linker::<_, HasHttp>(&mut linker, &(&options).into(), StepState::http_resources)?;
    Ok(linker)
}

/// The imports of a component while it describes itself: its log, WASI's clocks, randomness and streams, and
/// an empty list of folders. A call of any other import ends the component, because `describe` has no work to
/// do.
pub(crate) fn describing(engine: &Engine, component: &Component) -> wasmtime::Result<InstancePre<StepState>> {
    let mut linker = Linker::new(engine);
    step::log::add_to_linker::<_, HasSelf<StepState>>(&mut linker, counted)?;
    add_wasi(&mut linker)?;
    for (name, import) in component.component_type().imports(engine) {
        let is_refused = name.starts_with("wasi:http/")
            || ["execution", "files", "http"].iter().any(|interface| is_of_contract(name, interface));
        if let (true, ComponentItem::ComponentInstance(functions)) = (is_refused, import.ty) {
            refuse(&mut linker.instance(name)?, name, &functions, engine)?;
        }
    }
    linker.instantiate_pre(component)
}

fn is_of_contract(name: &str, interface: &str) -> bool {
    name.strip_prefix("stepbox:step/").and_then(|rest| rest.split('@').next()) == Some(interface)
}

/// Replaces each function of an interface by one that ends the component.
fn refuse(
    instance: &mut LinkerInstance<'_, StepState>,
    interface: &str,
    functions: &types::ComponentInstance,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, item) in functions.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let text = format!("`describe` called `{name}` of `{interface}`; it only says what it knows");
                instance.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(text.clone())))?;
            }
            ComponentItem::Resource(_) => {
                instance.resource(name, resource(name), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The type of a resource. The resources of refused interfaces never exist, but some of them are types of
/// `wasi:io`.
fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<DynPollable>(),
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        "io-error" | "error" => ResourceType::host::<wasmtime::Error>(),
        _ => ResourceType::host::<Refused>(),
    }
}

struct Refused;

fn add_contract(linker: &mut Linker<StepState>) -> wasmtime::Result<()> {
    step::execution::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::files::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::http::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::log::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::types::add_to_linker::<_, HasSelf<StepState>>(linker, counted)
}

/// Counts a call of the host. Every call passes here, or through WASI's own views of the state.
fn counted(state: &mut StepState) -> &mut StepState {
    state.host_calls += 1;
    state
}

/// Gives access to the resources of `wasi:io`.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// The implementation of `wasi:io/poll`.
struct Pollables<'a>(&'a mut ResourceTable);

struct HasPollables;

impl HasData for HasPollables {
    type Data<'a> = Pollables<'a>;
}

/// A call may wait for the same thing several times, but no program needs to do that a million times.
impl poll::Host for Pollables<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        POLLABLES.check_entries(pollables.len())?;
        self.0.poll(pollables).await
    }
}

impl poll::HostPollable for Pollables<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.0.ready(pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.0.block(pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}

/// Adds WASI 0.2 without sockets and time zones. Arguments, environment and standard input are empty.
fn add_wasi(linker: &mut Linker<StepState>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<_, HasTable>(linker, |state| &mut counted(state).table)?;
    poll::add_to_linker::<_, HasPollables>(linker, |state| Pollables(&mut counted(state).table))?;
    io::streams::add_to_linker::<_, HasTable>(linker, |state| &mut counted(state).table)?;

    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, StepState::clocks)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, StepState::clocks)?;

    random::random::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;

    cli::environment::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, StepState::cli)?;

    filesystem::preopens::add_to_linker::<_, HasFolders>(linker, StepState::folder_door)?;
    filesystem::types::add_to_linker::<_, HasFolders>(linker, StepState::folder_door)
}
