//! A process that compiles one component: it is started, gets its input, is read from, and is ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use stepbox_batch::cut::cut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{CODE_BYTES_MAX, CompileProcess, breaks_the_compiler, worker};
use crate::error::{CompileLimit, ComponentError};

/// How long a compilation may take on the clock: one and a half times its computing time. Steps have
/// priority, but the user who uploads must not wait for ever, and the next upload waits as well.
fn on_the_clock(time_ms_max: u64) -> u64 {
    time_ms_max.saturating_mul(3) / 2
}
/// How much of its standard error is read, in bytes.
const TALK_BYTES_MAX: u64 = 64 << 10;
/// How much of a compiler's problem is reported, in bytes.
const PROBLEM_BYTES_MAX: usize = 4 << 10;

/// Compiles a component in a process. The process is gone when this returns. It is also ended if this future
/// is dropped.
pub(super) async fn compile(
    process: &CompileProcess,
    is_parallel: bool,
    bytes: &[u8],
) -> Result<Vec<u8>, ComponentError> {
    let mut child = start(process, is_parallel).map_err(|error| lost(format!("does not start: {error}")))?;
    let ms_max = on_the_clock(process.time_ms_max);
    let heard = match tokio::time::timeout(Duration::from_millis(ms_max), converse(&mut child, bytes)).await {
        Ok(Ok(heard)) => judge(heard, process),
        Ok(Err(error)) => Err(lost(format!("cannot be listened to: {error}"))),
        Err(_) => Err(CompileLimit::Clock { ms_max }.into()),
    };
    // The process has ended by itself, or is killed here. In both cases nothing of it remains.
    let _ = child.kill().await;
    heard
}

/// Starts the process with three pipes and nothing else of ours: no environment, no terminal, no open files
/// (all are closed on exec). Ctrl-C does not reach it: it ends when this process ends.
fn start(process: &CompileProcess, is_parallel: bool) -> io::Result<Child> {
    let seconds = process.time_ms_max.div_ceil(1000).max(1);
    // On all cores, a process uses the processor time of each core at once, so the limit is multiplied by
    // their number.
    let cores = if is_parallel { std::thread::available_parallelism()?.get() as u64 } else { 1 };
    Command::new(&process.program)
        .args(&process.arguments)
        .env_clear()
        .env(worker::MEMORY, process.memory_bytes_max.to_string())
        .env(worker::SECONDS, seconds.saturating_mul(cores).to_string())
        .env(worker::PARALLEL, is_parallel.to_string())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The output of the process.
struct Heard {
    /// `None` if the process wrote more than the longest answer, and was not read to the end.
    status: Option<ExitStatus>,
    answer: Vec<u8>,
    talk: Vec<u8>,
}

async fn converse(child: &mut Child, bytes: &[u8]) -> io::Result<Heard> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let tell = async {
        stdin.write_all(&(bytes.len() as u64).to_le_bytes()).await?;
        stdin.write_all(bytes).await?;
        stdin.flush().await
    };
    // A process that ends before it has read everything is judged by its exit status.
    let (_, answer, talk) =
        tokio::join!(tell, read(stdout, CODE_BYTES_MAX + 1), read(stderr, TALK_BYTES_MAX));
    let answer = answer?;
    let status = match answer.len() as u64 > CODE_BYTES_MAX + 1 {
        true => None,
        // Its input stays open until here: the process takes the end of its input for our end.
        false => Some(child.wait().await?),
    };
    drop(stdin);
    Ok(Heard { status, answer, talk: talk? })
}

/// Reads to the end of a stream, but not much more than `bytes_max`.
async fn read(stream: impl AsyncRead + Unpin, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(bytes_max + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Returns the code, or the reason why there is none and whose fault it is.
fn judge(heard: Heard, process: &CompileProcess) -> Result<Vec<u8>, ComponentError> {
    let Heard { status, mut answer, talk } = heard;
    let Some(status) = status else {
        return Err(CompileLimit::Code { bytes_max: CODE_BYTES_MAX }.into());
    };
    let talk = String::from_utf8_lossy(&talk);
    // The standard library writes this when it gets no memory, before it aborts.
    let is_out_of_memory = talk.contains("memory allocation of ");
    let ended_by = |signals: &[Signal]| signals.iter().any(|it| status.signal() == Some(it.as_raw()));
    match answer.first() {
        Some(&worker::CODE) if status.success() => {
            answer.remove(0);
            Ok(answer)
        }
        Some(&worker::PROBLEM) if status.success() => {
            let problem = String::from_utf8_lossy(&answer[1..]);
            Err(ComponentError::DoesNotCompile { problem: cut(&problem, PROBLEM_BYTES_MAX).to_owned() })
        }
        _ if is_out_of_memory => Err(CompileLimit::Memory { bytes_max: process.memory_bytes_max }.into()),
        _ if ended_by(&[Signal::XCPU]) => Err(CompileLimit::Time { ms_max: process.time_ms_max }.into()),
        // A panic, or something worse.
        _ if status.code() == Some(101)
            || ended_by(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::ABORT]) =>
        {
            Err(breaks_the_compiler())
        }
        _ => Err(lost(match (status.signal(), talk.lines().next()) {
            (Some(signal), _) => format!("was killed by signal {signal}"),
            (None, Some(words)) => format!("ended with {status}: {}", cut(words, PROBLEM_BYTES_MAX)),
            (None, None) => format!("ended with {status} and no answer"),
        })),
    }
}

fn lost(problem: String) -> ComponentError {
    ComponentError::CompilerLost { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: i32, answer: &[u8], talk: &str, expected: &str) {
        let process = CompileProcess::new("compiles", []);
        let talk = talk.as_bytes().to_vec();
        let heard = Heard { status: Some(ExitStatus::from_raw(status)), answer: answer.to_vec(), talk };
        let found = match judge(heard, &process) {
            Ok(code) => format!("code {code:?}"),
            Err(error) => format!("{}: {error}", error.code()),
        };
        assert_eq!(found, expected, "{status}");
    }

    #[test]
    fn tells_whose_fault_it_is_that_there_is_no_code() {
        let exit = |code: i32| code << 8;
        check(0, b"\0abc", "", "code [97, 98, 99]");
        check(0, b"\x01no such op", "", "component-does-not-compile: it does not compile: no such op");
        check(
            6,
            b"",
            "memory allocation of 9 bytes failed\n",
            "compile-limit: compiling it takes more than 1024 MiB of memory",
        );
        check(24, b"", "", "compile-limit: compiling it takes longer than 20 s");
        let breaks = "component-does-not-compile: it does not compile: it breaks the compiler";
        check(exit(101), b"", "thread 'main' panicked", breaks);
        check(11, b"", "", breaks);
        check(9, b"", "", "compiler-lost: the process that compiles it was killed by signal 9");
        check(9, b"\0half of it", "", "compiler-lost: the process that compiles it was killed by signal 9");
        check(
            exit(2),
            b"",
            "unknown command\n",
            "compiler-lost: the process that compiles it ended with exit status: 2: unknown command",
        );
        check(
            0,
            b"",
            "",
            "compiler-lost: the process that compiles it ended with exit status: 0 and no answer",
        );
    }
}
