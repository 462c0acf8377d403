//! A tasklet that opens a file again and again, through `files` and then through `std::fs`, and closes none until it
//! is refused more.
//!
//! The summary's `contract` and `std` show how many files it had open at a time through each interface. `again` is 1
//! if it can open one after it has closed all.

use std::fs::File;

use serde::Deserialize;
use stepbox_step::files::{self, Mode};
use stepbox_step::{Exit, StepError, Tasklet, execution};

/// More than any guest should get.
const ENOUGH: usize = 10_000;

struct HoardsHandles;

#[derive(Deserialize)]
struct Parameters {}

impl Tasklet for HoardsHandles {
    type Parameters = Parameters;

    fn run(_: Parameters) -> Result<Exit, StepError> {
        drop(files::open_writer("work/file", Mode::CreateNew)?);
        let readers: Vec<_> = (0..ENOUGH).map_while(|_| files::open("work/file").ok()).collect();
        execution::increment_summary("contract", readers.len() as u32);
        // The other interface opens no file either while these are held.
        execution::increment_summary("beside", File::open("/work/file").is_ok().into());
        drop(readers);
        let opened: Vec<_> = (0..ENOUGH).map_while(|_| File::open("/work/file").ok()).collect();
        execution::increment_summary("std", opened.len() as u32);
        drop(opened);
        execution::increment_summary("again", files::open("work/file").is_ok().into());
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(HoardsHandles);
