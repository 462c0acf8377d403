//! The counters and timers of this process, in the text format of Prometheus.
//!
//! Everything is measured beside the work. Runs report each chunk and checkpoint ([`TenantMeters`]), the
//! journal is timed from outside, and numbers from the store are read at each scrape ([`AtScrape`]). The
//! names of tenants are the only names from outside in any series.

mod at_scrape;
mod tenant_meters;
mod timed_journal;

use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use stepbox_batch::execution::queue::QueueDepth;
use stepbox_batch::execution::{Fate, Rescued};
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub(crate) use at_scrape::AtScrape;
use tenant_meters::TenantFamilies;
pub(crate) use tenant_meters::TenantMeters;
pub(crate) use timed_journal::TimedJournal;

/// The media type of [`Stepbox::metrics`](crate::Stepbox::metrics).
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The maximum time that a scrape waits for the store, in milliseconds.
const STORE_WAIT_MS: u64 = 2_000;
/// How long an answer of the store is reused, in milliseconds. The store is not asked more often than that,
/// however many scrapes there are.
const STORE_KEPT_MS: u64 = 1_000;

/// Upper bounds of the buckets, in seconds: from the time of a short chunk to a time that is too long for a
/// lease.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;

/// Everything that is counted and timed.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    tenants: TenantFamilies,
    rescued: Family<Labels, Counter>,
    claims: Family<Labels, Counter>,
    claim: Histogram,
    calls: Family<Labels, Histogram, fn() -> Histogram>,
    slots: Gauge,
    /// The last answer of the store, and its tick.
    depths: Mutex<Option<(u64, Vec<QueueDepth>)>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stepbox");
        let tenants = TenantFamilies::register(&mut registry);
        let (rescued, claims) = (Family::default(), Family::<Labels, Counter>::default());
        let help = "Executions that other workers had lost, by what became of them";
        registry.register("executions_rescued", help, rescued.clone());
        registry.register("claims", "Looks into the queue, by what came of them", claims.clone());
        for outcome in ["claimed", "nothing", "failed"] {
            drop(claims.get_or_create(&vec![("outcome", outcome.to_owned())]));
        }
        let claim = timer(&mut registry, "claim", "How long a look into the queue took");
        let calls = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "How long the store took over what a running execution asked of it";
        registry.register_with_unit("store_call", help, Unit::Seconds, calls.clone());
        let slots = Gauge::default();
        registry.register("worker_slots", "How many executions the worker runs at a time", slots.clone());
        Self { registry, tenants, rescued, claims, claim, calls, slots, depths: Mutex::new(None) }
    }

    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> TenantMeters {
        self.tenants.of(tenant)
    }

    pub(crate) fn has_slots(&self, slots: usize) {
        self.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// Counts that a worker has looked into the queue; `None` if that failed.
    pub(crate) fn claimed(&self, us: u64, found: Option<usize>) {
        self.claim.observe(seconds(us));
        let outcome = match found {
            Some(0) => "nothing",
            Some(_) => "claimed",
            None => "failed",
        };
        self.claims.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn rescued(&self, rescued: &Rescued) {
        let fate = match rescued.fate {
            Fate::Requeued(_) => "requeued",
            Fate::Stopped => "stopped",
            Fate::Failed => "failed",
            Fate::SetAside => "set-aside",
        };
        let labels = vec![("tenant", rescued.tenant.to_string()), ("fate", fate.to_owned())];
        self.rescued.get_or_create(&labels).inc();
    }

    /// The page that Prometheus reads: the counters and timers, and the numbers that were read for this
    /// scrape.
    pub(crate) fn page(&self, at_scrape: AtScrape) -> String {
        let mut asked = Registry::with_prefix("stepbox");
        asked.register_collector(Box::new(at_scrape));
        let mut page = String::new();
        text::encode_registry(&mut page, &self.registry)
            .and_then(|()| text::encode(&mut page, &asked))
            .expect("a string takes any text");
        page
    }

    /// The number of waiting executions, by tenant and state; `None` if the store does not answer.
    pub(crate) async fn queue_depths(
        &self,
        repository: &dyn JobRepository,
        now_us: u64,
    ) -> Option<Vec<QueueDepth>> {
        let mut kept = self.depths.lock().await;
        if let Some((at, depths)) = &*kept
            && now_us.saturating_sub(*at) < STORE_KEPT_MS * 1000
        {
            return Some(depths.clone());
        }
        *kept = None;
        let asked = timeout(Duration::from_millis(STORE_WAIT_MS), repository.queue_depths()).await;
        let depths = asked.ok()?.ok()?;
        *kept = Some((now_us, depths.clone()));
        Some(depths)
    }

    pub(crate) fn called_store(&self, call: &'static str, us: u64) {
        self.calls.get_or_create(&vec![("call", call.to_owned())]).observe(seconds(us));
    }
}

/// Registers a metric of seconds.
fn timer(to: &mut Registry, name: &str, help: &str) -> Histogram {
    let timer = histogram();
    to.register_with_unit(name, help, Unit::Seconds, timer.clone());
    timer
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
