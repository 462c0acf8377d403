//! A bucket that lies, on loopback: no incomplete output is COMPLETED, and no lie takes unlimited memory.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use stepbox::batch::name::TenantId;
use stepbox::{NamedStorage, Policy, Quotas, RestartOptions};
use stepbox_tests::alone::{Watch, is_alone};

use crate::bucket::{BucketServer, Lie};
use crate::support::{Installation, counts, ending};

const JOBS: &str = r#"
jobs:
  copy:
    type: test
    parameters: { extends: csv_export }
    steps:
      - name: copy
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 10
        checkpoint: { items: 20 }
"#;

/// How many items there are: more than the first request brings.
const ITEMS: usize = 60_000;

/// How long a run is lied to before it is stopped: some requests are repeated again and again.
const PATIENCE_WITH_LIES: Duration = Duration::from_millis(1_500);
/// How soon it must have ended then: the grace of a second, and a busy machine.
const STOP_MAX: Duration = Duration::from_secs(6);
/// The most memory that all lies together may take.
const LIES_BYTES_MAX: u64 = 256 << 20;

async fn installation(storage: NamedStorage, quotas: &Quotas) -> Installation {
    let policy = Policy::own_machine(".").with_loopback().with_storage(storage).with_quotas(quotas.clone());
    let installation = Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await;
    installation.install(&[], JOBS).await;
    installation
}

fn items(count: usize) -> String {
    format!("sku,name\n{}", (0..count).map(|n| format!("{n},chair no. {n}\n")).collect::<String>())
}

fn parameters() -> Value {
    let s3 = |path| json!({ "type": "s3", "storage": "exchange", "file_path": path });
    json!({ "source": s3("in.csv"), "storage": s3("out/products.csv") })
}

/// A server with an input of this many items, and an installation that reads it.
async fn world(count: usize) -> (BucketServer, Installation, String) {
    world_with(count, &Quotas::default()).await
}

async fn world_with(count: usize, quotas: &Quotas) -> (BucketServer, Installation, String) {
    let server = BucketServer::start();
    let content = items(count);
    server.put("shop/in.csv", content.as_bytes());
    let installation = installation(server.storage("exchange", "shop/"), quotas).await;
    (server, installation, content)
}

/// A list, as a server would send it.
fn page(inside: &str) -> String {
    format!("<ListBucketResult><Name>acme</Name>{inside}</ListBucketResult>")
}

fn object(key: &str) -> String {
    let when = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>";
    format!("<Contents><Key>{key}</Key><Size>3</Size>{when}<ETag>\"0\"</ETag></Contents>")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_takes_more_than_was_asked_for() {
    let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>";
    let endless = page(&format!("{}{next}", object("shop/out/.products.csv.1.part/000001.1-1-00000000")));
    let (read, list) = ("GET /acme/shop/in.csv", "list-type=2");
    let rows: [(&str, Lie, &str); 9] = [
        (read, Lie::WithoutEnd(403), "bucket-refused"),
        (read, Lie::WithoutEnd(500), "bucket-unreachable"),
        (read, Lie::WithoutEnd(206), "bucket-bad-answer"),
        (read, Lie::WithoutEnd(200), "bucket-bad-answer"),
        (list, Lie::WithoutEnd(200), "bucket-bad-answer"),
        (list, Lie::WithoutEnd(403), "bucket-refused"),
        (list, Lie::Says(200, page(next)), "bucket-bad-answer"),
        (list, Lie::Says(200, endless), "bucket-bad-answer"),
        (
            "HEAD /acme/shop/in.csv",
            Lie::With("content-length", "1152921504606846976".to_owned()),
            "file-changed",
        ),
    ];
    for (to, lie, expected) in rows {
        let (server, installation, _) = world(50).await;
        server.lie(to, lie);
        let execution = installation.run("copy", parameters()).await;
        let found = ending(&execution);
        assert!(found.starts_with(&format!("FAILED [{expected}]")), "{to}, not {expected}: {found}");
        assert!(!server.objects().contains_key("shop/out/products.csv"));
    }
}

/// All the lies, and silence: how much memory they take, and how soon a run can be stopped. In a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_lie_takes_memory_or_holds_up_a_stop() {
    if !is_alone("lying_bucket::no_lie_takes_memory_or_holds_up_a_stop") {
        return;
    }
    let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>";
    let endless = page(&format!("{}{next}", object("shop/out/.products.csv.1.part/000001.1-1-00000000")));
    let targets = [
        "HEAD /acme/shop/in.csv",
        "GET /acme/shop/in.csv",
        "GET /acme/shop/out/.products.csv",
        "PUT /acme/shop/out/.products.csv",
        "PUT /acme/shop/out/products.csv",
        "HEAD /acme/shop/out/products.csv",
        "list-type=2",
        "POST /acme",
        "DELETE /acme",
    ];
    let lies = [
        Lie::WithoutEnd(200),
        Lie::WithoutEnd(206),
        Lie::WithoutEnd(403),
        Lie::WithoutEnd(503),
        Lie::Says(200, endless),
        Lie::With("content-length", "1152921504606846976".to_owned()),
        Lie::Silence,
        Lie::Drips,
    ];
    // By then compiled code and the other memory of every run is there.
    let (_, installation, _) = world(50).await;
    installation.run("copy", parameters()).await;
    let watch = Watch::begin();
    for to in targets {
        join_all(lies.iter().map(|lie| be_lied_to(to, lie.clone()))).await;
        let peak = watch.memory_peak();
        assert!(peak < LIES_BYTES_MAX, "{to}: {peak} bytes");
    }
}

/// Runs the job until it ends, or is stopped.
async fn be_lied_to(to: &str, lie: Lie) {
    let quotas = Quotas { stop_grace_ms: 1_000, ..Quotas::default() };
    let (server, installation, content) = world_with(50, &quotas).await;
    server.lie(to, lie);
    let mut running = installation.start("copy", parameters()).await;
    let execution = match tokio::time::timeout(PATIENCE_WITH_LIES, running.wait()).await {
        Ok(execution) => execution.unwrap(),
        Err(_) => {
            let asked_at = Instant::now();
            // It may have ended just now.
            let _ = running.stop().await;
            let execution = running.wait().await.unwrap();
            assert!(asked_at.elapsed() < STOP_MAX, "{to}: {:?}", asked_at.elapsed());
            execution
        }
    };
    if ending(&execution) == "COMPLETED" {
        assert_eq!(server.objects()["shop/out/products.csv"], content, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_is_read_to_the_end_it_has() {
    let (server, installation, content) = world(ITEMS).await;
    // The proxy before the bucket cuts it off after a row.
    let half = content[..content.len() / 2].rfind('\n').expect("it has rows") + 1;
    server.lie("HEAD /acme/shop/in.csv", Lie::With("content-length", half.to_string()));
    let execution = installation.run("copy", parameters()).await;
    assert!(ending(&execution).starts_with("FAILED [file-changed]"), "{}", ending(&execution));
    // Another range than was requested.
    server.be_honest();
    let range = format!("bytes 0-9/{}", content.len());
    server.lie("GET /acme/shop/in.csv", Lie::With("content-range", range));
    let execution = installation.run("copy", parameters()).await;
    assert!(ending(&execution).starts_with("FAILED [bucket-bad-answer]"), "{}", ending(&execution));
}

/// A login page with the status 200 was taken for a success, and all parts were removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_complete_once_the_bucket_has_it() {
    let login = || Lie::Says(200, "<html>Please log in</html>".to_owned());
    let kept = || Lie::SaysWith(200, "etag", "\"0\"".to_owned(), Vec::new());
    let zeros = |length: usize| Lie::SaysWith(200, "etag", "\"0\"".to_owned(), vec![b'0'; length]);
    let (output, parts) = ("/acme/shop/out/products.csv", "/acme/shop/out/.products.csv");
    let put = format!("PUT {output}");
    let head = format!("HEAD {output}");
    let read_parts = format!("GET {parts}");
    let rows = [
        (&put, login(), "bucket-bad-answer"),
        (&put, kept(), "output-not-kept"),
        (&head, Lie::With("content-length", "7".to_owned()), "output-not-kept"),
        (&head, Lie::With("x-amz-meta-stepbox-run", "999".to_owned()), "output-not-kept"),
        (&head, Lie::Says(404, String::new()), "output-not-kept"),
        (&read_parts, zeros(0), "output-changed"),
        (&read_parts, zeros(3), "output-changed"),
        (&read_parts, zeros(1 << 20), "bucket-bad-answer"),
    ];
    for (to, lie, expected) in rows {
        let (server, installation, content) = world(50).await;
        server.lie(to, lie);
        let failed = installation.run("copy", parameters()).await;
        assert!(ending(&failed).starts_with(&format!("FAILED [{expected}]")), "{to}: {}", ending(&failed));
        // All written parts are there.
        server.be_honest();
        let again = installation.tenant.restart_execution(failed.id, RestartOptions::default()).await;
        let again = again.unwrap().wait().await.unwrap();
        assert_eq!(ending(&again), "COMPLETED", "{to}");
        assert_eq!(counts(&again, 0), "read=50 written=50 filtered=0 skipped=0");
        assert_eq!(server.objects()["shop/out/products.csv"], content, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_that_cannot_be_removed_spoil_no_output() {
    let (server, installation, content) = world(50).await;
    server.lie("POST /acme?delete", Lie::Says(403, String::new()));
    server.lie("POST /acme/?delete", Lie::Says(403, String::new()));
    server.lie("DELETE /acme", Lie::Says(403, String::new()));
    let execution = installation.run("copy", parameters()).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(server.objects()["shop/out/products.csv"], content);
    let told = installation.log(execution.id).await;
    assert!(told.contains("the output is complete, but its parts are left in the bucket"), "{told}");
}

/// Names in a list that were not requested were removed.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_were_not_asked_for_are_ignored() {
    let bait = ["shop/bait/000001.1-0-ffffffff", "elsewhere/000001.1-0-ffffffff", "x"];
    let (server, installation, content) = world(50).await;
    bait.iter().for_each(|key| server.put(key, b"abc"));
    let also = bait.map(object).concat();
    server.lie("list-type=2", Lie::Replaces("</ListBucketResult>", format!("{also}</ListBucketResult>")));
    let execution = installation.run("copy", parameters()).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let objects = server.objects();
    assert_eq!(objects["shop/out/products.csv"], content);
    assert!(bait.iter().all(|key| objects.contains_key(*key)), "{:?}", objects.keys());
}
