//! The worked example, `examples/csv-notify`, from the view of its users.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepbox::batch::execution::status::BatchStatus;
use stepbox_guest_artifacts::steps;

use crate::support::{
    self, Installation, Manner, Server, counts, ending, local, nobodys_url, start, summary,
};

/// Installs the example with components built from the sources.
async fn install(installation: &Installation) {
    let folder = installation.path("csv-notify");
    std::fs::create_dir_all(folder.join("steps")).unwrap();
    std::fs::copy(example().join("connector.yaml"), folder.join("connector.yaml")).unwrap();
    std::fs::copy(steps::NORMALISE, folder.join("steps/normalise.wasm")).unwrap();
    std::fs::copy(steps::NOTIFY, folder.join("steps/notify.wasm")).unwrap();
    let connector = installation.tenant.install_connector(&folder).await;
    connector.unwrap_or_else(|error| panic!("{error}"));
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/csv-notify")
}

fn parameters(url: &str, more: Value) -> Value {
    let mut parameters = json!({
        "source": local(example().join("data/catalogue.csv")),
        "storage": local("out/products.csv"),
        "urlToNotify": url,
    });
    parameters.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    parameters
}

#[tokio::test]
async fn exports_the_catalogue_and_notifies_the_other_application() {
    let installation = Installation::new().await;
    install(&installation).await;
    let mut server = Server::start(Manner::Answers(204));
    let more = json!({ "decimalSeparator": ",", "dateFormat": "dd.MM.yyyy" });
    let execution =
        installation.run("csv_product_export_notify", parameters(&server.url("/exported"), more)).await;

    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), "read=240 written=237 filtered=0 skipped=3");
    let warnings = installation.tenant.warnings(execution.id).await.unwrap();
    let warnings: Vec<_> = warnings.iter().map(|w| format!("{} at {}", w.code, w.place)).collect();
    assert_eq!(warnings.len(), 3);
    assert!(warnings.iter().any(|w| w.starts_with("missing-identifier at line ")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.starts_with("impossible-date at line ")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.starts_with("ragged-row at line ")), "{warnings:?}");

    let output = installation.read("out/products.csv");
    let mut lines = output.lines();
    assert_eq!(
        lines.next().unwrap(),
        "sku;name-en_US;name-de_DE;categories;enabled;price-EUR;weight;weight-unit;released_on;description-en_US"
    );
    assert_eq!(
        lines.next().unwrap(),
        "AC-1001;Double Satchel;Ranzen;home;1;205,00;2,9;KILOGRAM;19.06.2019;A double satchel, made to last."
    );

    let request = server.request().await;
    assert!(request.starts_with("POST /exported HTTP/1.1\r\n"), "{request}");
    let directory = form_encoded(installation.path("out").to_str().unwrap());
    assert!(request.ends_with(&format!("directory={directory}")), "{request}");
    assert_eq!(summary(&execution, 1, "notified"), "yes");
}

fn form_encoded(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'*');
    text.bytes().map(|b| if is_plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The resources for a bill: counted by the byte if possible, and stored.
#[tokio::test]
async fn says_what_each_step_used() {
    let installation = Installation::new().await;
    install(&installation).await;
    let mut server = Server::start(Manner::Answers(204));
    let execution =
        installation.run("csv_product_export_notify", parameters(&server.url("/"), json!({}))).await;
    let request = server.request().await;
    let stored = installation.tenant.execution(execution.id).await.unwrap();
    let [export, notify] = &stored.steps[..] else { panic!("{stored:?}") };
    assert_eq!((export.usage, notify.usage), (execution.steps[0].usage, execution.steps[1].usage));

    let length = |path: &Path| std::fs::metadata(path).unwrap().len();
    let used = export.usage;
    assert_eq!((used.files_read, used.file_bytes_read), (1, length(&example().join("data/catalogue.csv"))));
    let written = length(&installation.path("out/products.csv"));
    assert_eq!((used.files_written, used.file_bytes_written), (1, written));
    assert!(used.cpu_us > 0 && used.memory_bytes_peak >= 64 << 10, "{used:?}");
    assert_eq!((used.http_requests, used.http_bytes_sent), (0, 0));

    let used = notify.usage;
    let body = format!("directory={}", form_encoded(installation.path("out").to_str().unwrap()));
    assert!(request.contains(&body), "{request}");
    assert_eq!(used.http_requests, 1);
    assert!(used.http_bytes_sent > body.len() as u64, "heads count: {used:?}");
    assert!(used.cpu_us > 0 && used.host_calls > 0, "{used:?}");
    assert_eq!(used.file_bytes_read + used.file_bytes_written, 0);
}

#[tokio::test]
async fn a_notification_that_fails_fails_the_job_unless_it_may() {
    let installation = Installation::new().await;
    install(&installation).await;
    for (server, url) in [(None, nobodys_url()), {
        let server = Server::start(Manner::Answers(500));
        let url = server.url("/");
        (Some(server), url)
    }] {
        for may_fail in [false, true] {
            let more = json!({ "notifyFailureIsError": !may_fail });
            let execution = installation.run("csv_product_export_notify", parameters(&url, more)).await;
            let expected = if may_fail { BatchStatus::Completed } else { BatchStatus::Failed };
            assert_eq!(execution.status, expected, "{}", ending(&execution));
            assert_eq!(summary(&execution, 1, "notified"), "no");
            assert_eq!(execution.steps[1].errors.len(), 1, "the error is told either way");
            if !may_fail {
                assert_eq!(execution.steps[1].failures[0].code, "notification-failed");
            }
            assert_eq!(execution.steps[0].status, BatchStatus::Completed, "the export itself is done");
        }
        drop(server);
    }
}

#[tokio::test]
async fn a_host_that_hangs_does_not_keep_a_stop_waiting() {
    let installation = Installation::new().await;
    install(&installation).await;
    let mut server = Server::start(Manner::Hangs);
    let mut running =
        start(&installation.tenant, "csv_product_export_notify", parameters(&server.url("/"), json!({})))
            .await;
    server.request().await;
    running.stop().await.unwrap();
    let execution = running.wait().await.unwrap();
    assert_eq!(ending(&execution), "STOPPED");
}

/// The program in the embedders' guide, in a folder of its own.
#[tokio::test]
async fn the_example_for_embedders_runs() {
    let installation = Installation::new().await;
    install(&installation).await;
    let mut server = Server::start(Manner::Answers(200));
    std::fs::copy(example().join("data/catalogue.csv"), installation.path("catalogue.csv")).unwrap();
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../embed-minimal");
    assert!(program.exists(), "`cargo xtask test` builds {}", program.display());
    let output = support::mark(&mut std::process::Command::new(program))
        .current_dir(installation.folder.path())
        .arg(installation.path("csv-notify"))
        .args(["catalogue.csv", &server.url("/exported")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        told.trim_end(),
        "execution 1: COMPLETED Counts { read: 240, written: 237, filtered: 0, skipped: 3 }",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(server.request().await.starts_with("POST /exported"));
}

/// The example of a host with two customers: one may send requests, and the other one may not.
#[tokio::test]
async fn the_example_of_a_host_with_two_customers_runs() {
    let installation = Installation::new().await;
    install(&installation).await;
    let mut server = Server::start(Manner::Answers(200));
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../embed-multi-tenant");
    assert!(program.exists(), "`cargo xtask test` builds {}", program.display());
    let output = support::mark(&mut std::process::Command::new(program))
        .current_dir(installation.folder.path())
        .arg(installation.path("csv-notify"))
        .arg(example().join("data/catalogue.csv"))
        .arg(server.url("/exported"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = told.lines().collect();
    let [acme, bolt, acmes_bill, bolts_bill] = lines[..] else { panic!("{told}\n{problems}") };
    assert_eq!((acme, bolt), ("acme: execution 1 COMPLETED", "bolt: execution 2 FAILED"));
    assert!(acmes_bill.starts_with("acme: 1 executions, 237 items, "), "{acmes_bill}");
    assert!(acmes_bill.ends_with(" ms of processor time, 1 requests, 0 refused"), "{acmes_bill}");
    assert!(bolts_bill.ends_with(" ms of processor time, 0 requests, 1 refused"), "{bolts_bill}");
    assert!(server.request().await.starts_with("POST /exported"));
}

/// A catalogue with the oddities of real ones, and, if it is there, the real catalogue that this project is measured
/// on. We may not publish that one.
#[tokio::test]
async fn every_value_of_a_catalogue_arrives() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    check_every_value(&here.join("data/odd_catalogue.csv"), 60, 12).await;
    let real = here.join("../../shared/data/icecat_products.csv");
    if real.exists() {
        check_every_value(&real, 1239, 111).await;
    }
}

async fn check_every_value(catalogue: &Path, rows: usize, columns: usize) {
    let installation = Installation::new().await;
    install(&installation).await;
    let server = Server::start(Manner::Answers(200));
    let more = json!({
        "source": local(catalogue), "sourceDelimiter": ";", "decimalSeparator": ",", "dateFormat": "dd/MM/yyyy",
    });
    let execution = installation.run("csv_product_export_notify", parameters(&server.url("/"), more)).await;
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), format!("read={rows} written={rows} filtered=0 skipped=0"));
    compare(catalogue, &installation.path("out/products.csv"), columns);
}

/// Reads both files again: each value is the input's, or the documented result of `normalise`.
fn compare(input: &Path, output: &Path, columns: usize) {
    let open =
        |path: &Path| csv::ReaderBuilder::new().delimiter(b';').has_headers(false).from_path(path).unwrap();
    let mut written = open(output).into_records();
    let (mut rows, mut changed) = (0, 0);
    for read in open(input).records() {
        let (read, written) = (read.unwrap(), written.next().expect("as many rows").unwrap());
        assert_eq!((read.len(), written.len()), (columns, columns));
        for (column, (from, to)) in read.iter().zip(&written).enumerate() {
            let expected = if column == 0 || rows == 0 { from.to_owned() } else { normalised(from) };
            assert_eq!(to, expected, "row {rows}, column {column}");
            changed += usize::from(from != to);
        }
        rows += 1;
    }
    assert!(written.next().is_none(), "no more rows than were read");
    assert!(changed > 0, "the catalogue has decimals");
}

/// The documented rule, written in another way than in the component.
fn normalised(cell: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((whole, fraction)) = cell.split_once('.')
        && digits(whole.strip_prefix('-').unwrap_or(whole))
        && digits(fraction)
    {
        return cell.replace('.', ",");
    }
    match cell.split('-').collect::<Vec<_>>()[..] {
        [y, m, d] if (y.len(), m.len(), d.len()) == (4, 2, 2) && digits(y) && digits(m) && digits(d) => {
            format!("{d}/{m}/{y}")
        }
        _ => cell.to_owned(),
    }
}
