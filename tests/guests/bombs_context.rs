//! A tasklet that puts a JSON text of `bytes` into the execution context, `times` times: a list of many small
//! objects, which would be some hundred times as large in a parser.
//!
//! The summary's `refused` counts the refusals, and `why` is the last reason.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution, raw};

struct BombsContext;

#[derive(Deserialize)]
struct Parameters {
    bytes: usize,
    times: u32,
}

impl Tasklet for BombsContext {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let object = r#"{"a":0},"#;
        let objects = object.repeat(parameters.bytes / object.len());
        let text = format!("[{}{{}}]", objects);
        for _ in 0..parameters.times {
            if let Err(why) = raw::execution::context_put("bomb", &text) {
                execution::increment_summary("refused", 1);
                execution::set_summary("why", &why);
            }
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(BombsContext);
