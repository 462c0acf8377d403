//! Jobs with files in a bucket, on a server that speaks S3, and in named folders.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::batch::rows::Rows;
use stepbox::batch::step_context::StepContext;
use stepbox::{
    Builder, Error, NamedStorage, NewInstance, Policy, Purge, RestartOptions, RunOptions, Stepbox, Tenant,
};
use stepbox_guest_artifacts::steps;
use stepbox_store::SqliteStore;

use crate::bucket::BucketServer;
use crate::support::{Installation, counts, ending, install, local, start};

/// Jobs with a checkpoint after every other chunk: into one file, many files, in parts, into JSON Lines. And one with
/// fewer checkpoints.
const JOBS: &str = r#"
jobs:
  whole:
    type: export
    parameters: &parameters { extends: csv_export }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: breaks_off
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 5
        checkpoint: { items: 10 }
  series:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, writer: { csv: { to: "${parameters.storage}", lines_per_file: 12 } } } ]
  parts: { type: export, parameters: *parameters, steps: [ { <<: *step, partitions: 3 } ] }
  large:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, chunk: 1000, checkpoint: { items: 10000 } } ]
  jsonl:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, writer: { jsonl: { to: "${parameters.storage}" } } } ]
"#;

/// Passes every item on, but fails once at the item whose first cell is `sku-31`, if the flag is set.
struct BreaksOff {
    is_due: Arc<AtomicBool>,
    context: Option<StepContext>,
}

#[async_trait]
impl ItemProcessor for BreaksOff {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.context = Some(opening.context.clone());
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        for row in 0..rows.len() {
            if rows.cell(row, 0) == Some("31") && self.is_due.swap(false, Ordering::Relaxed) {
                return Err(ElementError::failed("broke-off", "not now").into());
            }
            output.push_row_of(rows, row);
        }
        Ok(SetAside::default())
    }
}

/// An installation with the storages. `breaks_off` decides whether its jobs fail once.
async fn installation(storages: Vec<NamedStorage>, breaks_off: bool) -> Installation {
    let is_due = Arc::new(AtomicBool::new(breaks_off));
    let installation = Installation::with(|builder| with_storages(builder, storages, is_due)).await;
    installation.install(&[], JOBS).await;
    installation
}

fn with_storages(builder: Builder, storages: Vec<NamedStorage>, is_due: Arc<AtomicBool>) -> Builder {
    let policy = Policy::own_machine(".").with_loopback();
    let policy = storages.into_iter().fold(policy, Policy::with_storage);
    let breaks_off = move || BreaksOff { is_due: is_due.clone(), context: None };
    builder.tenant(TenantId::default(), policy).processor("breaks_off", move |_| Ok(Box::new(breaks_off())))
}

fn s3(path: &str) -> Value {
    json!({ "type": "s3", "storage": "exchange", "file_path": path })
}

/// Sixty items, some of them with difficult texts.
fn items() -> String {
    let row = |n: u32| format!("{n},\"a \"\"chair\"\", no. {n}\",{}\n", "é".repeat(n as usize % 7));
    format!("sku,name,note\n{}", (1..=60).map(row).collect::<String>())
}

/// The outputs of a job in a local folder: names and contents.
async fn locally(job: &str) -> Vec<(String, String)> {
    let installation = installation(Vec::new(), false).await;
    let from = installation.write("in.csv", items());
    let to = installation.path("out/products.csv");
    let execution = installation.run(job, json!({ "source": local(from), "storage": local(to) })).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let entries = std::fs::read_dir(installation.path("out")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().map(|name| (format!("out/{name}"), installation.read(&format!("out/{name}")))).collect()
}

/// The objects in the bucket below the prefix, without the input.
fn outputs(server: &BucketServer) -> Vec<(String, String)> {
    let below = |(key, text): (String, String)| Some((key.strip_prefix("shop/")?.to_owned(), text));
    server.objects().into_iter().filter_map(below).filter(|(key, _)| key != "in.csv").collect()
}

fn in_bucket() -> Value {
    json!({ "source": s3("in.csv"), "storage": s3("out/products.csv") })
}

async fn restart(installation: &Installation, failed: &JobExecution) -> JobExecution {
    let restarted = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
    restarted.unwrap().wait().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_bucket_to_bucket_writes_what_it_writes_to_the_disk() {
    for job in ["whole", "series", "parts", "jsonl"] {
        let server = BucketServer::start();
        server.put("shop/in.csv", items().as_bytes());
        let installation = installation(vec![server.storage("exchange", "shop/")], false).await;
        let execution = installation.run(job, in_bucket()).await;
        assert_eq!(ending(&execution), "COMPLETED", "{job}");
        assert_eq!(counts(&execution, 0), "read=60 written=60 filtered=0 skipped=0");
        assert_eq!(outputs(&server), locally(job).await, "{job}");
        let name = if job == "series" { "products_1.csv" } else { "products.csv" };
        let stored = installation.tenant.execution(execution.id).await.unwrap();
        let address = stored.context.0.get("export.file_path").cloned();
        assert_eq!(address, Some(json!(format!("s3://acme/shop/out/{name}"))), "{job}");
        assert_eq!(server.unfinished_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_broke_off_goes_on_in_the_bucket() {
    for job in ["whole", "series", "jsonl", "parts"] {
        let server = BucketServer::start();
        server.put("shop/in.csv", items().as_bytes());
        let installation = installation(vec![server.storage("exchange", "shop/")], true).await;
        let failed = installation.run(job, in_bucket()).await;
        assert!(ending(&failed).starts_with("FAILED [broke-off]"), "{}", ending(&failed));
        let visible = outputs(&server).into_iter().filter(|(key, _)| !key.contains("/."));
        assert_eq!(visible.count(), 0, "nothing has its final name before it is complete");
        assert!(!outputs(&server).is_empty(), "what was written is there");
        let execution = restart(&installation, &failed).await;
        assert_eq!(ending(&execution), "COMPLETED", "{job}");
        assert_eq!(outputs(&server), locally(job).await, "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_replaced_is_not_gone_on_with() {
    let server = BucketServer::start();
    server.put("shop/in.csv", items().as_bytes());
    let installation = installation(vec![server.storage("exchange", "shop/")], true).await;
    let failed = installation.run("whole", in_bucket()).await;
    server.put("shop/in.csv", items().replace("chair", "stool").as_bytes());
    let changed = "FAILED [file-changed] reader `csv`: `in.csv` is not the file this run began with: another \
                   object was put in its place";
    let again = restart(&installation, &failed).await;
    assert_eq!(ending(&again), changed);
    server.put("shop/in.csv", items().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_gone_are_not_taken_for_an_older_output_of_their_length() {
    let server = BucketServer::start();
    server.put("shop/in.csv", items().as_bytes());
    let installation = installation(vec![server.storage("exchange", "shop/")], true).await;
    let failed = installation.run("whole", in_bucket()).await;
    let written: usize = outputs(&server).iter().map(|(_, text)| text.len()).sum();
    server.remove("shop/out");
    server.put("shop/out/products.csv", "x".repeat(written).as_bytes());
    let again = ending(&restart(&installation, &failed).await);
    let gone = "the unfinished output of `out/products.csv` is not as this run left it: \
                `.products.csv.1.part` is gone";
    assert_eq!(again, format!("FAILED [output-changed] writer `csv`: {gone}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_for_the_moment_are_sent_again() {
    let server = BucketServer::start();
    server.put("shop/in.csv", items().as_bytes());
    let installation = installation(vec![server.storage("exchange", "shop/")], false).await;
    server.trouble.busy_each.store(3, Ordering::Relaxed);
    server.trouble.breaks_each.store(5, Ordering::Relaxed);
    let execution = installation.run("whole", in_bucket()).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert!(server.requests() > 10, "some of them did fail");
    assert_eq!(outputs(&server), locally("whole").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_refuses_is_told_without_its_keys() {
    let server = BucketServer::start();
    server.put("in.csv", items().as_bytes());
    let (key_id, secret) = BucketServer::keys();
    let check = async |storage: NamedStorage, source: &str, expected: &str| {
        let installation = installation(vec![storage], false).await;
        let parameters = json!({ "source": s3(source), "storage": s3("out/products.csv") });
        let execution = installation.run("whole", parameters).await;
        assert_eq!(ending(&execution), format!("FAILED {expected}"));
        let told = format!("{execution:?}\n{}", installation.log(execution.id).await);
        assert!(!told.contains(secret) && !told.contains(key_id), "{told}");
    };
    let cannot = "reader `csv`: cannot";
    check(
        server.storage("exchange", ""),
        "gone.csv",
        &format!("[object-not-found] {cannot} open `gone.csv` in the storage `exchange`: no such object"),
    )
    .await;
    let wrong = server.storage_with("exchange", |settings| settings.secret_access_key = "wrong".into());
    let refused = format!(
        "[bucket-refused] {cannot} look for `in.csv` in the storage `exchange`: the bucket refuses these keys, or \
         what they are used for"
    );
    check(wrong, "in.csv", &refused).await;
    let elsewhere = server.storage_with("exchange", |settings| settings.bucket = "elsewhere".to_owned());
    let no_bucket =
        format!("[bucket-not-found] {cannot} list `in.csv` in the storage `exchange`: no such bucket");
    check(elsewhere, "in.csv", &no_bucket).await;
    // Nothing listens at this address.
    let away =
        server.storage_with("exchange", |settings| settings.endpoint = Some("http://127.0.0.1:9".to_owned()));
    let unreachable = format!(
        "[bucket-unreachable] {cannot} look for `in.csv` in the storage `exchange`: no answer from the bucket, or \
         none but that it cannot now"
    );
    check(away, "in.csv", &unreachable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leaves_the_prefix() {
    let server = BucketServer::start();
    server.put("secret.csv", items().as_bytes());
    server.put("shop/in.csv", items().as_bytes());
    let installation = installation(vec![server.storage("exchange", "shop/")], false).await;
    for path in ["../secret.csv", "/secret.csv", "a/../../secret.csv", "./../secret.csv", "a\u{7}.csv"] {
        for parameters in [
            json!({ "source": s3(path), "storage": s3("out.csv") }),
            json!({ "source": s3("in.csv"), "storage": s3(path) }),
        ] {
            let execution = installation.run("whole", parameters).await;
            assert!(ending(&execution).starts_with("FAILED [bad-path] "), "{path}: {}", ending(&execution));
        }
    }
    let encoded =
        installation.run("whole", json!({ "source": s3("%2e%2e/secret.csv"), "storage": s3("o") })).await;
    assert!(ending(&encoded).starts_with("FAILED [object-not-found]"), "{}", ending(&encoded));
    let keys: Vec<_> = server.objects().into_keys().collect();
    assert_eq!(keys, ["secret.csv", "shop/in.csv"]);
}

#[tokio::test]
async fn an_unknown_storage_is_told_before_the_job_starts() {
    let server = BucketServer::start();
    let installation = installation(vec![server.storage("exchange", "")], false).await;
    let run = async |storage: Value| {
        let code = format!("i{}", installation.tenant.instances(None).await.unwrap().len());
        let new = NewInstance {
            connector: "test".to_owned(),
            job: "whole".to_owned(),
            job_type: "export".to_owned(),
            code: code.clone(),
            label: None,
            parameters: json!({ "source": s3("in.csv"), "storage": storage }),
        };
        installation.tenant.create_instance(new).await.unwrap();
        let error: Error = installation.tenant.run(&code, RunOptions::default()).await.unwrap_err();
        format!("{} {error}; {}", error.code(), error.help().unwrap_or_default())
    };
    assert_eq!(
        run(json!({ "type": "s3", "storage": "exchnage", "file_path": "a.csv" })).await,
        "storage-unknown the step `export` cannot run: the option `to` names the storage `exchnage`, which does \
         not exist; did you mean `exchange`? the storages are `exchange`"
    );
    assert_eq!(
        run(json!({ "type": "s3", "file_path": "a.csv" })).await,
        "bad-option the step `export` cannot run: the option `to` has no `storage`: the name of one that the \
         operator has set up; correct the option, or the parameter that it takes"
    );
    assert!(installation.tenant.executions(&Default::default()).await.unwrap().is_empty());
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_named_folder_is_a_storage_as_well_and_nothing_beside_it() {
    let archive = crate::support::tempdir().unwrap();
    std::fs::write(archive.path().join("in.csv"), items()).unwrap();
    let storage = NamedStorage::local("archive", archive.path()).unwrap();
    let installation = installation(vec![storage], false).await;
    let named = |path: &str| json!({ "type": "local", "storage": "archive", "file_path": path });
    let parameters = json!({ "source": named("in.csv"), "storage": named("out/products.csv") });
    let execution = installation.run("whole", parameters).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(execution.status, BatchStatus::Completed);
    let written = std::fs::read_to_string(archive.path().join("out/products.csv")).unwrap();
    assert_eq!(written, locally("whole").await[0].1);
    let out = json!({ "source": named("../in.csv"), "storage": named("out/products.csv") });
    let execution = installation.run("whole", out).await;
    assert!(ending(&execution).starts_with("FAILED [file-refused]"), "{}", ending(&execution));
}

/// The unit tests of `output_file` cover two workers of which the first does not know that it lost its lease. This
/// test shows the effect of its late requests: a copy of one of its parts, stored after the end, changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_an_earlier_worker_is_removed_and_no_part_of_the_output() {
    let server = BucketServer::start();
    server.put("shop/in.csv", items().as_bytes());
    let installation = installation(vec![server.storage("exchange", "shop/")], true).await;
    let failed = installation.run("whole", in_bucket()).await;
    server.put("shop/out/.products.csv.1.part/000002.1-1-00000000", b"late\n");
    server.put("shop/out/.products.csv.1.part/000009.1-1-00000000", b"late\n");
    let execution = restart(&installation, &failed).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(outputs(&server), locally("whole").await);
}

/// Larger than a part of a multipart upload, and than one request for reading.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_read_in_blocks_and_completed_as_one_upload() {
    let server = BucketServer::start();
    let rows = (0..40_000).map(|n| format!("{n},{}\n", "x".repeat(400)));
    let content = format!("sku,name\n{}", rows.collect::<String>());
    server.put("shop/in.csv", content.as_bytes());
    let seen = server.listen();
    let installation = installation(vec![server.storage("exchange", "shop/")], false).await;
    let execution = installation.run("large", in_bucket()).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert!(outputs(&server)[0].1 == content);
    assert_eq!(outputs(&server).len(), 1);
    let requests = seen.lock().unwrap();
    let reads = requests.iter().filter(|request| request.contains("GET /acme/shop/in.csv")).count();
    assert!((4..40).contains(&reads), "{reads} requests for 16 MiB");
    let completed = |request: &&String| request.starts_with("POST /acme/shop/out/products.csv?uploadId=");
    assert_eq!(requests.iter().filter(completed).count(), 1);
}

/// Jobs with a component that skips some of their items.
const SHARED_JOBS: &str = r#"
jobs:
  shared:
    type: export
    parameters:
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "." }
        dateFormat: { type: string, default: yyyy-MM-dd }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processors: [breaks_off, normalise]
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 5
        checkpoint: { items: 10 }
        skip: { limit: 100 }
"#;

/// Sixty items, every seventh with a cell too many.
fn ragged_items() -> String {
    let row =
        |n: u32| if n.is_multiple_of(7) { format!("{n},chair,9.5,x\n") } else { format!("{n},chair,9.5\n") };
    format!("sku,name,price\n{}", (1..=60).map(row).collect::<String>())
}

/// One of several machines: a data folder of its own, the same store, and the shared storage.
async fn machine(
    folder: &Path,
    name: &str,
    shared: Option<NamedStorage>,
    storages: Vec<NamedStorage>,
    is_due: Arc<AtomicBool>,
) -> Tenant {
    let store = SqliteStore::open(folder.join("stepbox.db")).unwrap();
    let builder = Stepbox::builder(folder.join(name)).repository(Arc::new(store));
    let builder = shared.into_iter().fold(builder, Builder::shared_storage);
    let stepbox = with_storages(builder, storages, is_due).open().await.unwrap();
    stepbox.tenant(&TenantId::default()).unwrap()
}

async fn rejected_text(tenant: &Tenant, id: JobExecutionId) -> String {
    let files = tenant.rejected_items(id).await.unwrap();
    assert_eq!(files.len(), 1);
    std::fs::read_to_string(&files[0].1).unwrap()
}

/// The step of the job, undisturbed on one machine: its output and its rejected items.
async fn on_one_machine() -> (String, String) {
    let installation = installation(Vec::new(), false).await;
    installation.install(&[("normalise", steps::NORMALISE)], SHARED_JOBS).await;
    let from = installation.write("in.csv", ragged_items());
    let to = installation.path("out.csv");
    let execution = installation.run("shared", json!({ "source": local(from), "storage": local(to) })).await;
    assert_eq!(ending(&execution), "COMPLETED");
    (installation.read("out.csv"), rejected_text(&installation.tenant, execution.id).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_goes_on_with_nothing_but_the_store_and_the_bucket() {
    let expected = on_one_machine().await;
    let shared_folder = crate::support::tempdir().unwrap();
    for in_bucket in [true, false] {
        let server = BucketServer::start();
        server.put("shop/in.csv", ragged_items().as_bytes());
        let folder = crate::support::tempdir().unwrap();
        let is_due = Arc::new(AtomicBool::new(true));
        let open = async |name: &str| {
            let shared = match in_bucket {
                true => server.storage("shared", "installation/"),
                false => NamedStorage::local("shared", shared_folder.path()).unwrap(),
            };
            let storages = vec![server.storage("exchange", "shop/")];
            machine(folder.path(), name, Some(shared), storages, is_due.clone()).await
        };
        let (first, second) = (open("first").await, open("second").await);
        install(&first, folder.path(), &[("normalise", steps::NORMALISE)], SHARED_JOBS).await;
        let parameters = json!({ "source": s3("in.csv"), "storage": s3("out.csv") });
        let failed = start(&first, "shared", parameters).await.wait().await.unwrap();
        assert!(ending(&failed).starts_with("FAILED [broke-off]"), "{}", ending(&failed));
        let restarted = second.restart_execution(failed.id, RestartOptions::default()).await;
        let execution = restarted.unwrap().wait().await.unwrap();
        assert_eq!(ending(&execution), "COMPLETED");
        assert_eq!(server.objects()["shop/out.csv"], expected.0);
        for tenant in [&first, &second] {
            assert_eq!(rejected_text(tenant, execution.id).await, expected.1);
            let log = |id| async move { tenant.log(id).await.unwrap().into_iter().map(|line| line.message) };
            assert!(log(failed.id).await.any(|message| message.contains("not now")), "the first one's log");
            assert!(log(execution.id).await.count() > 0, "the second one's log");
        }
        // A damaged component does not run.
        let digest = first.components().await.unwrap()[0].digest.clone();
        if in_bucket {
            server.put(&format!("installation/components/{digest}.wasm"), b"other bytes");
            let third = open("third").await;
            let parameters = json!({ "source": s3("in.csv"), "storage": s3("again.csv") });
            let again = start(&third, "shared", parameters).await.wait().await.unwrap();
            assert!(ending(&again).starts_with("FAILED [component-gone]"), "{}", ending(&again));
        }
        first.purge_executions(Purge::default()).await.unwrap();
        let left = server.objects().into_keys().filter(|key| key.starts_with("installation/executions/"));
        // The latest completed execution is never deleted.
        assert!(
            left.into_iter()
                .all(|key| key.starts_with(&format!("installation/executions/{}/", execution.id)))
        );
    }
}
