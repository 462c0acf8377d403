//! The other tenant's jobs: one small component each, one after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use stepbox::batch::execution::status::BatchStatus;
use stepbox::{RunOptions, Tenant};

use crate::Result;
use crate::attacks;

const CODE: &str = "small";

pub(crate) async fn install(tenant: &Tenant, folder: &Path) -> Result<()> {
    let jobs = "  small: { type: bench, steps: [ { name: small, tasklet: own_exit_status } ] }\n";
    attacks::install(tenant, &folder.join("small"), &["own_exit_status"], jobs).await?;
    attacks::create_instance(tenant, CODE).await
}

/// How long each job took, from the request to its end in the store.
pub(crate) async fn time(tenant: &Tenant, how_long: Duration) -> Result<Vec<Duration>> {
    let (began_at, mut took) = (Instant::now(), Vec::new());
    while began_at.elapsed() < how_long {
        let asked_at = Instant::now();
        let execution = tenant.run(CODE, RunOptions::default()).await?.wait().await?;
        took.push(asked_at.elapsed());
        if execution.status != BatchStatus::Completed {
            return Err(format!("a small job ended as {}", execution.status).into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(took)
}
