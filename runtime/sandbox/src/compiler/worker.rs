//! The other end of a [`CompileProcess`](super::CompileProcess): reads a component and writes its machine
//! code.
//!
//! This process does not check the component: its parent has done that. The parent does not trust it to end
//! by itself either. So before it reads a byte, it limits its own memory, time, files and priority, and it
//! ends with its parent. Standard input carries the number of bytes (8 bytes, little-endian), then the bytes,
//! and then nothing until the process may end. Standard output carries one byte and the code, or another byte
//! and a problem.

use std::io::{self, Read, Write};
use std::process::{self, ExitCode};
use std::thread;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

use super::code;
use crate::engine::engine;
use crate::upload::COMPONENT_BYTES_MAX;

/// The first byte of an answer if machine code follows.
pub(super) const CODE: u8 = 0;
/// The first byte of an answer if the reason follows why there is no code.
pub(super) const PROBLEM: u8 = 1;

/// How much memory it may take, in bytes. It is one of three variables; the environment has no others.
pub(super) const MEMORY: &str = "STEPBOX_COMPILE_MEMORY_BYTES";
/// How many seconds it may compute.
pub(super) const SECONDS: &str = "STEPBOX_COMPILE_CPU_SECONDS";
/// Whether all cores may be used: `true` or `false`.
pub(super) const PARALLEL: &str = "STEPBOX_COMPILE_PARALLEL";

/// A lower priority than that of steps, so that steps keep their speed.
const NICENESS: i32 = 10;
/// Enough for the standard streams and the files in which the standard library looks up facts about the
/// machine.
const OPEN_FILES_MAX: u64 = 16;

/// Compiles one component for the program that started this process.
///
/// Call it from a hidden entry of a program that embeds the sandbox, as early in `main` as the entry can be
/// recognised. A [`CompileProcess`](crate::CompileProcess) starts that program again with the arguments of
/// this entry.
#[must_use = "the process must end with this exit code"]
pub fn compile_worker() -> ExitCode {
    match bind_oneself().and_then(|is_parallel| answer(is_parallel, io::stdin(), io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "no component was compiled: {error}");
            ExitCode::from(2)
        }
    }
}

/// Reads the limits from the environment and applies them to this process. Returns whether all cores may be
/// used.
fn bind_oneself() -> io::Result<bool> {
    let memory = Some(variable(MEMORY)?);
    let seconds: u64 = variable(SECONDS)?;
    let bind = |resource, current, maximum| setrlimit(resource, Rlimit { current, maximum });
    bind(Resource::Core, Some(0), Some(0))?;
    bind(Resource::Fsize, Some(0), Some(0))?;
    bind(Resource::Nofile, Some(OPEN_FILES_MAX), Some(OPEN_FILES_MAX))?;
    // The soft limit sends a signal of its own (SIGXCPU). The hard limit sends SIGKILL, as if another process
    // had killed us.
    bind(Resource::Cpu, Some(seconds), Some(seconds + 1))?;
    bind(Resource::Data, memory, memory)?;
    nice(NICENESS)?;
    variable(PARALLEL)
}

fn variable<T: std::str::FromStr>(name: &str) -> io::Result<T> {
    let missing = || io::Error::other(format!("`{name}` is not set; only Stepbox itself starts this"));
    std::env::var(name).ok().and_then(|text| text.parse().ok()).ok_or_else(missing)
}

fn answer(
    is_parallel: bool,
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let component = component(&mut input)?;
    // No more input comes. If the input ends, the parent has ended.
    thread::Builder::new().spawn(move || {
        let _ = input.read(&mut [0]);
        process::exit(2);
    })?;
    let code = engine(is_parallel).and_then(|engine| code(&engine, &component));
    match code {
        Ok(code) => {
            output.write_all(&[CODE])?;
            output.write_all(&code)?;
        }
        Err(error) => write!(output, "{}{error:#}", char::from(PROBLEM))?,
    }
    output.flush()
}

fn component(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > COMPONENT_BYTES_MAX as u64 {
        return Err(io::Error::other("the component is too large"));
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_comes_with_its_length() {
        let check = |bytes: &[u8], expected: Result<&[u8], io::ErrorKind>| {
            let mut input = bytes;
            let found = component(&mut input).map_err(|error| error.kind());
            assert_eq!(found.as_deref(), expected.as_ref().map(|bytes| &**bytes), "{bytes:?}");
        };
        check(b"\x02\0\0\0\0\0\0\0ab", Ok(b"ab"));
        check(b"\x02\0\0\0\0\0\0\0abc", Ok(b"ab"));
        check(b"\0\0\0\0\0\0\0\0", Ok(b""));
        check(b"\x02\0\0\0\0\0\0\0a", Err(io::ErrorKind::UnexpectedEof));
        check(b"\x02\0\0", Err(io::ErrorKind::UnexpectedEof));
        check(&[0xff; 8], Err(io::ErrorKind::Other));
    }
}
