//! The cost of the two calls that a step makes for every item.

use serde_json::json;

use crate::jobs::Jobs;
use crate::stopwatch;

/// Nanoseconds for counting an item and asking whether to stop, over a whole job.
pub(crate) async fn nanoseconds_per_pair(jobs: &Jobs, calls: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let none = stopwatch::time(async || jobs.run("calls", json!({ "items": 0 })).await).await?;
    let all = stopwatch::time(async || jobs.run("calls", json!({ "items": calls })).await).await?;
    Ok((all.wall - none.wall) * 1e9 / f64::from(calls))
}
