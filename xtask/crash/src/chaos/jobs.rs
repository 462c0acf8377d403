//! The jobs: five kinds, how they are published, and how each must end.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{Counts, JobExecution};
use stepbox::batch::name::JobExecutionId;
use stepbox::{NewInstance, PublishOptions, RunOptions, Tenant};
use stepbox_guest_artifacts::steps;
use stepbox_tests::catalogue;

use crate::fleet::Fleet;
use crate::installation::{Installation, below};
use crate::{PATIENCE, Result};

/// The kinds of jobs. They are published in turns.
pub(crate) const KINDS: [&str; 5] = ["native", "rotated", "lines", "normalised", "fixed_width"];

/// How many workers a job may lose. This is high, since the limit is not what this test is about.
const ATTEMPTS_MAX: u32 = 50;

const CONNECTOR: &str = r#"
connector: chaos
components:
  normalise: normalise.wasm
  fixed-width: fixed-width.wasm
  stoppable: stoppable.wasm
jobs:
  native:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: dd.MM.yyyy }
    steps:
      - &step
        name: export
        reader: &csv { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 100
        checkpoint: { items: CHECKPOINT_ITEMS }
        partitions: PARTS
  rotated:
    type: export
    parameters: *parameters
    steps:
      - name: export
        reader: *csv
        processor: normalise
        writer: { csv: { to: "${parameters.storage}", lines_per_file: LINES_PER_FILE } }
        checkpoint: { items: CHECKPOINT_ITEMS }
  lines:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, processor: normalise, writer: { jsonl: { to: "${parameters.storage}" } } } ]
  normalised:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, processor: normalise, workers: 2, partitions: 4 } ]
  fixed_width:
    type: export
    parameters:
      extends: csv_export
      required: [folder]
      properties: { folder: { type: string } }
    steps:
      - <<: *step
        reader:
          fixed-width:
            file: inbox/stock.txt
            layout: [ { name: sku, width: 8 }, { name: name, width: 9 } ]
        grants: { files: { inbox: "read ${parameters.folder}" } }
  counting:
    type: test
    parameters:
      type: object
      properties: { items: { type: integer }, workMs: { type: integer } }
    steps: [ { name: count, tasklet: stoppable } ]
"#;

/// Writes the inputs of the jobs, and installs the jobs. Steps that can be split have this many parts.
pub(crate) async fn install(at: &Installation, rows: u32, parts: u32) -> Result<()> {
    catalogue::write(&at.path("in.csv"), rows, Some(499))?;
    std::fs::create_dir(at.path("inbox"))?;
    // One line in 499 is not an item.
    let line = |row: u32| match row % 499 {
        0 => "?\n".to_owned(),
        _ => format!("{row:<8}chair {:03}\n", row % 1000),
    };
    std::fs::write(at.path("inbox/stock.txt"), (0..rows).map(line).collect::<String>())?;
    let connector = at.path("connector");
    std::fs::create_dir(&connector)?;
    let text = CONNECTOR
        .replace("CHECKPOINT_ITEMS", &(rows / 80).max(1).to_string())
        .replace("LINES_PER_FILE", &(rows / 3).max(1).to_string())
        .replace("PARTS", &parts.to_string());
    std::fs::write(connector.join("connector.yaml"), text)?;
    for (name, path) in [
        ("normalise", steps::NORMALISE),
        ("fixed-width", steps::FIXED_WIDTH),
        ("stoppable", steps::STOPPABLE),
    ] {
        std::fs::copy(path, connector.join(name).with_extension("wasm"))?;
    }
    at.tenant.install_connector(&connector).await?;
    for kind in KINDS {
        let mut parameters = json!({ "source": local("in.csv"), "storage": local("undisturbed/out") });
        if kind == "fixed_width" {
            parameters["folder"] = json!(at.path("inbox"));
        }
        create(&at.tenant, kind, "export", parameters).await?;
    }
    create(&at.tenant, "counting", "test", json!({ "items": 200, "workMs": 100 })).await
}

async fn create(tenant: &Tenant, job: &str, job_type: &str, parameters: Value) -> Result<()> {
    let (connector, job, job_type) = ("chaos".to_owned(), job.to_owned(), job_type.to_owned());
    let code = job.clone();
    tenant.create_instance(NewInstance { connector, job, job_type, code, label: None, parameters }).await?;
    Ok(())
}

fn local(path: impl AsRef<Path>) -> Value {
    json!({ "type": "local", "file_path": path.as_ref() })
}

/// A published execution, and the folder with its output.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) id: JobExecutionId,
    pub(crate) kind: &'static str,
    pub(crate) folder: String,
}

/// Puts an execution into the queue, also if the store is away for long. The store may have accepted it without an
/// answer; then it is found there. If a worker is stopped in the middle of a write, all others wait until the fleet
/// continues it.
pub(crate) async fn publish(
    at: &Installation,
    kind: &'static str,
    number: usize,
    fleet: &mut Fleet<'_>,
) -> Result<Published> {
    let folder = format!("out/{number}");
    let begun_at = Instant::now();
    loop {
        let options = PublishOptions {
            overrides: (kind != "counting").then(|| json!({ "storage": local(format!("{folder}/out")) })),
            is_unique: kind != "counting",
            attempts_max: ATTEMPTS_MAX,
            ..PublishOptions::default()
        };
        match at.tenant.publish(kind, options).await {
            Ok(published) => return Ok(Published { id: published.id(), kind, folder }),
            Err(error) if begun_at.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        fleet.tend()?;
    }
}

/// The parts of a job's result that must not depend on its workers.
#[derive(PartialEq)]
pub(crate) struct End {
    counts: Vec<Counts>,
    warning_count: u64,
    warnings: Vec<(String, String, String, String)>,
    /// Names and contents.
    files: Vec<(String, Vec<u8>)>,
}

impl End {
    /// The result of an undisturbed run.
    pub(crate) async fn undisturbed(at: &Installation, kind: &str) -> Result<Self> {
        let folder = format!("undisturbed/{kind}");
        let overrides = Some(json!({ "storage": local(format!("{folder}/out")) }));
        let mut running = at.tenant.run(kind, RunOptions { overrides, ..RunOptions::default() }).await?;
        let execution = running.wait().await?;
        Self::of(at, &execution, &folder).await
    }

    pub(crate) async fn of(at: &Installation, execution: &JobExecution, folder: &str) -> Result<Self> {
        if execution.status != BatchStatus::Completed {
            return Err(format!("it is {}: {:?}", execution.status, execution.exit_status).into());
        }
        let warnings = at.tenant.warnings(execution.id).await?;
        let mut files = Vec::new();
        for path in below(&at.path(folder))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read(path)?));
        }
        Ok(Self {
            counts: execution.steps.iter().map(|step| step.counts).collect(),
            warning_count: execution.steps.iter().map(|step| step.warning_count).sum(),
            warnings: warnings.into_iter().map(|w| (w.code, w.reason, w.place, w.item)).collect(),
            files,
        })
    }

    /// A difference from an undisturbed run.
    pub(crate) fn difference(&self, undisturbed: &Self) -> Option<String> {
        let names = |end: &Self| end.files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if (&self.counts, self.warning_count) != (&undisturbed.counts, undisturbed.warning_count) {
            return Some(format!(
                "{:?} and {} warnings, not {:?} and {}",
                self.counts, self.warning_count, undisturbed.counts, undisturbed.warning_count
            ));
        }
        if self.warnings != undisturbed.warnings {
            let (found, wanted) = (self.warnings.len(), undisturbed.warnings.len());
            return Some(format!("the stored warnings differ: {found}, not {wanted}, or others"));
        }
        if names(self) != names(undisturbed) {
            return Some(format!("the files {:?}, not {:?}", names(self), names(undisturbed)));
        }
        (self.files != undisturbed.files).then(|| "a file differs".to_owned())
    }
}
