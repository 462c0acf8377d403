//! `stepbox worker`: executions from the queue, one after the other, until somebody wants it to end.

use std::sync::Arc;

use stepbox::batch::queue::{Fate, QueueFilter};
use stepbox::{Stepbox, WorkerEvent, WorkerOptions};

use crate::args::queue::Worker;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::interrupts::Interrupts;
use crate::output::words::counted;
use crate::output::{Answer, talk};

/// Works until the first signal has had its way, or the second one.
pub(crate) async fn carry_out(stepbox: &Stepbox, worker: Worker) -> Result<Answer, CliError> {
    let Worker { concurrency, jobs, types, tenants, lease: _, grace } = worker;
    let mut interrupts = Interrupts::listen().map_err(CliError::Start)?;
    let default = WorkerOptions::default();
    let options = WorkerOptions {
        concurrency: concurrency.map_or(default.concurrency, |count| count as usize),
        tenants,
        filter: QueueFilter { jobs, types },
        grace_ms: grace,
        listener: Some(Arc::new(|event| talk(line(event)))),
    };
    let mut worker = stepbox.start_worker(options).await?;
    let mut is_ending = false;
    loop {
        tokio::select! {
            () = worker.wait() => return Ok(Answer::nothing()),
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

/// An event for people.
fn line(event: &WorkerEvent) -> String {
    match event {
        WorkerEvent::Began { worker } => format!("worker {worker} takes executions from the queue"),
        WorkerEvent::Claimed { id, instance, attempt, .. } => match attempt {
            0 | 1 => format!("execution {id} of `{instance}` begins"),
            _ => format!("execution {id} of `{instance}` goes on, attempt {attempt}"),
        },
        WorkerEvent::Ended { id, status, .. } => format!("execution {id} is {status}"),
        WorkerEvent::Lost { id, reason, .. } => {
            format!("execution {id} no longer runs here, and goes on once its lease has run out: {reason}")
        }
        WorkerEvent::Rescued(rescued) => {
            let id = rescued.id;
            match rescued.fate {
                Fate::Requeued(_) => format!("execution {id} lost its worker, and waits for another one"),
                Fate::Stopped => {
                    format!("execution {id} lost its worker while it was to stop, and is STOPPED")
                }
                Fate::Failed => format!("execution {id} lost its worker, and is FAILED"),
            }
        }
        WorkerEvent::Trouble { reason, .. } => format!("trouble: {reason}; trying again"),
        WorkerEvent::ShuttingDown { running } => format!(
            "shutting down: {} to finish; a second signal leaves at once",
            counted(*running as u64, "execution")
        ),
        WorkerEvent::Pausing { running } => {
            format!("pausing {} at the next checkpoint", counted(*running as u64, "execution"))
        }
    }
}
