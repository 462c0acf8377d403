//! A real installation with the jobs to measure, as durable as in production.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::{NewInstance, Policy, RunOptions, Stepbox, Tenant};
use stepbox_guest_artifacts::steps;
use stepbox_store::SqliteStore;
use stepbox_tests::Native;

use crate::elements::{NotesTheFirstWrite, Nothing};
use crate::variant::{self, Variant, Way};
use crate::{hand_written, usual_loop};

const OTHER_JOBS: &str = r#"
  first_row:
    type: bench
    parameters: *parameters
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: notes_the_first_write
  nothing:
    type: bench
    steps:
      - name: nothing
        tasklet: nothing
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
    pub(crate) store: Arc<SqliteStore>,
    folder: PathBuf,
    first_write: Arc<Mutex<Option<Instant>>>,
}

impl Jobs {
    /// Opens the installation in a folder. At first it has no connector.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let (tenant_id, data) = (TenantId::default(), folder.join("data"));
        std::fs::create_dir_all(&data)?;
        let store = Arc::new(SqliteStore::open(data.join("stepbox.db"))?);
        let first_write = Arc::<Mutex<_>>::default();
        let noted = first_write.clone();
        let stepbox = Stepbox::builder(data)
            .tenant(tenant_id.clone(), Policy::own_machine(folder))
            .repository(store.clone())
            .processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
            .writer("notes_the_first_write", move |_| Ok(Box::new(NotesTheFirstWrite(noted.clone()))))
            .tasklet("nothing", |_| Ok(Box::new(Nothing)))
            .open()
            .await?;
        Ok(Self { tenant: stepbox.tenant(&tenant_id)?, store, folder: folder.to_owned(), first_write })
    }

    /// Installs the connector, and an instance of each of its jobs. All of them export `input` by default.
    pub(crate) async fn install(&self, input: &Path) -> Result<()> {
        let connector = self.folder.join("connector");
        std::fs::create_dir_all(&connector)?;
        std::fs::write(connector.join("connector.yaml"), connector_file())?;
        std::fs::copy(steps::NORMALISE, connector.join("normalise.wasm"))?;
        std::fs::copy(steps::STOPPABLE, connector.join("stoppable.wasm"))?;
        self.tenant.install_connector(&connector).await?;
        let parameters = |name: &str| {
            let storage = json!({ "type": "local", "file_path": self.output(name) });
            json!({ "source": source(input), "storage": storage })
        };
        for Variant { name, .. } in variant::ALL {
            self.create(name, "export", parameters(name)).await?;
        }
        self.create("first_row", "bench", parameters("first_row")).await?;
        self.create("nothing", "bench", json!({})).await?;
        self.create("calls", "bench", json!({ "items": 0 })).await
    }

    async fn create(&self, job: &str, job_type: &str, parameters: Value) -> Result<()> {
        let (connector, job_type) = ("bench".to_owned(), job_type.to_owned());
        let (job, code) = (job.to_owned(), job.to_owned());
        self.tenant
            .create_instance(NewInstance { connector, job, job_type, code, label: None, parameters })
            .await?;
        Ok(())
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.csv"))
    }

    /// Exports a catalogue in one variant.
    pub(crate) async fn export(&self, way: Way, input: &Path) -> Result<()> {
        let output = self.output(way.name());
        match way {
            Way::ByHand => hand_written::export(input, &output),
            Way::Usual => usual_loop::export(input, &output),
            Way::Job(variant) => self.run(variant.name, json!({ "source": source(input) })).await,
        }
    }

    /// Runs a job, and fails unless it completes.
    pub(crate) async fn run(&self, job: &str, overrides: Value) -> Result<()> {
        let options = RunOptions { overrides: Some(overrides), ..RunOptions::default() };
        let execution = self.tenant.run(job, options).await?.wait().await?;
        if execution.status == BatchStatus::Completed {
            Ok(())
        } else {
            Err(format!("the job `{job}` ended {}: {:?}", execution.status, execution.exit_status).into())
        }
    }

    /// Seconds from the request for a run to the first rows at its writer.
    pub(crate) async fn seconds_to_first_row(&self, input: &Path) -> Result<f64> {
        let begun = Instant::now();
        self.run("first_row", json!({ "source": source(input) })).await?;
        let noted = self.first_write.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(noted.ok_or("nothing was written")?.duration_since(begun).as_secs_f64())
    }

    /// Fails unless all variants have the same output: otherwise the figures would mean nothing.
    pub(crate) fn check_outputs_are_identical(&self, ways: &[Way]) -> Result<()> {
        let by_hand = std::fs::read(self.output(Way::ByHand.name()))?;
        for way in ways {
            if std::fs::read(self.output(way.name()))? != by_hand {
                let name = way.name();
                return Err(format!("the output of `{name}` is not that of the hand-written loop").into());
            }
        }
        Ok(())
    }

    /// Frees the space, and prevents that a later comparison takes an old output for a new one.
    pub(crate) fn remove_outputs(&self) -> Result<()> {
        for way in Way::all().into_iter().chain([Way::Job(&variant::COMPONENT_UNSAVED)]) {
            let output = self.output(way.name());
            if output.exists() {
                std::fs::remove_file(output)?;
            }
        }
        Ok(())
    }
}

fn source(input: &Path) -> Value {
    json!({ "type": "local", "file_path": input })
}

fn connector_file() -> String {
    let mut text = "connector: bench\n\
                    components:\n  \
                      normalise: normalise.wasm\n  \
                      stoppable: stoppable.wasm\n\
                    jobs:\n"
        .to_owned();
    for (index, Variant { name, processor, settings, .. }) in variant::ALL.into_iter().enumerate() {
        let parameters = match index {
            0 => {
                "&parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: \",\" }
        dateFormat: { type: string, default: dd.MM.yyyy }"
            }
            _ => "*parameters",
        };
        text += &format!(
            r#"  {name}:
    type: export
    parameters: {parameters}
    steps:
      - name: export
        reader: {{ csv: {{ from: "${{parameters.source}}" }} }}
        processor: {processor}
        writer: {{ csv: {{ to: "${{parameters.storage}}", delimiter: "${{parameters.delimiter}}" }} }}
        {settings}
"#
        );
    }
    text + OTHER_JOBS.trim_start_matches('\n')
}
