//! Unfinished outputs of executions that no restart continues: they are removed, and nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::{ItemProcessor, Opening, SetAside};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::name::TenantId;
use stepbox::batch::rows::Rows;
use stepbox::{Builder, NamedStorage, Policy, Purge, RestartOptions};

use crate::bucket::BucketServer;
use crate::support::{Installation, ending, local};

const JOBS: &str = r#"
jobs:
  whole:
    type: export
    parameters: &parameters { extends: csv_export }
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: fails
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 5
        checkpoint: { items: 5 }
  parts: { type: export, parameters: *parameters, steps: [ { <<: *step, partitions: 3 } ] }
  series:
    type: export
    parameters: *parameters
    steps: [ { <<: *step, writer: { csv: { to: "${parameters.storage}", lines_per_file: 12 } } } ]
  late: { type: export, parameters: *parameters, steps: [ { <<: *step, checkpoint: { items: 1000 } } ] }
"#;

/// Fails at the last of sixty items, while the flag is set.
struct Fails(Arc<AtomicBool>);

#[async_trait]
impl ItemProcessor for Fails {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        if self.0.load(Ordering::Relaxed) && (0..rows.len()).any(|row| rows.cell(row, 0) == Some("59")) {
            return Err(ElementError::failed("refused", "not now").into());
        }
        (0..rows.len()).for_each(|row| output.push_row_of(rows, row));
        Ok(SetAside::default())
    }
}

struct World {
    installation: Installation,
    fails: Arc<AtomicBool>,
}

impl World {
    async fn new(storages: Vec<NamedStorage>) -> Self {
        let fails = Arc::new(AtomicBool::new(true));
        let has_failed = fails.clone();
        let with = |builder: Builder| {
            let policy = Policy::own_machine(".").with_loopback();
            let policy = storages.into_iter().fold(policy, Policy::with_storage);
            let builder = builder.tenant(TenantId::default(), policy);
            builder.processor("fails", move |_| Ok(Box::new(Fails(has_failed.clone()))))
        };
        let installation = Installation::with(with).await;
        installation.install(&[], JOBS).await;
        let items: String = (0..60).map(|n| format!("{n},item {n}\n")).collect();
        installation.write("in.csv", format!("sku,name\n{items}"));
        std::fs::create_dir(installation.path("out")).unwrap();
        Self { installation, fails }
    }

    async fn fail(&self, job: &str, storage: Value) -> JobExecution {
        let source = local(self.installation.path("in.csv"));
        let failed = self.installation.run(job, json!({ "source": source, "storage": storage })).await;
        assert!(ending(&failed).starts_with("FAILED [refused]"), "{job}: {}", ending(&failed));
        failed
    }

    async fn fail_locally(&self, job: &str) -> JobExecution {
        self.fail(job, local(self.installation.path("out/o.csv"))).await
    }

    async fn restart(&self, failed: &JobExecution) -> JobExecution {
        let restarted =
            self.installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
        restarted.unwrap().wait().await.unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.installation.path("out")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const OTHERS: [&str; 3] = [".o.csv.9999.9999-1.part", ".other.csv.1.1-1.part", "notes.part"];

#[tokio::test]
async fn an_execution_that_is_given_up_takes_its_unfinished_files_with_it() {
    for job in ["whole", "parts", "series", "late"] {
        let world = World::new(Vec::new()).await;
        OTHERS.iter().for_each(|name| drop(world.installation.write(&format!("out/{name}"), "x")));
        let failed = world.fail_locally(job).await;
        assert!(world.files().len() > OTHERS.len(), "{job} leaves something");
        let not_removed = world.installation.tenant.abandon_execution(failed.id).await.unwrap();
        assert_eq!((not_removed, world.files()), (Vec::new(), OTHERS.map(str::to_owned).to_vec()), "{job}");
    }
}

/// An execution that continues another one needs its unfinished outputs, and removes them itself.
#[tokio::test]
async fn what_a_restart_goes_on_with_stays() {
    for job in ["whole", "parts"] {
        let world = World::new(Vec::new()).await;
        let first = world.fail_locally(job).await;
        let second = world.restart(&first).await;
        let before = world.files();
        world.installation.tenant.abandon_execution(first.id).await.unwrap();
        assert_eq!(world.files(), before, "{job}");
        world.fails.store(false, Ordering::Relaxed);
        let third = world.restart(&second).await;
        assert_eq!(
            (ending(&third).as_str(), world.files()),
            ("COMPLETED", vec!["o.csv".to_owned()]),
            "{job}"
        );
        let purged = world.installation.tenant.purge_executions(Purge::default()).await.unwrap();
        assert_eq!((purged.executions.len(), world.files()), (2, vec!["o.csv".to_owned()]), "{job}");
    }
}

#[tokio::test]
async fn a_purge_removes_what_executions_have_left_that_did_not_complete() {
    let world = World::new(Vec::new()).await;
    let first = world.fail_locally("whole").await;
    let second = world.restart(&first).await;
    assert!(ending(&second).starts_with("FAILED [refused]"));
    let third = world.fail_locally("parts").await;
    assert!(world.files().len() >= 2, "{:?}", world.files());
    let purged = world.installation.tenant.purge_executions(Purge::default()).await.unwrap();
    assert_eq!(purged.executions, [first.id, second.id, third.id]);
    assert_eq!((purged.not_removed, world.files()), (Vec::new(), Vec::new()));
}

/// A file that cannot be removed is reported, and does not stop the command.
#[cfg(unix)]
#[tokio::test]
async fn a_place_that_is_gone_is_told() {
    let world = World::new(Vec::new()).await;
    let failed = world.fail_locally("whole").await;
    std::fs::rename(world.installation.path("out"), world.installation.path("moved")).unwrap();
    world.installation.write("out", "no folder");
    let other = world.fail("whole", local(world.installation.path("o.csv"))).await;
    let purged = world.installation.tenant.purge_executions(Purge::default()).await.unwrap();
    assert_eq!(purged.executions, [failed.id, other.id]);
    let [left] = &purged.not_removed[..] else { panic!("{:?}", purged.not_removed) };
    assert_eq!((left.execution, left.path.ends_with("out/o.csv")), (failed.id, true), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_given_up_takes_its_objects_with_it() {
    for job in ["whole", "parts", "series"] {
        let server = BucketServer::start();
        let world = World::new(vec![server.storage("exchange", "shop/")]).await;
        server.put("shop/out/.o.csv.9999.part/000001.9999-1-5f0c2a97", b"x");
        let to = json!({ "type": "s3", "storage": "exchange", "file_path": "out/o.csv" });
        let failed = world.fail(job, to).await;
        assert!(server.objects().len() > 1, "{job} leaves something");
        let not_removed = world.installation.tenant.abandon_execution(failed.id).await.unwrap();
        let left: Vec<_> = server.objects().into_keys().collect();
        assert_eq!(not_removed, [], "{job}");
        assert_eq!(left, ["shop/out/.o.csv.9999.part/000001.9999-1-5f0c2a97"], "{job}");
        assert_eq!(server.unfinished_uploads(), 0);
    }
}
