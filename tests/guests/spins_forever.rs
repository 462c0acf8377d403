//! A tasklet that never returns and makes no calls.
//!
//! Only the runtime can end it: by its wall time, or by the grace time after a stop request. If its parameters say
//! so, it first logs that it has begun.

use std::hint;

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, log};

struct SpinsForever;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    announced: bool,
}

impl Tasklet for SpinsForever {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        if parameters.announced {
            log::info("spinning");
        }
        loop {
            hint::spin_loop();
        }
    }
}

stepbox_step::export_tasklet!(SpinsForever);
