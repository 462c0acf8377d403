//! Workers that are killed while they read from a bucket and write to it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::json;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::{NewInstance, Policy, PublishOptions};
use stepbox_tests::guard::Guarded;
use stepbox_tests::numbers::Numbers;

use crate::bucket::BucketServer;
use crate::support::{Installation, counts, ending, stepbox_binary, until};

/// Into one object, in parts, and into one object that is put together by a multipart upload.
const JOBS: &str = r#"
jobs:
  whole:
    type: export
    parameters: &parameters { extends: csv_export }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 50
        checkpoint: { items: 100 }
  parts: { type: export, parameters: *parameters, steps: [ { <<: *step, partitions: 3 } ] }
  large: { type: export, parameters: *parameters, steps: [ { <<: *step, chunk: 1000, checkpoint: { items: 5000 } } ] }
"#;

const ITEMS: usize = 2_000;
/// The bytes of an item of the job `large`; its upload takes several pieces.
const LARGE: usize = 5_000;

/// How many workers of each job are killed: `STEPBOX_KILLS=100` for more.
const KILLS: u64 = 5;

fn items(job: &str) -> String {
    let text = "x".repeat(if job == "large" { LARGE } else { 20 });
    format!("sku,name\n{}", (0..ITEMS).map(|n| format!("{n},{text}\n")).collect::<String>())
}

/// A bucket with an input, and an installation whose workers are processes that may be killed.
struct Scene {
    server: BucketServer,
    installation: Installation,
    job: &'static str,
    content: String,
}

impl Scene {
    async fn new(job: &'static str) -> Self {
        let server = BucketServer::start();
        let content = items(job);
        server.put("shop/in.csv", content.as_bytes());
        let storage = server.storage("exchange", "shop/");
        let policy = Policy::own_machine(".").with_loopback().with_storage(storage);
        let installation = Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await;
        installation.install(&[], JOBS).await;
        let of_workers = format!(
            "network: {{ loopback: true }}\nstorages:\n  exchange: {{ type: s3, bucket: acme, prefix: shop/, \
             region: eu-central-1, endpoint: \"{}\", access_key_id: {{ env: BUCKET_KEY_ID }}, \
             secret_access_key: {{ env: BUCKET_SECRET }} }}\n",
            server.endpoint()
        );
        installation.write("data/policy.yaml", of_workers);
        Self { server, installation, job, content }
    }

    /// Publishes a run for a worker. Its output has the name of its code.
    async fn publish(&self, code: &str) -> JobExecutionId {
        let s3 = |path: String| json!({ "type": "s3", "storage": "exchange", "file_path": path });
        let new = NewInstance {
            connector: "test".to_owned(),
            job: self.job.to_owned(),
            job_type: "export".to_owned(),
            code: code.to_owned(),
            label: None,
            parameters: json!({ "source": s3("in.csv".to_owned()), "storage": s3(format!("out/{code}.csv")) }),
        };
        self.installation.tenant.create_instance(new).await.unwrap();
        let options = PublishOptions { attempts_max: 100, ..PublishOptions::default() };
        self.installation.tenant.publish(code, options).await.unwrap().id()
    }

    fn worker(&self) -> Guarded {
        let (key_id, secret) = BucketServer::keys();
        let mut command = Command::new(stepbox_binary());
        command.current_dir(self.installation.folder.path()).args(["--data-dir", "data", "worker"]);
        command.args(["--concurrency", "4"]).env("BUCKET_KEY_ID", key_id).env("BUCKET_SECRET", secret);
        Guarded::spawn(command.stdout(Stdio::null()).stderr(Stdio::null())).unwrap()
    }

    async fn has_ended(&self, id: JobExecutionId) -> bool {
        self.installation.tenant.execution(id).await.unwrap().ended_at.is_some()
    }

    /// Lets a worker begin or continue, and kills it once a condition holds.
    async fn kill_once(&self, id: JobExecutionId, mut is_so: impl FnMut() -> bool) {
        let mut worker = self.worker();
        until("the moment has come", async || is_so() || self.has_ended(id).await).await;
        worker.end().unwrap();
    }

    /// Lets a worker finish without a kill, and compares the result.
    async fn check(&self, id: JobExecutionId, code: &str) {
        let mut worker = self.worker();
        until("it has ended", async || self.has_ended(id).await).await;
        worker.end().unwrap();
        let execution = self.installation.tenant.execution(id).await.unwrap();
        assert_eq!(ending(&execution), "COMPLETED", "{} {code}", self.job);
        assert_eq!(counts(&execution, 0), format!("read={ITEMS} written={ITEMS} filtered=0 skipped=0"));
        let mut objects: BTreeMap<_, _> = self.server.objects();
        objects.remove("shop/in.csv");
        let names: Vec<_> = objects.keys().cloned().collect();
        assert_eq!(
            names,
            [format!("shop/out/{code}.csv")],
            "{}: the output, and nothing beside it",
            self.job
        );
        assert!(objects.into_values().all(|object| object == self.content), "{} {code} is whole", self.job);
        self.server.remove("shop/out");
    }
}

fn kills() -> u64 {
    std::env::var("STEPBOX_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// At any request of a run, including the first and the last.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_ends_whole_and_alone_whenever_its_worker_is_killed() {
    for (seed, job) in (1..).zip(["whole", "parts"]) {
        let scene = Scene::new(job).await;
        let id = scene.publish("undisturbed").await;
        scene.check(id, "undisturbed").await;
        let requests = scene.server.requests();
        let mut numbers = Numbers::of_seed(seed);
        for kill in 0..kills() {
            let code = format!("killed_{kill}");
            let id = scene.publish(&code).await;
            let at = scene.server.requests() + 1 + numbers.below(requests);
            scene.kill_once(id, || scene.server.requests() >= at).await;
            scene.check(id, &code).await;
        }
        assert_eq!(scene.server.unfinished_uploads(), 0, "{job}");
    }
}

/// A multipart upload that dies with its worker is invisible. It stays until the bucket's rule for unfinished uploads
/// removes it, and is no part of later outputs.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_dies_with_its_worker_is_no_part_of_the_output() {
    let scene = Scene::new("large").await;
    let seen = scene.server.listen();
    let mut numbers = Numbers::of_seed(3);
    for kill in 0..kills() {
        let code = format!("killed_{kill}");
        let id = scene.publish(&code).await;
        let begins = seen.lock().unwrap().len();
        // The beginning of an upload, then its pieces.
        let pieces = 1 + numbers.below(2) as usize;
        let is_of_upload = |request: &&String| request.contains("upload") && request.contains(&*code);
        let uploads = || seen.lock().unwrap()[begins..].iter().filter(is_of_upload).count() >= pieces;
        scene.kill_once(id, uploads).await;
        scene.check(id, &code).await;
        assert!(scene.server.unfinished_uploads() <= 1 + kill as usize, "one for each that was killed");
    }
}
