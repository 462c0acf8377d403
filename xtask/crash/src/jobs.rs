//! The jobs to kill, and their installation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use stepbox::batch::execution::{ExecutionFilter, ExecutionSummary};
use stepbox::batch::name::{InstanceCode, TenantId};
use stepbox::batch::ports::JobRepository;
use stepbox::{NewInstance, Policy, Stepbox, Tenant};
use stepbox_connectors::{native_reader, native_writer};
use stepbox_guest_artifacts::steps;
use stepbox_store::{PostgresOptions, PostgresStore, SqliteStore};
use stepbox_store_testing::interposed::Interposed;
use stepbox_tests::Native;

use crate::points::{Killer, KillingReader, KillingWriter};
use crate::variants::Variant;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long leases last, in milliseconds. A killed process is known to be dead at once.
const LEASE_MS: u64 = 5_000;

const CONNECTOR: &str = r#"
connector: crash
components:
  normalise: normalise.wasm
  fixed-width: fixed-width.wasm
  markdown-table: markdown-table.wasm
jobs:
  native_1:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: dd.MM.yyyy }
        folder: { type: string }
        beside: { type: object }
      required: [folder]
    steps:
      - &step
        name: export
        reader: { csv_killing: { from: "${parameters.source}" } }
        processor: native_normalise
        writer: { csv_killing: { to: "${parameters.storage}", lines_per_file: "${parameters.linesPerFile}" } }
        checkpoint: { seconds: 0.05, items: CHECKPOINT_ITEMS }
  native_2: { type: export, parameters: *parameters, steps: [ { <<: *step, workers: 2 } ] }
  sandboxed_1: { type: export, parameters: *parameters, steps: [ { <<: *step, processor: normalise } ] }
  sandboxed_2:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, processor: normalise, workers: 2 } ]
  parts:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, processor: normalise, partitions: 4, writer: &whole { csv_killing: { to: "${parameters.storage}" } } } ]
  always:
    type: export
    parameters: *parameters
    steps:
      - *step
      - { <<: *step, name: beside, always: true, writer: { csv_killing: { to: "${parameters.beside}" } } }
  reads:
    type: export
    parameters: *parameters
    steps:
      - &reads
        name: export
        reader:
          fixed-width:
            file: inbox/stock.txt
            layout: [ { name: sku, width: 8 }, { name: name, width: 9 } ]
        writer: *whole
        grants: { files: { inbox: "read ${parameters.folder}" } }
        checkpoint: { seconds: 0.05, items: CHECKPOINT_ITEMS }
  reads_parts: { type: export, parameters: *parameters, steps: [ { <<: *reads, partitions: 4 } ] }
  writes:
    type: export
    parameters: *parameters
    steps:
      - <<: *step
        writer: { markdown-table: { file: outbox/out.md } }
        grants: { files: { outbox: "write ${parameters.folder}" } }
  bystander:
    type: export
    parameters: *parameters
    steps: [ { name: export, reader: { csv: { from: "${parameters.source}" } }, writer: { csv: { to: "${parameters.storage}" } } } ]
"#;

/// Opens the installation in a folder. The process may end itself in it.
pub(crate) async fn open(folder: &Path, url: Option<&str>, killer: Killer) -> Result<Stepbox> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let (of_reader, of_writer) = (killer.clone(), killer.clone());
    let repository = interposed(&data, url, killer).await?;
    let stepbox = Stepbox::builder(data)
        .tenant(TenantId::default(), Policy::own_machine(folder))
        .lease_ms(LEASE_MS)
        .repository(repository)
        .processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
        .reader("csv_killing", move |setup| {
            let reader = native_reader("csv", setup)?;
            let reader = reader.expect("there is a native reader `csv`");
            Ok(Box::new(KillingReader { reader, killer: of_reader.clone() }))
        })
        .writer("csv_killing", move |setup| {
            let writer = native_writer("csv", setup)?;
            let writer = writer.expect("there is a native writer `csv`");
            Ok(Box::new(KillingWriter { writer, killer: of_writer.clone() }))
        })
        .open()
        .await?;
    Ok(stepbox)
}

/// The store behind the killer. The killer reads the store by a connection of its own.
async fn interposed(data: &Path, url: Option<&str>, killer: Killer) -> Result<Arc<dyn JobRepository>> {
    Ok(match url {
        Some(url) => {
            let open = || PostgresStore::open(url, PostgresOptions::default());
            let interposer = killer.seeing(Arc::new(open().await?));
            Arc::new(Interposed { store: open().await?, interposer })
        }
        None => {
            let open = || SqliteStore::open(data.join("stepbox.db"));
            let interposer = killer.seeing(Arc::new(open()?));
            Arc::new(Interposed { store: open()?, interposer })
        }
    })
}

/// Installs the jobs. They make a checkpoint after at most this many items.
pub(crate) async fn install(tenant: &Tenant, folder: &Path, items: u32) -> Result<()> {
    let connector = folder.join("connector");
    std::fs::create_dir_all(&connector)?;
    let text = CONNECTOR.replace("CHECKPOINT_ITEMS", &items.max(1).to_string());
    std::fs::write(connector.join("connector.yaml"), text)?;
    for (name, path) in [
        ("normalise", steps::NORMALISE),
        ("fixed-width", steps::FIXED_WIDTH),
        ("markdown-table", steps::MARKDOWN_TABLE),
    ] {
        std::fs::copy(path, connector.join(name).with_extension("wasm"))?;
    }
    tenant.install_connector(&connector).await?;
    Ok(())
}

/// Creates an instance of a variant's job, with an output in a folder of its own.
pub(crate) async fn create(
    tenant: &Tenant,
    folder: &Path,
    variant: &Variant,
    code: &str,
    lines_per_file: Option<u32>,
) -> Result<()> {
    let local = |path: &str| json!({ "type": "local", "file_path": path });
    let output = folder.join(code);
    std::fs::create_dir_all(&output)?;
    let granted: PathBuf = if variant.job.starts_with("reads") { folder.join("inbox") } else { output };
    let mut parameters = json!({
        "source": local(if variant.is_large { "large.csv" } else { "small.csv" }),
        "storage": local(&format!("{code}/out.csv")),
        "beside": local(&format!("{code}/beside.csv")),
        "folder": granted,
    });
    if let Some(lines) = lines_per_file {
        parameters["linesPerFile"] = json!(lines);
    }
    let (connector, job_type) = ("crash".to_owned(), "export".to_owned());
    let (job, code) = (variant.job.to_owned(), code.to_owned());
    tenant.create_instance(NewInstance { connector, job, job_type, code, label: None, parameters }).await?;
    Ok(())
}

/// All executions of an instance, newest first.
pub(crate) async fn executions(tenant: &Tenant, code: &str) -> Result<Vec<ExecutionSummary>> {
    let filter = ExecutionFilter { instance: Some(InstanceCode::new(code)?), ..ExecutionFilter::default() };
    Ok(tenant.executions(&filter).await?.items)
}
