//! Elements that an embedder registers, and what a tenant's policy means for them.

use std::io::{BufRead, BufReader};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::element::{Chunk, ItemReader, More, Opening};
use stepbox::batch::error::Halt;
use stepbox::batch::job::ChunkLimit;
use stepbox::batch::name::TenantId;
use stepbox::{ElementSetup, Input, NamedStorage, Policy, Stepbox};

use crate::support::{self, ending, local};

/// A reader of the embedder's: each line is an item, with the name of the tenant beside it.
struct Lines {
    setup: ElementSetup,
    lines: Option<std::io::Lines<BufReader<Input>>>,
}

#[async_trait]
impl ItemReader for Lines {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        let input = self.setup.open_input("from", opening.context)?;
        self.lines = Some(BufReader::new(input).lines());
        Ok(vec!["line".to_owned(), "tenant".to_owned()])
    }

    async fn read(&mut self, _: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        for line in self.lines.as_mut().expect("it is open") {
            chunk.rows.push(&line.expect("text"));
            chunk.rows.push(self.setup.tenant.as_str());
        }
        Ok(More::No)
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }
}

const JOBS: &str = "
jobs:
  read_lines:
    type: test
    parameters: { properties: { source: {} } }
    steps:
      - name: read
        reader: { lines: { from: '${parameters.source}' } }
        writer: { csv: { to: out.csv } }
";

/// Its reader opens files through the reach that it is given, which is that of the tenant's policy.
#[tokio::test]
async fn an_embedders_reader_is_refused_a_file_outside_of_its_tenants_folders() {
    let folder = support::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["alice", "bob", "archive"] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(name).join("in.txt"), name).unwrap();
    }
    std::os::unix::fs::symlink(path("alice"), path("bob/link")).unwrap();
    let bob = TenantId::new("bob").unwrap();
    let archive = NamedStorage::local("archive", path("archive")).unwrap();
    let policy = Policy::nothing().with_folder(path("bob")).with_storage(archive);
    let stepbox = Stepbox::builder(path("data"))
        .tenant(bob.clone(), policy)
        .reader("lines", |setup| Ok(Box::new(Lines { setup: setup.clone(), lines: None })))
        .open()
        .await
        .unwrap();
    let tenant = stepbox.tenant(&bob).unwrap();
    support::install(&tenant, folder.path(), &[], JOBS).await;
    let check = async |source: Value, expected: &str| {
        let _ = std::fs::remove_file(path("bob/out.csv"));
        let mut running = support::start(&tenant, "read_lines", json!({ "source": source })).await;
        let execution = running.wait().await.unwrap();
        let found = match std::fs::read_to_string(path("bob/out.csv")) {
            Ok(written) => written,
            Err(_) => ending(&execution),
        };
        assert!(found.starts_with(expected), "{source}: {found}");
    };
    let stored = |storage: &str| json!({ "type": "local", "storage": storage, "file_path": "in.txt" });

    check(local("in.txt"), "line,tenant\nbob,bob\n").await;
    check(json!(path("bob/in.txt")), "line,tenant\nbob,bob\n").await;
    check(stored("archive"), "line,tenant\narchive,bob\n").await;

    check(local("../alice/in.txt"), "FAILED [file-refused]").await;
    check(local(path("alice/in.txt")), "FAILED [file-refused]").await;
    check(local("link/in.txt"), "FAILED [file-refused]").await;
    check(stored("exchange"), "FAILED [storage-unknown]").await;
    // The installation's own files are in no tenant's reach.
    check(local(path("data/stepbox.db")), "FAILED [file-refused]").await;
}
