//! A tasklet that panics with words of its own, which the runtime shows with the failure.

use stepbox_step::{Exit, NoParameters, StepError, Tasklet};

struct Panics;

impl Tasklet for Panics {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        panic!("the guest's own words: 41 is not 42");
    }
}

stepbox_step::export_tasklet!(Panics);
