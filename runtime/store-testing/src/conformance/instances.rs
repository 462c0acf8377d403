//! Job instances.

use std::collections::BTreeSet;

use serde_json::json;
use stepbox_batch::access::{InstanceRights, Role};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::job::{INSTANCE_VERSIONS_KEPT, InstanceVersion, JobInstance};
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{JobRepository, RepositoryError};

use crate::sample::access::*;
use crate::sample::*;

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    let instance = JobInstance {
        label: "Ночной «выгрузки»".to_owned(),
        raw_parameters: odd_object(),
        ..instance("nightly")
    };
    store.create_instance(&instance, &by(NOW)).await.unwrap();
    let found = store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap();
    assert_eq!(found, instance);
    assert_eq!(found.raw_parameters.to_string(), instance.raw_parameters.to_string(), "order of keys");
    assert_eq!(store.instance(&tenant(), &code("weekly")).await.unwrap(), None);
}

/// Texts of people are kept exactly, in the instance and in the audit trail.
pub async fn keep_any_text(store: &dyn JobRepository) {
    for (index, text) in ["\0", "a\0\u{1a}", "\u{1a}0"].into_iter().enumerate() {
        let name = format!("julia{text}");
        let by = Actor::new(Some(&name), NOW);
        let instance = JobInstance {
            label: text.to_owned(),
            job_type: text.to_owned(),
            raw_parameters: json!({ text: text }),
            ..instance(&format!("i{index}"))
        };
        store.create_instance(&instance, &by).await.unwrap();
        assert_eq!(store.instances(&tenant(), Some(text)).await.unwrap(), [instance]);
        let of_them = AuditFilter { user: Some(name), ..AuditFilter::default() };
        let events = store.audit(&tenant(), &of_them).await.unwrap();
        assert_eq!(events.len(), 1, "{text:?}");
        assert_eq!(events[0].by, by);
    }
}

pub async fn a_code_is_taken_once(store: &dyn JobRepository) {
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    let again = JobInstance { label: "Another".to_owned(), ..instance("nightly") };
    let error = store.create_instance(&again, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the instance `nightly` exists already");
    let kept = store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap();
    assert_eq!(kept, instance("nightly"), "the first one is untouched");

    let elsewhere = JobInstance { tenant: TenantId::new("other").unwrap(), ..instance("nightly") };
    store.create_instance(&elsewhere, &by(NOW)).await.unwrap();
}

pub async fn label_and_raw_parameters_change(store: &dyn JobRepository) {
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    let changed = JobInstance {
        label: "Every night".to_owned(),
        raw_parameters: json!({"greeting": "good night"}),
        job_type: "not taken over".to_owned(),
        ..instance("nightly")
    };
    let told = store.update_instance(&changed, None, &by(LATER)).await.unwrap();
    let found = store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap();
    assert_eq!(found, told, "what is returned is what is stored");
    let expected =
        JobInstance { job_type: "export".to_owned(), version: 2, updated_at: LATER, ..changed.clone() };
    assert_eq!(found, expected);

    let error = store.update_instance(&instance("weekly"), None, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `weekly`");
}

/// A change of an instance that somebody else has changed since is refused, and changes nothing.
pub async fn change_only_in_the_expected_version(store: &dyn JobRepository) {
    let changed = |label: &str| JobInstance { label: label.to_owned(), ..instance("nightly") };
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    let rows =
        [(Some(1), "a", "ok 2"), (Some(1), "b", "stale 2"), (None, "c", "ok 3"), (Some(4), "d", "stale 3")];
    for (expected, label, answer) in rows {
        let told = match store.update_instance(&changed(label), expected, &by(NOW)).await {
            Ok(instance) => format!("ok {}", instance.version),
            Err(RepositoryError::StaleVersion { current, .. }) => format!("stale {current}"),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(told, answer, "{label}");
    }
    let error = store.delete_instance(&tenant(), &code("nightly"), Some(2), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the instance `nightly` has version 3 now");
    let kept = store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap();
    assert_eq!((kept.label.as_str(), kept.version), ("c", 3));
    store.delete_instance(&tenant(), &code("nightly"), Some(3), &by(NOW)).await.unwrap();
    let error = store.delete_instance(&tenant(), &code("nightly"), Some(3), &by(NOW)).await.unwrap_err();
    assert_eq!(error.code(), "not-found");
}

/// Of changes at once that expect the same version, one is made.
pub async fn of_changes_at_once_one_is_made(store: &dyn JobRepository) {
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    let changes = ["a", "b", "c"].map(|label| JobInstance { label: label.to_owned(), ..instance("nightly") });
    let by = by(NOW);
    let (a, b, c) = tokio::join!(
        store.update_instance(&changes[0], Some(1), &by),
        store.update_instance(&changes[1], Some(1), &by),
        store.update_instance(&changes[2], Some(1), &by),
    );
    let mut told = [a, b, c].map(told);
    told.sort_unstable();
    assert_eq!(told, ["ok", "stale-version", "stale-version"]);
    assert_eq!(versions(store).await, "2 1");
}

/// Versions are kept, also those of a deleted instance, and the numbers of a later one with its code follow on them.
pub async fn keep_their_versions(store: &dyn JobRepository) {
    assert_eq!(versions(store).await, "");
    let first = store.create_instance(&instance("nightly"), &by(EARLIER)).await.unwrap();
    let changed = JobInstance { raw_parameters: json!({"greeting": "bye"}), ..instance("nightly") };
    let max = Actor::new(Some("max"), NOW);
    let second = store.update_instance(&changed, Some(1), &max).await.unwrap();
    let history = store.instance_history(&tenant(), &code("nightly")).await.unwrap();
    let expected = [
        InstanceVersion { instance: second, by: max.clone() },
        InstanceVersion { instance: first, by: by(EARLIER) },
    ];
    assert_eq!(history, expected);

    let again = store.create_instance(&instance("nightly"), &by(NOW)).await;
    assert_eq!(told(again), "already-exists");
    store.delete_instance(&tenant(), &code("nightly"), Some(2), &by(NOW)).await.unwrap();
    assert_eq!(versions(store).await, "2 1");
    let third = store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    assert_eq!(third, JobInstance { version: 3, ..instance("nightly") });
    let error = store.delete_instance(&tenant(), &code("nightly"), Some(1), &by(NOW)).await.unwrap_err();
    assert_eq!(error.code(), "stale-version", "an earlier instance's version fits no later one");
    assert_eq!(versions(store).await, "3 2 1");
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let elsewhere = TenantId::new("other").unwrap();
    assert_eq!(store.instance_history(&elsewhere, &code("nightly")).await.unwrap(), []);
}

pub async fn keep_a_hundred_versions(store: &dyn JobRepository) {
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
    for _ in 0..INSTANCE_VERSIONS_KEPT {
        store.update_instance(&instance("nightly"), None, &by(NOW)).await.unwrap();
    }
    let expected: Vec<_> = (2..=101).rev().map(|version: u32| version.to_string()).collect();
    assert_eq!(versions(store).await, expected.join(" "));
}

async fn versions(store: &dyn JobRepository) -> String {
    let history = store.instance_history(&tenant(), &code("nightly")).await.unwrap();
    let versions = history.iter().map(|version| version.instance.version.to_string());
    versions.collect::<Vec<_>>().join(" ")
}

pub async fn come_by_type_then_code(store: &dyn JobRepository) {
    for (code, job_type) in [("c", "import"), ("b", "export"), ("a", "import"), ("d", "export")] {
        let instance = JobInstance { job_type: job_type.to_owned(), ..instance(code) };
        store.create_instance(&instance, &by(NOW)).await.unwrap();
    }
    let rows = [(None, "b d a c"), (Some("import"), "a c"), (Some("mass_edit"), "")];
    for (job_type, expected) in rows {
        let found = store.instances(&tenant(), job_type).await.unwrap();
        let codes: Vec<_> = found.iter().map(|instance| instance.code.as_str()).collect();
        assert_eq!(codes.join(" "), expected, "{job_type:?}");
    }
}

/// A copy is never more open than its original, and opens nothing of an earlier instance of its code.
pub async fn are_copied_with_their_lists(store: &dyn JobRepository) {
    for user in ["julia", "peter"] {
        with_member(store, user, Role::Author).await;
    }
    for code in ["nightly", "open"] {
        store.create_instance(&instance(code), &by(NOW)).await.unwrap();
    }
    let named = |users: &[&str]| Some(users.iter().map(|user| name(user)).collect::<BTreeSet<_>>());
    let original = InstanceRights {
        view: named(&["julia", "peter"]),
        edit: named(&["julia"]),
        launch: named(&[]),
        history: None,
    };
    store.set_instance_rights(&tenant(), &code("nightly"), &original, &by(NOW)).await.unwrap();
    // An earlier instance of the code has left lists.
    store.create_instance(&instance("earlier"), &by(NOW)).await.unwrap();
    let earlier = InstanceRights {
        view: named(&["peter"]),
        edit: None,
        launch: named(&["julia"]),
        history: named(&["peter"]),
    };
    store.set_instance_rights(&tenant(), &code("earlier"), &earlier, &by(NOW)).await.unwrap();
    store.delete_instance(&tenant(), &code("earlier"), None, &by(NOW)).await.unwrap();
    let both = InstanceRights {
        view: named(&["peter"]),
        edit: named(&["julia"]),
        launch: named(&[]),
        history: named(&["peter"]),
    };
    let rows = [
        ("nightly", "copy", original.clone()),
        ("nightly", "earlier", both),
        ("open", "another", InstanceRights::default()),
    ];
    for (from, to, expected) in rows {
        let copied = store.copy_instance(&instance(to), &code(from), &by(NOW)).await.unwrap();
        assert_eq!(copied.code, code(to));
        assert_eq!(store.instance(&tenant(), &code(to)).await.unwrap(), Some(copied), "{to}");
        assert_eq!(store.instance_rights(&tenant(), &code(to)).await.unwrap(), expected, "{to}");
    }
    let of_rights =
        AuditFilter { action: Some(AuditAction::InstanceRightsChanged), ..AuditFilter::default() };
    let told = store.audit(&tenant(), &of_rights).await.unwrap();
    let told: Vec<_> = told.iter().map(|event| event.deed.subject.as_str()).collect();
    assert_eq!(told, ["earlier", "copy", "earlier", "nightly"]);

    // A code that is taken changes no list.
    let taken = store.copy_instance(&instance("open"), &code("nightly"), &by(NOW)).await.unwrap_err();
    assert_eq!(taken.to_string(), "the instance `open` exists already");
    let none = store.instance_rights(&tenant(), &code("open")).await.unwrap();
    assert_eq!(none, InstanceRights::default());
}

pub async fn are_kept_while_an_execution_has_not_ended(store: &dyn JobRepository) {
    for status in BatchStatus::ALL {
        with_instance(store).await;
        let (mut execution, lease) = in_status(store, status, Hold::Held).await;
        let deleted = store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await;
        if status.has_ended() {
            assert_eq!(told(deleted), "ok", "{status}");
        } else {
            let user = format!("execution {} ({status})", execution.id);
            let expected = RepositoryError::InUse { kind: "instance", name: "nightly".to_owned(), user };
            assert_eq!(deleted.unwrap_err().to_string(), expected.to_string());
            move_to(store, &lease, &mut execution, BatchStatus::Failed).await;
            store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap();
        }
    }
    let history = store.executions(&tenant(), &Default::default()).await.unwrap();
    assert_eq!(history.len(), BatchStatus::ALL.len(), "executions stay as history");

    let error = store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `nightly`");
}
