//! A host with two customers, `acme` and `bolt`. Both upload the same steps and run the same job over HTTP, each under a
//! policy of their own. Afterwards the host reads what each of them used, for a bill.
//!
//! `cargo run -p embed-multi-tenant -- <connector folder> <catalogue.csv> <URL to notify>`
//!
//! - `host.rs` is the host: its customers' policies and keys, the worker, and the HTTP interface.
//! - `customer.rs` is the program of a customer. It has an address and a key, and knows nothing else of the host.
//! - `bill.rs` adds up what a customer used.
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

mod bill;
mod customer;
mod host;

use std::path::Path;

use host::Host;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connector, catalogue, url] = &arguments[..] else {
        return Err("usage: embed-multi-tenant <connector folder> <catalogue.csv> <URL to notify>".into());
    };
    let host = Host::open(Path::new("host")).await?;
    for customer in host::CUSTOMERS {
        let input = host.give(customer, Path::new(catalogue))?;
        let ended = customer::export(&host.address(), customer, connector.as_ref(), &input, url).await?;
        println!("{}: execution {} {}", customer.name, ended.id, ended.exit_status.code);
    }
    for customer in host::CUSTOMERS {
        println!("{}: {}", customer.name, bill::of(&host.tenant(customer)?).await?);
    }
    Ok(())
}
