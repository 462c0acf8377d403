//! Numbers that are not counted when they happen, but read at each scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::counters::Counters;
use stepbox_batch::execution::queue::QueueDepth;

/// The current numbers.
#[derive(Debug)]
pub(crate) struct AtScrape {
    /// The waiting executions of all tenants; `None` if the store did not answer.
    pub(crate) depths: Option<Vec<QueueDepth>>,
    pub(crate) now: Timestamp,
    pub(crate) ms_since_tick: u64,
    /// By how much the clock of this machine is ahead of the store's clock; `None` if they are not compared.
    pub(crate) clock_skew_ms: Option<i64>,
    /// The limits that the components of each tenant have reached.
    pub(crate) counters: Vec<(String, Counters)>,
}

type Encoded = Result<(), std::fmt::Error>;

impl Collector for AtScrape {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Encoded {
        self.encode_queue(&mut to)?;
        self.encode_counters(&mut to)?;
        let is_up = ConstGauge::new(i64::from(self.depths.is_some()));
        let help = "Whether the store said what waits: 1, or 0.";
        is_up.encode(to.encode_descriptor("store_up", help, None, MetricType::Gauge)?)?;
        if let Some(skew_ms) = self.clock_skew_ms {
            let help = "By how much the clock of this machine is ahead of the store's.";
            let skew = ConstGauge::new(skew_ms as f64 / 1e3);
            skew.encode(to.encode_descriptor(
                "clock_skew",
                help,
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?)?;
        }
        let tick_age = ConstGauge::new(self.ms_since_tick as f64 / 1e3);
        let help = "How long ago running components were last asked whether they must end.";
        let name = "sandbox_tick_age";
        tick_age.encode(to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?)
    }
}

impl AtScrape {
    fn encode_queue(&self, to: &mut DescriptorEncoder<'_>) -> Encoded {
        let depths = self.depths.as_deref().unwrap_or_default();
        if depths.is_empty() {
            return Ok(());
        }
        let labels = |depth: &QueueDepth| {
            [("tenant", depth.tenant.to_string()), ("state", depth.state.as_str().to_owned())]
        };
        let help = "Executions in the queue of the store, for all workers.";
        let mut entries = to.encode_descriptor("queue_entries", help, None, MetricType::Gauge)?;
        for depth in depths {
            let count = ConstGauge::new(i64::try_from(depth.count).unwrap_or(i64::MAX));
            count.encode(entries.encode_family(&labels(depth))?)?;
        }
        let help = "For how long the oldest of them could have been taken.";
        let (name, unit) = ("queue_oldest_age", Some(&Unit::Seconds));
        let mut ages = to.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for depth in depths {
            let age = ConstGauge::new(self.now.ms_since(depth.oldest) as f64 / 1e3);
            age.encode(ages.encode_family(&labels(depth))?)?;
        }
        Ok(())
    }

    fn encode_counters(&self, to: &mut DescriptorEncoder<'_>) -> Encoded {
        for (name, help, of) in COUNTERS {
            let mut encoder = to.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (tenant, counters) in &self.counters {
                let counter = ConstCounter::new(of(counters));
                counter.encode(encoder.encode_family(&[("tenant", tenant.as_str())])?)?;
            }
        }
        Ok(())
    }
}

/// The name of a counter, its text for people, and its value.
type NamedCounter = (&'static str, &'static str, fn(&Counters) -> u64);

/// The limits that components reach, by the names of [`Counters`], with their text for people.
const COUNTERS: [NamedCounter; 7] = [
    ("memory_limits_reached", "Components ended because they asked for too much memory.", |counters| {
        counters.memory_limits_reached
    }),
    ("time_limits_reached", "Components ended because they ran or computed for too long.", |counters| {
        counters.time_limits_reached
    }),
    ("stops_forced", "Components ended because they went on after a stop request.", |counters| {
        counters.stops_forced
    }),
    ("http_requests_refused", "Requests that a grant, the policy or their address refused.", |counters| {
        counters.http_requests_refused
    }),
    ("file_accesses_refused", "Accesses to files that a grant refused.", |counters| {
        counters.file_accesses_refused
    }),
    ("log_messages_dropped", "Messages that were dropped because a log was full.", |counters| {
        counters.log_messages_dropped
    }),
    ("uploads_refused", "Components that were refused when they were uploaded.", |counters| {
        counters.uploads_refused
    }),
];
