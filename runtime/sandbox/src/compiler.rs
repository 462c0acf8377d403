//! Compiles components to machine code: in this process, or in a separate process that can be ended.
//!
//! A running compilation cannot be cancelled, and some components take minutes and gigabytes; wasmtime does
//! not regard that as a defect. So where other people upload components, compile in a separate process
//! ([`CompileProcess`]). It runs [`worker`] and is ended at its limits. Then the upload of such a component
//! is refused, and other users do not notice it.

mod process;
pub(crate) mod worker;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::{CodeBuilder, Engine};

use crate::error::{CompileLimit, ComponentError};

/// The maximum size of the machine code of one component, in bytes.
pub(crate) const CODE_BYTES_MAX: u64 = 256 << 20;

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process, without limits of time or memory. Use it for trusted components only.
    #[default]
    InProcess,
    /// In a separate process for each component, within limits.
    Process(CompileProcess),
}

/// A process that compiles one component and ends.
#[derive(Debug, Clone)]
pub struct CompileProcess {
    /// A program that calls [`compile_worker`](crate::compile_worker), built from the same sources as this
    /// program. The runtime trusts its output and runs it.
    pub program: PathBuf,
    /// The arguments that make the program call it.
    pub arguments: Vec<OsString>,
    /// How long one compilation may compute, in milliseconds, rounded up to seconds. At this limit the
    /// component is refused. It is also refused after one and a half times this time on the clock. On a busy
    /// machine that comes first, because a compilation gives way to steps.
    pub time_ms_max: u64,
    /// How much memory one compilation may take, in bytes. At this limit the component is refused. The
    /// operating system enforces it: Linux counts the memory that the process can write to (`RLIMIT_DATA`);
    /// other systems may count less.
    pub memory_bytes_max: u64,
}

impl CompileProcess {
    /// The default of [`time_ms_max`](Self::time_ms_max): 20 seconds.
    const TIME_MS_MAX: u64 = 20_000;
    /// The default of [`memory_bytes_max`](Self::memory_bytes_max): 1 GiB.
    pub const MEMORY_BYTES_MAX: u64 = 1 << 30;

    /// Makes a process of a program and its arguments, with the default limits.
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().collect(),
            time_ms_max: Self::TIME_MS_MAX,
            memory_bytes_max: Self::MEMORY_BYTES_MAX,
        }
    }

    /// Makes a process of the program that runs now, even if its file has since been replaced by another
    /// version.
    pub fn of_this_program(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { std::env::current_exe()? };
        Ok(Self::new(program, arguments))
    }
}

impl Compiler {
    /// Compiles a valid component to machine code.
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
