//! Events of a worker, for its log.

use stepbox::WorkerEvent;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{Fate, Rescued};
use stepbox::batch::log::LogLevel::{Error, Info, Warning};

use crate::output::voice::Entry;
use crate::output::words::{counted, skew};

/// An event as an entry of the log.
pub(crate) fn entry(event: &WorkerEvent) -> Entry {
    match event {
        WorkerEvent::Began { worker } => {
            Entry::new(Info, "worker-began", format!("worker {worker} takes executions from the queue"))
        }
        WorkerEvent::Claimed { tenant, id, instance, attempt } => {
            let message = match attempt {
                0 | 1 => format!("execution {id} of `{instance}` begins"),
                _ => format!("execution {id} of `{instance}` continues, attempt {attempt}"),
            };
            Entry::new(Info, "execution-claimed", message).about(tenant, *id)
        }
        WorkerEvent::Ended { tenant, id, status } => {
            let level = if *status == BatchStatus::Failed { Warning } else { Info };
            Entry::new(level, "execution-ended", format!("execution {id} is {status}")).about(tenant, *id)
        }
        WorkerEvent::Lost { tenant, id, code, reason } => {
            let message = format!(
                "execution {id} no longer runs here, and continues once its lease has expired: {reason}"
            );
            Entry::new(Warning, "execution-lost", message).about(tenant, *id).coded(*code)
        }
        WorkerEvent::Rescued(rescued) => of_rescued(rescued),
        WorkerEvent::Trouble { code, reason } => {
            Entry::new(Warning, "store-trouble", format!("trouble: {reason}; trying again")).coded(*code)
        }
        WorkerEvent::ClockSkewed { skew_ms: 0 } => {
            Entry::new(Info, "clock-right", "the clock of this machine agrees with the store's again")
        }
        WorkerEvent::ClockSkewed { skew_ms } => Entry::new(
            Warning,
            "clock-skewed",
            format!("the clock of this machine is {} the store's, which counts", skew(*skew_ms)),
        ),
        WorkerEvent::GaveUp { code, reason, running } => {
            let running = counted(*running as u64, "execution");
            let message = format!("the worker ends, and leaves {running} to others: {reason}");
            Entry::new(Error, "worker-gave-up", message).coded(*code)
        }
        WorkerEvent::ShuttingDown { running } => {
            let running = counted(*running as u64, "execution");
            let message = format!("shutting down: {running} to finish; a second signal leaves at once");
            Entry::new(Info, "worker-shutting-down", message)
        }
        WorkerEvent::Pausing { running } => {
            let running = counted(*running as u64, "execution");
            Entry::new(Info, "worker-pausing", format!("pausing {running} at the next checkpoint"))
        }
        WorkerEvent::Over => Entry::new(Info, "worker-ended", "the worker has ended"),
    }
}

fn of_rescued(Rescued { tenant, id, fate, reason }: &Rescued) -> Entry {
    let message = match fate {
        Fate::SetAside => {
            let reason = reason.as_deref().unwrap_or_default();
            let message = format!("execution {id} cannot be rescued and is set aside: {reason}");
            return Entry::new(Error, "execution-set-aside", message).about(tenant, *id);
        }
        Fate::Requeued(_) => format!("execution {id} lost its worker, and waits for another one"),
        Fate::Stopped => format!("execution {id} lost its worker while it was to stop, and is STOPPED"),
        Fate::Failed => format!("execution {id} lost its worker, and is FAILED"),
    };
    Entry::new(Warning, "execution-rescued", message).about(tenant, *id)
}
