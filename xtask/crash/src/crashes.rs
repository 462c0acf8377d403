//! An installation whose processes are killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::json;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::{DatabaseUrl, PublishOptions, RunOptions, StorePlace, Tenant, check_store, migrate_store};
use stepbox_test_postgres::{Durability, Server};
use stepbox_tests::guard::{self, Guarded};
use stepbox_tests::{catalogue, numbers::Numbers};
use tempfile::TempDir;

use crate::end::End;
use crate::jobs::{self, Result, executions};
use crate::points::Killer;
use crate::variants::{Manner, Store, Variant};

/// How long a process may take that is not killed.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest time from a stop request to the kill of a worker, in milliseconds. A worker looks for stop requests
/// each 100 ms.
const STOP_MS: u64 = 150;

/// An installation whose processes are killed.
pub(crate) struct Crashes {
    folder: TempDir,
    url: Option<String>,
    /// Ends with this value.
    _server: Option<Server>,
    tenant: Tenant,
    numbers: Numbers,
    seed: u64,
    lines_per_file: u32,
}

/// How a process ended that was to be killed.
enum Outcome {
    Killed,
    /// It completed before, or never reached its point.
    Done,
}

impl Crashes {
    pub(crate) async fn prepare(store: Store, rows: u32, seed: u64) -> Result<Self> {
        let folder = guard::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        catalogue::write(&path("large.csv"), rows, Some(2003))?;
        catalogue::write(&path("small.csv"), rows / 10, Some(503))?;
        catalogue::write(&path("bystander.csv"), 3, None)?;
        std::fs::create_dir(path("inbox"))?;
        // One line in 997 is not an item.
        let line = |row: u32| match row % 997 {
            0 => "?\n".to_owned(),
            _ => format!("{row:<8}chair {:03}\n", row % 1000),
        };
        std::fs::write(path("inbox/stock.txt"), (0..rows / 2).map(line).collect::<String>())?;
        let server = match store {
            Store::Sqlite => None,
            // The server is not killed here.
            Store::Postgres => Some(Server::start(Durability::None)?),
        };
        let url = server.as_ref().map(Server::database).transpose()?;
        if let Some(url) = &url {
            migrate_store(StorePlace::Database(&DatabaseUrl::new(url))).await?;
        }
        let stepbox = jobs::open(folder.path(), url.as_deref(), Killer::at("")).await?;
        let tenant = stepbox.tenant(&TenantId::default())?;
        jobs::install(&tenant, folder.path(), rows / 200).await?;
        let bystander = Variant { job: "bystander", ..crate::variants::VARIANTS[1] };
        jobs::create(&tenant, folder.path(), &bystander, "bystander", None).await?;
        let (numbers, lines_per_file) = (Numbers::of_seed(seed), rows / 30);
        Ok(Self { folder, url, _server: server, tenant, numbers, seed, lines_per_file })
    }

    /// Kills a variant this many times. Each time it completes, it begins again.
    pub(crate) async fn kill(&mut self, variant: &Variant, kills: u32) -> Result<u32> {
        let begun_at = Instant::now();
        let lines = if variant.is_large { self.lines_per_file * 10 } else { self.lines_per_file };
        // One file, and several of them.
        let forms = if variant.rotates { vec![None, Some(lines)] } else { vec![None] };
        let (mut undisturbed, mut duration) = (Vec::new(), Duration::ZERO);
        for (number, lines) in forms.iter().enumerate() {
            let code = format!("{}_undisturbed_{number}", variant.name);
            jobs::create(&self.tenant, self.folder.path(), variant, &code, *lines).await?;
            duration = self.finish(variant, &code).await?;
            undisturbed.push(End::of(&self.tenant, self.folder.path(), &code).await?);
        }
        let (mut by_point, mut killed, mut completed) = (BTreeMap::<&str, u32>::new(), 0, 0);
        let mut points =
            variant.points.iter().copied().flat_map(|point| [point, "random"]).cycle().peekable();
        let mut tried = 0;
        while killed < kills || tried < 2 * variant.points.len() {
            let (code, form) = (format!("{}_{completed}", variant.name), completed as usize % forms.len());
            jobs::create(&self.tenant, self.folder.path(), variant, &code, forms[form]).await?;
            for _ in 0..variant.manner.kills_max(completed) {
                // A point that this process does not reach gets its turn again later.
                let point = points.next().expect("they go round");
                tried += 1;
                let outcome = self.disturb(variant, &code, point, duration).await;
                if let Outcome::Done = outcome.map_err(|what| self.broken(&code, &what.to_string()))? {
                    break;
                }
                *by_point.entry(point).or_default() += 1;
                killed += 1;
                // The next process rescues the lost execution, and may be killed during the rescue.
                if !points.peek().is_some_and(|next| next.contains("lost") || next.contains("expire")) {
                    self.look().await.map_err(|what| self.broken(&code, &format!("after a kill, {what}")))?;
                }
            }
            self.settle(variant, &code).await?;
            self.compare(&code, &undisturbed[form]).await?;
            std::fs::remove_dir_all(self.folder.path().join(&code))?;
            completed += 1;
        }
        let took = begun_at.elapsed().as_secs();
        println!("\n{}: {killed} kills, {completed} completions, identical ({took} s)", variant.name);
        for (point, times) in by_point {
            println!("  {point:<30} {times:>4}");
        }
        Ok(killed)
    }

    /// Begins or continues an instance, and kills the process.
    async fn disturb(
        &mut self,
        variant: &Variant,
        code: &str,
        point: &str,
        duration: Duration,
    ) -> Result<Outcome> {
        let point = if point == "random" { "" } else { point };
        let moment = duration * self.numbers.below(1000) as u32 / 1000;
        let workers = match variant.manner {
            Manner::Runs => {
                let mut child = Guarded::spawn(&mut self.child(code, point, false))?;
                return Self::ended(&mut child, point, moment).await;
            }
            Manner::Workers(workers) => {
                self.publish(code, 100).await?;
                workers
            }
            Manner::LastAttempt => {
                self.publish(code, 1).await?;
                1
            }
            Manner::Stopping => {
                self.publish(code, 100).await?;
                1
            }
        };
        let mut child = Guarded::spawn(&mut self.child(code, point, true))?;
        let mut others = (1..workers)
            .map(|_| Guarded::spawn(&mut self.child(code, "", true)))
            .collect::<std::io::Result<Vec<_>>>()?;
        if variant.manner == Manner::Stopping {
            tokio::time::sleep(moment).await;
            let latest = executions(&self.tenant, code).await?;
            // It may have ended.
            let _ = self.tenant.stop_execution(latest[0].id).await;
            let soon = Duration::from_millis(self.numbers.below(STOP_MS));
            return Self::ended(&mut child, "", soon).await;
        }
        let outcome = Self::ended(&mut child, point, moment).await?;
        if let Outcome::Done = outcome {
            for other in &mut others {
                Self::ended(other, "done", PATIENCE).await?;
            }
            return Ok(Outcome::Done);
        }
        // Half of the time the other workers continue, half of the time all are killed.
        if self.numbers.below(2) == 0 {
            tokio::time::sleep(moment).await;
        }
        Ok(Outcome::Killed)
    }

    /// Waits for a process that ends itself at a point, or kills it at a moment.
    async fn ended(child: &mut Guarded, point: &str, moment: Duration) -> Result<Outcome> {
        let begun_at = Instant::now();
        let limit = if point.is_empty() { moment } else { PATIENCE };
        loop {
            let mut ended = child.try_wait()?;
            if ended.is_none() && begun_at.elapsed() >= limit {
                if !point.is_empty() {
                    return Err("the process does not end".into());
                }
                // It may have ended by itself a moment before.
                ended = Some(child.end()?);
            }
            if let Some(status) = ended {
                return match status.success() {
                    true => Ok(Outcome::Done),
                    false if is_killed(status) => Ok(Outcome::Killed),
                    false => Err(format!("the process ended by itself ({status})").into()),
                };
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Puts the instance into the queue, if it does not wait there.
    async fn publish(&self, code: &str, attempts_max: u32) -> Result<()> {
        match executions(&self.tenant, code).await?.first() {
            None => {
                let options = PublishOptions { attempts_max, ..PublishOptions::default() };
                self.tenant.publish(code, options).await?;
                Ok(())
            }
            Some(latest) if latest.ended_at.is_none() || latest.status == BatchStatus::Completed => Ok(()),
            Some(latest) => Err(format!("it is {}: {:?}", latest.status, latest.exit_status).into()),
        }
    }

    /// Checks what the next process finds: the store opens, which rescues lost executions, lists everything and is
    /// whole, and another job runs.
    async fn look(&self) -> Result<()> {
        let tenant = jobs::open(self.folder.path(), self.url.as_deref(), Killer::at("")).await?;
        let tenant = tenant.tenant(&TenantId::default())?;
        for execution in tenant.executions(&ExecutionFilter::default()).await? {
            tenant.partitions(execution.id).await?;
        }
        let (data, url) = (self.folder.path().join("data"), self.url.as_ref().map(DatabaseUrl::new));
        let place = url.as_ref().map_or(StorePlace::DataFolder(&data), StorePlace::Database);
        let report = check_store(place).await?;
        if !report.is_ready() {
            return Err(format!("the store is not whole: {report:?}").into());
        }
        let overrides = json!({
            "source": { "type": "local", "file_path": "bystander.csv" },
            "storage": { "type": "local", "file_path": "bystander/out.csv" },
        });
        let options = RunOptions { overrides: Some(overrides), ..RunOptions::default() };
        let ended = tenant.run("bystander", options).await?.wait().await?;
        match ended.status {
            BatchStatus::Completed => Ok(()),
            status => Err(format!("another job is {status}: {:?}", ended.exit_status).into()),
        }
    }

    /// Brings the executions of killed workers to their end. If it was the last attempt, or the execution was to
    /// stop, it has ended with all its parts, and a restart continues it.
    async fn settle(&self, variant: &Variant, code: &str) -> Result<()> {
        let latest = executions(&self.tenant, code).await?.into_iter().next().ok_or("it is there")?;
        match (latest.status, variant.manner) {
            (BatchStatus::Completed, _) => return Ok(()),
            // An execution that had not begun waits as before.
            (status, _) if !status.has_ended() => {}
            (BatchStatus::Stopped, Manner::Stopping) | (BatchStatus::Failed, Manner::LastAttempt) => {
                let parts = self.tenant.partitions(latest.id).await?;
                if let Some(part) = parts.iter().find(|part| part.ended_at.is_none()) {
                    let what =
                        format!("it is {}, and its part {} is {}", latest.status, part.id, part.status);
                    return Err(self.broken(code, &what));
                }
                self.tenant.publish_restart(latest.id, &Default::default(), None).await?;
            }
            (status, _) => {
                return Err(self.broken(code, &format!("it is {status}: {:?}", latest.exit_status)));
            }
        }
        self.work_to_the_end(code).await
    }

    /// Runs an instance without a kill.
    async fn finish(&self, variant: &Variant, code: &str) -> Result<Duration> {
        let begun_at = Instant::now();
        if variant.manner == Manner::Runs {
            let mut child = Guarded::spawn(&mut self.child(code, "", false))?;
            Self::ended(&mut child, "done", PATIENCE)
                .await
                .map_err(|what| self.broken(code, &what.to_string()))?;
        } else {
            self.publish(code, 1).await?;
            self.work_to_the_end(code).await?;
        }
        Ok(begun_at.elapsed())
    }

    async fn work_to_the_end(&self, code: &str) -> Result<()> {
        let mut child = Guarded::spawn(&mut self.child(code, "", true))?;
        let ended = Self::ended(&mut child, "done", PATIENCE).await;
        ended.map_err(|what| self.broken(code, &what.to_string())).map(drop)
    }

    fn child(&self, code: &str, point: &str, works: bool) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("stepbox-crash"));
        let mut command = Command::new(program);
        command.arg("--child").arg(self.folder.path()).arg(code).args(["--point", point]);
        command.args(works.then_some("--works"));
        command.args(self.url.iter().flat_map(|url| ["--url", url]));
        // This program reports the end itself.
        command.stdout(std::process::Stdio::null());
        command
    }

    async fn compare(&self, code: &str, undisturbed: &End) -> Result<()> {
        let end = End::of(&self.tenant, self.folder.path(), code).await;
        match end.map_err(|what| self.broken(code, &what.to_string()))?.difference(undisturbed)? {
            None => Ok(()),
            Some(difference) => Err(self.broken(code, &difference)),
        }
    }

    fn broken(&self, code: &str, what: &str) -> Box<dyn std::error::Error> {
        format!("`{code}`: {what}; repeat it with `--seed {}`", self.seed).into()
    }
}

fn is_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}
