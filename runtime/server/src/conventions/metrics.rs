//! What is counted of requests, by the template of the route and never by its address.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The bounds of the histogram, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignIn {
    outcome: &'static str,
}

/// Counts requests, open streams and sign-ins.
pub(crate) struct HttpMeters {
    registry: Registry,
    requests: Family<Answered, Counter<u64, AtomicU64>>,
    durations: Family<Timed, Histogram, fn() -> Histogram>,
    sign_ins: Family<SignIn, Counter<u64, AtomicU64>>,
    pub(crate) live_streams: Gauge,
}

impl HttpMeters {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stepbox");
        let requests = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(BOUNDS)) as fn() -> Histogram);
        let (sign_ins, live_streams) = (Family::default(), Gauge::default());
        registry.register("http_requests", "Requests that were answered", requests.clone());
        let help = "How long requests took until their answer began";
        registry.register("http_request_duration_seconds", help, durations.clone());
        registry.register("logins", "Attempts to sign in", sign_ins.clone());
        registry.register("live_streams", "Event streams that are open", live_streams.clone());
        Self { registry, requests, durations, sign_ins, live_streams }
    }

    pub(crate) fn answered(&self, method: &str, route: &'static str, status: u16, took: Duration) {
        let method = known(method);
        self.requests.get_or_create(&Answered { method, route, status }).inc();
        self.durations.get_or_create(&Timed { method, route }).observe(took.as_secs_f64());
    }

    pub(crate) fn signed_in(&self, outcome: &'static str) {
        self.sign_ins.get_or_create(&SignIn { outcome }).inc();
    }

    /// The counters, for Prometheus.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        match encode(&mut page, &self.registry) {
            Ok(()) => page,
            Err(_) => String::new(),
        }
    }
}

/// A method that is known; clients choose the others.
fn known(method: &str) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}
