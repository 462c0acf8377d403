//! Executions that are launched by several clients for a while. No worker takes them.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::installation::CODE;

#[derive(Debug, Serialize)]
pub(crate) struct Launched {
    clients: usize,
    seconds: u64,
    per_second: f64,
    /// Of one launch, in milliseconds.
    p95: f64,
}

pub(crate) async fn launch(client: &Client, clients: usize, seconds: u64) -> Result<Launched> {
    let (begun_at, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut launching = JoinSet::new();
    for _ in 0..clients {
        let client = client.clone();
        launching.spawn(async move {
            let mut took = Vec::new();
            while begun_at.elapsed() < length {
                let asked_at = Instant::now();
                let path = format!("/instances/{CODE}/launch");
                client.send(Method::POST, &path, Some(json!({}))).await?.bytes().await?;
                took.push(asked_at.elapsed().as_secs_f64() * 1e3);
            }
            Result::<_>::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = launching.join_next().await {
        took.extend(ended??);
    }
    took.sort_by(f64::total_cmp);
    let per_second = took.len() as f64 / begun_at.elapsed().as_secs_f64();
    Ok(Launched { clients, seconds, per_second, p95: took[took.len() * 95 / 100] })
}

impl Launched {
    pub(crate) fn print(&self) {
        let Self { clients, seconds, per_second, p95 } = self;
        println!("{per_second:.0} launches/s by {clients} clients for {seconds} s, p95 {p95:.1} ms");
    }
}
