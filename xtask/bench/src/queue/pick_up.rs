//! How soon an idle worker begins a published job.

use std::time::{Duration, Instant};

use serde::Serialize;
use stepbox::PublishOptions;

use crate::Result;
use crate::jobs::{CODE, Jobs};

/// In milliseconds, from the call to publish to the first step.
#[derive(Debug, Serialize)]
pub(crate) struct PickUp {
    times: u32,
    p50: f64,
    p95: f64,
    p99: f64,
}

impl PickUp {
    pub(crate) fn print(&self) {
        let Self { times, p50, p95, p99 } = self;
        println!(
            "  from publishing to the first step  p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms  ({times} times)"
        );
    }
}

pub(crate) async fn measure(jobs: &Jobs, times: u32) -> Result<PickUp> {
    let mut worker = jobs.worker(2).await?;
    let mut milliseconds = Vec::new();
    for number in 0..times {
        // Not always at the same moment of the worker's rounds.
        tokio::time::sleep(Duration::from_millis(u64::from(number * 37 % 91))).await;
        let began_at = Instant::now();
        jobs.tenant.publish(CODE, PublishOptions::default()).await?;
        milliseconds.push(jobs.next_began().await?.duration_since(began_at).as_secs_f64() * 1e3);
    }
    worker.shut_down();
    worker.wait().await?;
    milliseconds.sort_by(f64::total_cmp);
    let at = |part: f64| milliseconds[((milliseconds.len() - 1) as f64 * part) as usize];
    Ok(PickUp { times, p50: at(0.5), p95: at(0.95), p99: at(0.99) })
}
