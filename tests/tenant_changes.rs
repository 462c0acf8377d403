//! Tenants that are added, changed and removed while others work.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox::batch::step_context::StepContext;
use stepbox::config::{PolicyEvent, PolicyFiles, PolicyWatch, Served};
use stepbox::{
    Policy, PublishOptions, Quotas, RunOptions, Running, Stepbox, Tenant, TenantStanding, WorkerOptions,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{self, ending, local, until};

const JOBS: &str = "
jobs:
  waits:
    type: export
    steps:
      - { name: wait, tasklet: gate }
      - name: export
        reader: { csv: { from: { type: local, file_path: in.csv } } }
        writer: { csv: { to: { type: local, file_path: \"out-%execution%.csv\" } } }
";

/// How often a waiting tasklet checks for a stop.
const LOOKS_EVERY: Duration = Duration::from_millis(2);

/// Waits until the gate lets it through, and observes stops and pauses meanwhile.
struct Waits(Arc<Semaphore>);

#[async_trait]
impl Tasklet for Waits {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        while !context.observe_stop() {
            if let Ok(permit) = timeout(LOOKS_EVERY, self.0.acquire()).await {
                permit.expect("nobody closes it").forget();
                break;
            }
        }
        Ok(None)
    }
}

fn id(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn policy(folder: &Path, name: &str) -> Policy {
    let below = folder.join(name);
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join("in.csv"), "sku\n1\n").unwrap();
    Policy::nothing().with_folder(below)
}

/// An installation with the tenant `alice`, and the gate of its jobs.
async fn installation(folder: &Path) -> (Stepbox, Tenant, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let of_jobs = gate.clone();
    let stepbox = Stepbox::builder(folder.join("data"))
        .tenant(id("alice"), policy(folder, "alice"))
        .tasklet("gate", move |_| Ok(Box::new(Waits(of_jobs.clone()))))
        .open()
        .await
        .unwrap();
    let alice = stepbox.tenant(&id("alice")).unwrap();
    support::install(&alice, folder, &[], JOBS).await;
    (stepbox, alice, gate)
}

async fn is_at_the_gate(run: &Running) {
    let mut progress = run.progress();
    progress.wait_for(|progress| progress.step == "wait").await.unwrap();
}

#[tokio::test]
async fn a_tenant_comes_changes_and_goes_while_anothers_job_runs() {
    let folder = support::tempdir().unwrap();
    let (stepbox, alice, gate) = installation(folder.path()).await;
    let mut of_alice = support::start(&alice, "waits", json!({})).await;
    is_at_the_gate(&of_alice).await;

    // The tenant is added, and works at once.
    let bob = stepbox.set_tenant(&id("bob"), policy(folder.path(), "bob")).unwrap();
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let execution = support::start(&bob, "csv_export", parameters.clone()).await.wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();

    // Its policy becomes narrower: an old handle begins with the new policy, too.
    support::install(&bob, folder.path(), &[], JOBS).await;
    let mut of_bob = support::start(&bob, "waits", json!({})).await;
    is_at_the_gate(&of_bob).await;
    stepbox.set_tenant(&id("bob"), Policy::nothing().with_folder(&other)).unwrap();
    gate.add_permits(2);
    // The waiting step kept its policy, and the next step has the new one.
    assert_eq!(of_alice.wait().await.unwrap().status, BatchStatus::Completed);
    let ended = of_bob.wait().await.unwrap();
    assert_eq!(ended.steps[0].status, BatchStatus::Completed);
    assert!(ending(&ended).starts_with("FAILED [file-refused]"), "{}", ending(&ended));

    // An invalid policy leaves the one before.
    let wrong = Policy::nothing().with_folder(folder.path().join("data"));
    assert_eq!(stepbox.set_tenant(&id("bob"), wrong).unwrap_err().code(), "path-in-data-folder");
    assert!(
        matches!(&bob.policy().files, stepbox::FilesPolicy::Beneath(folders) if *folders == [other.clone()])
    );

    // The tenant is removed, and alice's job continues.
    let mut of_alice = alice.run("i0", RunOptions::default()).await.unwrap();
    is_at_the_gate(&of_alice).await;
    let mut of_bob = bob.run("i1", RunOptions::default()).await.unwrap();
    is_at_the_gate(&of_bob).await;
    assert_eq!(stepbox.remove_tenant(&id("bob")).unwrap(), 1);
    assert_eq!(of_bob.wait().await.unwrap().status, BatchStatus::Paused);
    assert_eq!(stepbox.tenant(&id("bob")).unwrap_err().code(), "unknown-tenant");
    assert_eq!(stepbox.remove_tenant(&id("bob")).unwrap_err().code(), "unknown-tenant");
    assert_eq!(bob.run("i1", RunOptions::default()).await.unwrap_err().code(), "unknown-tenant");
    gate.add_permits(1);
    assert_eq!(of_alice.wait().await.unwrap().status, BatchStatus::Completed);

    // Its data is there when it is added again.
    let bob = stepbox.set_tenant(&id("bob"), policy(folder.path(), "bob")).unwrap();
    assert_eq!(bob.instances(None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_a_suspended_tenant_nothing_begins_and_all_can_be_looked_at_and_stopped() {
    let folder = support::tempdir().unwrap();
    let (stepbox, alice, gate) = installation(folder.path()).await;
    let mut running = support::start(&alice, "waits", json!({})).await;
    is_at_the_gate(&running).await;
    let queued = alice.publish("i0", PublishOptions::default()).await.unwrap().id();

    stepbox.suspend_tenant(&id("alice")).unwrap();
    assert_eq!(stepbox.tenants(), [(id("alice"), TenantStanding::Suspended)]);
    let refused = [
        alice.run("i0", RunOptions::default()).await.unwrap_err(),
        alice.publish("i0", PublishOptions::default()).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.code(), error.kind()), ("tenant-suspended", stepbox::ErrorKind::WrongState));
    }
    // Running executions continue, and waiting ones keep their place, with any worker.
    let mut worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    running.stop().await.unwrap();
    let stopped = running.wait().await.unwrap();
    assert_eq!(stopped.status, BatchStatus::Stopped);
    let error = alice.restart_execution(stopped.id, Default::default()).await.unwrap_err();
    assert_eq!(error.code(), "tenant-suspended");
    assert_eq!(alice.execution(queued).await.unwrap().status, BatchStatus::Starting);

    stepbox.resume_tenant(&id("alice")).unwrap();
    gate.add_permits(1);
    until("the worker takes it", async || {
        alice.execution(queued).await.unwrap().status == BatchStatus::Completed
    })
    .await;
    worker.shut_down();
    worker.wait().await.unwrap();
}

#[tokio::test]
async fn quotas_change_with_the_policy() {
    let folder = support::tempdir().unwrap();
    let (stepbox, alice, gate) = installation(folder.path()).await;
    let mut first = support::start(&alice, "waits", json!({})).await;
    is_at_the_gate(&first).await;
    let one = Quotas { running_max: 1, ..Quotas::default() };
    stepbox.set_tenant(&id("alice"), policy(folder.path(), "alice").with_quotas(one)).unwrap();
    let error = alice.run("i0", RunOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "too-many-running");
    let two = Quotas { running_max: 2, ..Quotas::default() };
    stepbox.set_tenant(&id("alice"), policy(folder.path(), "alice").with_quotas(two)).unwrap();
    let mut second = alice.run("i0", RunOptions::default()).await.unwrap();
    is_at_the_gate(&second).await;
    gate.add_permits(2);
    for run in [&mut first, &mut second] {
        assert_eq!(run.wait().await.unwrap().status, BatchStatus::Completed);
    }
    alice.run("i0", RunOptions::default()).await.unwrap().stop().await.unwrap();
}

/// Between the reading of the files and the first look, a store is opened, which may take long.
#[tokio::test]
async fn a_change_while_an_installation_is_opened_counts() {
    let folder = support::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("policy.yaml"), "network: { loopback: true }").unwrap();
    let files = PolicyFiles::read(&data, folder.path()).unwrap();
    let default = TenantId::default();
    let config = files.tenant(&default).unwrap();
    std::fs::write(data.join("policy.yaml"), "suspended: true").unwrap();
    let stepbox = Stepbox::builder(&data).tenant(default.clone(), config.policy).open().await.unwrap();
    let tenants = [(default.clone(), config.read_from)];
    let mut watch = PolicyWatch::new(stepbox.clone(), files, Served::Named(vec![default.clone()]), tenants);
    assert!(watch.look().await.is_empty(), "it counts once it has stayed for a look");
    assert_eq!(told(&watch.look().await), ["default changed, new false, suspended true, []"]);
    let tenant = stepbox.tenant(&default).unwrap();
    assert_eq!(
        (tenant.policy().network.allow_loopback, tenant.standing()),
        (false, TenantStanding::Suspended)
    );
}

/// The events of a look at the files, in words.
fn told(events: &[PolicyEvent]) -> Vec<String> {
    let word = |event: &PolicyEvent| match event {
        PolicyEvent::Changed { tenant, is_new, is_suspended, warnings } => {
            let warnings: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
            format!("{tenant} changed, new {is_new}, suspended {is_suspended}, {warnings:?}")
        }
        PolicyEvent::Removed { tenant, running } => format!("{tenant} removed, {running} running"),
        PolicyEvent::Refused { tenant, error } => format!("{tenant:?} refused: {}", error.code()),
        PolicyEvent::CountsAtNextStart => "counts at the next start".to_owned(),
    };
    events.iter().map(word).collect()
}

#[tokio::test]
async fn the_operators_files_count_when_they_change() {
    let folder = support::tempdir().unwrap();
    let data = folder.path().join("data");
    let stepbox = Stepbox::builder(&data).open().await.unwrap();
    let files = PolicyFiles::read(&data, folder.path()).unwrap();
    let mut watch = PolicyWatch::new(stepbox.clone(), files, Served::All, []);
    let mut look = async || {
        // A change counts once it has stayed for a look.
        let first = watch.look().await;
        let second = watch.look().await;
        told(&[first, second].into_iter().flatten().collect::<Vec<_>>())
    };
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(data.join("tenants")).unwrap();
        std::fs::write(data.join(name), text).unwrap();
    };
    let default = || stepbox.tenant(&TenantId::default()).unwrap().policy();

    assert_eq!(look().await, ["default changed, new true, suspended false, []"]);
    assert_eq!(look().await, Vec::<String>::new());
    write("policy.yaml", "network: { loopback: true }");
    assert_eq!(look().await, ["default changed, new false, suspended false, []"]);
    assert!(default().network.allow_loopback);

    // A tenant with a file of its own is added. A wrong file affects no other tenant.
    write("tenants/acme.yaml", "network: { private: true }\nquotas: { running_max: 3 }");
    write("tenants/wrong.yaml", "netwrk: {}");
    assert_eq!(
        look().await,
        [
            "acme changed, new true, suspended false, []",
            "Some(TenantId(\"wrong\")) refused: policy-file-malformed"
        ]
    );
    assert_eq!(stepbox.tenant(&id("wrong")).unwrap_err().code(), "unknown-tenant");
    let acme = stepbox.tenant(&id("acme")).unwrap();
    let policy = acme.policy();
    assert_eq!((policy.network.allow_loopback, policy.network.allow_private), (false, true));
    assert_eq!(policy.quotas.running_max, 3);

    // A mistake leaves the earlier policy, and is reported once.
    write("policy.yaml", "network: { loopback: perhaps }");
    assert_eq!(look().await, ["Some(TenantId(\"default\")) refused: policy-file-malformed"]);
    assert_eq!(look().await, Vec::<String>::new());
    assert!(default().network.allow_loopback);

    // A secret that cannot be read is a warning, and counts as soon as it can be read.
    write("policy.yaml", "secrets: { crm: { file: crm.txt, hosts: [a.example] } }");
    let found = look().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("the secret `crm` cannot be read"), "{found:?}");
    assert!(default().secrets.get("crm").is_none() && default().secrets.unusable("crm").is_some());
    write("crm.txt", "s3cr3t-value");
    assert_eq!(look().await, ["default changed, new false, suspended false, []"]);
    assert!(default().secrets.get("crm").is_some());

    write("policy.yaml", "components: { compile: { time_ms_max: 5000 } }");
    assert_eq!(look().await, ["counts at the next start", "default changed, new false, suspended false, []"]);
    write("tenants/acme.yaml", "suspended: true");
    assert_eq!(look().await, ["acme changed, new false, suspended true, []"]);
    assert_eq!(acme.standing(), TenantStanding::Suspended);
    std::fs::remove_file(data.join("tenants/acme.yaml")).unwrap();
    assert_eq!(look().await, ["acme removed, 0 running"]);
    assert_eq!(stepbox.tenant(&id("acme")).unwrap_err().code(), "unknown-tenant");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_fails_only_the_steps_that_name_it() {
    let folder = support::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let text = "secrets: { gone: { file: gone.txt, hosts: [127.0.0.1] } }\nnetwork: { loopback: true }\n\
                storages: { away: { type: local, path: /no/such/folder } }";
    std::fs::write(data.join("policy.yaml"), text).unwrap();
    let config = PolicyFiles::read(&data, folder.path()).unwrap().tenant(&id("alice")).unwrap();
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    let stepbox = Stepbox::builder(&data).tenant(id("alice"), config.policy).open().await.unwrap();
    let alice = stepbox.tenant(&id("alice")).unwrap();
    let jobs = "
jobs:
  names_it:
    type: notify
    steps:
      - { name: notify, tasklet: { guest: { token: \"${secrets.gone}\", echo: \"http://127.0.0.1:1/\", other: \"http://127.0.0.1:1/\", end: exit } }, grants: { http: [\"POST http://127.0.0.1:1/\"] } }
  names_none:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: \"${parameters.source}\" } }
        writer: { csv: { to: \"${parameters.storage}\" } }
";
    support::install(
        &alice,
        folder.path(),
        &[("guest", stepbox_guest_artifacts::hostile::ECHOES_SECRETS)],
        jobs,
    )
    .await;
    std::fs::write(folder.path().join("in.csv"), "sku\n1\n").unwrap();
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let fine = support::start(&alice, "names_none", parameters).await.wait().await.unwrap();
    assert_eq!(ending(&fine), "COMPLETED");
    let failed = support::start(&alice, "names_it", json!({})).await.wait().await.unwrap();
    assert!(ending(&failed).starts_with("FAILED [secret-unusable]"), "{}", ending(&failed));
    // A storage is checked before the start.
    let away = json!({ "type": "local", "storage": "away", "file_path": "in.csv" });
    let instance = stepbox::NewInstance {
        connector: "stepbox".to_owned(),
        job: "csv_export".to_owned(),
        job_type: "export".to_owned(),
        code: "away".to_owned(),
        label: None,
        parameters: json!({ "source": away, "storage": local("out.csv") }),
    };
    alice.create_instance(instance).await.unwrap();
    let error = alice.run("away", RunOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "storage-unusable", "{error}");
}
