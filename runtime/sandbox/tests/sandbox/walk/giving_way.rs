//! How long a host call holds a thread of the runtime before it yields.
//!
//! Everything runs on one thread, and besides the component a second task asks for its turn all the time. The
//! time that the thread computes between two turns of that task is the time that a call held it. The test
//! measures the processor time of that thread, because other work on the machine does not change it. It takes
//! the best of several runs, because time that a call always needs is in each of them.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stepbox_batch::element::Tasklet;
use stepbox_sandbox::Program;

use super::caller::{Calls, caller};
use super::imports::{Import, Imports};
use super::rows::ROWS;
use super::setup;
use crate::support::{Place, context, outcome};

/// The longest that a call may hold a thread.
const HELD_MAX: Duration = Duration::from_millis(10);
/// How often each call is made. One run that does not hold the thread shows that the call need not hold it.
const RUNS: usize = 5;
/// The length of the longest value of the execution context, in bytes. The test fills it with the slowest
/// text for a parser.
const LARGEST_VALUE: usize = 64 << 10;

#[tokio::test]
async fn no_call_holds_a_thread_without_giving_way() {
    let (place, imports, mut wrong) = (Place::new(), Imports::read(), Vec::new());
    std::fs::write(place.folder.path().join("work/file"), "text").unwrap();
    for import in imports.all() {
        for calls in calls(&imports, &import) {
            let program = place.program(&caller(&imports, &import, &calls)).await.unwrap();
            let mut held = Duration::MAX;
            for _ in 0..RUNS {
                held = held.min(longest_turn(&place, &program).await);
            }
            if held > HELD_MAX {
                wrong.push(format!("{} of {}: {held:?}", import.name(), calls.length));
            }
        }
    }
    // The test notices a call that does not yield.
    let wat = "(local.set $n (i32.const 60000000))
        (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let spins = place.program(&crate::support::tasklet("", "", wat)).await.unwrap();
    assert!(longest_turn(&place, &spins).await > Duration::from_micros(500), "the clock stands still");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Empty texts, texts with one byte too many, and megabytes; a path that exists; and JSON.
fn calls<'a>(imports: &Imports, import: &Import) -> Vec<Calls<'a>> {
    let (_, max, ..) =
        ROWS.iter().find(|(name, ..)| *name == import.name()).expect("`every_import_has_a_row`");
    if !imports.hands_over_texts(&import.function) {
        return vec![Calls::default()];
    }
    let of = |length| Calls { length, ..Calls::default() };
    let mut calls = vec![of(*max), of(max + 1), of(4 << 20), Calls::with("file"), Calls::with("work/file")];
    calls.push(Calls { are_of_folders: true, ..Calls::with("file") });
    if import.function.name == "context-put" {
        let objects = r#"{"a":0},"#.repeat(LARGEST_VALUE / 8 - 1);
        // Leaked on purpose, once: a row holds a text that lives for ever.
        calls.push(Calls::with(String::leak(format!("[{objects}{{}}]"))));
    }
    calls
}

/// The longest processor time between two turns of another task on the same thread.
async fn longest_turn(place: &Place, program: &Program) -> Duration {
    let is_over = Cell::new(false);
    let run = async {
        let ended = program.tasklet(setup(place)).run(&context(Arc::default())).await;
        is_over.set(true);
        outcome(ended)
    };
    let others = async {
        let (mut longest, mut before) = (Duration::ZERO, computed());
        while !is_over.get() {
            tokio::task::yield_now().await;
            let now = computed();
            longest = longest.max(now - before);
            before = now;
        }
        longest
    };
    tokio::join!(run, others).1
}

/// The processor time of this thread so far.
fn computed() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
