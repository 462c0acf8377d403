//! From a component to machine code: here, or in a process that can be ended.
//!
//! A compilation cannot be called off, and some components take minutes and gigabytes; for wasmtime that
//! is no defect. So where others upload, it happens in a process of its own ([`CompileProcess`]), which
//! runs [`worker`] and is ended at its limits: whoever uploads such a component is refused, and nobody
//! else notices.

mod process;
pub(crate) mod worker;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::{CodeBuilder, Engine};

use crate::error::{CompileLimit, ComponentError};

/// How large the machine code of one component may be, in bytes.
pub(crate) const CODE_BYTES_MAX: u64 = 256 << 20;

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process, without limits of time or memory. For components that one trusts.
    #[default]
    InProcess,
    /// In a process of its own for each component, within limits.
    Process(CompileProcess),
}

/// A process that compiles one component and ends.
#[derive(Debug, Clone)]
pub struct CompileProcess {
    /// A program that calls [`compile_worker`](crate::compile_worker), built from the same sources as
    /// this one: what it returns is believed, and run.
    pub program: PathBuf,
    /// What makes it do so.
    pub arguments: Vec<OsString>,
    /// How long one compilation may compute, in milliseconds, rounded up to seconds. Reaching it refuses
    /// the component; so does half as much again on the clock, on a machine that is busy:
    /// a compilation gives way to steps.
    pub time_ms_max: u64,
    /// How much memory it may take, in bytes. Reaching it refuses the component. Held by the operating
    /// system: Linux counts what the process can write to (`RLIMIT_DATA`), other systems may count less.
    pub memory_bytes_max: u64,
}

impl CompileProcess {
    /// The default of [`time_ms_max`](Self::time_ms_max): 20 seconds.
    pub const TIME_MS_MAX: u64 = 20_000;
    /// The default of [`memory_bytes_max`](Self::memory_bytes_max): 1 GiB.
    pub const MEMORY_BYTES_MAX: u64 = 1 << 30;

    /// A program with these arguments, within the default limits.
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().collect(),
            time_ms_max: Self::TIME_MS_MAX,
            memory_bytes_max: Self::MEMORY_BYTES_MAX,
        }
    }

    /// The program that runs now, also if its file has been replaced by another version since.
    pub fn of_this_program(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { std::env::current_exe()? };
        Ok(Self::new(program, arguments))
    }
}

impl Compiler {
    /// The machine code of a component that is valid.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        is_parallel: bool,
        bytes: Arc<[u8]>,
    ) -> Result<Vec<u8>, ComponentError> {
        match self {
            Self::InProcess => in_process(engine.clone(), bytes).await,
            Self::Process(process) => process::compile(process, is_parallel, &bytes).await,
        }
    }
}

async fn in_process(engine: Engine, bytes: Arc<[u8]>) -> Result<Vec<u8>, ComponentError> {
    match tokio::task::spawn_blocking(move || code(&engine, &bytes)).await {
        Ok(Ok(code)) if code.len() as u64 > CODE_BYTES_MAX => {
            Err(CompileLimit::Code { bytes_max: CODE_BYTES_MAX }.into())
        }
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(ComponentError::DoesNotCompile { problem: format!("{error:#}") }),
        Err(_) => Err(breaks_the_compiler()),
    }
}

fn code(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    CodeBuilder::new(engine).wasm_binary(bytes, None)?.compile_component_serialized()
}

fn breaks_the_compiler() -> ComponentError {
    ComponentError::DoesNotCompile { problem: "it breaks the compiler".to_owned() }
}
