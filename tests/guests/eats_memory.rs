//! A tasklet that takes memory, and uses it, until it is refused more.
//!
//! The summary's `mebibytes` shows how much it got. With `insist`, it then asks for more in the way that aborts if it
//! is refused.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution};

const MEBIBYTE: usize = 1 << 20;

struct EatsMemory;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    insist: bool,
}

impl Tasklet for EatsMemory {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let mut eaten: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut bite = Vec::new();
            if bite.try_reserve_exact(MEBIBYTE).is_err() {
                break;
            }
            bite.resize(MEBIBYTE, 1);
            eaten.push(bite);
            execution::increment_summary("mebibytes", 1);
        }
        if parameters.insist {
            eaten.push(vec![1; 16 * MEBIBYTE]);
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(EatsMemory);
