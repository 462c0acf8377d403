//! A tasklet that calls itself until the stack ends.

use std::hint;

use stepbox_step::{Exit, NoParameters, StepError, Tasklet, execution};

struct Recurses;

impl Tasklet for Recurses {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        let depth = recurse(0);
        execution::set_summary("depth", &depth.to_string());
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(Recurses);

/// Uses the result, so that the compiler makes no loop of it.
#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let kept = hint::black_box([depth; 16]);
    recurse(depth + 1) + kept[hint::black_box(7)]
}
