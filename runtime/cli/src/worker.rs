//! `stepbox worker`: runs executions from the queue until a signal ends it.

pub(crate) mod entry;
mod liveness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stepbox::batch::execution::queue::QueueFilter;
use stepbox::batch::log::LogLevel;
use stepbox::config::{PolicyWatch, Served};
use stepbox::{WorkerOptions, WorkerProbe};
use stepbox_api::exit_code::ExitCode;
use stepbox_server::{Listener, watching};
use tokio::time::{MissedTickBehavior, interval};

use crate::args::queue::WorkerArgs;
use crate::error::CliError;
use crate::installation::Opened;
use crate::interrupts::Interrupts;
use crate::output::Answer;
use crate::output::policy_events;
use crate::output::voice::{Entry, Voice};
use entry::entry;
use liveness::LivenessFile;

/// The time between two checks of the worker's health.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until a graceful shutdown (first signal) or an immediate one (second signal) is complete, or until the store
/// can no longer be used.
pub(crate) async fn carry_out(
    opened: Opened,
    served: Served,
    worker: WorkerArgs,
) -> Result<Answer, CliError> {
    let Opened { stepbox, files, tenants } = opened;
    let mut policies = PolicyWatch::new(stepbox.clone(), files, served, tenants);
    let WorkerArgs { concurrency, jobs, types, tenants: of, grace, .. } = worker;
    let WorkerArgs { listen, liveness_file, log_format, .. } = worker;
    let voice = Voice::Log(log_format);
    let mut interrupts = Interrupts::listen().map_err(CliError::Start)?;
    let listener = match &listen {
        Some(address) => Some(Listener::open(address).await?),
        None => None,
    };
    let default = WorkerOptions::default();
    let options = WorkerOptions {
        concurrency: concurrency.map_or(default.concurrency, |count| count as usize),
        tenants: of,
        filter: QueueFilter { jobs, types },
        grace_ms: grace,
        listener: Some(Arc::new(move |event| voice.say(&entry(event)))),
    };
    let mut watch = HealthLog::begin(voice, liveness_file)?;
    let mut worker = stepbox.start_worker(options).await?;
    let probe = worker.probe();
    let _server = listener.map(|listener| {
        let message =
            format!("`/livez`, `/readyz`, `/health` and `/metrics` are at http://{}", listener.address());
        voice.say(&Entry::new(LogLevel::Info, "worker-listening", message));
        listener.serve(watching(stepbox.clone(), probe.clone()))
    });
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = worker.wait() => return Ok(ended.map(|()| Answer::nothing())?),
            _ = every.tick() => {
                watch.look(&probe);
                for event in policies.look().await {
                    policy_events::entry(&event).iter().for_each(|entry| voice.say(entry));
                }
            }
            _ = interrupts.next() => {
                if is_ending {
                    worker.leave().await;
                    return Ok(Answer::nothing().with_exit_code(ExitCode::Interrupted));
                }
                is_ending = true;
                worker.shut_down();
            }
        }
    }
}

/// Checks the worker's health, and reports it in the log and the liveness file.
struct HealthLog {
    voice: Voice,
    file: Option<LivenessFile>,
    was_well: bool,
    was_touched: bool,
}

impl HealthLog {
    fn begin(voice: Voice, file: Option<PathBuf>) -> Result<Self, CliError> {
        let file = file.map(LivenessFile::begin).transpose()?;
        Ok(Self { voice, file, was_well: true, was_touched: true })
    }

    /// Reports each change once, however long it lasts.
    fn look(&mut self, probe: &WorkerProbe) {
        let health = probe.health();
        if health.is_well() != self.was_well {
            self.was_well = health.is_well();
            let problems: Vec<_> = health.problems.iter().map(|problem| problem.as_str()).collect();
            self.voice.say(&match self.was_well {
                true => Entry::new(LogLevel::Info, "worker-well", "the worker is well again"),
                false => {
                    let message = format!("the worker is not well: {}", problems.join("; "));
                    Entry::new(LogLevel::Error, "worker-failing", message)
                }
            });
        }
        // A silent store is no reason to restart the process.
        if let Some(file) = self.file.as_ref().filter(|_| health.is_live()) {
            let touched = file.touch();
            if let (Err(error), true) = (&touched, self.was_touched) {
                let message = format!("the liveness file cannot be touched: {error}");
                self.voice
                    .say(&Entry::new(LogLevel::Warning, "liveness-file", message).coded("liveness-file"));
            }
            self.was_touched = touched.is_ok();
        }
    }
}
