//! What one tenant's flood costs another tenant: every known way to take more than one's share, all at the same time
//! and again and again, beside another tenant's small jobs.
//!
//! The command checks two promises: how long the small jobs take, and how much memory the process has. Where
//! possible, the process runs within a memory cgroup, so that the kernel kills a process that takes more. Elsewhere
//! only its resident memory counts.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod attacks;
mod cgroup;
mod figures;
mod servers;
mod small_jobs;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;
use stepbox::batch::name::TenantId;
use stepbox::{Policy, Quotas, Stepbox};
use stepbox_tests::alone::{Watch, resident};

use attacks::Flood;
use cgroup::MemoryCgroup;
use figures::{Figures, Millis};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The memory quota of the flooding tenant.
const QUOTA_BYTES: u64 = 512 << 20;
/// The memory that the process may have beside the quota, in bytes.
const BESIDE_BYTES_MAX: u64 = 256 << 20;
/// The memory limit of the cgroup, in bytes.
const CGROUP_BYTES: u64 = 2 << 30;
/// The most that 99 of 100 small jobs may take beside the flood.
const P99_MAX: Millis = Millis(50.0);

/// Lets one tenant flood, and measures another tenant's jobs.
#[derive(Parser)]
struct Arguments {
    /// How long the flood lasts.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many copies of each attack run at a time.
    #[arg(long, default_value_t = 2)]
    copies: usize,
    /// The file for all figures, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs as the process within the cgroup. It begins when the other process says so.
    #[arg(long, hide = true)]
    within: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.within {
        std::io::stdin().read_exact(&mut [0])?;
        return tokio::runtime::Runtime::new()?.block_on(flood(&arguments));
    }
    let cgroup = MemoryCgroup::new(CGROUP_BYTES);
    match &cgroup {
        Ok(_) => println!("in a memory cgroup of {}", figures::mebibytes(CGROUP_BYTES)),
        Err(why) => println!("no memory cgroup ({why}), so resident memory is judged alone"),
    }
    let mut command = Command::new(std::env::current_exe()?);
    let mut process =
        command.args(std::env::args_os().skip(1)).arg("--within").stdin(Stdio::piped()).spawn()?;
    if let Ok(cgroup) = &cgroup {
        cgroup.take(process.id())?;
    }
    process.stdin.take().ok_or("it has an input")?.write_all(b"\n")?;
    let ended = process.wait()?;
    if let Ok(cgroup) = &cgroup {
        println!("{}", cgroup.told());
    }
    match ended.success() {
        true => Ok(()),
        false => Err(format!("the process ended with {ended}").into()),
    }
}

async fn flood(arguments: &Arguments) -> Result<()> {
    let folder = stepbox_tests::guard::tempdir()?;
    let [flooding, other] = ["flooding", "other"].map(TenantId::new);
    let (flooding, other) = (flooding?, other?);
    let quotas = Quotas { memory_bytes_max: QUOTA_BYTES, stop_grace_ms: 1_000, ..Quotas::default() };
    let policy = Policy::nothing().with_folder(folder.path()).with_loopback().with_quotas(quotas);
    let stepbox = Stepbox::builder(folder.path().join("data"))
        .tenant(flooding.clone(), policy)
        .tenant(other.clone(), Policy::nothing())
        .open()
        .await?;
    let flood = Flood::prepare(stepbox.tenant(&flooding)?, folder.path()).await?;
    let other = stepbox.tenant(&other)?;
    small_jobs::install(&other, folder.path()).await?;

    let alone = small_jobs::time(&other, Duration::from_secs(arguments.seconds.div_ceil(5))).await?;
    let watch = Watch::begin();
    let idle = resident("VmRSS");
    let running = flood.begin(arguments.copies);
    let beside = small_jobs::time(&other, Duration::from_secs(arguments.seconds)).await?;
    let peak = watch.memory_peak() + idle;
    let attacks = running.end().await?;

    let figures = Figures::of(alone, beside, idle, peak, attacks);
    figures.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    figures.judge()
}
