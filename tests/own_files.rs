//! The installation's own files: no job reaches them through any interface, Stepbox runs only compiled code that it
//! made, and no other user writes them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;
use stepbox::Stepbox;
use stepbox::batch::name::TenantId;
use stepbox::{NamedStorage, Policy};
use stepbox_guest_artifacts::hostile;

use crate::support::{Installation, Manner, Server, ending, install, local, start, tempdir};

const OWN: &str = "[path-in-data-folder]";

fn path_of(guest: &str) -> &'static str {
    hostile::ALL.iter().find(|(name, _)| *name == guest).map(|(_, path)| path).expect("there is such a guest")
}

/// Exports from a file to another one. Returns the result.
async fn export(installation: &Installation, from: &str, to: &str) -> String {
    let (from, to) = (local(installation.path(from)), local(installation.path(to)));
    ending(&installation.run("csv_export", json!({ "source": from, "storage": to })).await)
}

#[tokio::test]
async fn no_export_reads_or_writes_what_is_the_installations() {
    let token = tempdir().unwrap();
    fs::write(token.path().join("token"), "a;secret\n").unwrap();
    let installation = Installation::with(|builder| builder.own_path(token.path().join("token"))).await;
    installation.write("in.csv", "network: { loopback: true }\n1\n");
    let store = fs::read(installation.path("data/stepbox.db")).unwrap();
    symlink("data", installation.path("elsewhere")).unwrap();
    symlink("data/policy.yaml", installation.path("link.yaml")).unwrap();
    fs::hard_link(installation.path("data/stepbox.db"), installation.path("hard.db")).unwrap();
    assert_eq!(export(&installation, "in.csv", "out.csv").await, "COMPLETED");
    for to in [
        "data/policy.yaml",
        "data/stepbox.db",
        "data/new/t.csv",
        "data/compiled/x.cwasm",
        "elsewhere/policy.yaml",
        "x/../data/policy.yaml",
        "hard.db",
    ] {
        let ended = export(&installation, "in.csv", to).await;
        assert!(ended.starts_with("FAILED") && ended.contains(OWN), "{to}: {ended}");
    }
    for from in [
        "data/executions/1/log.jsonl",
        "elsewhere/executions/1/log.jsonl",
        "data/stepbox.db",
        "hard.db",
        "data/none",
    ] {
        let ended = export(&installation, from, "out.csv").await;
        assert!(ended.starts_with("FAILED") && ended.contains(OWN), "{from}: {ended}");
    }
    let secret = token.path().join("token");
    let parameters = json!({ "source": local(&secret), "storage": local(installation.path("out.csv")) });
    let ended = ending(&installation.run("csv_export", parameters).await);
    assert!(ended.contains(OWN), "{ended}");
    assert!(!installation.path("data/policy.yaml").exists() && !installation.path("data/new").exists());
    assert!(fs::read(installation.path("data/stepbox.db")).unwrap().starts_with(&store[..16]));
}

#[tokio::test]
async fn no_step_is_granted_a_folder_with_the_installations_files() {
    let installation = Installation::new().await;
    symlink("data", installation.path("elsewhere")).unwrap();
    fs::create_dir(installation.path("box")).unwrap();
    let jobs = "jobs:
  hostile:
    type: test
    parameters: { properties: { a: { type: string } }, required: [a] }
    steps:
      - { name: attack, tasklet: { guest: {} }, grants: { files: { box: \"write ${parameters.a}\" } } }
";
    installation.install(&[("guest", path_of("own_exit_status"))], jobs).await;
    for (folder, expected) in [
        ("box", "COMPLETED"),
        ("data", OWN),
        ("data/compiled", OWN),
        ("data/executions", OWN),
        ("elsewhere", OWN),
        ("elsewhere/components", OWN),
        ("box/../data", OWN),
        ("", OWN),
        ("/", OWN),
    ] {
        let ended = ending(&installation.run("hostile", json!({ "a": installation.path(folder) })).await);
        assert!(ended.contains(expected), "{folder}: {ended}");
    }
}

/// A component cannot open a hard link to the store in its folder through either interface.
#[tokio::test]
async fn a_hard_link_in_a_granted_folder_opens_through_neither_door() {
    let installation = Installation::new().await;
    installation.write("inbox/a.txt", "allowed");
    installation.write("secret.txt", "the secret");
    // The guest looks for a file of this name, and must not see it.
    fs::hard_link(installation.path("data/stepbox.db"), installation.path("inbox/file-link")).unwrap();
    let jobs = format!(
        "jobs:
  hostile:
    type: test
    steps:
      - {{ name: attack, tasklet: {{ guest: {{}} }}, grants: {{ files: {{ inbox: read {} }} }} }}
",
        installation.path("inbox").display()
    );
    installation.install(&[("guest", path_of("climbs_out"))], &jobs).await;
    let execution = installation.run("hostile", json!({})).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let of = |name: &str| crate::support::summary(&execution, 0, name);
    // The length of a file is known without opening it. All other calls were refused, and the granted file was read.
    assert_eq!(
        (of("escapes"), of("reads")),
        ("1".to_owned(), "2".to_owned()),
        "{:#?}",
        execution.steps[0].summary
    );
    assert_eq!(of("std stat /inbox/file-link"), "SUCCEEDED");
    assert!(
        of("files read inbox/file-link").contains("a further name of a file"),
        "{}",
        of("files read inbox/file-link")
    );
}

#[tokio::test]
async fn a_value_does_not_change_the_grant_or_the_path_around_it() {
    let installation = Installation::new().await;
    let mut server = Server::start(Manner::Answers(200));
    installation.write("tenants/acme/in.csv", "a\n1\n");
    installation.write("tenants/in.csv", "other\n1\n");
    let jobs = format!(
        "jobs:
  calls:
    type: test
    parameters: {{ properties: {{ a: {{ type: string }}, url: {{ type: string }} }}, required: [a] }}
    steps:
      - {{ name: attack, tasklet: {{ guest: {{ url: \"${{parameters.url}}\" }} }},
           grants: {{ http: [\"GET {}/${{parameters.a}}\"] }} }}
  copies:
    type: test
    parameters: {{ properties: {{ a: {{ type: string }} }} }}
    steps:
      - name: copy
        reader: {{ csv: {{ from: \"{}/${{parameters.a}}/in.csv\" }} }}
        writer: {{ csv: {{ to: {{ type: local, file_path: \"{}/${{parameters.a}}.csv\" }} }} }}
",
        server.url("/customers"),
        installation.path("tenants").display(),
        installation.path("out").display()
    );
    installation.install(&[("guest", path_of("waits_for_http"))], &jobs).await;
    for value in ["..", "%2e%2e", "../*", "*", "x/../../*", "", "a/b"] {
        let run = installation.run("calls", json!({ "a": value, "url": server.url("/admin") })).await;
        assert!(ending(&run).contains("[parameter-unfit]"), "{value}: {}", ending(&run));
    }
    assert!(server.is_untouched());
    for value in ["..", ".", "", "acme/..", "/etc"] {
        let ended = ending(&installation.run("copies", json!({ "a": value })).await);
        assert!(ended.contains("[parameter-unfit]"), "{value}: {ended}");
    }
    assert_eq!(ending(&installation.run("copies", json!({ "a": "acme" })).await), "COMPLETED");
    assert_eq!(installation.read("out/acme.csv"), "a\n1\n");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        }
        found.push(path);
    }
    found
}

#[tokio::test]
async fn compiled_code_that_somebody_else_made_is_made_anew() {
    let installation = Installation::new().await;
    let guest = [("guest", path_of("own_exit_status"))];
    let jobs = "jobs:\n  job: { type: test, steps: [ { name: step, tasklet: guest } ] }\n";
    installation.install(&guest, jobs).await;
    let told = "was not what this installation had made";
    let run = async |installation: &Installation| {
        let tenant = installation.reopened(|builder| builder).await;
        let execution = start(&tenant, "job", json!({})).await.wait().await.unwrap();
        assert_eq!(ending(&execution), "COMPLETED");
        let log = tenant.log(execution.id).await.unwrap();
        log.iter().any(|line| line.message.contains(told))
    };
    assert!(!run(&installation).await, "nothing to tell");
    let code =
        files_below(&installation.path("data/compiled")).into_iter().find(|path| path.is_file()).unwrap();
    let whole = fs::read(&code).unwrap();
    // A flipped bit of the code, and code with only a checksum, the form of earlier versions.
    let mut flipped = whole.clone();
    flipped[5000] ^= 1;
    let digest: Vec<u8> = stepbox::digest_of(&whole[32..])
        .as_str()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    for bytes in [flipped, [digest, whole[32..].to_vec()].concat()] {
        fs::write(&code, bytes).unwrap();
        assert!(run(&installation).await, "it is told");
        assert!(!run(&installation).await, "and mended");
    }
    let key = fs::metadata(installation.path("data/compiled.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_made_in_the_data_folder_is_its_owners_alone() {
    let installation = Installation::new().await;
    installation.write("in.csv", "a,b\n1,2\nragged\n");
    let jobs = "jobs:
  skips:
    type: test
    steps:
      - { name: copy, reader: { csv: { from: in.csv } }, writer: { csv: { to: out.csv } } }
      - { name: step, tasklet: guest }
";
    installation.install(&[("guest", path_of("own_exit_status"))], jobs).await;
    assert_eq!(ending(&installation.run("skips", json!({})).await), "COMPLETED");
    let found = files_below(&installation.path("data"));
    let has = |end: &str| found.iter().any(|path| path.to_string_lossy().ends_with(end));
    assert!(has(".wasm") && has("log.jsonl") && has("rejected/copy.csv") && has(".cwasm"), "{found:?}");
    for path in found {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

async fn opened(data: &Path, policy: Policy) -> String {
    match Stepbox::builder(data).tenant(TenantId::default(), policy).open().await {
        Ok(_) => "opened".to_owned(),
        Err(error) => {
            assert!(error.help().is_some(), "{error}");
            error.code().to_owned()
        }
    }
}

#[tokio::test]
async fn a_data_folder_that_others_can_write_is_refused() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let policy = || Policy::own_machine(folder.path());
    assert_eq!(opened(&data, policy()).await, "opened");
    for path in ["data", "data/components", "data/executions", "data/stepbox.db"] {
        let path = folder.path().join(path);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::set_permissions(&path, Permissions::from_mode(mode | 0o002)).unwrap();
        assert_eq!(opened(&data, policy()).await, "writable-by-others", "{}", path.display());
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(opened(&data, policy()).await, "opened");
    }
}

#[tokio::test]
async fn a_policy_that_opens_the_data_folder_is_refused() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(opened(&data, Policy::nothing()).await, "opened");
    let open = async |path: &str, expected: &str| {
        let path = folder.path().join(path);
        let storage = NamedStorage::local("all", &path).unwrap();
        assert_eq!(opened(&data, Policy::nothing().with_storage(storage)).await, expected);
        assert_eq!(opened(&data, Policy::nothing().with_folder(&path)).await, expected);
    };
    open("data", "path-in-data-folder").await;
    open("data/executions", "path-in-data-folder").await;
    // Its files are protected one by one.
    open("", "opened").await;
}

#[tokio::test]
async fn a_connector_brings_no_link_and_no_file_of_the_installations() {
    let installation = Installation::new().await;
    let tenant = &installation.tenant;
    install(tenant, installation.folder.path(), &[("guest", path_of("own_exit_status"))], JOB).await;
    let connector = installation.path("connector");
    let component = fs::read(connector.join("guest.wasm")).unwrap();
    let code = async || match tenant.install_connector(&connector).await {
        Ok(_) => "installed".to_owned(),
        Err(error) => error.code().to_owned(),
    };
    assert_eq!(code().await, "installed");
    let replace = |name: &str, target: &Path| {
        fs::remove_file(connector.join(name)).unwrap();
        symlink(target, connector.join(name)).unwrap();
    };
    installation.write("outside.wasm", &component);
    for target in [installation.path("outside.wasm"), "/dev/zero".into(), "/etc/passwd".into()] {
        replace("guest.wasm", &target);
        assert_eq!(code().await, "component-unreadable", "{}", target.display());
    }
    fs::remove_file(connector.join("guest.wasm")).unwrap();
    fs::write(connector.join("guest.wasm"), &component).unwrap();
    for target in ["/dev/zero", "/etc/passwd", "/proc/self/environ"] {
        replace("connector.yaml", Path::new(target));
        assert_eq!(code().await, "connector-file-unreadable", "{target}");
    }
    fs::remove_file(connector.join("connector.yaml")).unwrap();
    fs::hard_link(installation.path("data/stepbox.db"), connector.join("connector.yaml")).unwrap();
    assert_eq!(code().await, "connector-file-unreadable");
}

const JOB: &str = "jobs:\n  job: { type: test, steps: [ { name: step, tasklet: guest } ] }\n";
