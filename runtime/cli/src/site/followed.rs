//! An execution that a server runs, followed through its event stream.

use std::time::Duration;

use stepbox_api::execution::{Execution, Status, Tracking};
use stepbox_api::queue::QueueState;
use stepbox_client::{ExecutionEvent, ExecutionEvents, Tenant};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::progress::{Progress, Stopping};
use crate::error::CliError;
use crate::output::progress::ShowLog;
use crate::output::talk;

/// How long an execution may wait in the queue before the command says so.
const TELL_OF_QUEUE: Duration = Duration::from_secs(5);

/// From where the log of an execution is shown.
pub(super) enum Since {
    /// Everything is shown.
    Beginning,
    /// The lines after this many are shown.
    Line(u64),
}

/// An execution that a server runs.
pub(crate) struct Followed {
    tenant: Tenant,
    id: u64,
    events: ExecutionEvents,
    log: Option<ShowLog>,
    progress: watch::Sender<Progress>,
    /// When the command says that the execution still waits; `None` once it has begun, or once that was said.
    tell_of_queue_at: Option<Instant>,
}

impl Followed {
    pub(super) fn new(tenant: &Tenant, id: u64, log: Option<ShowLog>, since: Since) -> Box<Self> {
        let events = tenant.execution_events(id);
        let events = match (&log, since) {
            (None, _) => events,
            (Some(_), Since::Beginning) => events.with_log(0),
            (Some(_), Since::Line(line)) => events.with_log(line),
        };
        let tracking = Tracking { processed: 0, total: None, is_estimate: false };
        let none = Progress { step: String::new(), step_number: 0, step_count: 0, tracking };
        let tell_of_queue_at = Some(Instant::now() + TELL_OF_QUEUE);
        let (tenant, progress) = (tenant.clone(), watch::Sender::new(none));
        Box::new(Self { tenant, id, events, log, progress, tell_of_queue_at })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Waits until the execution has ended or is PAUSED. It is safe to drop the waiting and to wait again.
    pub(super) async fn wait(&mut self) -> Result<Execution, CliError> {
        loop {
            let tell_of_queue_at = self.tell_of_queue_at;
            let event = tokio::select! {
                event = self.events.next() => event?,
                () = at(tell_of_queue_at) => {
                    self.tell_of_queue_at = None;
                    talk(format!("execution {} waits for a worker of the server", self.id));
                    continue;
                }
            };
            if let Some(execution) = self.hear(event).await? {
                return Ok(execution);
            }
        }
    }

    /// What an event means: the execution, once it needs no more waiting.
    async fn hear(&mut self, event: Option<ExecutionEvent>) -> Result<Option<Execution>, CliError> {
        match event {
            Some(ExecutionEvent::Execution(execution)) => {
                self.begun(execution.status);
                self.progress.send_modify(|progress| progress.step_count = execution.step_count as usize);
                Ok(None)
            }
            Some(ExecutionEvent::Progress(progress)) => {
                self.tell_of_queue_at = None;
                self.progress.send_modify(|now| {
                    now.step = progress.step;
                    now.step_number = progress.position as usize + 1;
                    now.tracking = progress.tracking;
                });
                Ok(None)
            }
            Some(ExecutionEvent::Log(lines)) => {
                self.log.iter().for_each(|show| lines.iter().for_each(|line| show(line)));
                Ok(None)
            }
            Some(ExecutionEvent::State(event)) => {
                let is_whole = event.execution == self.id;
                if is_whole && event.kind == "started" {
                    self.tell_of_queue_at = None;
                }
                match is_whole && event.kind == "paused" {
                    true => self.look().await,
                    false => Ok(None),
                }
            }
            Some(ExecutionEvent::Gap(_)) => self.look().await,
            Some(ExecutionEvent::End(execution)) => Ok(Some(*execution)),
            Some(ExecutionEvent::Refused) | None => {
                // The server says why, or that the execution has ended.
                let execution = self.tenant.execution(self.id).await?;
                match needs_no_waiting(&execution) {
                    true => Ok(Some(execution)),
                    false => Err(CliError::NotFollowed(self.id)),
                }
            }
        }
    }

    /// The execution, if it needs no more waiting.
    async fn look(&mut self) -> Result<Option<Execution>, CliError> {
        let execution = self.tenant.execution(self.id).await?;
        self.begun(execution.status);
        Ok(needs_no_waiting(&execution).then_some(execution))
    }

    fn begun(&mut self, status: Status) {
        if !matches!(status, Status::Queued | Status::Paused) {
            self.tell_of_queue_at = None;
        }
    }

    pub(super) async fn stop(&self) -> Result<Stopping, CliError> {
        match self.tenant.stop_execution(self.id).await {
            Ok(_) => Ok(Stopping::Asked),
            Err(error) if error.code() == "wrong-status" => {
                // `execution 7 is STARTED: its job cannot be stopped`
                let said = error.to_string();
                let reason = said.split_once(": ").map_or(said.as_str(), |(_, reason)| reason).to_owned();
                Ok(Stopping::Continues { reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn pause(&self) -> Result<(), CliError> {
        self.tenant.pause_execution(self.id).await?;
        Ok(())
    }
}

/// Whether the execution has ended, or waits for a person to resume it. One that is PAUSED may also wait for a worker.
fn needs_no_waiting(execution: &Execution) -> bool {
    let waits_for_a_person =
        || execution.queue.as_ref().is_none_or(|entry| entry.state == QueueState::Paused);
    execution.status.has_ended() || (execution.status == Status::Paused && waits_for_a_person())
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
