//! A disk that does not answer: calls that wait for it hold no thread of the runtime, and end with their
//! step.
//!
//! The disk hangs as long as the only thread for such work is taken. The thread is taken after the component
//! has made the resources for its call. A call that returns all the same has not used the disk. Calls can
//! also wait for requests and clocks; the guest `waits_in_calls` tests those.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stepbox_batch::element::Tasklet;
use stepbox_batch::log::{ExecutionLog, LogLevel};
use stepbox_sandbox::{ComponentSetup, Limits};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::caller::{Calls, caller};
use super::imports::{Import, Imports};
use crate::support::{Place, context_with, outcome};

/// The imports that wait for the disk. A new import that uses the disk belongs here.
const WAIT: &[&str] = &[
    "wasi:io/streams: [method]input-stream.blocking-read",
    "wasi:io/streams: [method]input-stream.blocking-skip",
    "wasi:io/streams: [method]output-stream.blocking-splice",
    "wasi:io/streams: [method]output-stream.blocking-write-and-flush",
    "wasi:io/streams: [method]output-stream.blocking-write-zeroes-and-flush",
    "wasi:filesystem/types: [method]descriptor.advise",
    "wasi:filesystem/types: [method]descriptor.sync-data",
    "wasi:filesystem/types: [method]descriptor.get-flags",
    "wasi:filesystem/types: [method]descriptor.get-type",
    "wasi:filesystem/types: [method]descriptor.set-size",
    "wasi:filesystem/types: [method]descriptor.set-times",
    "wasi:filesystem/types: [method]descriptor.read",
    "wasi:filesystem/types: [method]descriptor.write",
    "wasi:filesystem/types: [method]descriptor.read-directory",
    "wasi:filesystem/types: [method]descriptor.sync",
    "wasi:filesystem/types: [method]descriptor.create-directory-at",
    "wasi:filesystem/types: [method]descriptor.stat",
    "wasi:filesystem/types: [method]descriptor.stat-at",
    "wasi:filesystem/types: [method]descriptor.set-times-at",
    "wasi:filesystem/types: [method]descriptor.open-at",
    "wasi:filesystem/types: [method]descriptor.readlink-at",
    "wasi:filesystem/types: [method]descriptor.remove-directory-at",
    "wasi:filesystem/types: [method]descriptor.rename-at",
    "wasi:filesystem/types: [method]descriptor.unlink-file-at",
    "wasi:filesystem/types: [method]descriptor.is-same-object",
    "wasi:filesystem/types: [method]descriptor.metadata-hash",
    "wasi:filesystem/types: [method]descriptor.metadata-hash-at",
    "wasi:filesystem/types: [method]directory-entry-stream.read-directory-entry",
    "files: [method]reader.read",
    "files: [method]writer.write",
    "files: [method]writer.sync",
    "files: open-reader",
    "files: open-writer",
    "files: list",
    "files: stat",
    "files: create-folder",
    "files: rename",
    "files: remove",
];

/// The time limit of a step whose call waits, in milliseconds.
const LIMIT_MS: u64 = 100;
/// A time limit that a call that does not wait never reaches, in milliseconds.
const NEVER_MS: u64 = 30_000;
/// How long a step may take to end. Its limit and its grace time are at most 100 ms; the rest is for a busy
/// machine.
const END_MAX: Duration = Duration::from_secs(10);

#[test]
fn a_disk_that_hangs_holds_up_no_thread_and_no_end() {
    let (imports, mut wrong) = (Imports::read(), Vec::new());
    for import in imports.all() {
        let waits = WAIT.contains(&&*import.name());
        let mut check = |ending: Ending, expected: &str| {
            let (found, took) = run(&imports, &import, ending);
            let is_right = found.starts_with(expected) != (ending == Ending::Itself);
            if !is_right || took > END_MAX {
                wrong.push(format!("{}: {ending:?}, {found} after {took:?}", import.name()));
            }
        };
        match waits {
            true => {
                check(Ending::Limit, "step-time-limit");
                check(Ending::Stop, "stopped");
            }
            false => check(Ending::Itself, "step-time-limit"),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What ends a step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Limit,
    Stop,
    Itself,
}

/// A log that hangs the disk at the first message.
struct HangsTheDisk {
    until: Mutex<Option<Receiver<()>>>,
    hangs: Notify,
}

impl ExecutionLog for HangsTheDisk {
    fn log(&self, _: LogLevel, _: Option<&str>, _: &str) {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(until) = until {
            // The task ends when the sender is dropped. All later work for the disk waits for it.
            Handle::current().spawn_blocking(move || until.recv());
            self.hangs.notify_one();
        }
    }
}

/// Runs the call. Returns how the step ended, and how long it took.
fn run(imports: &Imports, import: &Import, ending: Ending) -> (String, Duration) {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let ended = runtime.block_on(async {
        let place = Place::new();
        std::fs::write(place.folder.path().join("work/file"), "text").unwrap();
        // `file` is as long as the list that `poll` gets, and short enough that `write` takes it at once.
        let text = if import.interface.starts_with("stepbox:step/files") { "work/file" } else { "file" };
        let name = &import.function.name;
        let are_of_folders = name.ends_with("-at") || name.ends_with("read-directory");
        let calls = Calls { are_announced: true, are_of_folders, ..Calls::with(text) };
        let program = place.program(&caller(imports, import, &calls)).await.unwrap();
        let tasklet_ms_max = if ending == Ending::Limit { LIMIT_MS } else { NEVER_MS };
        let limits = Limits { tasklet_ms_max, stop_grace_ms: 50, ..Limits::default() };
        let setup = ComponentSetup { ..place.setup(limits) };
        let (release, until) = channel();
        let log = Arc::new(HangsTheDisk { until: Mutex::new(Some(until)), hangs: Notify::new() });
        let context = context_with(log.clone());
        let began_at = Instant::now();
        let mut tasklet = program.tasklet(setup);
        let stop = async {
            if ending == Ending::Stop {
                log.hangs.notified().await;
                context.run().request_stop();
            }
        };
        let (ended, ()) = tokio::join!(tasklet.run(&context), stop);
        let took = began_at.elapsed();
        drop(release);
        (outcome(ended), took)
    });
    runtime.shutdown_background();
    ended
}
