//! What the HTTP interface costs beside a long history: lists and shows, open event streams, launches, and a large
//! upload on its way.
//!
//! The server and its one client are in this process, over loopback, so each figure contains both.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod client;
mod history;
mod installation;
mod launches;
mod lists;
mod streams;
mod upload;

#[path = "../queue/stores.rs"]
mod stores;

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use client::Client;
use installation::Installation;
use stores::{Kind, Store};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures the interface of an installation with a long history.
#[derive(Parser)]
struct Arguments {
    /// The stores to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite,postgres")]
    stores: Vec<Kind>,
    /// Executions in the store, each with ten warnings.
    #[arg(long, default_value_t = 100_000)]
    executions: u32,
    /// How often each list and each show is asked for.
    #[arg(long, default_value_t = 200)]
    asks: usize,
    /// Open event streams.
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// How long the streams are watched, and how long executions are launched, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many clients launch at a time.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// The file for all figures, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The figures of one store.
#[derive(Debug, Serialize)]
struct Figures {
    store: &'static str,
    executions: u32,
    lists: Vec<lists::Asked>,
    streams: streams::Idle,
    launches: launches::Launched,
    upload: upload::OnItsWay,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut all = Vec::new();
    for &kind in &arguments.stores {
        all.push(measure(kind, &arguments).await?);
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(())
}

async fn measure(kind: Kind, arguments: &Arguments) -> Result<Figures> {
    let store = Store::open(kind).await?;
    let installation = Installation::open(&store).await?;
    let id = installation.run_with_warnings().await?;
    history::multiply(&store, id, arguments.executions).await?;
    let client = Client::new(installation.address())?;
    println!("\n{}, {} executions with 10 warnings each", kind.name(), arguments.executions);

    let lists = lists::ask(&client, id, arguments.asks).await?;
    lists::print(&lists);
    let streams = streams::watch(&client, arguments.streams, arguments.seconds.min(20)).await?;
    streams.print();
    let upload = upload::watch(&client).await?;
    upload.print();
    let launches = launches::launch(&client, arguments.clients, arguments.seconds).await?;
    launches.print();
    Ok(Figures { store: kind.name(), executions: arguments.executions, lists, streams, launches, upload })
}
