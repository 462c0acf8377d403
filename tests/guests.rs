//! One test for each guest in `tests/guests/`, of the same name: what it tries, and what it gets.

use serde_json::{Value, json};
use stepbox::batch::execution::JobExecution;
use stepbox_guest_artifacts::hostile;

use crate::egress;
use crate::secrets;
use crate::support::{Installation, Manner, Server, counts, ending, local, summary};

/// Every guest has a test here; `artifacts` knows which guests there are.
#[test]
fn every_guest_has_a_test_of_its_name() {
    let source = include_str!("guests.rs");
    for (name, _) in hostile::ALL {
        assert!(source.contains(&format!("\nasync fn {name}() {{")), "the guest `{name}` has no test");
    }
}

/// Runs a guest as a tasklet with options; `more` is what its step says beside.
async fn run_tasklet(guest: &str, options: Value, more: &str) -> (Installation, JobExecution) {
    let installation = Installation::new().await;
    install_tasklet(&installation, guest, options, more).await;
    let execution = installation.run("hostile", json!({})).await;
    (installation, execution)
}

async fn install_tasklet(installation: &Installation, guest: &str, options: Value, more: &str) {
    let jobs = format!(
        "jobs:
  hostile:
    type: test
    steps:
      - name: attack
        tasklet: {{ guest: {options} }}
        {more}
"
    );
    installation.install(&[("guest", path_of(guest))], &jobs).await;
}

/// Runs a guest as a processor of three items.
async fn run_processor(guest: &str, more: &str, options: Value) -> (Installation, JobExecution) {
    let installation = Installation::new().await;
    let jobs = format!(
        "jobs:
  hostile:
    type: test
    parameters:
      extends: csv_export
    steps:
      - name: attack
        reader: {{ csv: {{ from: \"${{parameters.source}}\" }} }}
        processor: {{ guest: {options} }}
        writer: {{ csv: {{ to: \"${{parameters.storage}}\" }} }}
        {more}
"
    );
    installation.install(&[("guest", path_of(guest))], &jobs).await;
    installation.write("in.csv", "sku,name\n1,a\n2,b\nspin,c\n");
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let execution = installation.run("hostile", parameters).await;
    assert!(execution.status.as_str() == "COMPLETED" || !installation.path("out.csv").exists());
    (installation, execution)
}

fn path_of(guest: &str) -> &'static str {
    let found = hostile::ALL.iter().find(|(name, _)| *name == guest);
    found.unwrap_or_else(|| panic!("there is no guest `{guest}`")).1
}

#[track_caller]
fn assert_failed(execution: &JobExecution, code: &str, words: &str) {
    let ending = ending(execution);
    assert!(ending.starts_with(&format!("FAILED [{code}] ")), "{ending}");
    assert!(ending.contains(words), "{ending}");
}

#[tokio::test]
async fn spins_forever() {
    let (_, execution) = run_tasklet("spins_forever", json!({}), "limits: { time_ms_max: 300 }").await;
    assert_failed(&execution, "step-time-limit", "300 ms");

    // A stop ends it, too, though it never asks whether to stop.
    let installation = Installation::new().await;
    install_tasklet(&installation, "spins_forever", json!({}), "").await;
    let mut running = installation.start("hostile", json!({})).await;
    running.stop().await.unwrap();
    assert_eq!(ending(&running.wait().await.unwrap()), "STOPPED");
}

#[tokio::test]
async fn spins_in_processor() {
    let (_, execution) = run_processor("spins_in_processor", "limits: { time_ms_max: 300 }", json!({})).await;
    assert_failed(&execution, "step-time-limit", "300 ms");
    assert_eq!(counts(&execution, 0), "read=0 written=0 filtered=0 skipped=0");
}

#[tokio::test]
async fn eats_memory() {
    let limit = "limits: { memory_bytes_max: 33554432 }";
    let (_, execution) = run_tasklet("eats_memory", json!({ "insist": true }), limit).await;
    assert_failed(&execution, "step-memory-limit", "33554432");
}

#[tokio::test]
async fn climbs_out() {
    let installation = Installation::new().await;
    let inbox = installation.path("inbox");
    installation.write("secret.txt", "the secret");
    installation.write("inbox/a.txt", "allowed");
    let links = [("file-link", "../secret.txt"), ("folder-link", ".."), ("root-link", "/"), ("loop", "loop")];
    for (link, target) in links {
        std::os::unix::fs::symlink(target, inbox.join(link)).unwrap();
    }
    let grants = format!("grants: {{ files: {{ inbox: read {} }} }}", inbox.display());
    install_tasklet(&installation, "climbs_out", json!({}), &grants).await;
    let execution = installation.run("hostile", json!({})).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(summary(&execution, 0, "escapes"), "0", "{:#?}", execution.steps[0].summary);
    assert_eq!(summary(&execution, 0, "reads"), "2", "both doors open to what is granted");
    assert_eq!(installation.read("secret.txt"), "the secret");
    assert_eq!(installation.read("inbox/a.txt"), "allowed", "what is granted to be read is not written");
    assert_eq!(std::fs::read_dir(inbox).unwrap().count(), 5, "and nothing was added");
}

#[tokio::test]
async fn calls_ungranted_host() {
    let mut server = Server::start(Manner::Answers(200));
    let url = server.url("/secret");
    let grants = "grants: { http: [\"GET https://granted.example\"] }";
    let (_, execution) = run_tasklet("calls_ungranted_host", json!({ "urls": [url] }), grants).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let refusal = summary(&execution, 0, &url);
    assert!(refusal.contains("GET http://127.0.0.1"), "it names the line that would allow it: {refusal}");
    assert!(server.is_untouched());
}

#[tokio::test]
async fn calls_ungranted_host_by_wasi() {
    let mut server = Server::start(Manner::Answers(200));
    let url = server.url("");
    let options = json!({ "authority": url.trim_start_matches("http://") });
    let (installation, execution) = run_tasklet("calls_ungranted_host_by_wasi", options, "").await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert!(summary(&execution, 0, "outcome").contains("Denied"), "{:?}", execution.steps[0].summary);
    let log = installation.tenant.log(execution.id).await.unwrap();
    let grant = format!("GET {url}");
    assert!(log.iter().any(|line| line.message.contains(&grant)), "the log names the line: {log:?}");
    assert!(server.is_untouched());
}

#[tokio::test]
async fn echoes_secrets() {
    secrets::nothing_that_a_step_does_lets_a_secret_out().await;
}

#[tokio::test]
async fn leaks_secrets_in_items() {
    secrets::items_hold_placeholders().await;
}

#[tokio::test]
async fn spells_hosts() {
    egress::every_spelling_is_refused().await;
}

#[tokio::test]
async fn smuggles_in_trailers() {
    let mut server = Server::start(Manner::Answers(200));
    let url = server.url("");
    let grants = format!("grants: {{ http: [\"POST {url}\"] }}");
    let (_, execution) = run_tasklet("smuggles_in_trailers", json!({ "url": url }), &grants).await;
    assert_eq!(ending(&execution), "COMPLETED");
    for (name, expected) in [
        ("trailer host", "HeaderError::Forbidden"),
        ("trailer transfer-encoding", "HeaderError::Forbidden"),
        ("trailer connection", "HeaderError::Forbidden"),
        ("trailer upgrade", "HeaderError::Forbidden"),
        ("trailer te", "HeaderError::Forbidden"),
        ("trailer trailer", "HeaderError::Forbidden"),
        ("trailer proxy-authorization", "HeaderError::Forbidden"),
        ("trailer x-sly", "HeaderError::InvalidSyntax"),
        ("trailer x-slyx-slyer", "HeaderError::InvalidSyntax"),
        ("trailer content-length", "taken"),
        ("trailer authorization", "taken"),
        ("request", "answered 200"),
    ] {
        assert_eq!(summary(&execution, 0, name), expected, "{name}");
    }
    let request = server.request().await;
    assert!(request.ends_with("\r\n\r\n8\r\nthe body\r\n0\r\n\r\n"), "no trailers follow: {request}");
    assert!(server.is_untouched(), "and no other request");

    for (flood, at_most) in [("large", 0), ("many", 64 * 1024 / 100)] {
        let (_, execution) = run_tasklet("smuggles_in_trailers", json!({ "flood": flood }), "").await;
        assert_failed(&execution, "step-trapped", "total size of fields exceeds limit");
        let appended = summary(&execution, 0, "appended").parse().unwrap_or(0);
        assert!(appended <= at_most, "{flood}: {appended}");
    }
}

#[tokio::test]
async fn panics() {
    let (_, execution) = run_tasklet("panics", json!({}), "").await;
    assert_failed(&execution, "step-panicked", "panicked");
}

#[tokio::test]
async fn lies_in_batches() {
    for (lie, words) in [
        ("descending", "ends before it begins"),
        ("past-end", "the last cell ends at byte"),
        ("not-utf8", "is not UTF-8"),
        ("split-character", "is not UTF-8"),
        ("partial-row", "do not make whole rows of 2 columns"),
        ("too-many-rows", "came back for 3"),
        ("lost-row", "2 rows, 0 skipped and 0 filtered ones came back for 3"),
        ("bad-skip-row", "it skipped or filtered row 3 of a batch of 3"),
        ("bad-filter-row", "it skipped or filtered row 3 of a batch of 3"),
        ("duplicate-skip", "it skipped or filtered row 0 twice"),
        ("skipped-and-filtered", "it skipped or filtered row 0 twice"),
        ("kept-and-skipped", "3 rows, 1 skipped and 0 filtered ones came back for 3"),
        ("kept-and-filtered", "3 rows, 0 skipped and 1 filtered ones came back for 3"),
        ("null-out-of-range", "the list of null cells"),
        ("null-with-bytes", "the list of null cells"),
        ("descending-nulls", "the list of null cells"),
        ("no-columns", "it has no columns"),
        ("twice-the-column", "it has two columns called `sku`"),
    ] {
        let (_, execution) = run_processor("lies_in_batches", "", json!({ "lie": lie })).await;
        assert_failed(&execution, "lying-batch", words);
        if let Some(step) = execution.steps.first() {
            assert_eq!(step.counts, Default::default(), "{lie}: nothing of it counts");
        }
    }
    let (installation, execution) = run_processor("lies_in_batches", "", json!({ "lie": "truth" })).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(installation.read("out.csv"), "sku,name\n1,a\n2,b\nspin,c\n");
}

#[tokio::test]
async fn floods_log() {
    for door in ["log", "stdout", "stderr"] {
        let options = json!({ "door": door, "messages": 2000 });
        let limit = "limits: { log_bytes_max: 65536 }";
        let (installation, execution) = run_tasklet("floods_log", options, limit).await;
        assert_eq!(ending(&execution), "COMPLETED", "{door}");
        let log = installation.tenant.log(execution.id).await.unwrap();
        let bytes: usize = log.iter().map(|line| line.message.len()).sum();
        assert!(bytes < 3 * 65536, "{door}: {bytes} bytes");
        assert!(log.iter().any(|line| line.message.contains("dropped")), "{door}: one line says so");
    }
}

#[tokio::test]
async fn waits_for_http() {
    let installation = Installation::new().await;
    let mut server = Server::start(Manner::Hangs);
    let url = server.url("/");
    let grants = format!("grants: {{ http: [\"GET {url}\"] }}");
    install_tasklet(&installation, "waits_for_http", json!({ "url": url }), &grants).await;
    let mut running = installation.start("hostile", json!({})).await;
    server.request().await;
    running.stop().await.unwrap();
    assert_eq!(ending(&running.wait().await.unwrap()), "STOPPED");
}

#[tokio::test]
async fn recurses() {
    let (_, execution) = run_tasklet("recurses", json!({}), "").await;
    assert_failed(&execution, "step-stack-overflow", "stack");
}

#[tokio::test]
async fn fails_with_error() {
    let (_, execution) = run_tasklet("fails_with_error", json!({}), "").await;
    let failure = &execution.steps[0].failures[0];
    assert_eq!(execution.status.as_str(), "FAILED");
    assert_eq!(failure.culprit, "tasklet `guest`");
    assert!(!failure.code.is_empty() && !failure.message.is_empty());
}

#[tokio::test]
async fn own_exit_status() {
    let (_, execution) = run_tasklet("own_exit_status", json!({}), "").await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(execution.steps[0].exit_status.code, "PARTIAL");
    assert_eq!(execution.exit_status.code, "PARTIAL");
}

#[tokio::test]
async fn sleeps() {
    let installation = Installation::new().await;
    install_tasklet(&installation, "sleeps", json!({}), "").await;
    let mut running = installation.start("hostile", json!({})).await;
    running.stop().await.unwrap();
    assert_eq!(ending(&running.wait().await.unwrap()), "STOPPED");
}
