//! A tasklet that calls the host `times` times, in the way that `call` names: with progress, new names in the
//! summary, warnings, errors or values of the execution context.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution};

struct FloodsHost;

#[derive(Deserialize)]
struct Parameters {
    call: Call,
    times: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Progress,
    Summary,
    Warning,
    Error,
    Context,
}

impl Tasklet for FloodsHost {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let text = "flood ".repeat(200);
        for number in 0..parameters.times {
            match parameters.call {
                Call::Progress => execution::increment_processed_items(1),
                Call::Summary => execution::increment_summary(&format!("name {number}"), 1),
                Call::Warning => execution::add_warning("a flood", &text),
                Call::Error => execution::add_error(&text),
                // The call is refused at some point, and the tasklet continues.
                Call::Context => drop(execution::put(&format!("key_{number}"), &text)),
            }
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(FloodsHost);
