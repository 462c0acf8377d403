//! Kills jobs in the middle, restarts them until they complete, and compares what comes out with an
//! undisturbed run: files byte for byte, counts and warnings.

#![expect(clippy::print_stdout, reason = "it prints what it found")]

mod jobs;
mod points;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use clap::Parser;
use jobs::{End, Result, VARIANTS};
use points::{Killer, POINTS};
use stepbox::Tenant;
use stepbox_tests::catalogue;

/// Kills jobs in the middle, restarts them and compares what comes out.
#[derive(Parser)]
struct Arguments {
    /// Rows of the generated catalogue.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How many processes are killed at least, over all variants.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// Decides the random moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs or restarts one instance of the installation in a folder; what the others are killed as.
    #[arg(long, hide = true, num_args = 2, value_names = ["FOLDER", "CODE"])]
    child: Option<Vec<String>>,
    /// Where the child ends itself.
    #[arg(long, hide = true, default_value = "")]
    point: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.child.as_deref() {
            Some([folder, code]) => {
                let tenant = jobs::open(Path::new(folder), Killer::at(&arguments.point)).await?;
                jobs::run_or_restart(&tenant, code).await
            }
            _ => Crashes::prepare(&arguments).await?.run(arguments.kills).await,
        }
    })
}

/// An installation whose processes are killed.
struct Crashes {
    folder: tempfile::TempDir,
    tenant: Tenant,
    numbers: u64,
    seed: u64,
    lines_per_file: u32,
}

impl Crashes {
    async fn prepare(arguments: &Arguments) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bytes = catalogue::write(&folder.path().join("in.csv"), arguments.rows, Some(2003))?;
        println!("{} rows, {:.1} MB, seed {}", arguments.rows, bytes as f64 / 1e6, arguments.seed);
        let tenant = jobs::open(folder.path(), Killer::at("")).await?;
        jobs::install(&tenant, folder.path(), arguments.rows / 20).await?;
        let (seed, lines_per_file) = (arguments.seed, arguments.rows / 3);
        Ok(Self {
            folder,
            tenant,
            numbers: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            seed,
            lines_per_file,
        })
    }

    async fn run(mut self, kills: u32) -> Result<()> {
        // One file, and several of them; outputs are the same for all variants.
        let mut undisturbed = Vec::new();
        for (code, lines) in [("one", None), ("rotated", Some(self.lines_per_file))] {
            jobs::create(&self.tenant, "native_1", code, lines).await?;
            self.finish(code)?;
            undisturbed.push(End::of(&self.tenant, self.folder.path(), code).await?);
        }
        let mut all = 0;
        for variant in VARIANTS {
            all += self.kill(variant, kills.div_ceil(VARIANTS.len() as u32), &undisturbed).await?;
        }
        println!("{all} kills, every output identical");
        Ok(())
    }

    /// Kills a variant so many times; whenever it completes it begins anew.
    async fn kill(&mut self, variant: &str, kills: u32, undisturbed: &[End]) -> Result<u32> {
        let code = format!("{variant}_undisturbed");
        jobs::create(&self.tenant, variant, &code, None).await?;
        let duration = self.finish(&code)?;
        self.compare(&code, &undisturbed[0]).await?;

        let (mut by_point, mut killed, mut completed) = (BTreeMap::<&str, u32>::new(), 0, 0);
        let mut points = POINTS.iter().copied().flat_map(|point| [point, "random"]).cycle();
        let mut tried = 0;
        while killed < kills || tried < 2 * POINTS.len() {
            let (code, form) = (format!("{variant}_{completed}"), completed % 2);
            let lines = (form == 1).then_some(self.lines_per_file);
            jobs::create(&self.tenant, variant, &code, lines).await?;
            loop {
                // One that this process does not come to has its turn again later.
                let point = points.next().expect("they go round");
                tried += 1;
                let status = match point {
                    "random" => self.kill_at_random(&code, duration)?,
                    named => self.child(&code, named).status()?,
                };
                if status.success() {
                    break;
                }
                if !is_killed(status) {
                    return Err(self.broken(&code, &format!("the process ended by itself ({status})")));
                }
                *by_point.entry(point).or_default() += 1;
                killed += 1;
            }
            self.compare(&code, &undisturbed[form]).await?;
            std::fs::remove_dir_all(self.folder.path().join(&code))?;
            completed += 1;
        }
        println!("\n{variant}: {killed} kills, {completed} completions, identical");
        for (point, times) in by_point {
            println!("  {point:<26} {times:>4}");
        }
        Ok(killed)
    }

    fn kill_at_random(&mut self, code: &str, duration: Duration) -> Result<ExitStatus> {
        // xorshift64*
        self.numbers ^= self.numbers >> 12;
        self.numbers ^= self.numbers << 25;
        self.numbers ^= self.numbers >> 27;
        let part = (self.numbers.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % 1000;
        let mut child = self.child(code, "").spawn()?;
        std::thread::sleep(duration * part as u32 / 1000);
        child.kill()?;
        Ok(child.wait()?)
    }

    fn child(&self, code: &str, point: &str) -> Command {
        let mut command =
            Command::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("stepbox-crash")));
        command.arg("--child").arg(self.folder.path()).arg(code).args(["--point", point]);
        command
    }

    /// Runs an instance that nobody kills.
    fn finish(&self, code: &str) -> Result<Duration> {
        let begin = Instant::now();
        let status = self.child(code, "").status()?;
        if status.success() { Ok(begin.elapsed()) } else { Err(self.broken(code, &status.to_string())) }
    }

    async fn compare(&self, code: &str, undisturbed: &End) -> Result<()> {
        let end = End::of(&self.tenant, self.folder.path(), code).await?;
        match end.difference(undisturbed)? {
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
