//! The other end of a [`CompileProcess`](super::CompileProcess): reads a component, writes its machine
//! code.
//!
//! It checks nothing, since whoever asks has done that. It is not trusted to end by itself either:
//! before it reads a byte it has bound its own memory, time, files and pace, and it ends with whoever
//! asked. On standard input come the number of bytes (8, little-endian) and the bytes, and then nothing
//! until it may end. On standard output go one byte and the code, or another byte and a problem.

use std::io::{self, Read, Write};
use std::process::{self, ExitCode};
use std::thread;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

use super::code;
use crate::engine::engine;
use crate::upload::COMPONENT_BYTES_MAX;

/// The first byte of an answer: what follows is machine code.
pub(super) const CODE: u8 = 0;
/// The first byte of an answer: what follows says why there is none.
pub(super) const PROBLEM: u8 = 1;

/// In the environment, and nothing else is: how much memory, in bytes.
pub(super) const MEMORY: &str = "STEPBOX_COMPILE_MEMORY_BYTES";
/// How many seconds of computing.
pub(super) const SECONDS: &str = "STEPBOX_COMPILE_CPU_SECONDS";
/// Whether all cores may be used: `true` or `false`.
pub(super) const PARALLEL: &str = "STEPBOX_COMPILE_PARALLEL";

/// Lower than steps, which are to keep their pace.
const NICENESS: i32 = 10;
/// Standard streams, and what the standard library looks up about the machine.
const OPEN_FILES_MAX: u64 = 16;

/// Compiles one component for the program that started this process.
///
/// For the hidden entry of a program that embeds the sandbox, as early as it can be told: a
/// [`CompileProcess`](crate::CompileProcess) starts that program again with the arguments that lead here.
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

/// Takes the limits from the environment, and on. Returns whether all cores may be used.
fn bind_oneself() -> io::Result<bool> {
    let memory = Some(variable(MEMORY)?);
    let seconds: u64 = variable(SECONDS)?;
    let bind = |resource, current, maximum| setrlimit(resource, Rlimit { current, maximum });
    bind(Resource::Core, Some(0), Some(0))?;
    bind(Resource::Fsize, Some(0), Some(0))?;
    bind(Resource::Nofile, Some(OPEN_FILES_MAX), Some(OPEN_FILES_MAX))?;
    // The first is told by a signal of its own, the second would look as if somebody had killed us.
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
    // Nothing more comes. When it ends, so has whoever asked.
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
