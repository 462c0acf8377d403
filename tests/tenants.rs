//! Two tenants in one store.

use serde_json::json;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::name::TenantId;
use stepbox::{ErrorKind, Policy, RestartOptions, Stepbox, Tenant};
use stepbox_guest_artifacts::{hostile, steps};

use crate::support::{self, counts, ending, local};

const JOBS: &str = r#"
jobs:
  secret_export:
    type: export
    parameters:
      extends: csv_export
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
"#;

async fn two_tenants(folder: &std::path::Path) -> (Tenant, Tenant) {
    let id = |name: &str| TenantId::new(name).unwrap();
    let mut builder = Stepbox::builder(folder.join("data"));
    for name in ["alice", "bob"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        builder = builder.tenant(id(name), Policy::nothing().with_folder(folder.join(name)));
    }
    let stepbox = builder.open().await.unwrap();
    assert_eq!(stepbox.tenant(&id("eve")).unwrap_err().code(), "unknown-tenant");
    (stepbox.tenant(&id("alice")).unwrap(), stepbox.tenant(&id("bob")).unwrap())
}

#[tokio::test]
async fn cannot_see_each_others_instances_components_executions_or_files() {
    let folder = support::tempdir().unwrap();
    let (alice, bob) = two_tenants(folder.path()).await;
    std::fs::write(folder.path().join("alice/in.csv"), "sku,price\n1,2.50\n").unwrap();
    support::install(&alice, folder.path(), &[("normalise", steps::NORMALISE)], JOBS).await;
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let execution = support::start(&alice, "secret_export", parameters).await.wait().await.unwrap();
    assert_eq!(ending(&execution), "COMPLETED");
    assert_eq!(counts(&execution, 0), "read=1 written=1 filtered=0 skipped=0");

    // Bob knows every name and number, and still finds nothing.
    assert!(bob.instances(None).await.unwrap().is_empty());
    assert!(bob.components().await.unwrap().is_empty());
    assert!(bob.executions(&ExecutionFilter::default()).await.unwrap().is_empty());
    assert_eq!(bob.connectors().await.unwrap().len(), 1, "the native one");
    let component = alice.components().await.unwrap()[0].clone();
    let not_found = [
        bob.instance("i0").await.unwrap_err(),
        bob.delete_instance("i0", None).await.unwrap_err(),
        bob.job("secret_export").await.unwrap_err(),
        bob.component(component.digest.as_str()).await.unwrap_err(),
        bob.remove_component(&component.digest).await.unwrap_err(),
        bob.execution(execution.id).await.unwrap_err(),
        bob.warnings(execution.id).await.unwrap_err(),
        bob.log(execution.id).await.unwrap_err(),
        bob.stop_execution(execution.id).await.unwrap_err(),
        bob.abandon_execution(execution.id).await.unwrap_err(),
        bob.restart_execution(execution.id, RestartOptions::default()).await.unwrap_err(),
    ];
    for error in not_found {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(bob.purge_executions(Default::default()).await.unwrap().executions.is_empty());
    assert_eq!(alice.components().await.unwrap().len(), 1, "what bob tried to remove is there");
}

#[tokio::test]
async fn a_tenant_reads_and_writes_below_its_own_folder_alone() {
    let folder = support::tempdir().unwrap();
    let (alice, bob) = two_tenants(folder.path()).await;
    std::fs::write(folder.path().join("alice/in.csv"), "sku\n1\n").unwrap();
    std::fs::write(folder.path().join("bob/in.csv"), "sku\n2\n").unwrap();
    std::os::unix::fs::symlink(folder.path().join("alice"), folder.path().join("bob/link")).unwrap();
    let absolute = folder.path().join("alice/in.csv");
    for source in ["../alice/in.csv", "link/in.csv", absolute.to_str().unwrap()] {
        let parameters = json!({ "source": local(source), "storage": local("out.csv") });
        let execution = support::start(&bob, "csv_export", parameters).await.wait().await.unwrap();
        assert!(ending(&execution).starts_with("FAILED [file-refused]"), "{source}: {}", ending(&execution));
    }
    for target in ["../alice/out.csv", "link/out.csv", folder.path().join("alice/out.csv").to_str().unwrap()]
    {
        let parameters = json!({ "source": local("in.csv"), "storage": local(target) });
        let execution = support::start(&bob, "csv_export", parameters).await.wait().await.unwrap();
        assert!(ending(&execution).starts_with("FAILED [file-refused]"), "{target}: {}", ending(&execution));
    }
    assert!(!folder.path().join("alice/out.csv").exists());
    drop(alice);
}

/// Compiled code is found by its content alone. Neither a name nor a version leads to another tenant's component. A
/// component of two tenants stays while one of them needs it.
#[tokio::test]
async fn components_are_found_by_their_content_whatever_another_tenant_calls_so() {
    let folder = support::tempdir().unwrap();
    let (alice, bob) = two_tenants(folder.path()).await;
    let jobs = "jobs:\n  job: { type: test, steps: [ { name: run, tasklet: guest } ] }\n";
    let run = async |tenant: &Tenant| {
        let execution = support::start(tenant, "job", json!({})).await.wait().await.unwrap();
        execution.exit_status.code.to_string()
    };
    support::install(&alice, folder.path(), &[("guest", hostile::OWN_EXIT_STATUS)], jobs).await;
    support::install(&bob, folder.path(), &[("guest", hostile::FAILS_WITH_ERROR)], jobs).await;
    for _ in 0..2 {
        assert_eq!((run(&alice).await.as_str(), run(&bob).await.as_str()), ("PARTIAL", "FAILED"));
    }
    support::install(&bob, folder.path(), &[("guest", hostile::OWN_EXIT_STATUS)], jobs).await;
    assert_eq!(run(&bob).await, "PARTIAL");
    support::install(&alice, folder.path(), &[("guest", hostile::FAILS_WITH_ERROR)], jobs).await;
    let shared = std::fs::read(hostile::OWN_EXIT_STATUS).unwrap();
    let shared =
        alice.components().await.unwrap().into_iter().find(|known| known.size_bytes == shared.len() as u64);
    alice.remove_component(&shared.unwrap().digest).await.unwrap();
    assert_eq!((run(&alice).await.as_str(), run(&bob).await.as_str()), ("FAILED", "PARTIAL"));
}
