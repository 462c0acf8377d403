//! The workers, as processes of the real program.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stepbox_tests::guard::Guarded;

use crate::installation::{Installation, below};
use crate::{PATIENCE, Result};

/// The environment variable of all processes of a run, with the run's folder.
pub(crate) const MARK: &str = "STEPBOX_CHAOS";

/// The exit code of a worker that cannot open the store when it begins: the server is away, or another process was
/// stopped while it wrote to the file. A supervisor would start the worker again.
const STORE_UNAVAILABLE: i32 = 8;
/// How long a worker may take to begin.
const BEGINNING: Duration = Duration::from_secs(20);

/// A worker, and its present process.
pub(crate) struct Worker {
    number: usize,
    process: Guarded,
    begun_at: Instant,
    /// When it continues, if it is stopped.
    pub(crate) stopped_until: Option<Instant>,
    /// Whether it has received a signal to end, and is ending.
    pub(crate) is_leaving: bool,
}

/// All workers of a run.
pub(crate) struct Fleet<'a> {
    at: &'a Installation,
    lease: String,
    /// Whether each has a data folder of its own, as on a machine of its own.
    is_apart: bool,
    pub(crate) workers: Vec<Worker>,
}

impl<'a> Fleet<'a> {
    /// Starts this many workers, on one machine.
    pub(crate) fn start(at: &'a Installation, lease: &str, size: usize) -> Result<Self> {
        Self::start_where(at, lease, size, false)
    }

    /// Starts this many workers, each as on a machine of its own if they share a server. Machines without a shared
    /// storage cannot continue executions with rejected items of another machine, so this is for jobs without any.
    pub(crate) fn start_apart(at: &'a Installation, lease: &str, size: usize) -> Result<Self> {
        Self::start_where(at, lease, size, at.url().is_some())
    }

    fn start_where(at: &'a Installation, lease: &str, size: usize, is_apart: bool) -> Result<Self> {
        let mut fleet = Self { at, lease: lease.to_owned(), is_apart, workers: Vec::new() };
        for number in 0..size {
            fleet.add(number, &[])?;
        }
        Ok(fleet)
    }

    /// Starts one more worker, with further environment variables.
    pub(crate) fn add(&mut self, number: usize, environment: &[(String, String)]) -> Result<()> {
        let process = self.process(number, environment)?;
        let begun_at = Instant::now();
        self.workers.push(Worker { number, process, begun_at, stopped_until: None, is_leaving: false });
        Ok(())
    }

    fn process(&self, number: usize, environment: &[(String, String)]) -> Result<Guarded> {
        let data = self.data(number)?;
        let log = std::fs::File::options().create(true).append(true).open(self.at.path("workers.log"))?;
        let mut command = Command::new(program()?);
        command.current_dir(self.at.folder.path()).arg("--data-dir").arg(data);
        command.args(["worker", "--concurrency", "2", "--grace", "1s", "--lease", &self.lease]);
        command.envs(self.at.url().map(|url| ("STEPBOX_DATABASE_URL", url)));
        command.env(MARK, self.at.folder.path()).envs(environment.iter().cloned());
        // Ctrl-C is for this program; the guard ends the workers.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Guarded::spawn(&mut command)?)
    }

    /// A worker's data folder, with the components and their compiled code.
    fn data(&self, number: usize) -> Result<PathBuf> {
        if !self.is_apart {
            return Ok(self.at.data());
        }
        let (shared, own) = (self.at.data(), self.at.path(&format!("data-{number}")));
        for folder in ["components", "compiled"] {
            std::fs::create_dir_all(own.join(folder))?;
            for path in below(&shared.join(folder))?.into_iter().filter(|path| path.is_file()) {
                let copy = own.join(path.strip_prefix(&shared)?);
                std::fs::create_dir_all(copy.parent().unwrap_or(&own))?;
                std::fs::copy(path, copy)?;
            }
        }
        Ok(own)
    }

    pub(crate) fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.workers[index].process.id())?;
        Ok(kill_process(Pid::from_raw(id).ok_or("a process has a number")?, signal)?)
    }

    /// Kills a worker, and starts another one in its place.
    pub(crate) fn kill(&mut self, index: usize) -> Result<()> {
        self.workers[index].process.end()?;
        self.begin_again(index)
    }

    fn begin_again(&mut self, index: usize) -> Result<()> {
        let process = self.process(self.workers[index].number, &[])?;
        let worker = &mut self.workers[index];
        (worker.process, worker.begun_at) = (process, Instant::now());
        (worker.stopped_until, worker.is_leaving) = (None, false);
        Ok(())
    }

    /// Continues the stopped workers whose time has come, and replaces those that have left.
    pub(crate) fn tend(&mut self) -> Result<()> {
        for index in 0..self.workers.len() {
            if self.workers[index].stopped_until.is_some_and(|end| end <= Instant::now()) {
                self.signal(index, Signal::CONT)?;
                self.workers[index].stopped_until = None;
            }
            let Some(status) = self.workers[index].process.try_wait()? else { continue };
            let Worker { is_leaving, begun_at, .. } = self.workers[index];
            let found_no_store = begun_at.elapsed() < BEGINNING && status.code() == Some(STORE_UNAVAILABLE);
            // A worker that had not begun to listen for the signal is ended by it.
            let has_left =
                is_leaving && (matches!(status.code(), Some(0 | 130)) || status.signal() == Some(15));
            if !has_left && !found_no_store {
                return Err(format!("a worker ended by itself ({status})\n{}", self.told()).into());
            }
            self.begin_again(index)?;
        }
        Ok(())
    }

    /// Continues all workers, and lets them end in good order.
    pub(crate) fn end(mut self) -> Result<()> {
        for index in 0..self.workers.len() {
            self.signal(index, Signal::CONT)?;
            self.signal(index, Signal::TERM)?;
        }
        let begun_at = Instant::now();
        for worker in &mut self.workers {
            while worker.process.try_wait()?.is_none() {
                if begun_at.elapsed() > PATIENCE {
                    return Err("a worker that was told to end does not".into());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// The last lines of their output.
    pub(crate) fn told(&self) -> String {
        let text = std::fs::read_to_string(self.at.path("workers.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The program `stepbox`, in the folder where this program was built.
pub(crate) fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("stepbox");
    match program.exists() {
        true => Ok(program),
        false => Err(format!("`cargo xtask chaos` builds {}", program.display()).into()),
    }
}
