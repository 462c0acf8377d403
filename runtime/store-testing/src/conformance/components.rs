//! The descriptions of uploaded components.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::inventory::{Component, Signer};
use stepbox_batch::name::{ConnectorCode, TenantId};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    let signer = Some(Signer { name: "Acme \u{1f511}".to_owned(), key: "RWQ\"".to_owned() });
    let component = Component { description: odd_object(), signer, ..component(1, "greet", 5) };
    store.put_component(&tenant(), &component, &ROOM, &by(NOW)).await.unwrap();
    assert_eq!(store.components(&tenant()).await.unwrap(), [component]);
}

pub async fn a_digest_is_recorded_once(store: &dyn JobRepository) {
    let first = component(1, "greet", 5);
    store.put_component(&tenant(), &first, &ROOM, &by(NOW)).await.unwrap();
    let again = Component { uploaded_at: Timestamp(6), ..first.clone() };
    store.put_component(&tenant(), &again, &ROOM, &by(NOW)).await.unwrap();
    assert_eq!(store.components(&tenant()).await.unwrap(), [first]);
}

pub async fn a_signer_is_taken_over_and_never_lost(store: &dyn JobRepository) {
    let signed = |name: &str| {
        let signer = Signer { name: name.to_owned(), key: format!("RWQ{name}") };
        Component { signer: Some(signer), uploaded_at: Timestamp(6), ..component(1, "greet", 5) }
    };
    let rows = [(component(1, "greet", 5), None), (signed("acme"), Some("acme"))];
    let more = [(component(1, "greet", 7), Some("acme")), (signed("bolt"), Some("bolt"))];
    for (component, expected) in rows.into_iter().chain(more) {
        store.put_component(&tenant(), &component, &ROOM, &by(NOW)).await.unwrap();
        let found = store.components(&tenant()).await.unwrap();
        let [Component { signer, uploaded_at: Timestamp(5), .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(signer.as_ref().map(|signer| signer.name.as_str()), expected);
    }
}

pub async fn a_released_version_keeps_its_bytes(store: &dyn JobRepository) {
    let versioned =
        |byte, version: &str| Component { version: version.to_owned(), ..component(byte, "greet", 5) };
    let put = async |component| told(store.put_component(&tenant(), &component, &ROOM, &by(NOW)).await);
    assert_eq!(put(versioned(1, "1.2.0")).await, "ok");
    assert_eq!(put(versioned(1, "1.2.0")).await, "ok", "the same bytes again");
    let error = store.put_component(&tenant(), &versioned(2, "1.2.0"), &ROOM, &by(NOW)).await.unwrap_err();
    let expected = format!("the component `greet@1.2.0` exists already with other bytes: {}", digest(1));
    assert_eq!((error.code(), error.to_string()), ("version-exists", expected));
    let others =
        [(2, "1.2.1"), (3, "1.2.0+linux-2"), (4, "1.3.0-dev"), (5, "1.3.0-dev"), (8, "0.1.0"), (9, "0.1.0")];
    for (byte, version) in others {
        assert_eq!(put(versioned(byte, version)).await, "ok", "{version}");
    }
    assert_eq!(put(versioned(6, "1.2.0+linux-2")).await, "version-exists");
    let other = TenantId::new("other").unwrap();
    store
        .put_component(&other, &versioned(2, "1.2.0"), &ROOM, &by(NOW))
        .await
        .expect("another tenant has names of its own");
    store.remove_component(&tenant(), &digest(1), &by(NOW)).await.unwrap();
    assert_eq!(put(versioned(7, "1.2.0")).await, "ok", "the earlier one is gone");
}

pub async fn come_by_name_then_newest_first(store: &dyn JobRepository) {
    for (byte, name, uploaded_at) in [(1, "wave", 1), (2, "greet", 2), (3, "greet", 3), (4, "ask", 4)] {
        let component = Component { version: format!("1.{byte}.0"), ..component(byte, name, uploaded_at) };
        store.put_component(&tenant(), &component, &ROOM, &by(NOW)).await.unwrap();
    }
    let found = store.components(&tenant()).await.unwrap();
    let found: Vec<_> = found.iter().map(|c| (c.name.as_str(), c.uploaded_at.0)).collect();
    assert_eq!(found, [("ask", 4), ("greet", 3), ("greet", 2), ("wave", 1)]);
}

pub async fn come_in_while_there_is_room(store: &dyn JobRepository) {
    let quota = ComponentQuota { count_max: 3, size_bytes_max: 100, total_bytes_max: 200 };
    let put = async |byte: u8, size_bytes| {
        let component = Component { size_bytes, ..component(byte, &format!("c{byte}"), 5) };
        match store.put_component(&tenant(), &component, &quota, &by(NOW)).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        }
    };
    let total = "component-quota: the component is refused: it has 1 bytes, 200 are kept already, and `total_bytes_max` is 200";
    let rows = [
        (1, 101, "component-quota: the component is refused: it has 101 bytes, and `size_bytes_max` is 100"),
        (1, 100, "ok"),
        (2, 100, "ok"),
        (3, 1, total),
        (3, 0, "ok"),
        (
            4,
            0,
            "component-quota: the component is refused: 3 are kept of the 3 components that `count_max` allows",
        ),
        (2, 100, "ok"),
    ];
    for (byte, size, expected) in rows {
        assert_eq!(put(byte, size).await, expected);
    }
    let other = TenantId::new("other").unwrap();
    let component = Component { size_bytes: 100, ..component(4, "c4", 5) };
    store
        .put_component(&other, &component, &quota, &by(NOW))
        .await
        .expect("another tenant has room of its own");
    store.remove_component(&tenant(), &digest(2), &by(NOW)).await.unwrap();
    assert_eq!(put(4, 100).await, "ok", "what was removed left room");
}

pub async fn of_two_at_once_one_takes_the_last_place(store: &dyn JobRepository) {
    let quota = ComponentQuota { count_max: 2, ..ROOM };
    store.put_component(&tenant(), &component(1, "first", 5), &quota, &by(NOW)).await.unwrap();
    let (second, third) = (component(2, "second", 5), component(3, "third", 5));
    let (tenant, quota, by) = (&tenant(), &quota, &by(NOW));
    let outcomes = tokio::join!(
        store.put_component(tenant, &second, quota, by),
        store.put_component(tenant, &third, quota, by)
    );
    let mut outcomes = [told(outcomes.0), told(outcomes.1)];
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["component-quota", "ok"]);
    assert_eq!(store.components(tenant).await.unwrap().len(), 2);
}

pub async fn are_kept_while_a_connector_needs_them(store: &dyn JobRepository) {
    store.put_component(&tenant(), &component(1, "greet", 5), &ROOM, &by(NOW)).await.unwrap();
    store.put_component(&tenant(), &component(2, "unused", 5), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    let error = store.remove_component(&tenant(), &digest(1), &by(NOW)).await.unwrap_err();
    let expected = format!("the component `{}` is used by connector `acme`", digest(1));
    assert_eq!(error.to_string(), expected);

    store.remove_component(&tenant(), &digest(2), &by(NOW)).await.unwrap();
    store.remove_connector(&tenant(), &ConnectorCode::new("acme").unwrap(), &by(NOW)).await.unwrap();
    store.remove_component(&tenant(), &digest(1), &by(NOW)).await.unwrap();
    let error = store.remove_component(&tenant(), &digest(1), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no component `{}`", digest(1)));
}

pub async fn are_kept_while_an_execution_needs_them(store: &dyn JobRepository) {
    with_instance(store).await;
    for status in BatchStatus::ALL {
        store.put_component(&tenant(), &component(1, "greet", 5), &ROOM, &by(NOW)).await.unwrap();
        let (mut execution, lease) = in_status(store, status, Hold::Held).await;
        let removed = store.remove_component(&tenant(), &digest(1), &by(NOW)).await;
        if status.has_ended() {
            assert_eq!(told(removed), "ok", "{status}");
        } else {
            let expected = format!("the component `{}` is used by execution {}", digest(1), execution.id);
            assert_eq!(removed.unwrap_err().to_string(), expected);
            move_to(store, &lease, &mut execution, BatchStatus::Failed).await;
        }
    }
}

pub async fn their_bytes_can_go_once_no_tenant_has_them(store: &dyn JobRepository) {
    let other = TenantId::new("other").unwrap();
    for tenant in [&tenant(), &other] {
        store.put_component(tenant, &component(1, "greet", 5), &ROOM, &by(NOW)).await.unwrap();
    }
    assert!(!store.remove_component(&tenant(), &digest(1), &by(NOW)).await.unwrap(), "another tenant has it");
    assert!(store.remove_component(&other, &digest(1), &by(NOW)).await.unwrap(), "that was the last one");
}
