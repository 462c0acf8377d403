//! A tasklet that writes into its working folder until it is refused more, in every possible way.
//!
//! The summary's `refused` counts the ways that were refused, `bytes` and `files` what it got, and `told` is the last
//! text of the contract's `files`. With `url`, it then calls that URL and waits for the answer.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

use serde::Deserialize;
use stepbox_step::files::{self, Mode};
use stepbox_step::{Exit, StepError, Tasklet, execution, http};

/// How much is written at once, in bytes.
const PIECE: usize = 64 << 10;
/// The end of a hole, in bytes.
const TEBIBYTE: u64 = 1 << 40;
/// More tries than any quota in the tests.
const TRIES: usize = 2_000;

struct FillsDisk;

#[derive(Deserialize)]
struct Parameters {
    url: Option<String>,
}

impl Tasklet for FillsDisk {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        for hole in [set_size, write_beyond_the_end] {
            refused(hole().is_err());
        }
        let told = until_refused(write_through_files);
        execution::increment_summary("bytes", file_sizes());
        refused(told.is_some());
        for way in [append, overwrite, write_at] {
            refused(until_refused(way).is_some());
        }
        execution::set_summary("told", &told.unwrap_or_default());
        for way in [create_through_files, create, create_folder] {
            let told = until_refused(way);
            refused(told.is_some());
        }
        let created = fs::read_dir("/work").map_err(failed)?.count();
        execution::increment_summary("files", created as u32);
        if let Some(url) = parameters.url {
            http::get(url).timeout_ms(u32::MAX).send()?;
        }
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(FillsDisk);

type Outcome = Result<(), String>;

fn refused(is_refused: bool) {
    execution::increment_summary("refused", u32::from(is_refused));
}

/// Repeats one way of taking until it is refused; `None` if it never is.
fn until_refused(take: fn(usize) -> Outcome) -> Option<String> {
    (0..TRIES).find_map(|number| take(number).err())
}

fn file_sizes() -> u32 {
    let entries = fs::read_dir("/work").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len() as u32).sum()
}

fn set_size() -> Outcome {
    open("hole").and_then(|file| file.set_len(TEBIBYTE).map_err(told))
}

fn write_beyond_the_end() -> Outcome {
    let mut file = open("hole")?;
    file.seek(SeekFrom::Start(TEBIBYTE)).map_err(told)?;
    file.write_all(b"far").map_err(told)
}

fn write_through_files(_: usize) -> Outcome {
    let mut writer = files::open_writer("work/through-files", Mode::Append).map_err(told)?;
    writer.write_all(&[1; PIECE]).map_err(told)
}

fn append(_: usize) -> Outcome {
    let file = OpenOptions::new().append(true).create(true).open("/work/appended");
    file.map_err(told)?.write_all(&[2; PIECE]).map_err(told)
}

fn overwrite(_: usize) -> Outcome {
    fs::write("/work/written", [3; PIECE]).map_err(told)
}

fn write_at(number: usize) -> Outcome {
    let mut file = open("written")?;
    file.seek(SeekFrom::Start((number * PIECE) as u64)).map_err(told)?;
    file.write_all(&[4; PIECE]).map_err(told)
}

fn create_through_files(number: usize) -> Outcome {
    let path = format!("work/through-files-{number}");
    files::open_writer(&path, Mode::CreateNew).map(drop).map_err(told)
}

fn create(number: usize) -> Outcome {
    File::create(format!("/work/created-{number}")).map(drop).map_err(told)
}

fn create_folder(number: usize) -> Outcome {
    fs::create_dir(format!("/work/folder-{number}")).map_err(told)
}

fn open(name: &str) -> Result<File, String> {
    OpenOptions::new().write(true).create(true).truncate(false).open(format!("/work/{name}")).map_err(told)
}

fn told(error: impl ToString) -> String {
    error.to_string()
}

fn failed(error: std::io::Error) -> StepError {
    StepError::new("no-folder", error.to_string())
}
