//! How many empty jobs a second are published, and claimed and completed.

use std::time::{Duration, Instant};

use serde::Serialize;
use stepbox::PublishOptions;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::status::BatchStatus;

use crate::Result;
use crate::jobs::{CODE, Jobs};

#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    jobs: u32,
    concurrency: usize,
    published_per_second_by_one: f64,
    published_per_second: f64,
    completed_per_second: f64,
}

impl Throughput {
    pub(crate) fn print(&self) {
        let Self { jobs, concurrency, .. } = self;
        println!("  published by one client        {:>8.0} /s", self.published_per_second_by_one);
        println!("  published by {concurrency} clients      {:>8.0} /s", self.published_per_second);
        println!(
            "  claimed and completed, {concurrency} at a time {:>8.0} /s  ({jobs} jobs)",
            self.completed_per_second
        );
    }
}

pub(crate) async fn measure(jobs: &Jobs, count: u32, concurrency: usize) -> Result<Throughput> {
    let by_one = (count / 50).max(1);
    let began_at = Instant::now();
    publish(jobs, by_one).await?;
    let published_per_second_by_one = f64::from(by_one) / began_at.elapsed().as_secs_f64();

    let (began_at, each) = (Instant::now(), count / concurrency as u32);
    let clients = (0..concurrency).map(|_| publish(jobs, each));
    futures_util::future::join_all(clients).await.into_iter().collect::<Result<Vec<_>>>()?;
    let all = each * concurrency as u32;
    let published_per_second = f64::from(all) / began_at.elapsed().as_secs_f64();

    let (began_at, all) = (Instant::now(), all + by_one);
    let mut worker = jobs.worker(concurrency).await?;
    for _ in 0..all {
        jobs.next_began().await?;
    }
    worker.shut_down();
    worker.wait().await?;
    let elapsed = began_at.elapsed();
    check_all_completed(jobs, all).await?;
    Ok(Throughput {
        jobs: all,
        concurrency,
        published_per_second_by_one,
        published_per_second,
        completed_per_second: f64::from(all) / elapsed.max(Duration::from_millis(1)).as_secs_f64(),
    })
}

async fn publish(jobs: &Jobs, count: u32) -> Result<()> {
    for _ in 0..count {
        jobs.tenant.publish(CODE, PublishOptions::default()).await?;
    }
    Ok(())
}

async fn check_all_completed(jobs: &Jobs, expected: u32) -> Result<()> {
    let filter = ExecutionFilter { statuses: vec![BatchStatus::Completed], ..ExecutionFilter::default() };
    let completed = jobs.tenant.executions(&filter).await?.len();
    if completed == expected as usize {
        Ok(())
    } else {
        Err(format!("{completed} of {expected} completed").into())
    }
}
