//! Installations with stores of their own, and the storage that machines share: one place belongs to one
//! installation.

use std::path::{Path, PathBuf};

use stepbox::batch::name::TenantId;
use stepbox::{DatabaseUrl, Error, NamedStorage, Policy, Stepbox, StorePlace, migrate_store};
use stepbox_guest_artifacts::steps;
use stepbox_test_postgres::Server;
use tempfile::TempDir;

use crate::bucket::{BucketServer, Lie};

/// The kind of store.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Store {
    Sqlite,
    Postgres,
}

/// An installation that is not open: the place of its store, and a data folder for each machine.
struct Closed {
    url: Option<DatabaseUrl>,
    folder: TempDir,
}

impl Closed {
    async fn new(store: Store) -> Self {
        let url = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(DatabaseUrl::new(Server::shared().database().unwrap())),
        };
        if let Some(url) = &url {
            migrate_store(StorePlace::Database(url)).await.unwrap();
        }
        Self { url, folder: crate::support::tempdir().unwrap() }
    }

    /// Opens it on a machine, with this shared storage.
    async fn open(&self, machine: &str, shared: &NamedStorage) -> Result<Stepbox, Error> {
        let builder = Stepbox::builder(self.data(machine)).shared_storage(shared.clone());
        let builder = self.url.iter().fold(builder, |builder, url| builder.database_url(url.clone()));
        let policy = Policy::own_machine(".").with_loopback();
        builder.tenant(TenantId::default(), policy).open().await
    }

    fn data(&self, machine: &str) -> PathBuf {
        self.folder.path().join(machine)
    }
}

/// A folder, and a prefix of a bucket.
fn places(server: &BucketServer, folder: &Path) -> [NamedStorage; 2] {
    [NamedStorage::local("shared", folder.join("shared")).unwrap(), server.storage("shared", "installation/")]
}

fn refusal(opened: Result<Stepbox, Error>) -> String {
    let error = opened.expect_err("it is another installation's");
    assert_eq!((error.code(), error.help().is_some()), ("storage-taken", true), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_do_not_share_one_place() {
    for store in [Store::Sqlite, Store::Postgres] {
        let (server, folder) = (BucketServer::start(), crate::support::tempdir().unwrap());
        for place in places(&server, folder.path()) {
            let (first, second) = (Closed::new(store).await, Closed::new(store).await);
            let opened = first.open("a", &place).await.unwrap();
            let bytes = std::fs::read(steps::NORMALISE).unwrap();
            opened.tenant(&TenantId::default()).unwrap().upload_component(&bytes).await.unwrap();

            let said = refusal(second.open("a", &place).await);
            let expected = match store {
                Store::Sqlite => first.data("a").join("stepbox.db").display().to_string(),
                Store::Postgres => "PostgreSQL at ".to_owned(),
            };
            let begins = "the shared storage: the storage `shared` is used by another installation, that of ";
            assert!(said.starts_with(begins) && said.contains(&expected), "{said}");

            // The refused installation has changed nothing, and another machine of the first one is accepted.
            drop(opened);
            if store == Store::Postgres {
                first.open("b", &place).await.unwrap();
            }
            first.open("a", &place).await.unwrap();
            refusal(second.open("a", &place).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_come_at_once_one_gets_the_place() {
    let (server, folder) = (BucketServer::start(), crate::support::tempdir().unwrap());
    for place in places(&server, folder.path()) {
        let (first, second) = (Closed::new(Store::Sqlite).await, Closed::new(Store::Sqlite).await);
        let (one, other) = tokio::join!(first.open("a", &place), second.open("a", &place));
        assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
        refusal(if one.is_ok() { other } else { one });
    }
}

/// Many commands work while a bucket is away, so an installation opens. It checks the bucket again before the first
/// use.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_asked_is_not_used() {
    let server = BucketServer::start();
    let place = server.storage("shared", "installation/");
    let (first, second) = (Closed::new(Store::Sqlite).await, Closed::new(Store::Sqlite).await);
    drop(first.open("a", &place).await.unwrap());
    server.lie("installation/installation", Lie::Says(403, String::new()));
    let opened = second.open("a", &place).await.unwrap().tenant(&TenantId::default()).unwrap();
    let bytes = std::fs::read(steps::NORMALISE).unwrap();
    let refused = async || opened.upload_component(&bytes).await.unwrap_err().code();
    assert_eq!(refused().await, "bucket-refused");
    server.be_honest();
    assert_eq!(refused().await, "storage-taken");
    assert_eq!(server.objects().len(), 1, "nothing but the mark of the first one");
    assert_eq!(opened.components().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_nobody_can_have_written_is_told() {
    let server = BucketServer::start();
    server.put("installation/installation", b"mine");
    let place = server.storage("shared", "installation/");
    let said = refusal(Closed::new(Store::Sqlite).await.open("a", &place).await);
    assert!(said.ends_with("holds an `installation` that no installation has written"), "{said}");
}
