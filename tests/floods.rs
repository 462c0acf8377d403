//! One tenant floods everything at once; another tenant's job runs as if it were alone.
#![expect(clippy::print_stdout, reason = "`cargo test floods -- --nocapture` tells the figures")]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::{Policy, PublishOptions, Quotas, Running, Stepbox, Tenant, WorkerOptions};
use stepbox_guest_artifacts::{hostile, steps};
use stepbox_tests::alone::Watch;

use crate::support::{self, counts, ending, local};

/// How many of each kind.
const HOSTILE: usize = 50;
/// The time limit of each hostile step, in milliseconds; on a busy machine the end comes some time later.
const LIMIT_MS: u64 = 5_000;
const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// The memory that the process may have beside, in bytes: for 150 executions, and for the test that runs at the same
/// time.
const BESIDE_BYTES_MAX: u64 = 768 << 20;
const ROWS: usize = 2_000_000;

const HOSTILE_JOBS: &str = r#"
jobs:
  loops:
    type: test
    steps: [ { name: attack, tasklet: spins_forever, limits: &limits { time_ms_max: 5000 } } ]
  bombs:
    type: test
    steps: [ { name: attack, tasklet: { eats_memory: { insist: true } }, limits: *limits } ]
  floods:
    type: test
    steps: [ { name: attack, tasklet: { floods_log: { messages: 4000000000 } }, limits: *limits } ]
  endless:
    type: test
    steps: [ { name: attack, tasklet: { spins_forever: { announced: true } } } ]
"#;

const ORDINARY_JOB: &str = r#"
jobs:
  ordinary:
    type: export
    parameters:
      extends: csv_export
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenants_flood_leaves_another_its_part() {
    let folder = support::tempdir().unwrap();
    let (hostile, ordinary) = tenants(folder.path()).await;
    let alone = run_ordinary(&ordinary).await;
    let watch = Watch::begin();

    // This step gets its memory before the bombs take the rest.
    let mut endless = support::start(&hostile, "endless", json!({})).await;
    let spins =
        async || hostile.log(endless.id()).await.unwrap().iter().any(|line| line.message == "spinning");
    support::until("spinning", spins).await;
    let mut attacks = Vec::new();
    for job in ["loops", "bombs", "floods"] {
        for _ in 0..HOSTILE {
            attacks.push((job, support::start(&hostile, job, json!({})).await));
        }
    }
    let began_at = Instant::now();
    let beside = run_ordinary(&ordinary).await;
    println!("the ordinary job took {alone:?} alone and {beside:?} beside the flood");
    let is_over = began_at.elapsed() >= Duration::from_millis(LIMIT_MS);
    assert!(!is_over, "it waited for the flood to end: {beside:?}, alone {alone:?}");

    let asked_at = Instant::now();
    endless.stop().await.unwrap();
    assert_eq!(ending(&endless.wait().await.unwrap()), "STOPPED");
    println!("a loop was stopped after {:?}", asked_at.elapsed());
    for (job, mut attack) in attacks {
        check_end(job, &attack.wait().await.unwrap());
    }
    let memory = watch.memory_peak();
    println!("the process had {memory} bytes more than before, at most");
    assert!(memory < MEMORY_BYTES_MAX + BESIDE_BYTES_MAX, "{memory} bytes");
    let healthy = run_ordinary(&ordinary).await;
    assert!(healthy < Duration::from_millis(LIMIT_MS), "nothing is left of the flood");
}

fn check_end(job: &str, execution: &JobExecution) {
    let told = format!("{job}: {}", ending(execution));
    let step = &execution.steps[0];
    let ms = step.ended_at.unwrap().ms_since(step.started_at);
    println!("{job} ended after {ms} ms");
    assert!(ms < 3 * LIMIT_MS, "{told} after {ms} ms");
    match job {
        "bombs" => {
            // Steps whose turn comes late are ended by the clock before they get their memory.
            let is_memory = told.contains("FAILED [step-memory-limit]");
            assert!(is_memory || told.contains("FAILED [step-time-limit]"), "{told}");
            assert!(step.usage.memory_bytes_peak <= MEMORY_BYTES_MAX, "{told}");
        }
        _ => {
            // If the bombs hold all memory of their tenant, none is left to start a component.
            let is_starved = told.contains("all of its tenant together may have");
            assert!(is_starved || told.contains("FAILED [step-time-limit]"), "{told}");
        }
    }
}

async fn tenants(folder: &Path) -> (Tenant, Tenant) {
    let id = |name: &str| TenantId::new(name).unwrap();
    let quotas = Quotas {
        running_max: 3 * HOSTILE + 1,
        memory_bytes_max: MEMORY_BYTES_MAX,
        stop_grace_ms: 100,
        ..Quotas::default()
    };
    let ordinary = Policy::nothing().with_folder(folder);
    let stepbox = Stepbox::builder(folder.join("data"))
        .tenant(id("hostile"), Policy::nothing().with_quotas(quotas))
        .tenant(id("ordinary"), ordinary)
        .open()
        .await
        .unwrap();
    let (hostile, ordinary) =
        (stepbox.tenant(&id("hostile")).unwrap(), stepbox.tenant(&id("ordinary")).unwrap());
    let guests = ["spins_forever", "eats_memory", "floods_log"];
    let path_of = |name| hostile::ALL.iter().find(|(known, _)| *known == name).expect("it is built").1;
    support::install(&hostile, &folder.join("h"), &guests.map(|name| (name, path_of(name))), HOSTILE_JOBS)
        .await;
    let normalise = [("normalise", steps::NORMALISE)];
    support::install(&ordinary, &folder.join("o"), &normalise, ORDINARY_JOB).await;
    let rows: String = (0..ROWS).map(|row| format!("{row},{row}.50,2024-03-05\n")).collect();
    std::fs::write(folder.join("in.csv"), format!("sku,price,released_on\n{rows}")).unwrap();
    (hostile, ordinary)
}

/// How long the ordinary job takes.
async fn run_ordinary(tenant: &Tenant) -> Duration {
    let began_at = Instant::now();
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let mut running: Running = support::start(tenant, "ordinary", parameters).await;
    let execution = running.wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), format!("read={ROWS} written={ROWS} filtered=0 skipped=0"));
    began_at.elapsed()
}

/// No place beyond the quota is given, and a place that is free again is given.
#[tokio::test]
async fn no_more_executions_run_than_the_quota_allows() {
    let folder = support::tempdir().unwrap();
    let id = TenantId::default();
    let quotas = Quotas { running_max: 1, stop_grace_ms: 0, ..Quotas::default() };
    let builder = Stepbox::builder(folder.path().join("data"));
    let stepbox = builder.tenant(id.clone(), Policy::nothing().with_quotas(quotas)).open().await.unwrap();
    let tenant = stepbox.tenant(&id).unwrap();
    support::install(
        &tenant,
        folder.path(),
        &[("spins_forever", hostile::SPINS_FOREVER)],
        "jobs:
  loops: { type: test, steps: [ { name: attack, tasklet: spins_forever } ] }
",
    )
    .await;
    let mut first = support::start(&tenant, "loops", json!({})).await;
    let refused = tenant.run("i0", Default::default()).await.unwrap_err();
    assert_eq!(refused.code(), "too-many-running", "{refused}");
    first.stop().await.unwrap();
    assert_eq!(first.wait().await.unwrap().status, BatchStatus::Stopped);
    let mut second = tenant.run("i0", Default::default()).await.unwrap();
    second.stop().await.unwrap();
    second.wait().await.unwrap();
}

/// A whole waits for its parts, and a split for its branches. With only one place, one turn and one connection, no
/// step waits for what only waiting steps can release.
#[tokio::test]
async fn nobody_waits_for_what_only_they_can_give_back() {
    let jobs = r#"
jobs:
  parts:
    type: test
    parameters: { extends: csv_export }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
        partitions: 3
        workers: 2
  branches:
    type: test
    parameters: { extends: csv_export }
    steps:
      - split: both
        branches: [ [ { <<: *step, partitions: 1 } ], [ { <<: *step, name: other, writer: { csv: { to: other.csv } } } ] ]
"#;
    let folder = support::tempdir().unwrap();
    let quotas = Quotas { running_max: 1, processors_max: 1, http_connections_max: 1, ..Quotas::default() };
    let policy = Policy::nothing().with_folder(folder.path()).with_quotas(quotas);
    let id = TenantId::default();
    let builder = Stepbox::builder(folder.path().join("data")).tenant(id.clone(), policy);
    let stepbox = builder.open().await.unwrap();
    let tenant = stepbox.tenant(&id).unwrap();
    support::install(&tenant, folder.path(), &[("normalise", steps::NORMALISE)], jobs).await;
    let rows: String = (0..1000).map(|row| format!("{row},{row}.50,2024-03-05\n")).collect();
    std::fs::write(folder.path().join("in.csv"), format!("sku,price,released_on\n{rows}")).unwrap();
    let all = "read=1000 written=1000 filtered=0 skipped=0";
    for (number, job) in ["parts", "branches"].into_iter().enumerate() {
        let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
        let mut running = support::start(&tenant, job, parameters).await;
        let ended = tokio::time::timeout(support::PATIENCE, running.wait()).await;
        let Ok(ended) = ended else { panic!("{job} waits for itself") };
        let ended = ended.unwrap();
        assert_eq!((ending(&ended).as_str(), counts(&ended, 0).as_str()), ("COMPLETED", all), "{job}");

        let options = WorkerOptions { concurrency: 1, ..WorkerOptions::default() };
        let published = tenant.publish(&format!("i{number}"), PublishOptions::default()).await.unwrap().id();
        let mut worker = stepbox.start_worker(options).await.unwrap();
        support::until("it has ended", async || {
            tenant.execution(published).await.unwrap().ended_at.is_some()
        })
        .await;
        worker.shut_down();
        worker.wait().await.unwrap();
        let ended = tenant.execution(published).await.unwrap();
        assert_eq!((ending(&ended).as_str(), counts(&ended, 0).as_str()), ("COMPLETED", all), "{job}");
    }
}

/// With one turn for all components: a component that waits for the host leaves the turn to the others.
#[tokio::test]
async fn whoever_waits_for_the_host_holds_no_turn() {
    let folder = support::tempdir().unwrap();
    let quotas = Quotas { processors_max: 1, stop_grace_ms: 100, ..Quotas::default() };
    let policy = Policy::nothing().with_folder(folder.path()).with_quotas(quotas);
    let id = TenantId::default();
    let builder = Stepbox::builder(folder.path().join("data")).tenant(id.clone(), policy);
    let tenant = builder.open().await.unwrap().tenant(&id).unwrap();
    let guests = [("sleeps", hostile::SLEEPS), ("own_exit_status", hostile::OWN_EXIT_STATUS)];
    let jobs = "jobs:
  sleeps: { type: test, steps: [ { name: sleep, tasklet: sleeps } ] }
  works: { type: test, steps: [ { name: work, tasklet: own_exit_status } ] }
";
    support::install(&tenant, folder.path(), &guests, jobs).await;
    let mut asleep = Vec::new();
    for _ in 0..3 {
        let sleeps = support::start(&tenant, "sleeps", json!({})).await;
        let is_asleep =
            async || tenant.log(sleeps.id()).await.unwrap().iter().any(|line| line.message == "asleep");
        support::until("it sleeps", is_asleep).await;
        asleep.push(sleeps);
    }
    for _ in 0..5 {
        let mut works = support::start(&tenant, "works", json!({})).await;
        let ended = tokio::time::timeout(support::PATIENCE, works.wait()).await;
        assert_eq!(ending(&ended.expect("nobody holds its turn").unwrap()), "COMPLETED");
    }
    for mut sleeps in asleep {
        sleeps.stop().await.unwrap();
        assert_eq!(ending(&sleeps.wait().await.unwrap()), "STOPPED");
    }
}
