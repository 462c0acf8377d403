//! A tasklet that writes `messages` messages of `bytes` bytes each, to the execution's log or, with the parameter
//! `door`, to `stdout` or `stderr`. The default is a million messages of a thousand bytes.

use std::io::{self, Write};

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, log};

struct FloodsLog;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default = "a_million")]
    messages: u32,
    #[serde(default = "a_thousand")]
    bytes: usize,
    #[serde(default)]
    door: Door,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Door {
    #[default]
    Log,
    Stdout,
    Stderr,
}

impl Tasklet for FloodsLog {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let line = "flood ".repeat(parameters.bytes / 6 + 1)[..parameters.bytes].to_owned();
        for _ in 0..parameters.messages {
            match parameters.door {
                Door::Log => log::info(&line),
                Door::Stdout => writeln!(io::stdout(), "{line}")?,
                Door::Stderr => writeln!(io::stderr(), "{line}")?,
            }
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(FloodsLog);

fn a_million() -> u32 {
    1_000_000
}

fn a_thousand() -> usize {
    1000
}
