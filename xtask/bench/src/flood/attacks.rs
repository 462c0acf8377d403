//! The flood: each hostile guest that takes a resource of the host, as a job that runs again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stepbox::batch::execution::JobExecution;
use stepbox::{NewInstance, RunOptions, Tenant};
use stepbox_guest_artifacts::hostile;
use tokio::task::JoinHandle;

use crate::Result;
use crate::servers::Servers;

/// Files in the folder whose listings the guest keeps.
const MANY: usize = 5_000;
/// The time limit of a step, in milliseconds: short enough for all attacks to take turns.
const STEP_MS: u64 = 3_000;
/// The memory limit of a step, in bytes. All attacks together ask for several times the quota.
const STEP_BYTES: u64 = 64 << 20;

/// How each attack's executions ended, and how many.
type Endings = BTreeMap<String, BTreeMap<String, u64>>;

/// An attack: its job, its guest, the guest's options, and the step's grants.
struct Attack {
    job: &'static str,
    guest: &'static str,
    options: Value,
    grants: String,
}

/// A tenant that is ready to flood.
pub(crate) struct Flood {
    tenant: Tenant,
    jobs: Vec<&'static str>,
    _servers: Servers,
}

/// A flood under way.
pub(crate) struct Running {
    is_over: Arc<AtomicBool>,
    attacks: Vec<(&'static str, JoinHandle<Result<Vec<String>>>)>,
}

impl Flood {
    pub(crate) async fn prepare(tenant: Tenant, folder: &Path) -> Result<Self> {
        let (servers, many) = (Servers::start()?, folder.join("many"));
        std::fs::create_dir(&many)?;
        for number in 0..MANY {
            std::fs::write(many.join(format!("{number:0200}")), "")?;
        }
        let attacks = attacks(&servers, &many);
        let mut guests: Vec<_> = attacks.iter().map(|attack| attack.guest).collect();
        guests.dedup();
        let jobs: String = attacks.iter().map(Attack::job).collect();
        install(&tenant, &folder.join("flood"), &guests, &jobs).await?;
        let jobs: Vec<_> = attacks.iter().map(|attack| attack.job).collect();
        for job in &jobs {
            create_instance(&tenant, job).await?;
        }
        Ok(Self { tenant, jobs, _servers: servers })
    }

    /// Begins all attacks, with this many copies of each.
    pub(crate) fn begin(&self, copies: usize) -> Running {
        let is_over = Arc::new(AtomicBool::new(false));
        let begin = |job: &'static str| {
            (job, tokio::spawn(run_again_and_again(self.tenant.clone(), job, is_over.clone())))
        };
        let attacks = self.jobs.iter().flat_map(|job| std::iter::repeat_n(*job, copies)).map(begin).collect();
        Running { is_over, attacks }
    }
}

impl Running {
    /// Waits for the running attacks to end, and begins no others.
    pub(crate) async fn end(self) -> Result<Endings> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Endings::new();
        for (job, attack) in self.attacks {
            let of_job = all.entry(job.to_owned()).or_default();
            for ending in attack.await?? {
                *of_job.entry(ending).or_default() += 1;
            }
        }
        Ok(all)
    }
}

async fn run_again_and_again(
    tenant: Tenant,
    job: &'static str,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<String>> {
    let mut endings = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        match tenant.run(job, RunOptions::default()).await {
            Ok(mut running) => endings.push(ending(&running.wait().await?)),
            // Another execution has to end first.
            Err(error) if error.code() == "too-many-running" => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(endings)
}

fn ending(execution: &JobExecution) -> String {
    let failure = execution.steps.iter().flat_map(|step| &step.failures).next();
    failure.map_or_else(|| execution.status.to_string(), |failure| failure.code.clone())
}

fn attacks(servers: &Servers, many: &Path) -> Vec<Attack> {
    let attack =
        |job, guest, options, grants: &str| Attack { job, guest, options, grants: grants.to_owned() };
    let silent = &servers.silent;
    let hoards = format!("http: [\"POST {silent}\"], files: {{ many: \"read {}\" }}", many.display());
    let sends = format!("http: [\"GET {}\"]", servers.answering);
    let hoard = |job, what: &str| {
        let options = json!({ "what": what, "url": silent, "enough": 10_000 });
        attack(job, "hoards_in_the_host", options, &hoards)
    };
    let heads = |job, bytes: u32| {
        let options = json!({ "url": servers.answering, "bytes": bytes, "times": 1_000_000 });
        attack(job, "floods_heads", options, &sends)
    };
    let calls = |job, call: &str| attack(job, "floods_host", json!({ "call": call, "times": u32::MAX }), "");
    vec![
        attack("context", "bombs_context", json!({ "bytes": 4 << 20, "times": 1_000_000 }), ""),
        hoard("listings", "listings"),
        hoard("heads", "heads"),
        hoard("pieces", "pieces"),
        hoard("bodies", "bodies"),
        attack("folders", "hoards_folders", json!({ "times": 1_000_000 }), ""),
        attack("handles", "hoards_handles", json!({}), ""),
        heads("heads_sent", 60_000),
        heads("heads_too_large", 3_000_000),
        attack("trailers", "smuggles_in_trailers", json!({ "flood": "large" }), ""),
        calls("progress", "progress"),
        calls("names", "summary"),
        calls("warnings", "warning"),
        calls("errors", "error"),
        calls("values", "context"),
        attack("messages", "floods_log", json!({ "messages": 4_000_000_000_u32 }), ""),
        attack("files", "fills_disk", json!({}), ""),
        attack("memory", "eats_memory", json!({ "insist": true }), ""),
        attack("loops", "spins_forever", json!({}), ""),
        attack("stack", "recurses", json!({}), ""),
        attack("sleeps", "sleeps", json!({}), ""),
    ]
}

impl Attack {
    /// The job as YAML, for a connector file.
    fn job(&self) -> String {
        let Self { job, guest, options, grants } = self;
        let tasklet = json!({ *guest: options });
        let limits = format!("time_ms_max: {STEP_MS}, memory_bytes_max: {STEP_BYTES}");
        format!(
            "  {job}: {{ type: bench, steps: [ {{ name: attack, tasklet: {tasklet}, grants: {{ {grants} }}, \
             limits: {{ {limits} }} }} ] }}\n"
        )
    }
}

/// Installs jobs and their guests.
pub(crate) async fn install(tenant: &Tenant, folder: &Path, guests: &[&str], jobs: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut text = "connector: bench\ncomponents:\n".to_owned();
    for guest in guests {
        let (_, path) = hostile::ALL.iter().find(|(name, _)| name == guest).ok_or("a guest that is built")?;
        std::fs::copy(path, folder.join(format!("{guest}.wasm")))?;
        text.push_str(&format!("  {guest}: {guest}.wasm\n"));
    }
    std::fs::write(folder.join("connector.yaml"), text + "jobs:\n" + jobs)?;
    tenant.install_connector(folder).await?;
    Ok(())
}

/// Makes an instance of a job without parameters, of the same name.
pub(crate) async fn create_instance(tenant: &Tenant, job: &str) -> Result<()> {
    let new = NewInstance {
        connector: "bench".to_owned(),
        job: job.to_owned(),
        job_type: "bench".to_owned(),
        code: job.to_owned(),
        label: None,
        parameters: json!({}),
    };
    tenant.create_instance(new).await?;
    Ok(())
}
