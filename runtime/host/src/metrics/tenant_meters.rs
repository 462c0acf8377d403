//! The meters of the runs of one tenant.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Counts, JobExecution};
use stepbox_batch::name::TenantId;
use stepbox_batch::observer::{Observation, Observer};

use super::{Labels, seconds, timer};
use crate::error::Error;

/// The statuses with which an execution can leave this process. `PAUSED` executions were handed back.
const ENDS: [BatchStatus; 4] =
    [BatchStatus::Completed, BatchStatus::Stopped, BatchStatus::Failed, BatchStatus::Paused];

/// The results of items, with their text for people.
const ITEMS: [(&str, &str); 4] = [
    ("items_read", "Items that readers found, as far as they are in a checkpoint"),
    ("items_written", "Items that writers took, as far as they are in a checkpoint"),
    ("items_filtered", "Items that processors dropped on purpose, as far as they are in a checkpoint"),
    ("items_skipped", "Items that were set aside with a warning, as far as they are in a checkpoint"),
];

/// The resources that steps use, with their text for people.
const USED: [(&str, Option<Unit>, &str); 6] = [
    ("guest_host_calls", None, "Calls of components into the host"),
    ("http_requests", None, "Requests of components that passed the policy"),
    ("http_sent", Some(Unit::Bytes), "Bodies of the requests of components"),
    ("http_received", Some(Unit::Bytes), "Bodies of the answers to components"),
    ("files_read", Some(Unit::Bytes), "What steps read from files"),
    ("files_written", Some(Unit::Bytes), "What steps wrote to files"),
];

/// The meters of all tenants, by name.
#[derive(Debug)]
pub(super) struct TenantFamilies {
    running: Family<Labels, Gauge>,
    claimed: Family<Labels, Counter>,
    ended: Family<Labels, Counter>,
    leases_lost: Family<Labels, Counter>,
    items: [Family<Labels, Counter>; 4],
    guest_cpu: Family<Labels, Seconds>,
    used: [Family<Labels, Counter>; 6],
    chunk: Histogram,
    checkpoint: Histogram,
}

impl TenantFamilies {
    pub(super) fn register(to: &mut Registry) -> Self {
        let lost = "Executions that this process no longer runs, and that had not ended";
        let cpu = "Processor time of components, with what they made the host compute";
        Self {
            running: family(to, ("executions_running", None, "Executions that this process runs")),
            claimed: family(
                to,
                ("executions_claimed", None, "Executions that the worker took from the queue"),
            ),
            ended: family(to, ("executions_ended", None, "Executions that ended here, or were handed back")),
            leases_lost: family(to, ("leases_lost", None, lost)),
            items: ITEMS.map(|(name, help)| family(to, (name, None, help))),
            guest_cpu: family(to, ("guest_cpu", Some(Unit::Seconds), cpu)),
            used: USED.map(|used| family(to, used)),
            chunk: timer(to, "chunk", "How long the writer of a step waited for a chunk, and wrote it"),
            checkpoint: timer(to, "checkpoint", "How long it took to make output and store durable"),
        }
    }

    pub(super) fn of(&self, tenant: &TenantId) -> TenantMeters {
        let labels = vec![("tenant", tenant.to_string())];
        let ended = |status: BatchStatus| {
            let labels = vec![("tenant", tenant.to_string()), ("status", status.as_str().to_owned())];
            (status, self.ended.get_or_create_owned(&labels))
        };
        TenantMeters {
            running: self.running.get_or_create_owned(&labels),
            claimed: self.claimed.get_or_create_owned(&labels),
            ended: ENDS.map(ended),
            leases_lost: self.leases_lost.get_or_create_owned(&labels),
            items: self.items.each_ref().map(|family| family.get_or_create_owned(&labels)),
            guest_cpu: self.guest_cpu.get_or_create_owned(&labels),
            used: self.used.each_ref().map(|family| family.get_or_create_owned(&labels)),
            chunk: self.chunk.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }
}

/// A counter of seconds.
type Seconds = Counter<f64, AtomicU64>;

/// The meters of one tenant.
#[derive(Debug)]
pub(crate) struct TenantMeters {
    running: Gauge,
    claimed: Counter,
    ended: [(BatchStatus, Counter); 4],
    leases_lost: Counter,
    items: [Counter; 4],
    guest_cpu: Seconds,
    used: [Counter; 6],
    chunk: Histogram,
    checkpoint: Histogram,
}

impl TenantMeters {
    /// Counts that the worker took an execution from the queue.
    pub(crate) fn claimed(&self) {
        self.claimed.inc();
    }

    /// Counts an execution as running as long as it runs, and then counts its end.
    pub(crate) async fn attend(
        &self,
        run: impl Future<Output = Result<JobExecution, Error>>,
    ) -> Result<JobExecution, Error> {
        self.running.inc();
        let _until_it_ends = Leaving(&self.running);
        let ended = run.await;
        match &ended {
            Ok(execution) => {
                let of_status = self.ended.iter().find(|(status, _)| *status == execution.status);
                of_status.map(|(_, ended)| ended.inc());
            }
            Err(_) => {
                self.leases_lost.inc();
            }
        }
        ended
    }
}

impl Observer for TenantMeters {
    fn observe(&self, observation: Observation) {
        match observation {
            Observation::Chunk { us } => self.chunk.observe(seconds(us)),
            Observation::Checkpoint { us, counts } => {
                self.checkpoint.observe(seconds(us));
                let Counts { read, written, filtered, skipped } = counts;
                add(&self.items, [read, written, filtered, skipped]);
            }
            Observation::Used(used) => {
                self.guest_cpu.inc_by(seconds(used.cpu_us));
                let (sent, received) = (used.http_bytes_sent, used.http_bytes_received);
                let (read, written) = (used.file_bytes_read, used.file_bytes_written);
                add(&self.used, [used.host_calls, used.http_requests, sent, received, read, written]);
            }
        }
    }
}

fn add<const N: usize>(counters: &[Counter; N], values: [u64; N]) {
    counters.iter().zip(values).for_each(|(counter, value)| {
        counter.inc_by(value);
    });
}

/// Ends the counting as running, even for a run that is cancelled.
struct Leaving<'a>(&'a Gauge);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Registers a metric with a label for the tenant.
fn family<M>(to: &mut Registry, (name, unit, help): (&str, Option<Unit>, &str)) -> Family<Labels, M>
where
    M: Default + Clone + fmt::Debug + Send + Sync + 'static,
    Family<Labels, M>: EncodeMetric,
{
    let family = Family::default();
    match unit {
        Some(unit) => to.register_with_unit(name, help, unit, family.clone()),
        None => to.register(name, help, family.clone()),
    }
    family
}
