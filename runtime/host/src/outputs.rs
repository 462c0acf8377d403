//! Prevents outputs from replacing each other. Before a run is accepted, its parameters are checked. Before a
//! step begins, its output is locked against other runs.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stepbox_batch::element::Role;
use stepbox_batch::error::ElementError;
use stepbox_batch::job::{Element, ElementSource, Job, Step, StepKind};
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::run_context::RunInfo;
use stepbox_batch::template::Values;
use stepbox_connectors::{FilePlace, Reach, input_place, output_place};

use crate::data_folder::private;
use crate::error::Error;
use crate::native::NativeElements;
use crate::step_elements::expand;

/// The input and the output of a step, if they are files of Stepbox's own readers and writers.
#[derive(Debug, Default)]
pub(crate) struct StepPlaces {
    pub(crate) input: Option<FilePlace>,
    pub(crate) output: Option<FilePlace>,
}

impl StepPlaces {
    /// The places of a step. `run` is the run, if there is one already.
    pub(crate) fn of(
        step: &Step,
        values: Values<'_>,
        native: &NativeElements,
        reach: &Reach,
        run: Option<&RunInfo>,
    ) -> Self {
        let StepKind::Item { reader, writer, .. } = &step.kind else { return Self::default() };
        let options = |element: &Element, is_embedders: bool| match element.source {
            // If the options cannot be expanded, the step fails later with a better message.
            ElementSource::Native(_) if !is_embedders => expand(element, values, true).ok(),
            _ => None,
        };
        let of_reader = options(reader, native.is_embedders(Role::Reader, reader.name()));
        let of_writer = options(writer, native.is_embedders(Role::Writer, writer.name()));
        Self {
            input: of_reader.and_then(|options| input_place(&options, reach)),
            output: of_writer.and_then(|options| output_place(&options, reach, run)),
        }
    }

    /// The output, if it is also the input.
    pub(crate) fn output_over_input(&self) -> Option<&FilePlace> {
        writes_over(self, self)
    }
}

/// The output of a step, if the same step or another one reads it.
fn writes_over<'a>(writing: &'a StepPlaces, reading: &StepPlaces) -> Option<&'a FilePlace> {
    let (output, input) = (writing.output.as_ref()?, reading.input.as_ref()?);
    // The name of a file may contain the text of a placeholder.
    (!output.has_placeholders() && output.address() == input.address()).then_some(output)
}

/// Refuses parameters with which a step would overwrite its input, or two branches of a split would write the
/// same file.
pub(crate) fn check_outputs(
    job: &Job,
    parameters: &Value,
    native: &NativeElements,
    reach: &Reach,
) -> Result<(), Error> {
    let values = Values::of(parameters);
    let places = job.steps.iter().map(|step| (step, StepPlaces::of(step, values, native, reach, None)));
    let places: Vec<_> = places.collect();
    for (position, (step, of_step)) in places.iter().enumerate() {
        if let Some(output) = of_step.output_over_input() {
            return Err(Error::OutputIsInput { step: step.name.clone(), path: output.given().to_owned() });
        }
        for (other, of_other) in &places[position + 1..] {
            if !run_side_by_side(step, other) {
                continue;
            }
            let output = of_step.output.as_ref();
            let both =
                output.filter(|one| of_other.output.as_ref().is_some_and(|it| it.address() == one.address()));
            let clash =
                both.or_else(|| writes_over(of_step, of_other)).or_else(|| writes_over(of_other, of_step));
            if let Some(place) = clash {
                let (one, other, path) = (step.name.clone(), other.name.clone(), place.given().to_owned());
                return Err(Error::OutputsClash { one, other, path });
            }
        }
    }
    Ok(())
}

fn run_side_by_side(one: &Step, other: &Step) -> bool {
    match (&one.flow.branch, &other.flow.branch) {
        (Some(one), Some(other)) => one.split == other.split && one.number != other.number,
        _ => false,
    }
}

/// The right of a run to write an output while a step is running. The operating system releases the lock when
/// the process ends, however it ends. The lock applies between processes that share a data folder.
#[derive(Debug)]
pub(crate) struct OutputLock {
    /// `None` if the same run already has the lock. Then a worker that lost its lease, and does not know it
    /// yet, still holds it.
    held: Option<(File, PathBuf)>,
}

impl OutputLock {
    /// Takes the right to a place, or reports the run that has it.
    pub(crate) fn take(
        folder: &Path,
        place: &FilePlace,
        run: &RunInfo,
        tenant: &TenantId,
    ) -> Result<Self, ElementError> {
        let unlockable = |source: io::Error| {
            let message =
                format!("no other run can be kept from writing `{}` as well: {source}", place.given());
            ElementError::failed("data-folder", message)
                .with_help("check that the data folder can be written and has room")
        };
        let owner = format!("{} {tenant}", run.id);
        let path = folder.join(Digest::from_bytes(Sha256::digest(place.address()).into()).to_string());
        match Self::try_take(path, &owner).map_err(unlockable)? {
            Ok(held) => Ok(Self { held: Some(held) }),
            Err(other) if other == owner => Ok(Self { held: None }),
            Err(other) => Err(in_use(place, &other, tenant)),
        }
    }

    /// Takes the lock; the inner error is its owner. A lock gets its name only after it is locked and
    /// contains its owner. So a run that finds the lock always knows the owner, wherever the owner was
    /// interrupted.
    fn try_take(path: PathBuf, owner: &str) -> io::Result<Result<(File, PathBuf), String>> {
        remove_unfinished(&path)?;
        let mut made = Unfinished::make(&path, owner)?;
        loop {
            match fs::hard_link(&made.path, &path) {
                Ok(()) => return Ok(Ok((made.file.try_clone()?, path))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Another run found the file before it was locked, and removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    made = Unfinished::make(&path, owner)?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let is_held = is_locked(&file)?;
            // The owner may have removed the file after it was opened.
            if !is_same_file(&file, &path) {
                continue;
            }
            if is_held {
                let mut other = String::new();
                file.read_to_string(&mut other)?;
                return Ok(Err(other));
            }
            // The owner's process was killed. While this run has the file locked, no other run removes it.
            fs::remove_file(&path)?;
        }
    }
}

/// A lock that is held, under a name that no run searches for. The name is removed together with the lock.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    fn make(lock: &Path, owner: &str) -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = lock.with_extension(format!("{}-{number}", std::process::id()));
            let mut file = match private().create_new(true).open(&path) {
                // Processes in different containers may have the same process number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            if is_locked(&file)? {
                continue;
            }
            file.write_all(owner.as_bytes())?;
            return Ok(Self { file, path });
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes files that killed processes have left beside a lock.
fn remove_unfinished(lock: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (lock.parent(), lock.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let beginning = format!("{name}.");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(&beginning)) {
            continue;
        }
        if let Ok(file) = File::open(entry.path())
            && !is_locked(&file)?
        {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Whether another process or run has locked the file. If not, this call locks it.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.held {
            // The file is removed while it is still locked, so it cannot be another run's file.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// On other systems, an open file cannot be removed.
#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

fn in_use(place: &FilePlace, owner: &str, tenant: &TenantId) -> ElementError {
    let who = match owner.split_once(' ') {
        Some((id, of)) if of == tenant.as_str() => format!("execution {id}"),
        _ => "another execution".to_owned(),
    };
    ElementError::failed("output-in-use", format!("{who} is writing `{}`", place.given())).with_help(
        "wait for it; put `%execution%` into the path, so that each run has a file of its own; or give the job \
         `concurrency: 1`, so that runs of an instance wait for each other",
    )
}

/// The error of a step whose output is its input.
pub(crate) fn output_is_input(path: &str) -> ElementError {
    ElementError::failed("output-is-input", format!("`{path}` is what the step reads, and would be replaced"))
        .with_help("write to another path")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32};

    use serde_json::json;
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::name::JobExecutionId;

    use super::*;

    fn take(folder: &Path, id: u64, tenant: &str, path: &str) -> Result<OutputLock, ElementError> {
        let (job_label, started_at) = ("Job".to_owned(), Timestamp(0));
        let run = RunInfo { id: JobExecutionId(id), job_label, started_at };
        let place = output_place(
            &json!({ "to": path }),
            &stepbox_connectors::Folders::anywhere(folder).into(),
            Some(&run),
        )
        .unwrap();
        OutputLock::take(folder, &place, &run, &TenantId::new(tenant).unwrap())
    }

    #[test]
    fn two_runs_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let take = |id, tenant, path| take(folder.path(), id, tenant, path);
        let first = take(7, "acme", "out.csv").unwrap();
        assert_eq!(
            take(8, "acme", "./out.csv").unwrap_err().to_string(),
            "execution 7 is writing `./out.csv`"
        );
        let of_another = take(8, "other", "out.csv").unwrap_err().to_string();
        assert_eq!(of_another, "another execution is writing `out.csv`");
        // The same run, with a worker that has it now.
        let again = take(7, "acme", "out.csv").unwrap();
        drop(again);
        assert!(take(8, "acme", "out.csv").is_err());
        take(8, "acme", "%execution%.csv").unwrap();
        drop(first);
        take(8, "acme", "out.csv").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    /// A file that a killed process has left does not count as a lock.
    #[test]
    fn a_lock_that_nobody_holds_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path(), 7, "acme", "out.csv").unwrap();
        let name = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        drop(first);
        fs::write(&name, "7 acme").unwrap();
        fs::write(name.with_extension("4711-0"), "7 ac").unwrap();
        let taken = take(folder.path(), 8, "acme", "out.csv").unwrap();
        assert_eq!(fs::read_to_string(&name).unwrap(), "8 acme");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(taken);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    /// A worker that was frozen between locking a file and writing its owner into it once made the next
    /// worker of the same run fail with `output-in-use`.
    #[test]
    fn whoever_finds_a_lock_learns_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2000 {
                    drop(take(folder.path(), 7, "acme", "out.csv").unwrap());
                }
                is_done.store(true, Ordering::Relaxed);
            });
            while !is_done.load(Ordering::Relaxed) {
                // The next worker of the run: it gets the lock, or learns that its run already has it.
                take(folder.path(), 7, "acme", "out.csv").unwrap();
            }
        });
    }

    #[test]
    fn many_threads_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let at_work = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for id in 0..8 {
                let (folder, at_work) = (folder.path(), &at_work);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let Ok(_lock) = take(folder, id, "acme", "out.csv") else { continue };
                        assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                        at_work.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
