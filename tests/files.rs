//! Uploaded files: how they arrive, who may read them, and what is left of them.

use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fs, io};

use serde_json::{Value, json};
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{StepName, TenantId};
use stepbox::batch::uploaded_file::{FileId, FileUsage};
use stepbox::{
    DatabaseUrl, FileOptions, NamedStorage, NewInstance, Policy, PublishOptions, Quotas, RunOptions, Stepbox,
    StorePlace, SystemClock, Tenant, WorkerOptions, migrate_store,
};
use stepbox_tests::guard::Guarded;
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::{counts, install, local, tempdir, until};

const JOBS: &str = r#"
jobs:
  copy:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
"#;

const CONTENT: &str = "sku,name\n1,a\n2,b\n";

fn id(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn quotas() -> Quotas {
    Quotas { uploaded_files_max: 3, uploaded_bytes_max: 1000, ..Quotas::default() }
}

/// An installation of two tenants, each with the job `copy`.
async fn open(folder: &Path, data: &str, more: impl FnOnce(stepbox::Builder) -> stepbox::Builder) -> Stepbox {
    let mut builder = Stepbox::builder(folder.join(data));
    for name in ["alice", "bob"] {
        fs::create_dir_all(folder.join(name)).unwrap();
        let policy = Policy::nothing().with_folder(folder.join(name)).with_quotas(quotas());
        builder = builder.tenant(id(name), policy);
    }
    more(builder).open().await.unwrap()
}

struct Scene {
    folder: tempfile::TempDir,
    alice: Tenant,
    bob: Tenant,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempdir().unwrap();
        let stepbox = open(folder.path(), "data", |builder| builder).await;
        let [alice, bob] = ["alice", "bob"].map(|name| stepbox.tenant(&id(name)).unwrap());
        for tenant in [&alice, &bob] {
            install(tenant, folder.path(), &[], JOBS).await;
        }
        Self { folder, alice, bob }
    }

    /// The files in the folders of uploads.
    fn kept(&self) -> Vec<String> {
        kept(&self.folder.path().join("data"))
    }
}

fn kept(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for tenant in fs::read_dir(data.join("uploads")).into_iter().flatten().flatten() {
        for file in fs::read_dir(tenant.path()).into_iter().flatten().flatten() {
            found.push(file.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

async fn upload(tenant: &Tenant, content: &str) -> Result<String, &'static str> {
    let uploaded = tenant.upload_file("in.csv", content.as_bytes(), FileOptions::default()).await;
    uploaded.map(|file| file.id.to_string()).map_err(|error| error.code())
}

fn parameters(id: &str) -> Value {
    json!({ "source": { "type": "upload", "id": id }, "storage": local("out.csv") })
}

fn new(code: &str, parameters: Value) -> NewInstance {
    NewInstance {
        connector: "test".to_owned(),
        job: "copy".to_owned(),
        job_type: "export".to_owned(),
        code: code.to_owned(),
        label: None,
        parameters,
    }
}

#[tokio::test]
async fn a_job_reads_an_uploaded_file() {
    let scene = Scene::new().await;
    let alice = scene.alice.acting_as("julia");
    let file = alice.upload_file("Preise.csv", CONTENT.as_bytes(), FileOptions::default()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size_bytes), ("Preise.csv", CONTENT.len() as u64));
    assert_eq!(file.digest, stepbox::digest_of(CONTENT.as_bytes()));
    assert_eq!(alice.files().await.unwrap(), [file.clone()]);
    assert_eq!(alice.file(file.id.as_str()).await.unwrap(), file);
    let used = FileUsage { count: 1, bytes: CONTENT.len() as u64 };
    assert_eq!(alice.file_usage().await.unwrap(), used);

    alice.create_instance(new("copy", parameters(file.id.as_str()))).await.unwrap();
    let ended = alice.run("copy", RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(ended.status, BatchStatus::Completed, "{ended:?}");
    assert_eq!(fs::read_to_string(scene.folder.path().join("alice/out.csv")).unwrap(), CONTENT);

    let refused = alice.remove_file(file.id.as_str()).await.unwrap_err();
    assert_eq!(refused.code(), "in-use", "the instance names it: {refused}");
    alice.delete_instance("copy", None).await.unwrap();
    alice.remove_file(file.id.as_str()).await.unwrap();
    assert_eq!((alice.files().await.unwrap().rows(), scene.kept()), (0, Vec::new()));
    assert_eq!(alice.remove_file(file.id.as_str()).await.unwrap_err().code(), "not-found");
}

/// Any worker reads them, on any machine: this is how a server takes them.
#[tokio::test]
async fn corrected_items_are_uploaded_and_imported_again() {
    let folder = tempdir().unwrap();
    let stepbox = open(folder.path(), "data", |builder| builder).await;
    let alice = stepbox.tenant(&id("alice")).unwrap();
    install(&alice, folder.path(), &[], &JOBS.replace("writer:", "skip: { limit: 1 }\n        writer:"))
        .await;
    let items = upload(&alice, "sku,name\n1,a\n2\n").await.unwrap();
    alice.create_instance(new("copy", parameters(&items))).await.unwrap();
    let first = alice.run("copy", RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(counts(&first, 0), "read=2 written=1 filtered=0 skipped=1");

    let corrected = upload(&alice, "sku,name\n2,b\n").await.unwrap();
    let (step, file) = (StepName::new("export").unwrap(), FileId::parse(&corrected).unwrap());
    let strange = FileId::from_random([7; 16]);
    let refused = alice.publish_reimport(first.id, &StepName::new("other").unwrap(), &file, None).await;
    assert_eq!(refused.unwrap_err().code(), "cannot-reimport");
    let published = alice.publish_reimport(first.id, &step, &file, None).await.unwrap();
    assert_eq!(alice.remove_file(&corrected).await.unwrap_err().code(), "in-use", "it waits for a worker");
    let lost = alice.publish_reimport(first.id, &step, &strange, None).await;
    assert_eq!(lost.unwrap_err().code(), "not-found", "nobody uploaded that file");

    let _worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    let ended = async || alice.execution(published.id()).await.unwrap();
    until("it has ended", async || ended().await.status.has_ended()).await;
    let ended = ended().await;
    assert_eq!(counts(&ended, 0), "read=1 written=1 filtered=0 skipped=0", "{ended:?}");
    let output = folder.path().join(format!("alice/out_{}.csv", ended.id));
    assert_eq!(fs::read_to_string(output).unwrap(), "sku,name\n2,b\n");
}

/// Neither another tenant's id nor a path leads to a file, and no output is an upload.
#[tokio::test]
async fn an_id_is_good_for_its_tenant_alone_and_is_never_a_path() {
    let scene = Scene::new().await;
    let theirs = upload(&scene.alice, CONTENT).await.unwrap();
    let own = upload(&scene.bob, CONTENT).await.unwrap();
    fs::write(scene.folder.path().join("data/uploads/bob/plain"), CONTENT).unwrap();
    let up = format!("../alice/{theirs}");
    let ids = [theirs.as_str(), "..", "", "plain", &up, "/etc/passwd", "0000000000000000000000"];
    for wrong in ids {
        let refused = scene.bob.create_instance(new("copy", parameters(wrong))).await.unwrap_err();
        assert!(matches!(refused.code(), "not-found" | "parameters-invalid"), "{wrong}: {refused}");
        assert_eq!(scene.bob.file(wrong).await.unwrap_err().code(), "not-found", "{wrong}");
        assert_eq!(scene.bob.remove_file(wrong).await.unwrap_err().code(), "not-found", "{wrong}");
    }
    scene.bob.create_instance(new("copy", parameters(&own))).await.unwrap();
    for wrong in [theirs.as_str(), "..", &up] {
        let overrides = Some(json!({ "source": { "type": "upload", "id": wrong } }));
        let run = scene.bob.run("copy", RunOptions { overrides, ..RunOptions::default() }).await;
        assert_eq!(run.unwrap_err().code(), "not-found", "{wrong}");
    }
    let overrides = Some(json!({ "storage": { "type": "upload", "id": own } }));
    let run = scene.bob.run("copy", RunOptions { overrides, ..RunOptions::default() }).await;
    assert_eq!(run.unwrap_err().code(), "parameters-invalid", "an upload is only read");
    assert!(scene.alice.file(&theirs).await.is_ok(), "nothing has changed for its owner");
}

/// A file is kept for an execution that has not ended. Without its bytes the step fails by itself.
#[tokio::test]
async fn a_file_that_an_execution_needs_is_not_removed() {
    let scene = Scene::new().await;
    let alice = &scene.alice;
    let (first, second) = (upload(alice, CONTENT).await.unwrap(), upload(alice, CONTENT).await.unwrap());
    alice.create_instance(new("copy", parameters(&first))).await.unwrap();
    let overrides = || Some(json!({ "source": { "type": "upload", "id": second } }));
    let options = PublishOptions { overrides: overrides(), ..PublishOptions::default() };
    let waiting = alice.publish("copy", options).await.unwrap().id();
    assert_eq!(alice.remove_file(&second).await.unwrap_err().code(), "in-use");
    alice.stop_execution(waiting).await.unwrap();
    alice.remove_file(&second).await.unwrap();
    let restart = alice.restart_execution(waiting, Default::default()).await.unwrap_err();
    assert_eq!(restart.code(), "not-found", "what it would read is gone");

    fs::remove_file(scene.folder.path().join("data/uploads/alice").join(&first)).unwrap();
    let ended = alice.run("copy", RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(ended.steps[0].failures[0].code, "file-not-found", "{ended:?}");
}

/// A stream that ends as the test wants, after some bytes.
struct Stream {
    bytes: usize,
    end: fn() -> Poll<io::Result<()>>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes == 0 {
            return (self.end)();
        }
        let count = self.bytes.min(to.remaining());
        to.put_slice(&vec![b'x'; count]);
        self.bytes -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_does_not_arrive_leaves_nothing() {
    let scene = Scene::new().await;
    let alice = &scene.alice;
    let broken = Stream { bytes: 100, end: || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
    let error = alice.upload_file("a", broken, FileOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "upload-broken");
    let endless = Stream { bytes: usize::MAX, end: || Poll::Ready(Ok(())) };
    let error = alice.upload_file("a", endless, FileOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "file-quota", "no more is read than there is room for");
    let waits = Stream { bytes: 100, end: || Poll::Pending };
    let dropped = alice.upload_file("a", waits, FileOptions::default());
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(200), dropped).await;
    assert!(dropped.is_err(), "the caller waits no longer");
    assert_eq!(scene.kept(), [""; 0]);
    assert_eq!(
        alice.upload_file("a/b", &b""[..], FileOptions::default()).await.unwrap_err().code(),
        "bad-name"
    );
    assert_eq!(alice.files().await.unwrap().rows(), 0);

    until("forgotten", async || alice.file_usage().await.unwrap() == FileUsage::default()).await;
}

#[tokio::test]
async fn a_full_quota_and_a_broken_disk_refuse() {
    let scene = Scene::new().await;
    let alice = &scene.alice;
    let large = "x".repeat(600);
    let first = upload(alice, &large).await.unwrap();
    assert_eq!(upload(alice, &large).await, Err("file-quota"), "together they are too large");
    alice.remove_file(&first).await.unwrap();
    upload(&scene.bob, &large).await.unwrap();
    let folder = scene.folder.path().join("data/uploads/alice");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    assert_eq!(upload(alice, CONTENT).await, Err("data-folder"));
    fs::remove_file(&folder).unwrap();
    upload(alice, CONTENT).await.unwrap();
}

/// Eight days ahead.
struct NextWeek;

#[async_trait::async_trait]
impl Clock for NextWeek {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_ms(8 * 24 * 3_600_000)
    }

    fn ticks_us(&self) -> u64 {
        SystemClock.ticks_us()
    }

    async fn sleep_ms(&self, ms: u64) {
        SystemClock.sleep_ms(ms).await;
    }
}

#[tokio::test]
async fn files_are_kept_for_a_week_and_as_long_as_something_needs_them() {
    let scene = Scene::new().await;
    let (needed, old) =
        (upload(&scene.alice, CONTENT).await.unwrap(), upload(&scene.alice, CONTENT).await.unwrap());
    let options = FileOptions { expires_at: Some(SystemClock.now().plus_ms(30 * 24 * 3_600_000)) };
    let longer = scene.alice.upload_file("a", CONTENT.as_bytes(), options).await.unwrap().id.to_string();
    scene.alice.create_instance(new("copy", parameters(&needed))).await.unwrap();
    let later = open(scene.folder.path(), "data", |builder| builder.clock(Arc::new(NextWeek))).await;
    let alice = later.tenant(&id("alice")).unwrap();
    let mut expected = vec![needed.clone(), longer.clone()];
    expected.sort();
    assert_eq!(scene.kept(), expected);
    assert_eq!(alice.file(&old).await.unwrap_err().code(), "not-found");
    assert!(alice.file(&needed).await.is_ok() && alice.file(&longer).await.is_ok());
}

/// The folder in which the process of this test uploads, and is killed.
const UPLOADS: &str = "STEPBOX_TEST_UPLOADS";

#[tokio::test]
async fn an_upload_whose_process_is_killed_leaves_nothing_for_ever() {
    if let Some(folder) = std::env::var_os(UPLOADS) {
        let stepbox = open(folder.as_ref(), "data", |builder| builder).await;
        let alice = stepbox.tenant(&id("alice")).unwrap();
        let waits = Stream { bytes: 100, end: || Poll::Pending };
        let _ = alice.upload_file("a", waits, FileOptions::default()).await;
    }
    let scene = Scene::new().await;
    let mut uploader = Command::new(std::env::current_exe().unwrap());
    let test = "files::an_upload_whose_process_is_killed_leaves_nothing_for_ever";
    uploader.args([test, "--exact", "--test-threads=1"]).env(UPLOADS, scene.folder.path());
    let mut uploader = Guarded::spawn(uploader.stdout(Stdio::null()).stderr(Stdio::null())).unwrap();
    until("arriving", async || !scene.kept().is_empty()).await;
    uploader.end().unwrap();
    assert_eq!(scene.alice.files().await.unwrap().rows(), 0, "half a file is none");
    assert_eq!(scene.kept().len(), 1);
    drop(open(scene.folder.path(), "data", |builder| builder.clock(Arc::new(NextWeek))).await);
    assert_eq!(scene.kept(), [""; 0]);
}

/// A machine reads what another one has received.
#[tokio::test]
async fn machines_share_uploaded_files() {
    let scene = Scene::new().await;
    let shared = scene.folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let database = stepbox_test_postgres::Server::shared().database().unwrap();
    let url = || -> DatabaseUrl { database.parse().unwrap() };
    migrate_store(StorePlace::Database(&url())).await.unwrap();
    let machine = async |data: &str| {
        let storage = NamedStorage::local("shared", &shared).unwrap();
        let stepbox =
            open(scene.folder.path(), data, |builder| builder.database_url(url()).shared_storage(storage))
                .await;
        stepbox.tenant(&id("alice")).unwrap()
    };
    let (first, second) = (machine("one").await, machine("two").await);
    install(&first, scene.folder.path(), &[], JOBS).await;
    let file = upload(&first, CONTENT).await.unwrap();
    second.create_instance(new("copy", parameters(&file))).await.unwrap();
    let ended = second.run("copy", RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(ended.status, BatchStatus::Completed, "{ended:?}");
    assert_eq!(kept(&scene.folder.path().join("two")), [file.clone()]);
    second.delete_instance("copy", None).await.unwrap();
    second.remove_file(&file).await.unwrap();
    assert_eq!(first.files().await.unwrap().rows(), 0);
    let left = fs::read_dir(shared.join("uploads/alice")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "its pieces are gone");
}
