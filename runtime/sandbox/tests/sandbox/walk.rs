//! A walk over all imports of all interfaces, the contract's and WASI's. Each import is called ten thousand
//! times with texts and lists that are one byte too long, and then with larger ones. The component keeps all
//! resources that it gets.
//!
//! The imports are read from the WIT, so a new import without a row fails the test. The walk runs in a
//! process of its own, while another tenant runs small jobs in it. The memory and the file descriptors of
//! that process are measured all the time.

mod caller;
mod giving_way;
mod imports;
mod rows;
mod waiting;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stepbox_batch::element::Tasklet;
use stepbox_sandbox::{ComponentSetup, Grants, Limits, Program, ShareLimits};

use self::caller::{Calls, caller};
use self::imports::{Import, Imports};
use self::rows::ROWS;
use crate::support::{Place, context, outcome, tasklet};

/// How often a component calls its import in one run.
const TIMES: u32 = 10_000;
/// How often it does so with 4 MiB in each call.
const TIMES_LARGE: u32 = 100;
/// The memory that a step may have, in bytes. 32 MiB of it are the component's own memory.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// The memory that the process may have in addition, in bytes: for compiled components, pieces that cross,
/// and its allocator.
const BESIDE_BYTES_MAX: u64 = 192 << 20;
/// How many file descriptors the process may have in addition to those at the beginning.
const DESCRIPTORS_MAX: usize = 200;
/// The time within which 99 % of the other tenant's jobs must end, on a machine with much other work.
const OTHER_MAX: Duration = Duration::from_millis(500);
/// The environment variable that makes this process do the walk itself.
const WITHIN: &str = "STEPBOX_TEST_WALK";

#[test]
fn every_import_has_a_row() {
    let mut imports: Vec<String> = Imports::read().all().iter().map(Import::name).collect();
    let mut rows: Vec<String> = ROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    imports.sort_unstable();
    rows.sort_unstable();
    let missing: Vec<_> = imports.iter().filter(|name| !rows.contains(name)).collect();
    let unknown: Vec<_> = rows.iter().filter(|name| !imports.contains(name)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "without a row: {missing:#?}, rows of none: {unknown:#?}"
    );
}

/// Runs the walk in a process of its own.
#[test]
fn no_import_takes_more_than_its_step_may_have() {
    let mut walk = Command::new(std::env::current_exe().unwrap());
    walk.args(["walk::within", "--exact", "--nocapture", "--test-threads=1"]).env(WITHIN, "1");
    let output = walk.output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}{}", told[0], told[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within() {
    if std::env::var_os(WITHIN).is_none() {
        return;
    }
    let place = Place::new();
    let small = place.program(&tasklet("", "", "")).await.unwrap();
    let watched = Watched::begin();
    let is_over = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn(run_small_jobs(small, setup(&place), is_over.clone()));
    let imports = Imports::read();
    let mut wrong = Vec::new();
    for import in imports.all() {
        let row = ROWS.iter().find(|(name, ..)| *name == import.name());
        let (_, max, longer, much_longer) = row.expect("`every_import_has_a_row`");
        let calls = match imports.hands_over_texts(&import.function) {
            true => vec![(max + 1, TIMES, longer), (4 << 20, TIMES_LARGE, much_longer)],
            false => vec![(0, TIMES, longer)],
        };
        for (length, times, expected) in calls {
            let calls = Calls { length, times, ..Calls::default() };
            let found = run(&place, &caller(&imports, &import, &calls)).await;
            // On a busy machine the disk is slower, so the time limit may come first.
            let is_right = found.starts_with(expected) || found.starts_with("step-time-limit");
            if !is_right || watched.peak() > MEMORY_BYTES_MAX + BESIDE_BYTES_MAX {
                wrong.push(format!("{} of {length}: {found}, {} bytes", import.name(), watched.peak()));
            }
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let mut took = other.await.unwrap();
    took.sort_unstable();
    let (jobs, p99) = (took.len(), took[took.len() * 99 / 100]);
    let told = format!(
        "{jobs} jobs beside, p99 {p99:?}; {} bytes; {} descriptors",
        watched.peak(),
        watched.descriptors()
    );
    assert!(wrong.is_empty(), "{wrong:#?} {told}");
    assert!(p99 < OTHER_MAX, "{told}");
    assert!(watched.descriptors() < DESCRIPTORS_MAX, "{told}");
}

fn setup(place: &Place) -> ComponentSetup {
    let limits = Limits { memory_bytes_max: MEMORY_BYTES_MAX, tasklet_ms_max: 2_000, ..Limits::default() };
    let share =
        place.sandbox.share(ShareLimits { memory_bytes_max: MEMORY_BYTES_MAX, ..ShareLimits::default() });
    // No server listens there.
    let grants = Grants::none().with_http("* http://127.0.0.1:9").unwrap();
    ComponentSetup { share, grants, ..place.setup(limits) }
}

async fn run(place: &Place, component: &[u8]) -> String {
    std::fs::write(place.folder.path().join("work/file"), "text").unwrap();
    place.run(component, setup(place), &context(Arc::default())).await
}

/// Runs another tenant's small jobs, one after the other. Returns how long each took.
async fn run_small_jobs(program: Program, setup: ComponentSetup, is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let began_at = Instant::now();
        assert_eq!(outcome(program.tasklet(setup.clone()).run(&context(Arc::default())).await), "ok");
        took.push(began_at.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    took
}

/// The memory and the file descriptors of this process in addition to those at the beginning.
struct Watched {
    resident: u64,
    descriptors: usize,
}

impl Watched {
    fn begin() -> Self {
        Self { resident: resident("VmRSS"), descriptors: descriptors() }
    }

    fn peak(&self) -> u64 {
        resident("VmHWM").saturating_sub(self.resident)
    }

    fn descriptors(&self) -> usize {
        descriptors().saturating_sub(self.descriptors)
    }
}

fn resident(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    line.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap() << 10
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
