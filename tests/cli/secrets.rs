//! Secrets at the command line: their sources, the messages about them, and that no command prints them.

use std::path::PathBuf;

use stepbox_guest_artifacts::hostile;

use super::session::Folder;
use super::twice::play_here;
use crate::secrets::{Echo, VALUE, files_with, jobs};

/// A job whose first step sends a secret, and whose grants also lead to other hosts than the secret's.
const CRM: &str = r#"
connector: crm
components: { push: push.wasm }
jobs:
  crm_push:
    type: export
    parameters: { properties: { url: { type: string, default: "https://api.example.com" } } }
    steps:
      - name: push
        tasklet: { push: { status: "${secrets.crm_token}" } }
        grants: { http: ["POST https://*.example.com", "GET https://other.example"] }
      - name: report
        tasklet: { push: { status: "Bearer ${secrets.crm_token}" } }
        grants: { http: ["POST ${parameters.url}"] }
      - name: wait
        tasklet: { push: { status: "${secrets.crm_token}" } }
"#;

#[test]
fn secrets_come_from_the_policy_file() {
    let folder = Folder::new();
    folder.write("crm/connector.yaml", CRM);
    folder.write("crm/push.wasm", std::fs::read(hostile::OWN_EXIT_STATUS).expect("the guest was built"));
    play_here("secrets", &folder);
}

#[test]
fn no_command_prints_a_secret() {
    let (echo, other) = (Echo::start("127.0.0.1"), Echo::start("127.0.0.2"));
    let folder = Folder::new();
    folder.write("kept/token", format!("{VALUE}\n"));
    let policy =
        "network: { loopback: true }\nsecrets: { token: { file: ../kept/token, hosts: [127.0.0.1] } }\n";
    folder.write(".stepbox/policy.yaml", policy);
    std::fs::create_dir(folder.path("out")).expect("a folder");
    let jobs = jobs(&echo.url, &other.url, "fail", &folder.path("out"));
    folder.write(
        "test/connector.yaml",
        format!("connector: test\ncomponents: {{ guest: guest.wasm }}\n{jobs}"),
    );
    folder.write("test/guest.wasm", std::fs::read(hostile::ECHOES_SECRETS).expect("the guest was built"));

    let mut told = String::new();
    for line in [
        "stepbox connectors add test",
        "stepbox connectors show test",
        "stepbox connectors show test --format json",
        "stepbox jobs show hostile",
        "stepbox jobs show hostile --format json",
        "stepbox instances create test hostile test attack",
        "stepbox run attack --verbose",
        "stepbox executions restart 1 --verbose --format json",
        "stepbox executions show 1",
        "stepbox executions show 1 --format json",
        "stepbox executions log 1",
        "stepbox executions log 1 --format json",
        "stepbox executions warnings 1",
        "stepbox executions warnings 1 --format json",
    ] {
        let output = folder.shell(line).output().expect("`sh` runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.len() > 10 && !text.contains("panicked at"), "{line}: {text}");
        told.push_str(&text);
    }
    assert!(echo.requests().iter().all(|request| request.contains(VALUE)), "the server got it");
    assert!(told.contains("stepbox-secret-") && told.contains("fails-with-all-it-saw"), "{told}");
    for form in [VALUE.to_owned(), VALUE.to_lowercase()] {
        assert!(!told.contains(&form), "{told}");
        let found = files_with(&folder.path("."), &form);
        assert!(found.iter().all(|path| path.ends_with("kept/token")), "{found:?}");
    }
    assert_ne!(files_with(&folder.path("."), VALUE), Vec::<PathBuf>::new(), "the search finds what there is");
}
