//! A tasklet that never returns and calls nobody.
//!
//! Only the runtime can end it: by its wall time, or by the grace time after a stop request.

use std::hint;

use stepbox_step::{Exit, NoParameters, StepError, Tasklet};

struct SpinsForever;

impl Tasklet for SpinsForever {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        loop {
            hint::spin_loop();
        }
    }
}

stepbox_step::export_tasklet!(SpinsForever);
