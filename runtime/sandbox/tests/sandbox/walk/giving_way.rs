//! How long a call of the host holds a thread of the runtime before it gives way.
//!
//! Everything is on one thread, and beside the component something else wants its turn all the time. What the thread
//! computes between two of its turns is what a call held it for. Processor time of that thread is judged, which a
//! busy machine does not change, and the best of several runs: what a call always does is in each of them.

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
/// How often each call is made; one that held no thread shows that it need not.
const RUNS: usize = 5;
/// The longest value of the execution context, as a parser likes it least.
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
    // A call that does not give way is seen.
    let wat = "(local.set $n (i32.const 60000000))
        (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let spins = place.program(&crate::support::tasklet("", "", wat)).await.unwrap();
    assert!(longest_turn(&place, &spins).await > Duration::from_micros(500), "the clock stands still");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nothing, one byte too many, and megabytes; a path that is there, and JSON.
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
        // Leaked once, for a text that a row of a table could hold as well.
        calls.push(Calls::with(String::leak(format!("[{objects}{{}}]"))));
    }
    calls
}

/// The most processor time that went by between two turns of somebody else on the same thread.
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

/// What this thread has computed so far.
fn computed() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
