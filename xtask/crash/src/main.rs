//! Kills jobs in the middle, restarts them until they complete, and compares the results with an undisturbed run:
//! files byte for byte, counts and warnings. After each kill the store opens, lists everything, is whole, and another
//! job runs.

#![expect(clippy::print_stdout, reason = "it prints what it found")]

mod child;
mod crashes;
mod end;
mod jobs;
mod points;
mod variants;

use std::path::Path;

use clap::Parser;
use crashes::Crashes;
use jobs::Result;
use points::Killer;
use stepbox::batch::name::TenantId;
use variants::{Store, VARIANTS};

/// Kills jobs in the middle, restarts them and compares the results.
#[derive(Parser)]
struct Arguments {
    /// Rows of the generated catalogue. All variants but one export a tenth of them.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How many processes are killed at least, over all variants.
    #[arg(long, default_value_t = 500)]
    kills: u32,
    /// Decides the random moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the variants on this store.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// Only the variants with this text in their names.
    #[arg(long, default_value = "")]
    variant: String,
    /// Runs or restarts one instance of the installation in a folder. This is the process that is killed.
    #[arg(long, hide = true, num_args = 2, value_names = ["FOLDER", "CODE"])]
    child: Option<Vec<String>>,
    /// The URL of the child's store, if it is on a server.
    #[arg(long, hide = true)]
    url: Option<String>,
    /// The child is a worker.
    #[arg(long, hide = true)]
    works: bool,
    /// The point at which the child ends itself.
    #[arg(long, hide = true, default_value = "")]
    point: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.child.as_deref() {
            Some([folder, code]) => be_killed(&arguments, folder, code).await,
            _ => kill(&arguments).await,
        }
    })
}

async fn be_killed(arguments: &Arguments, folder: &str, code: &str) -> Result<()> {
    let killer = Killer::at(&arguments.point);
    let stepbox = jobs::open(Path::new(folder), arguments.url.as_deref(), killer).await?;
    let tenant = stepbox.tenant(&TenantId::default())?;
    match arguments.works {
        true => child::work(&stepbox, &tenant, code).await,
        false => child::run_or_restart(&tenant, code).await,
    }
}

async fn kill(arguments: &Arguments) -> Result<()> {
    let Arguments { rows, kills, seed, .. } = *arguments;
    println!("{rows} rows, seed {seed}");
    let wanted = VARIANTS.iter().filter(|variant| variant.name.contains(&arguments.variant));
    let wanted: Vec<_> =
        wanted.filter(|variant| arguments.store.is_none_or(|store| store == variant.store)).collect();
    let whole: u32 = wanted.iter().map(|variant| variant.share).sum();
    let mut all = 0;
    for store in [Store::Sqlite, Store::Postgres] {
        if !wanted.iter().any(|variant| variant.store == store) {
            continue;
        }
        let mut crashes = Crashes::prepare(store, rows, seed).await?;
        for variant in wanted.iter().filter(|variant| variant.store == store) {
            all += crashes.kill(variant, (kills * variant.share).div_ceil(whole)).await?;
        }
    }
    println!("{all} kills, every output identical");
    Ok(())
}
