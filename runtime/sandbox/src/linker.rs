//! What components may import: interface by interface, and nothing else.

use wasmtime::Engine;
use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_io::bindings::wasi::io;

use crate::bindings::stepbox::step;
use crate::state::StepState;
use crate::wasi::files::HasFolders;

/// Everything that a component may import. `upload/contract.rs` says the same by name.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<StepState>> {
    let mut linker = Linker::new(engine);
    add_contract(&mut linker)?;
    add_wasi(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

fn add_contract(linker: &mut Linker<StepState>) -> wasmtime::Result<()> {
    step::execution::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::files::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::http::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::log::add_to_linker::<_, HasSelf<StepState>>(linker, counted)?;
    step::types::add_to_linker::<_, HasSelf<StepState>>(linker, counted)
}

/// Every call of the host passes here, or through WASI's own views of the state.
fn counted(state: &mut StepState) -> &mut StepState {
    state.host_calls += 1;
    state
}

/// The resources of `wasi:io`.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// WASI 0.2 without sockets and time zones. Arguments and environment are empty, standard input too.
fn add_wasi(linker: &mut Linker<StepState>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<_, HasTable>(linker, |state| &mut counted(state).table)?;
    io::poll::add_to_linker::<_, HasTable>(linker, |state| &mut counted(state).table)?;
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
