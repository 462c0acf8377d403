//! The jobs that are killed, and how one of them ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use stepbox::batch::execution::{Counts, ExecutionSummary};
use stepbox::batch::name::{InstanceCode, TenantId};
use stepbox::batch::repository::ExecutionFilter;
use stepbox::batch::status::BatchStatus;
use stepbox::{NewInstance, Policy, RestartOptions, RunOptions, Stepbox, Tenant};
use stepbox_connectors::{Folders, native_writer};
use stepbox_guest_artifacts::steps;
use stepbox_store::SqliteStore;
use stepbox_store::interposed::Interposed;
use stepbox_tests::Native;

use crate::points::{Killer, KillingWriter};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The variants, each a job.
pub(crate) const VARIANTS: [&str; 4] = ["native_1", "native_2", "sandboxed_1", "sandboxed_2"];

const CONNECTOR: &str = r#"
connector: crash
components:
  normalise: normalise.wasm
jobs:
  native_1:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: dd.MM.yyyy }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: native_normalise
        writer: { csv_killing: { to: "${parameters.storage}", lines_per_file: "${parameters.linesPerFile}" } }
        checkpoint: { seconds: 0.05, items: CHECKPOINT_ITEMS }
  native_2: { type: export, parameters: *parameters, steps: [ { <<: *step, workers: 2 } ] }
  sandboxed_1: { type: export, parameters: *parameters, steps: [ { <<: *step, processor: normalise } ] }
  sandboxed_2:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, processor: normalise, workers: 2 } ]
"#;

/// Opens the installation in a folder, in which the process may end itself.
pub(crate) async fn open(folder: &Path, killer: Killer) -> Result<Tenant> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let store = SqliteStore::open(data.join("stepbox.db"))?;
    let (interposer, base) = (killer.clone(), folder.to_owned());
    let stepbox = Stepbox::builder(data)
        .tenant(TenantId::default(), Policy::own_machine(folder))
        .repository(Arc::new(Interposed { store, interposer }))
        .processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
        .writer("csv_killing", move |options| {
            let writer = native_writer("csv", options, &Folders::anywhere(&base))?;
            let writer = writer.expect("there is a native writer `csv`");
            Ok(Box::new(KillingWriter { writer, killer: killer.clone() }))
        })
        .open()
        .await?;
    Ok(stepbox.tenant(&TenantId::default())?)
}

/// Installs the jobs, which come to a checkpoint after so many items at the latest.
pub(crate) async fn install(tenant: &Tenant, folder: &Path, items: u32) -> Result<()> {
    let connector = folder.join("connector");
    std::fs::create_dir_all(&connector)?;
    let text = CONNECTOR.replace("CHECKPOINT_ITEMS", &items.max(1).to_string());
    std::fs::write(connector.join("connector.yaml"), text)?;
    std::fs::copy(steps::NORMALISE, connector.join("normalise.wasm"))?;
    tenant.install_connector(&connector).await?;
    Ok(())
}

/// Creates an instance of a job whose output goes to a folder of its own.
pub(crate) async fn create(
    tenant: &Tenant,
    job: &str,
    code: &str,
    lines_per_file: Option<u32>,
) -> Result<()> {
    let mut parameters = json!({
        "source": { "type": "local", "file_path": "in.csv" },
        "storage": { "type": "local", "file_path": format!("{code}/out.csv") },
    });
    if let Some(lines) = lines_per_file {
        parameters["linesPerFile"] = json!(lines);
    }
    let (connector, job_type) = ("crash".to_owned(), "export".to_owned());
    let (job, code) = (job.to_owned(), code.to_owned());
    tenant.create_instance(NewInstance { connector, job, job_type, code, label: None, parameters }).await?;
    Ok(())
}

/// Runs an instance, or goes on with what was interrupted, to a good end.
pub(crate) async fn run_or_restart(tenant: &Tenant, code: &str) -> Result<()> {
    let mut running = match executions(tenant, code).await?.first() {
        None => tenant.run(code, RunOptions::default()).await?,
        Some(latest) if latest.status == BatchStatus::Completed => return Ok(()),
        Some(latest) => tenant.restart_execution(latest.id, RestartOptions::default()).await?,
    };
    let execution = running.wait().await?;
    if execution.status == BatchStatus::Completed {
        return Ok(());
    }
    Err(format!("`{code}` ended {}: {:?}", execution.status, execution.exit_status).into())
}

/// All executions of an instance, newest first.
async fn executions(tenant: &Tenant, code: &str) -> Result<Vec<ExecutionSummary>> {
    let filter = ExecutionFilter { instance: Some(InstanceCode::new(code)?), ..ExecutionFilter::default() };
    Ok(tenant.executions(&filter).await?.items)
}

/// How a job ended.
pub(crate) struct End {
    counts: Counts,
    warning_count: u64,
    /// Of all executions that went on from one another.
    warnings: Vec<(String, String, String, String)>,
    files: Vec<PathBuf>,
}

impl End {
    /// Of an instance that has completed.
    pub(crate) async fn of(tenant: &Tenant, folder: &Path, code: &str) -> Result<Self> {
        let executions = executions(tenant, code).await?;
        let last = executions.first().filter(|last| last.status == BatchStatus::Completed);
        let last = last.and_then(|last| last.steps.first()).ok_or("it has not completed")?;
        let mut warnings = Vec::new();
        for execution in executions.iter().rev() {
            let stored = tenant.warnings(execution.id).await?;
            warnings.extend(stored.into_iter().map(|w| (w.code, w.reason, w.place, w.item)));
        }
        let files = std::fs::read_dir(folder.join(code))?.map(|entry| Ok(entry?.path()));
        let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        Ok(Self { counts: last.counts, warning_count: last.warning_count, warnings, files })
    }

    /// What is not as in an undisturbed run.
    pub(crate) fn difference(&self, undisturbed: &Self) -> Result<Option<String>> {
        if self.counts != undisturbed.counts || self.warning_count != undisturbed.warning_count {
            return Ok(Some(format!(
                "{:?} and {} warnings, not {:?} and {}",
                self.counts, self.warning_count, undisturbed.counts, undisturbed.warning_count
            )));
        }
        if self.warnings != undisturbed.warnings {
            return Ok(Some("the stored warnings differ".to_owned()));
        }
        let names = |end: &Self| {
            end.files.iter().map(|f| f.file_name().map(Into::into)).collect::<Vec<Option<PathBuf>>>()
        };
        if names(self) != names(undisturbed) {
            return Ok(Some(format!("the files {:?}, not {:?}", self.files, undisturbed.files)));
        }
        for (file, expected) in self.files.iter().zip(&undisturbed.files) {
            if std::fs::read(file)? != std::fs::read(expected)? {
                return Ok(Some(format!("{} differs from {}", file.display(), expected.display())));
            }
        }
        Ok(None)
    }
}
