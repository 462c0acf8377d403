//! A tasklet that looks for everything it was not given: environment, arguments, a current folder, standard input,
//! and traces of an earlier run of itself. Then it leaves traces for the next run.
//!
//! The summary has everything that it found. With `random_bytes`, it also asks for this many random bytes at once.

use std::fs;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, execution};
use wasi::cli::environment;
use wasi::random::random;

static RUNS: AtomicU32 = AtomicU32::new(0);

struct LooksAround;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    random_bytes: u64,
}

impl Tasklet for LooksAround {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        found("environment", environment::get_environment());
        found("arguments", environment::get_arguments());
        found("current folder", environment::initial_cwd());
        let mut input = Vec::new();
        let _ = io::stdin().take(1000).read_to_end(&mut input);
        found("input", input);
        execution::set_summary("earlier runs", &RUNS.fetch_add(1, Ordering::Relaxed).to_string());
        for folder in ["/", "/work", "/tmp", "."] {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            found(folder, entries.map(|entry| entry.file_name()).collect::<Vec<_>>());
        }
        fs::write("/work/trace", "I was here")?;
        if parameters.random_bytes > 0 {
            let bytes = random::get_random_bytes(parameters.random_bytes);
            execution::set_summary("random bytes", &bytes.len().to_string());
        }
        Ok(Exit::Completed)
    }
}

fn found(what: &str, value: impl std::fmt::Debug) {
    execution::set_summary(what, &format!("{value:?}"));
}

stepbox_step::export_tasklet!(LooksAround);
