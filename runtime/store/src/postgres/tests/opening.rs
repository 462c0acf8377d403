//! Opening a database: what is created, what is refused, and what an error may say.

use std::process::Command;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use stepbox_batch::execution::Save;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{ExecutionJournal, Instances, Inventory, RepositoryError};
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::{Durability, PASSWORD, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::schema::SCHEMA_VERSION;
use super::super::{PostgresOptions, PostgresStore};
use super::store_with;

fn database_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

async fn opened(url: &str) -> Result<PostgresStore, RepositoryError> {
    PostgresStore::open(url, PostgresOptions::default()).await
}

#[tokio::test]
async fn a_schema_is_made_once_by_many() {
    let url = Server::shared().database().unwrap();
    let options = PostgresOptions::default();
    let before = PostgresStore::check(&url, &options).await.unwrap();
    assert_eq!((before.version, before.known), (0, SCHEMA_VERSION));
    let stores = tokio::join!(opened(&url), opened(&url), opened(&url), opened(&url));
    let (one, two) = (stores.0.unwrap(), stores.1.unwrap());
    assert!(stores.2.is_ok() && stores.3.is_ok());
    let after = PostgresStore::check(&url, &options).await.unwrap();
    assert!(
        after.version == after.known && after.server.starts_with(|digit: char| digit.is_ascii_digit()),
        "{after:?}"
    );
    assert_eq!(PostgresStore::migrate(&url, &options).await.unwrap(), after, "nothing is left to do");

    with_instance(&one).await;
    let (execution, lease) = started(&two).await;
    assert_eq!(stored(&one, execution.id).await, execution, "they see each other at once");
    two.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
}

#[tokio::test]
async fn a_newer_versions_database_is_refused_also_while_it_is_open() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let store = opened(&url).await.unwrap();
    with_instance(&store).await;
    let newer = SCHEMA_VERSION + 1;
    // The same that a newer program does when it brings the schema up to date.
    let migration = format!(
        "BEGIN; LOCK TABLE stepbox_schema; INSERT INTO stepbox_schema VALUES ({newer}, 0);
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
           AND application_name LIKE 'stepbox%';
         COMMIT"
    );
    server.sql(database_of(&url), &migration).unwrap();

    let refused = [
        store.instances(&tenant(), None).await.map(drop).unwrap_err(),
        opened(&url).await.map(drop).unwrap_err(),
        PostgresStore::migrate(&url, &PostgresOptions::default()).await.map(drop).unwrap_err(),
    ];
    for error in refused {
        let expected =
            format!("has schema version {newer}; this program knows versions up to {SCHEMA_VERSION}");
        assert_eq!(error.code(), "store-newer-version");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let found = PostgresStore::check(&url, &PostgresOptions::default()).await.unwrap();
    assert_eq!((found.version, found.known), (newer, SCHEMA_VERSION), "looking is allowed");
}

#[tokio::test]
async fn another_programs_tables_are_left_alone() {
    let server = Server::shared();
    let url = server.database().unwrap();
    server.sql(database_of(&url), "CREATE TABLE jobs (id INT)").unwrap();
    let error = opened(&url).await.unwrap_err();
    assert_eq!(error.code(), "store-unavailable");
    assert!(error.to_string().contains("another program's tables are in it"), "{error}");
    let left = server.sql(
        database_of(&url),
        "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'",
    );
    assert_eq!(left.unwrap(), "jobs", "nothing was made");

    // A schema of another name in the same database.
    server.sql(database_of(&url), "CREATE SCHEMA stepbox").unwrap();
    let own = format!("{url}?options=-csearch_path%3Dstepbox");
    let store = opened(&own).await.unwrap();
    with_instance(&store).await;
    assert_eq!(server.sql(database_of(&url), "SELECT count(*) FROM stepbox.job_instances").unwrap(), "1");
}

/// The program's user may only use the tables; another user has created them.
#[tokio::test]
async fn needs_no_right_to_make_tables_once_they_are_there() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let name = database_of(&url);
    server.sql(name, &format!("CREATE ROLE runner_{name} LOGIN PASSWORD 'r'")).unwrap();
    let runner = format!("postgres://runner_{name}:r@{}/{name}", server.address());
    let error = opened(&runner).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    PostgresStore::migrate(&url, &PostgresOptions::default()).await.unwrap();
    let grants =
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO runner_{name};");
    server.sql(name, &grants).unwrap();
    let store = opened(&runner).await.unwrap();
    with_instance(&store).await;
    let (mut execution, lease) = started(&store).await;
    move_to(&store, &lease, &mut execution, stepbox_batch::execution::status::BatchStatus::Completed).await;
}

#[tokio::test]
async fn says_what_is_in_the_way_and_never_the_password() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let address = server.address();
    let right = server.url_at(&address, &url);
    let rows = [
        (right.replace("p%40ss", "hunter2"), "store-refused", "password authentication failed"),
        (right.replace(database_of(&url), "nowhere"), "store-refused", "database \"nowhere\" does not exist"),
        (right.replace(&address, "127.0.0.1:1"), "store-unavailable", "refused"),
        (format!("{right}?sslmode=require"), "store-unavailable", "server does not support TLS"),
    ];
    for (url, code, expected) in rows {
        let error = opened(&url).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("hunter2") && !told.contains(PASSWORD) && !told.contains("%2Fw"), "{told}");
    }
    let store = opened(&right).await.unwrap();
    let told = format!("{store:?} {}", store.name());
    assert!(told.contains(&address) && !told.contains(PASSWORD) && !told.contains("%2Fw"), "{told}");
}

#[tokio::test]
async fn tenants_and_text_sort_by_their_bytes_whatever_the_database_prefers() {
    let store = store_with(PostgresOptions::default()).await;
    for name in ["b", "a-b", "a_b", "aa"] {
        let tenant = TenantId::new(name).unwrap();
        let component = component(1, "greet", 1);
        store.put_component(&tenant, &component, &ROOM, &by(NOW)).await.unwrap();
    }
    for name in ["ä", "Z", "a", "_"] {
        let byte = name.as_bytes()[0];
        store.put_component(&tenant(), &component(byte, name, 1), &ROOM, &by(NOW)).await.unwrap();
    }
    let names: Vec<_> =
        store.components(&tenant()).await.unwrap().into_iter().map(|component| component.name).collect();
    assert_eq!(names, ["Z", "_", "a", "ä"]);
}

/// A server with a certificate for `localhost` from an authority of its own.
fn server_with_tls() -> (Server, tempfile::TempDir) {
    let server = Server::start(Durability::None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.path().join("root.pem"), authority.pem()).unwrap();
    server.put_file("server.crt", &certificate.pem()).unwrap();
    server.put_file("server.key", &key.serialize_pem()).unwrap();
    server.set("ssl = on").unwrap();
    server.restart("fast").unwrap();
    (server, folder)
}

#[tokio::test]
async fn encryption_is_what_the_url_asks_for() {
    let (server, folder) = server_with_tls();
    let url = server.database().unwrap();
    let at = |host: &str, query: &str| {
        let address = server.address().replace("127.0.0.1", host);
        format!("{}?{query}", server.url_at(&address, &url))
    };
    let root = folder.path().join("root.pem").display().to_string().replace('/', "%2F");
    let ours = format!("sslmode=verify-full&sslrootcert={root}");
    let rows = [
        (at("localhost", "sslmode=disable"), "plain"),
        (at("localhost", "sslmode=prefer"), "encrypted"),
        (at("127.0.0.1", "sslmode=require"), "encrypted"),
        (at("localhost", &ours), "encrypted"),
        (at("127.0.0.1", &ours), "certificate not valid for name"),
        (at("localhost", "sslmode=verify-full"), "certificate"),
    ];
    for (url, expected) in rows {
        match opened(&url).await {
            Ok(store) => {
                store.instances(&tenant(), None).await.unwrap();
                let sql = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                           WHERE application_name = 'stepbox' AND client_addr IS NOT NULL";
                let found = server.sql(database_of(&server.url("postgres")), sql).unwrap();
                assert_eq!(found, if expected == "plain" { "f" } else { "t" }, "{url}");
            }
            Err(error) => assert!(error.to_string().contains(expected), "{url}: {error}"),
        }
        // The next row must see only its own connections.
        let sql =
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'stepbox'";
        server.sql("postgres", sql).unwrap();
    }
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let server = Server::shared();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("encoded_{}", encoding.to_lowercase());
        let sql = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        server.sql("postgres", &sql).unwrap();
        let url = server.url(&name);
        let options = PostgresOptions::default();
        let refused = [
            opened(&url).await.map(drop).unwrap_err(),
            PostgresStore::migrate(&url, &options).await.map(drop).unwrap_err(),
            PostgresStore::check(&url, &options).await.map(drop).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.code(), "store-other-encoding", "{error}");
            assert!(error.to_string().contains(&format!("has the encoding {encoding}")), "{error}");
        }
        let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'stepbox%'";
        assert_eq!(server.sql(&name, tables).unwrap().trim(), "0", "nothing was made");
    }
}

/// A fake server: it offers no encryption, and then sends the given bytes.
async fn impostor(says: Vec<u8>) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let hears = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut buffer, mut has_said) = ([0; 1024], false);
            while let Ok(asked @ 1..) = stream.read(&mut buffer).await {
                hears.lock().unwrap().extend_from_slice(&buffer[..asked]);
                let answer = if asked == 8 { b"N" } else { &says[..] };
                if !std::mem::replace(&mut has_said, asked != 8) {
                    let _ = stream.write_all(answer).await;
                }
            }
        }
    });
    (address, heard)
}

/// Regression: the password was sent in clear text to any server that asked for it.
#[tokio::test]
async fn a_server_without_encryption_gets_no_password() {
    let asks_in_clear = b"R\0\0\0\x08\0\0\0\x03".to_vec();
    let notice = [&b"N\0\0\xff\xff"[..], &[b'x'; 0xfffb]].concat();
    let let_in = b"R\0\0\0\x08\0\0\0\0";
    let endless = [&let_in[..], &notice.repeat(10)].concat();
    let long = [&let_in[..], b"S\xff\xff\xff\xff"].concat();
    let rows = [
        (asks_in_clear.clone(), "", "asks for the password in clear"),
        (asks_in_clear.clone(), "?sslmode=disable", "asks for the password in clear"),
        (asks_in_clear, "?sslmode=verify-full", "does not support TLS"),
        (endless, "?sslmode=disable", "before it lets anybody in"),
        (long, "?sslmode=disable", "a message of 4294967291 bytes"),
    ];
    for (says, query, expected) in rows {
        let (address, heard) = impostor(says).await;
        let url = format!("postgres://u:hunter2@{address}/database{query}");
        let error = opened(&url).await.map(drop).unwrap_err();
        assert!(error.to_string().contains(expected), "{query}: {error}");
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        assert!(
            !heard.is_empty() && !heard.contains("hunter2") && !error.to_string().contains("hunter2"),
            "{heard}"
        );
    }
}

/// Nothing of a server is left after the process that started it was killed.
#[test]
fn a_servers_guard_outlives_whoever_started_it() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::tests::opening::starts_a_server_and_waits", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
    let folder = lines.find_map(|line| line.unwrap().split_once("server at ").map(|(_, at)| at.to_owned()));
    let folder = std::path::PathBuf::from(folder.unwrap());
    assert!(folder.join("postmaster.pid").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while folder.exists() {
        assert!(std::time::Instant::now() < end, "{} is still there", folder.display());
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "what the test above starts as a process of its own"]
fn starts_a_server_and_waits() {
    let server = Server::start(Durability::None).unwrap();
    std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("\nserver at {}\n", server.data().display()).as_bytes(),
    )
    .unwrap();
    std::thread::park_timeout(std::time::Duration::from_secs(600));
}

/// Regression: an older program's rescue failed on a whole and its parts that were lost together, and so did each
/// opening.
#[tokio::test]
async fn a_database_that_an_older_version_could_not_open_any_more_is_mended_by_opening_it() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let first = include_str!("../../../migrations/postgres/0001_first.sql");
    let version = "CREATE TABLE stepbox_schema (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL);
                   INSERT INTO stepbox_schema VALUES (1, 0);";
    for sql in [first, version, crate::damaged::LOST_IN_PARTS] {
        server.sql(database_of(&url), sql).unwrap();
    }
    let store = opened(&url).await.unwrap();
    crate::damaged::a_lost_whole_in_parts_is_ended(&store).await;
    let findings = PostgresStore::check_contents(&url, &PostgresOptions::default(), false).await.unwrap();
    assert_eq!(findings, []);
}
