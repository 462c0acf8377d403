//! The audit trail, from outside.

use serde_json::json;
use stepbox::batch::audit::{AuditAction, AuditFilter};
use stepbox::{Purge, RestartOptions, Tenant};

use crate::support::{Installation, ending, local, start};

/// `julia instance-created i0`, oldest first.
async fn trail(tenant: &Tenant) -> Vec<String> {
    let events = tenant.audit(&AuditFilter::default()).await.unwrap();
    let told = events.into_iter().rev().map(|event| {
        let user = event.by.user.unwrap_or_else(|| "-".to_owned());
        format!("{user} {} {}", event.deed.action, event.deed.subject).trim_end().to_owned()
    });
    told.collect()
}

#[tokio::test]
async fn what_users_do_stands_under_their_names() {
    let installation = Installation::new().await;
    let (julia, peter) = (installation.tenant.acting_as("julia"), installation.tenant.acting_as("peter"));
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let failed = start(&julia, "csv_export", parameters).await.wait().await.unwrap();
    assert_eq!((failed.user.as_deref(), &ending(&failed)[..6]), (Some("julia"), "FAILED"));
    installation.write("in.csv", "sku\n1\n");
    let mut restarted = peter.restart_execution(failed.id, RestartOptions::default()).await.unwrap();
    let restarted = restarted.wait().await.unwrap();
    assert_eq!((restarted.user.as_deref(), ending(&restarted).as_str()), (Some("peter"), "COMPLETED"));
    installation.tenant.abandon_execution(failed.id).await.unwrap();
    peter.purge_executions(Purge::default()).await.unwrap();
    let expected = [
        "julia instance-created i0",
        "julia execution-submitted 1",
        "peter execution-restarted 2",
        "- execution-abandoned 1",
        "peter execution-purged 1",
    ];
    assert_eq!(trail(&installation.tenant).await, expected);
}

/// A user with the name `stepbox` looked like the runtime in the trail.
#[tokio::test]
async fn the_runtime_is_nobody_one_can_be_called() {
    let installation = Installation::new().await;
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    for name in ["stepbox", "(runtime)", "-"] {
        start(&installation.tenant.acting_as(name), "csv_export", parameters.clone())
            .await
            .wait()
            .await
            .unwrap();
    }
    let events = installation.tenant.audit(&AuditFilter::default()).await.unwrap();
    assert!(events.iter().all(|event| !event.by.is_runtime && event.by.user.is_some()));
    let long = "x".repeat(256);
    for name in ["", "a\nb", "\u{1b}[2J", "\0", "\u{202e}", &long, &"x".repeat(2_000_000)] {
        let somebody = installation.tenant.acting_as(name);
        let refused = somebody.abandon_execution(stepbox::batch::name::JobExecutionId(1)).await.unwrap_err();
        assert_eq!(refused.code(), "bad-name", "{refused}");
        assert!(refused.to_string().len() < 600 && !refused.to_string().contains(char::is_control));
    }
    let after = installation.tenant.audit(&AuditFilter::default()).await.unwrap();
    assert_eq!(after.len(), events.len(), "nothing was done");
}

#[tokio::test]
async fn refused_uploads_are_recorded_and_broken_ways_are_not() {
    let installation = Installation::new().await;
    let eve = installation.tenant.acting_as("eve");
    eve.upload_component(b"(module)").await.unwrap_err();
    let endless = tokio::io::repeat(0);
    eve.upload_component_from(endless).await.unwrap_err();
    let folder = tokio::fs::File::open(installation.folder.path()).await.unwrap();
    eve.upload_component_from(folder).await.unwrap_err();

    let filter = AuditFilter { action: Some(AuditAction::ComponentRefused), ..AuditFilter::default() };
    let refused = installation.tenant.audit(&filter).await.unwrap();
    let codes: Vec<_> = refused.iter().map(|event| event.deed.detail["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["component-too-large", "component-is-text"]);
    assert!(refused[0].deed.detail["digest"].is_null(), "bytes without an end have none");
    assert_eq!(refused[1].deed.detail["digest"].as_str().map(str::len), Some(64));
    assert_eq!(eve.counters().uploads_refused, 2);
    assert!(refused.iter().all(|event| event.by.user.as_deref() == Some("eve")));
}
