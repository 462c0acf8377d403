//! The export as jobs of a real installation: everything durable as in production.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepbox::batch::name::TenantId;
use stepbox::batch::status::BatchStatus;
use stepbox::{NewInstance, Policy, RunOptions, Stepbox, Tenant};
use stepbox_guest_artifacts::steps;
use stepbox_tests::Native;

const CONNECTOR: &str = r#"
connector: bench
components:
  normalise: normalise.wasm
  stoppable: stoppable.wasm
jobs:
  sandboxed:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: dd.MM.yyyy }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}", delimiter: "${parameters.delimiter}" } }
  native:
    type: export
    parameters: *parameters
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: native_normalise
        writer: { csv: { to: "${parameters.storage}", delimiter: "${parameters.delimiter}" } }
  calls:
    type: bench
    parameters: { properties: { items: { type: integer } } }
    steps:
      - name: count
        tasklet: stoppable
"#;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An installation with the jobs to measure.
pub(crate) struct Jobs {
    tenant: Tenant,
    outputs: PathBuf,
}

impl Jobs {
    pub(crate) async fn install(folder: &Path, input: &Path) -> Result<Self> {
        let tenant_id = TenantId::default();
        let stepbox = Stepbox::builder(folder.join("data"))
            .tenant(tenant_id.clone(), Policy::own_machine(folder))
            .processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
            .open()
            .await?;
        let jobs = Self { tenant: stepbox.tenant(&tenant_id)?, outputs: folder.to_owned() };
        let connector = folder.join("connector");
        std::fs::create_dir_all(&connector)?;
        std::fs::write(connector.join("connector.yaml"), CONNECTOR)?;
        std::fs::copy(steps::NORMALISE, connector.join("normalise.wasm"))?;
        std::fs::copy(steps::STOPPABLE, connector.join("stoppable.wasm"))?;
        jobs.tenant.install_connector(&connector).await?;
        for job in ["native", "sandboxed"] {
            let storage = json!({ "type": "local", "file_path": jobs.output(job) });
            let source = json!({ "type": "local", "file_path": input });
            jobs.create(job, "export", json!({ "source": source, "storage": storage })).await?;
        }
        jobs.create("calls", "bench", json!({ "items": 0 })).await?;
        Ok(jobs)
    }

    async fn create(&self, job: &str, job_type: &str, parameters: Value) -> Result<()> {
        let (connector, job_type) = ("bench".to_owned(), job_type.to_owned());
        let (job, code) = (job.to_owned(), job.to_owned());
        self.tenant
            .create_instance(NewInstance { connector, job, job_type, code, label: None, parameters })
            .await?;
        Ok(())
    }

    fn output(&self, job: &str) -> PathBuf {
        self.outputs.join(format!("{job}.csv"))
    }

    /// Runs a job to its end, which must be a good one.
    pub(crate) async fn run(&self, job: &str) -> Result<()> {
        self.run_with(job, json!({})).await
    }

    /// The same with other parameters.
    pub(crate) async fn run_with(&self, job: &str, overrides: Value) -> Result<()> {
        let options = RunOptions { overrides: Some(overrides), ..RunOptions::default() };
        let execution = self.tenant.run(job, options).await?.wait().await?;
        if execution.status == BatchStatus::Completed {
            Ok(())
        } else {
            Err(format!("the job `{job}` ended {}: {:?}", execution.status, execution.exit_status).into())
        }
    }

    /// Three ways to one result, or the figures would mean nothing.
    pub(crate) fn check_outputs_are_identical(&self, folder: &Path) -> Result<()> {
        let by_hand = std::fs::read(folder.join("by_hand.csv"))?;
        for job in ["native", "sandboxed"] {
            if std::fs::read(self.output(job))? != by_hand {
                return Err(format!("the output of `{job}` is not that of the hand-written loop").into());
            }
        }
        Ok(())
    }
}
