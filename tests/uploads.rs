//! Which components are accepted: who may upload them, how many, and how large.

use std::path::Path;

use stepbox::batch::component_quota::ComponentQuota;
use stepbox::batch::inventory::Component;
use stepbox::batch::name::TenantId;
use stepbox::{ComponentsPolicy, Error, Policy, Stepbox};
use stepbox_guest_artifacts::steps;

async fn open(folder: &Path, components: ComponentsPolicy) -> Stepbox {
    let policy = Policy::nothing().with_components(components);
    let builder = Stepbox::builder(folder.join("data")).tenant(TenantId::default(), policy);
    builder.open().await.expect("the policy is right")
}

/// A variant of a component: with one more section that is ignored.
fn variant(bytes: &[u8], letter: u8) -> Vec<u8> {
    [bytes, &[0, 2, 1, letter]].concat()
}

fn told(result: Result<Component, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "kept".to_owned())
}

#[tokio::test]
async fn a_tenant_that_may_not_upload_uses_what_the_operator_brings() {
    let folder = crate::support::tempdir().unwrap();
    let closed = ComponentsPolicy { upload: false, ..ComponentsPolicy::default() };
    let stepbox = open(folder.path(), closed).await;
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();
    let operator = stepbox.operator_of(&TenantId::default()).unwrap();

    let connector = folder.path().join("connector");
    std::fs::create_dir(&connector).unwrap();
    std::fs::copy(steps::NOTIFY, connector.join("notify.wasm")).unwrap();
    let yaml = "connector: c\ncomponents: { notify: notify.wasm }\njobs: { j: { type: t, steps: [{ name: s, tasklet: notify }] } }\n";
    std::fs::write(connector.join("connector.yaml"), yaml).unwrap();
    let bytes = std::fs::read(steps::NOTIFY).unwrap();

    assert_eq!(tenant.upload_component(&bytes).await.unwrap_err().code(), "component-upload-closed");
    let error = tenant.install_connector(&connector).await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        ("component-upload-closed", stepbox::ErrorKind::ComponentRefused)
    );
    assert!(tenant.components().await.unwrap().is_empty());

    assert_eq!(told(operator.upload_component(&bytes).await), "kept");
    assert_eq!(told(tenant.upload_component(&bytes).await), "kept");
    tenant.install_connector(&connector).await.expect("nothing new comes with it");
    let other = variant(&bytes, b'a');
    assert_eq!(tenant.upload_component(&other).await.unwrap_err().code(), "component-upload-closed");
}

#[tokio::test]
async fn components_come_in_while_there_is_room() {
    let folder = crate::support::tempdir().unwrap();
    let bytes = std::fs::read(steps::NOTIFY).unwrap();
    let size = bytes.len() as u64 + 4;
    let quota = ComponentQuota { count_max: 3, size_bytes_max: size, total_bytes_max: 3 * size };
    let stepbox = open(folder.path(), ComponentsPolicy { quota, ..ComponentsPolicy::default() }).await;
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();

    let too_large = [&variant(&bytes, b'a')[..], &[0, 1, 0]].concat();
    let expected =
        format!("the component is refused: it has {} bytes, and `size_bytes_max` is {size}", size + 3);
    assert_eq!(told(tenant.upload_component(&too_large).await), expected);

    // Eight at once for three places.
    let variants: Vec<_> = (b'a'..=b'h').map(|letter| variant(&bytes, letter)).collect();
    let uploads = variants.iter().map(|bytes| tenant.upload_component(bytes));
    let outcomes = futures_util::future::join_all(uploads).await;
    let refused = "the component is refused: 3 are kept of the 3 components that `count_max` allows";
    let outcomes: Vec<_> = outcomes.into_iter().map(told).collect();
    assert_eq!(outcomes.iter().filter(|told| *told == "kept").count(), 3, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|told| *told == refused).count(), 5, "{outcomes:?}");
    let files = std::fs::read_dir(folder.path().join("data/components")).unwrap().count();
    assert_eq!(files, 3, "what was refused left no bytes");

    let kept = tenant.components().await.unwrap();
    tenant.remove_component(&kept[0].digest).await.unwrap();
    assert_eq!(told(tenant.upload_component(&bytes).await), "kept");
}
