//! The state after a process dies in the middle of a job.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::{NewInstance, RestartOptions};

use crate::support::{Installation, PATIENCE, counts, ending, local, mark, stepbox_binary};

/// Chunks of one row, so that a run lasts for some checkpoints.
const JOBS: &str = r#"
jobs:
  slow_export:
    type: export
    parameters:
      extends: csv_export
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 1
"#;

const ROWS: usize = 3_000_000;

#[tokio::test]
async fn a_killed_run_goes_on_from_its_checkpoint_to_the_same_output() {
    let installation = Installation::new().await;
    installation.install(&[], JOBS).await;
    let rows: String = (0..ROWS).map(|row| format!("{row},item {row}\n")).collect();
    let input = format!("sku,name\n{rows}");
    installation.write("in.csv", &input);
    create_instance(&installation, "out.csv").await;

    let mut run = mark(&mut Command::new(stepbox_binary()))
        .current_dir(installation.folder.path())
        .args(["--data-dir", "data", "run", "export"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began_at = Instant::now();
    let killed = loop {
        assert!(began_at.elapsed() < PATIENCE, "no checkpoint within {PATIENCE:?}");
        let executions = installation.tenant.executions(&ExecutionFilter::default()).await.unwrap();
        let execution = executions.into_iter().next();
        if let Some(execution) = execution {
            assert!(execution.ended_at.is_none(), "it ended before it could be killed");
            if execution.steps.first().is_some_and(|step| step.counts.written > 0) {
                break execution.id;
            }
        }
        tokio::task::yield_now().await;
    };
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!installation.path("out.csv").exists(), "nothing half-written has the final name");

    let later = installation.reopened(|builder| builder).await;
    let lost = later.execution(killed).await.unwrap();
    assert!(ending(&lost).starts_with("FAILED [worker-lost]"), "{}", ending(&lost));
    let committed = lost.steps[0].counts.written;
    assert!(committed > 0 && committed < ROWS as u64);

    let mut restarted = later.restart_execution(killed, RestartOptions::default()).await.unwrap();
    let execution = restarted.wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), format!("read={ROWS} written={ROWS} filtered=0 skipped=0"));
    assert!(installation.read("out.csv") == input, "the output is that of an undisturbed run");

    let again = later.restart_execution(killed, RestartOptions::default()).await.unwrap_err();
    assert_eq!(again.code(), "in-use", "what was gone on from is not gone on from twice: {again}");
}

/// A file system of 64 KiB, in a name space that ends with the command, and later of 1 MiB. If the kernel does not
/// allow that, only the tests of the connectors and the store cover a full disk.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
async fn a_full_disk_fails_the_step_and_a_restart_with_room_ends_like_an_undisturbed_run() {
    let own_mounts = |script: &str| {
        let mut command = Command::new("unshare");
        mark(&mut command);
        command.args(["--map-root-user", "--mount", "sh", "-c", script]);
        command
    };
    if !own_mounts("true").status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: the kernel lets nobody have a name space here, so no disk is made full");
        return;
    }
    let installation = Installation::new().await;
    installation.install(&[], &format!("{JOBS}        checkpoint: {{ items: 1000 }}\n")).await;
    let rows: String = (0..10_000).map(|row| format!("{row},item {row}\n")).collect();
    let input = format!("sku,name\n{rows}");
    installation.write("in.csv", &input);
    std::fs::create_dir(installation.path("small")).unwrap();
    create_instance(&installation, "small/out.csv").await;

    let script = r#"mount -t tmpfs -o size=64k none small
        "$0" --data-dir data run export 2>&1; echo "exit $?"; ls -A small
        mount -o remount,size=1m small
        "$0" --data-dir data executions restart 1 >restart.txt 2>&1; echo "exit $?"; ls -A small
        cp small/out.csv whole.csv"#;
    let output = own_mounts(script).arg(stepbox_binary()).current_dir(installation.folder.path()).output();
    let told = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(told.contains("docs: errors#disk-full"), "{told}");
    let restart = installation.read("restart.txt");
    assert!(told.ends_with("exit 3\n.out.csv.1.1-1.part\nexit 0\nout.csv\n"), "{told}{restart}");
    assert!(installation.read("whole.csv") == input, "the output is that of an undisturbed run");

    let listed = installation.tenant.executions(&ExecutionFilter::default()).await.unwrap();
    let [restarted, failed] = &listed[..] else { panic!("{listed:?}") };
    let restarted = &installation.tenant.execution(restarted.id).await.unwrap();
    let failed = &installation.tenant.execution(failed.id).await.unwrap();
    assert!(ending(failed).starts_with("FAILED [disk-full]"), "{}", ending(failed));
    let committed = failed.steps[0].counts.written;
    assert!(committed > 0 && committed < 10_000, "{committed}");
    assert_eq!(ending(restarted), "COMPLETED");
    assert_eq!(counts(restarted, 0), "read=10000 written=10000 filtered=0 skipped=0");
}

#[tokio::test]
async fn an_execution_without_a_working_folder_ends_with_its_reason() {
    let installation = Installation::new().await;
    installation.write("data/executions/1", "a file where a folder belongs");
    installation.write("in.csv", "sku\n1\n");
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let execution = installation.run("csv_export", parameters).await;
    assert!(ending(&execution).starts_with("FAILED [data-folder]"), "{}", ending(&execution));
    assert_eq!(installation.tenant.execution(execution.id).await.unwrap(), execution, "as it is stored");
    assert!(!installation.path("out.csv").exists());
}

async fn create_instance(installation: &Installation, output: &str) {
    let new = NewInstance {
        connector: "test".to_owned(),
        job: "slow_export".to_owned(),
        job_type: "export".to_owned(),
        code: "export".to_owned(),
        label: None,
        parameters: json!({ "source": local("in.csv"), "storage": local(output) }),
    };
    installation.tenant.create_instance(new).await.expect("the parameters are right");
}
