//! Job instances.

use serde_json::json;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::AuditFilter;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{JobRepository, RepositoryError};

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
    store.update_instance(&changed, &by(NOW)).await.unwrap();
    let found = store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap();
    assert_eq!(found, JobInstance { job_type: "export".to_owned(), ..changed });

    let error = store.update_instance(&instance("weekly"), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `weekly`");
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

pub async fn are_kept_while_an_execution_has_not_ended(store: &dyn JobRepository) {
    for status in BatchStatus::ALL {
        with_instance(store).await;
        let (mut execution, lease) = in_status(store, status, Hold::Held).await;
        let deleted = store.delete_instance(&tenant(), &code("nightly"), &by(NOW)).await;
        if status.has_ended() {
            assert_eq!(told(deleted), "ok", "{status}");
        } else {
            let user = format!("execution {} ({status})", execution.id);
            let expected = RepositoryError::InUse { kind: "instance", name: "nightly".to_owned(), user };
            assert_eq!(deleted.unwrap_err().to_string(), expected.to_string());
            move_to(store, &lease, &mut execution, BatchStatus::Failed).await;
            store.delete_instance(&tenant(), &code("nightly"), &by(NOW)).await.unwrap();
        }
    }
    let history = store.executions(&tenant(), &Default::default()).await.unwrap();
    assert_eq!(history.len(), BatchStatus::ALL.len(), "executions stay as history");

    let error = store.delete_instance(&tenant(), &code("nightly"), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `nightly`");
}
