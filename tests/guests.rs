//! One test for each guest in `tests/guests/`, of the same name: what the guest tries, and the result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use stepbox::batch::counters::Counters;
use stepbox::batch::execution::{CONTEXT_BYTES_MAX, JobExecution};
use stepbox::batch::job::LimitOverrides;
use stepbox::batch::name::TenantId;
use stepbox::batch::ports::RepositoryError;
use stepbox::batch::visible::Visible;
use stepbox::{Policy, Quotas};
use stepbox_guest_artifacts::hostile;
use stepbox_store::SqliteStore;
use stepbox_store_testing::interposed::{Call, Interposed, Interposer};
use stepbox_tests::alone::{Watch, is_alone};

use crate::egress;
use crate::forms;
use crate::secrets;
use crate::support::{Installation, Manner, Server, counts, ending, local, summary, until};

/// Every guest has a test here; `artifacts` knows which guests there are.
#[test]
fn every_guest_has_a_test_of_its_name() {
    let source = include_str!("guests.rs");
    for (name, _) in hostile::ALL {
        assert!(source.contains(&format!("\nasync fn {name}() {{")), "the guest `{name}` has no test");
    }
}

/// Runs a guest as a tasklet with options; `more` has further keys of its step.
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

/// The refusals are counted for the step, and for its tenant.
#[track_caller]
fn assert_refused_requests(installation: &Installation, execution: &JobExecution, expected: u64) {
    let usage = execution.steps[0].usage;
    assert_eq!((usage.http_requests_refused, usage.http_requests), (expected, 0));
    let expected = Counters { http_requests_refused: expected, ..Counters::default() };
    assert_eq!(installation.tenant.counters(), expected);
}

#[tokio::test]
async fn spins_forever() {
    let limit = "limits: { time_ms_max: 300 }";
    let (installation, execution) = run_tasklet("spins_forever", json!({}), limit).await;
    assert_failed(&execution, "step-time-limit", "300 ms");
    let expected = Counters { time_limits_reached: 1, ..Counters::default() };
    assert_eq!(installation.tenant.counters(), expected);

    // Its processor time is limited as well, over all calls of the step's components.
    let (_, execution) = run_tasklet("spins_forever", json!({}), "limits: { cpu_ms_max: 100 }").await;
    assert_failed(&execution, "step-cpu-limit", "100 ms");

    // The operator's limits reduce a job's own limits.
    let limits = LimitOverrides { time_ms_max: Some(200), ..LimitOverrides::default() };
    let policy = Policy::own_machine(".").with_limits(limits);
    let installation = Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await;
    install_tasklet(&installation, "spins_forever", json!({}), "limits: { time_ms_max: 3600000 }").await;
    assert_failed(&installation.run("hostile", json!({})).await, "step-time-limit", "200 ms");

    // A stop ends it, too, though it never checks for a stop.
    let installation = Installation::new().await;
    install_tasklet(&installation, "spins_forever", json!({}), "").await;
    let mut running = installation.start("hostile", json!({})).await;
    running.stop().await.unwrap();
    assert_eq!(ending(&running.wait().await.unwrap()), "STOPPED");
    let expected = Counters { stops_forced: 1, ..Counters::default() };
    assert_eq!(installation.tenant.counters(), expected);
}

/// What a person sees of each lie, and how it ended: `tests/forms.rs` has the rest.
#[tokio::test]
async fn lies_in_forms() {
    forms::every_lie_leaves_the_form_without_help().await;
}

#[tokio::test]
async fn spins_in_processor() {
    let (_, execution) = run_processor("spins_in_processor", "limits: { time_ms_max: 300 }", json!({})).await;
    assert_failed(&execution, "step-time-limit", "300 ms");
    // The call was repeated with fewer items, down to the one that takes for ever.
    assert_eq!(counts(&execution, 0), "read=2 written=2 filtered=0 skipped=0");
}

#[tokio::test]
async fn eats_memory() {
    let limit = "limits: { memory_bytes_max: 33554432 }";
    let (installation, execution) = run_tasklet("eats_memory", json!({ "insist": true }), limit).await;
    assert_failed(&execution, "step-memory-limit", "33554432");
    let expected = Counters { memory_limits_reached: 1, ..Counters::default() };
    assert_eq!(installation.tenant.counters(), expected);
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
    // Texts for the step and for people do not show where the folders are.
    let place = installation.folder.path().to_str().unwrap();
    let told = format!("{:?} {}", execution.steps, installation.log(execution.id).await);
    assert!(!told.contains(place), "{told}");
    let refused = execution.steps[0].usage.file_accesses_refused;
    assert!(refused > 20, "through both doors: {refused}");
    let expected = Counters { file_accesses_refused: refused, ..Counters::default() };
    assert_eq!(installation.tenant.counters(), expected);
}

#[tokio::test]
async fn fills_disk() {
    let quotas = Quotas { disk_files_max: 50, ..Quotas::default() };
    let installation = with_quotas(quotas).await;
    install_tasklet(&installation, "fills_disk", json!({}), "limits: { disk_bytes_max: 1000000 }").await;
    let execution = installation.run("hostile", json!({})).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(summary(&execution, 0, "refused"), "9", "{:#?}", execution.steps[0].summary);
    assert_eq!(summary(&execution, 0, "bytes"), (15 * (64 << 10)).to_string());
    assert_eq!(summary(&execution, 0, "files"), "50");
    let told = summary(&execution, 0, "told");
    assert!(told.contains("1000000 bytes written to files (`limits.disk_bytes_max`)"), "{told}");
    let work = installation.path(&format!("data/executions/{}/work", execution.id));
    assert!(!work.exists(), "nothing is left of it");
}

/// The bytes that one execution has written count for the tenant's others, until it has ended.
#[tokio::test]
async fn the_disk_is_shared_by_a_tenants_executions() {
    let quotas = Quotas { disk_bytes_max: 1_000_000, stop_grace_ms: 100, ..Quotas::default() };
    let installation = with_quotas(quotas).await;
    let mut server = Server::start(Manner::Hangs);
    let url = server.url("/");
    let jobs = format!(
        "jobs:
  holds:
    type: test
    steps: [ {{ name: attack, tasklet: {{ guest: {{ url: \"{url}\" }} }}, grants: {{ http: [\"GET {url}\"] }} }} ]
  writes:
    type: test
    steps: [ {{ name: attack, tasklet: {{ guest: {{}} }} }} ]
"
    );
    installation.install(&[("guest", path_of("fills_disk"))], &jobs).await;
    let mut holds = installation.start("holds", json!({})).await;
    server.request().await;
    let beside = installation.run("writes", json!({})).await;
    assert_eq!(summary(&beside, 0, "bytes"), "0");
    let told = summary(&beside, 0, "told");
    assert!(
        told.contains("over the tenant's quota of 1000000 bytes written to files (`disk_bytes_max`)"),
        "{told}"
    );
    holds.stop().await.unwrap();
    assert_eq!(ending(&holds.wait().await.unwrap()), "STOPPED");
    let after = installation.run("writes", json!({})).await;
    assert_eq!(summary(&after, 0, "bytes"), (15 * (64 << 10)).to_string());
}

async fn with_quotas(quotas: Quotas) -> Installation {
    let folder = crate::support::tempdir().unwrap();
    let policy = Policy::own_machine(folder.path()).with_loopback().with_quotas(quotas);
    Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await
}

#[tokio::test]
async fn calls_ungranted_host() {
    let mut server = Server::start(Manner::Answers(200));
    let url = server.url("/secret");
    let grants = "grants: { http: [\"GET https://granted.example\"] }";
    let (installation, execution) =
        run_tasklet("calls_ungranted_host", json!({ "urls": [url] }), grants).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let refusal = summary(&execution, 0, &url);
    assert!(refusal.contains("GET http://127.0.0.1"), "it names the line that would allow it: {refusal}");
    assert_refused_requests(&installation, &execution, 1);
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
    assert_refused_requests(&installation, &execution, 1);
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

/// A chunk of 1000 items would take 5 seconds, and a call may take 2.5.
#[tokio::test]
async fn drags_in_processor() {
    const ITEMS: usize = 200;
    let installation = Installation::new().await;
    let jobs = "jobs:
  hostile:
    type: test
    parameters: { extends: csv_export }
    steps:
      - name: attack
        reader: { csv: { from: \"${parameters.source}\" } }
        processor: { guest: { ms: 25 } }
        writer: { csv: { to: \"${parameters.storage}\" } }
        limits: { time_ms_max: 2500 }
";
    installation.install(&[("guest", path_of("drags_in_processor"))], jobs).await;
    let rows: String = (0..ITEMS).map(|row| format!("{row},a\n")).collect();
    installation.write("in.csv", format!("sku,name\n{rows}"));
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let execution = installation.run("hostile", parameters).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), format!("read={ITEMS} written={ITEMS} filtered=0 skipped=0"));
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
        let dropped = execution.steps[0].usage.log_messages_dropped;
        assert!(dropped > 100, "{door}: {dropped}");
        assert_eq!(installation.tenant.counters().log_messages_dropped, dropped, "{door}");
    }
    // One line of 50 MB.
    let options = json!({ "door": "stdout", "messages": 1, "bytes": 50_000_000 });
    let (installation, execution) = run_tasklet("floods_log", options, "").await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert!(installation.log(execution.id).await.len() < 32 << 10);
}

/// Limits apply to everything that is stored, and the store is written at fixed intervals, not at each call.
#[tokio::test]
async fn floods_host() {
    let rows = [
        ("progress", 5_000_000, "processed=5000000 names=0 warnings=0/0 errors=0"),
        ("summary", 200_000, "processed=0 names=100 warnings=0/0 errors=0"),
        ("warning", 100_000, "processed=0 names=0 warnings=1000/100000 errors=0"),
        ("error", 100_000, "processed=0 names=0 warnings=0/0 errors=100"),
        ("context", 10_000, "processed=0 names=0 warnings=0/0 errors=0"),
    ];
    for (call, times, expected) in rows {
        let writes = Arc::new(Writes::default());
        let folder = crate::support::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("stepbox.db")).unwrap();
        let repository = Arc::new(Interposed { store, interposer: CountsWrites(writes.clone()) });
        let installation = Installation::with(|builder| builder.repository(repository)).await;
        install_tasklet(&installation, "floods_host", json!({ "call": call, "times": times }), "").await;
        let before = writes.count();
        let began_at = Instant::now();
        let execution = installation.run("hostile", json!({})).await;
        let (ms, writes) = (began_at.elapsed().as_millis() as u64, writes.count() - before);
        assert_eq!(ending(&execution), "COMPLETED", "{call}");
        let step = &execution.steps[0];
        let warnings = installation.tenant.warnings(execution.id).await.unwrap().len();
        let found = format!(
            "processed={} names={} warnings={warnings}/{} errors={}",
            step.tracking.processed,
            step.summary.len(),
            step.warning_count,
            step.errors.len()
        );
        assert_eq!(found, expected, "{call}");
        assert!(execution.context.bytes() <= CONTEXT_BYTES_MAX, "{call}");
        assert!(writes <= 10 + ms / 100, "{call}: {writes} writes in {ms} ms");
        assert!(step.usage.host_calls >= times, "{call}");
    }
}

/// How many changes the store was asked for.
#[derive(Default)]
struct Writes(AtomicU64);

impl Writes {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct CountsWrites(Arc<Writes>);

#[async_trait]
impl Interposer for CountsWrites {
    async fn before(&self, call: Call<'_>) -> Result<(), RepositoryError> {
        if !matches!(call, Call::Read(_)) {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn after(&self, _: Call<'_>) -> Result<(), RepositoryError> {
        Ok(())
    }
}

#[tokio::test]
async fn hoards_handles() {
    let (_, execution) = run_tasklet("hoards_handles", json!({}), "").await;
    assert_eq!(ending(&execution), "COMPLETED");
    let found = ["contract", "beside", "std", "again"].map(|name| summary(&execution, 0, name));
    assert_eq!(found, ["64", "0", "64", "1"]);
}

/// The memory that the process may have beside the guests' memory, in bytes: for its allocator, and for threads that
/// come and go.
const BESIDE_BYTES_MAX: u64 = 96 << 20;
/// The memory limit of the guests that try to get more.
const HOARD_BYTES_MAX: u64 = 64 << 20;

/// In a process of its own, since the test measures its memory.
#[tokio::test]
async fn bombs_context() {
    if !is_alone("guests::bombs_context") {
        return;
    }
    for (bytes, times) in [(CONTEXT_BYTES_MAX, 5_000), (4 << 20, 500)] {
        let installation = Installation::new().await;
        let limits = format!("limits: {{ memory_bytes_max: {HOARD_BYTES_MAX} }}");
        let options = json!({ "bytes": bytes, "times": times });
        install_tasklet(&installation, "bombs_context", options, &limits).await;
        let watch = Watch::begin();
        let execution = installation.run("hostile", json!({})).await;
        assert_eq!(ending(&execution), "COMPLETED", "{bytes}");
        assert_eq!(summary(&execution, 0, "refused"), times.to_string(), "{}", summary(&execution, 0, "why"));
        assert!(execution.context.0.is_empty());
        let peak = watch.memory_peak();
        assert!(peak < HOARD_BYTES_MAX + BESIDE_BYTES_MAX, "{bytes}: {peak} bytes");
        // A copy of what it sends, each time; a parser would take 100 ms and more for each megabyte.
        let us = execution.steps[0].usage.cpu_us;
        assert!(us < 10_000_000, "{bytes}: {us} us of processor time");
    }
}

/// In a process of its own, since the test measures its memory.
#[tokio::test]
async fn hoards_in_the_host() {
    if !is_alone("guests::hoards_in_the_host") {
        return;
    }
    // It accepts connections and reads nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for (what, enough) in [("listings", 10_000), ("heads", 10_000), ("pieces", 10_000), ("bodies", 10_000)] {
        let installation = Installation::new().await;
        for number in 0..2_000 {
            installation.write(&format!("many/{number:0200}"), "");
        }
        let more = format!(
            "grants: {{ http: [\"POST {url}\"], files: {{ many: \"read {}\" }} }}
        limits: {{ memory_bytes_max: {HOARD_BYTES_MAX}, time_ms_max: 20000 }}",
            installation.path("many").display()
        );
        let options = json!({ "what": what, "url": url, "enough": enough });
        install_tasklet(&installation, "hoards_in_the_host", options, &more).await;
        let watch = Watch::begin();
        let execution = installation.run("hostile", json!({})).await;
        let ending = ending(&execution);
        let ends = ["COMPLETED", "FAILED [step-memory-limit]", "FAILED [step-trapped]"];
        assert!(ends.iter().any(|end| ending.starts_with(end)), "{what}: {ending}");
        let kept: u32 = summary(&execution, 0, "kept").parse().unwrap_or_default();
        assert!((1..=1_000).contains(&kept), "{what}: kept {kept}, {ending}");
        let step = &execution.steps[0];
        assert!(step.usage.memory_bytes_peak <= HOARD_BYTES_MAX, "{what}");
        let (peak, descriptors) = (watch.memory_peak(), watch.descriptors());
        assert!(peak < HOARD_BYTES_MAX + BESIDE_BYTES_MAX, "{what}: {peak} bytes, kept {kept}");
        assert!(descriptors < 100, "{what}: {descriptors} descriptors are left");
    }
}

/// In a process of its own, since the test counts its descriptors.
#[tokio::test]
async fn hoards_folders() {
    if !is_alone("guests::hoards_folders") {
        return;
    }
    for times in [100, 1_000_000] {
        let installation = Installation::new().await;
        install_tasklet(&installation, "hoards_folders", json!({ "times": times }), "").await;
        let watch = Watch::begin();
        let mut running = installation.start("hostile", json!({})).await;
        let id = running.id();
        let has_ended = async || {
            let status = installation.tenant.execution(id).await.unwrap().status;
            status.has_ended() || installation.log(id).await.contains("hoarded")
        };
        until("hoarded or ended", has_ended).await;
        let descriptors = watch.descriptors();
        assert!(descriptors < 50, "{times}: {descriptors}");
        // A guest that asks a million times has ended by its limit of resources.
        let _ = running.stop().await;
        let ending = ending(&running.wait().await.unwrap());
        assert_eq!(ending.starts_with("FAILED [step-"), times > 1_000, "{times}: {ending}");
    }
}

#[tokio::test]
async fn floods_heads() {
    let rows = [
        // A header of its own length, and how many requests get through which limit of bytes.
        (60_000, 10, 1_000_000, "10", "6"),
        (60_000, 10, 100_000_000, "10", "10"),
        (70_000, 10, 100_000_000, "", ""),
        (3_000_000, 10, 100_000_000, "", ""),
    ];
    for (bytes, times, bytes_max, contract, wasi) in rows {
        let installation = Installation::new().await;
        let mut server = Server::start(Manner::Answers(200));
        let url = server.url("/");
        let more = format!(
            "grants: {{ http: [\"GET {url}\"] }}
        limits: {{ http_bytes_max: {bytes_max} }}"
        );
        let options = json!({ "url": url, "bytes": bytes, "times": times });
        install_tasklet(&installation, "floods_heads", options, &more).await;
        let execution = installation.run("hostile", json!({})).await;
        let found = ["contract", "wasi"].map(|door| summary(&execution, 0, door));
        let told = format!("{bytes}: {} {}", ending(&execution), summary(&execution, 0, "why"));
        assert_eq!(found, [contract, wasi], "{told}");
        let usage = execution.steps[0].usage;
        let sent: u64 = found.iter().map(|sent| sent.parse().unwrap_or(0)).sum();
        // Requests that the limit of bytes refuses are counted as well.
        assert!((sent..=2 * times).contains(&usage.http_requests), "{told}");
        assert!((sent * bytes..=bytes_max).contains(&usage.http_bytes_sent), "{}", usage.http_bytes_sent);
        assert_eq!(server.is_untouched(), sent == 0, "{told}");
    }
}

#[tokio::test]
async fn looks_around() {
    let installation = Installation::new().await;
    let options = json!({ "random_bytes": 1 << 20 });
    install_tasklet(&installation, "looks_around", options, "").await;
    for _ in 0..2 {
        let execution = installation.run("hostile", json!({})).await;
        assert_eq!(ending(&execution), "COMPLETED");
        let step = &execution.steps[0];
        let found: Vec<_> = step.summary.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = "environment=[] arguments=[] current folder=None input=[] earlier runs=0 /=[] /work=[] \
                        /tmp=[] .=[] random bytes=1048576";
        for fact in &found {
            assert!(expected.contains(fact.as_str()), "{fact}");
        }
        assert_eq!(found.len(), 10);
    }
    // More than a megabyte in one call is refused.
    let (_, execution) = run_tasklet("looks_around", json!({ "random_bytes": 1 << 30 }), "").await;
    assert_failed(&execution, "step-trapped", "");
    assert_eq!(summary(&execution, 0, "random bytes"), "");
}

#[tokio::test]
async fn waits_for_http() {
    for (manner, last_words) in [(Manner::Hangs, "the head"), (Manner::Stalls, "the body")] {
        let installation = Installation::new().await;
        let mut server = Server::start(manner);
        let url = server.url("/");
        let grants = format!("grants: {{ http: [\"GET {url}\"] }}");
        install_tasklet(&installation, "waits_for_http", json!({ "url": url }), &grants).await;
        let mut running = installation.start("hostile", json!({})).await;
        server.request().await;
        let words = format!("waiting for {last_words}");
        until(&words, async || installation.log(running.id()).await.contains(&words)).await;
        running.stop().await.unwrap();
        assert_eq!(ending(&running.wait().await.unwrap()), "STOPPED");
    }
}

/// Every call that can wait for a request or a clock. For the disk, see
/// `a_disk_that_hangs_holds_up_no_thread_and_no_end`.
const WAITS: [&str; 13] = [
    "http.send",
    "exchange.write",
    "exchange.finish",
    "response.read",
    "poll",
    "pollable.block",
    "future.block",
    "input-stream.blocking-read",
    "input-stream.blocking-skip",
    "output-stream.blocking-write-and-flush",
    "output-stream.blocking-write-zeroes-and-flush",
    "output-stream.blocking-flush",
    "output-stream.blocking-splice",
];

#[tokio::test]
async fn waits_in_calls() {
    // How long a step may take to end after its limit or a stop: on a busy machine more than the grace.
    const END_MAX: Duration = Duration::from_secs(10);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (format!("http://{}/", silent.local_addr().unwrap()), silent);
    let (hangs, stalls) = (Server::start(Manner::Hangs), Server::start(Manner::Stalls));
    let urls = [silent.0.clone(), hangs.url("/"), stalls.url("/")];
    let grants = urls.each_ref().map(|url| format!("POST {url}"));
    let quotas = Quotas { stop_grace_ms: 200, ..Quotas::default() };
    let policy = Policy::own_machine(".").with_loopback().with_quotas(quotas);
    let installation = Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await;
    let job = |name: &str, call: &str, limits: &str| {
        let [silent, hangs, stalls] = &urls;
        let options = json!({ "call": call, "silent": silent, "hangs": hangs, "stalls": stalls });
        let (tasklet, grants) = (json!({ "guest": options }), json!({ "http": grants }));
        format!(
            "  {name}: {{ type: test, steps: [ {{ name: wait, tasklet: {tasklet}, grants: {grants} {limits} }} ] }}\n"
        )
    };
    let mut jobs = "jobs:\n".to_owned();
    for (number, call) in WAITS.iter().enumerate() {
        jobs += &job(&format!("limited{number}"), call, ", limits: { time_ms_max: 1000 }");
        jobs += &job(&format!("stopped{number}"), call, "");
    }
    installation.install(&[("guest", path_of("waits_in_calls"))], &jobs).await;
    for (number, call) in WAITS.iter().enumerate() {
        let began_at = Instant::now();
        let execution = installation.run(&format!("limited{number}"), json!({})).await;
        let ending = ending(&execution);
        assert!(ending.starts_with("FAILED [step-time-limit]"), "{call}: {ending}");
        assert!(began_at.elapsed() < END_MAX, "{call} after {:?}", began_at.elapsed());
    }
    for (number, call) in WAITS.iter().enumerate() {
        let mut running = installation.start(&format!("stopped{number}"), json!({})).await;
        until("waiting", async || installation.log(running.id()).await.contains("waiting")).await;
        let asked_at = Instant::now();
        running.stop().await.unwrap();
        let ending = ending(&running.wait().await.unwrap());
        assert_eq!(ending, "STOPPED", "{call}");
        assert!(asked_at.elapsed() < END_MAX, "{call} after {:?}", asked_at.elapsed());
    }
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
async fn forges_texts() {
    for (ends, status) in
        [("error", "FAILED"), ("panic", "FAILED"), ("status", "COMPLETED"), ("well", "COMPLETED")]
    {
        let (_, execution) = run_tasklet("forges_texts", json!({ "ends": ends }), "").await;
        let step = &execution.steps[0];
        assert_eq!(execution.status.as_str(), status, "{ends}");
        // The stored text is the guest's. A command shows it on one line, without control characters.
        let said = step.errors.iter().chain([&step.exit_status.code, &step.exit_status.description]);
        for text in said.filter(|text| text.contains("PWNED")) {
            let shown = Visible::line(text);
            assert!(!shown.as_str().trim_end().contains(char::is_control), "{ends}: {shown:?}");
        }
        assert!(step.errors.iter().any(|error| error.contains("FORGED")), "{ends}");
    }
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
