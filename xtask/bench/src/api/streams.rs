//! Event streams that are open while nothing happens.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Result;
use crate::client::Client;

/// The processor time of idle streams.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    streams: usize,
    /// The share of one core, without the share of the process before the streams were opened.
    share_of_a_core: f64,
}

pub(crate) async fn watch(client: &Client, streams: usize, seconds: u64) -> Result<Idle> {
    let before = share(seconds).await;
    let mut open = JoinSet::new();
    for _ in 0..streams {
        let mut stream = client.send(reqwest::Method::GET, "/events", None).await?;
        open.spawn(async move { while let Ok(Some(_)) = stream.chunk().await {} });
    }
    // The streams begin with a look at the store.
    sleep(Duration::from_secs(2)).await;
    let during = share(seconds).await;
    if open.try_join_next().is_some() {
        return Err("a stream has ended".into());
    }
    open.shutdown().await;
    Ok(Idle { streams, share_of_a_core: (during - before).max(0.0) })
}

/// The share of a core that the process takes for a while.
async fn share(seconds: u64) -> f64 {
    let cpu = cpu_seconds();
    sleep(Duration::from_secs(seconds)).await;
    (cpu_seconds() - cpu) / seconds as f64
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

impl Idle {
    pub(crate) fn print(&self) {
        println!("{} idle event streams: {:.1} % of a core", self.streams, self.share_of_a_core * 100.0);
    }
}
