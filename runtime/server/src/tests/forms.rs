//! Forms over HTTP: who sees which tab, and whose values leave the server.

use axum::http::HeaderValue;
use axum::http::header::IF_MATCH;
use serde_json::{Value, json};
use stepbox::{NewInstance, PublishOptions};

use crate::testing::{Sample, request, tenant_id};

/// A job with a tab that authors see and administrators change.
const CONNECTOR: &str = "\
connector: forms
rights:
  notes: { label: See notes, from: author }
jobs:
  guarded:
    type: export
    parameters:
      extends: csv_export
      properties:
        note: { type: string, maxLength: 20 }
        pin: { type: string, writeOnly: true }
    form:
      tabs:
        settings:
          fields:
            - delimiter: { read-only: { unless: author } }
        notes: { right: { see: notes, edit: administrator }, fields: [note] }
    steps:
      - name: export
        reader: { csv: { from: \"${parameters.source}\" } }
        writer: { csv: { to: \"${parameters.storage}\" } }
";

/// The instance `g` of the job, with a note and a pin, and an execution of it.
async fn sample() -> Sample {
    let sample = Sample::new().await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("connector.yaml"), CONNECTOR).unwrap();
    tenant.install_connector(folder.path()).await.unwrap();
    let new = NewInstance {
        connector: "forms".to_owned(),
        job: "guarded".to_owned(),
        job_type: "export".to_owned(),
        code: "g".to_owned(),
        label: None,
        parameters: parameters(json!({ "note": "hush", "pin": "4711" })),
    };
    tenant.create_instance(new).await.unwrap();
    tenant.publish("g", PublishOptions::default()).await.unwrap();
    sample
}

fn parameters(more: Value) -> Value {
    let mut parameters = json!({
        "source": { "type": "local", "file_path": "in.csv" },
        "storage": { "type": "local", "file_path": "g.csv" },
    });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameters
}

#[tokio::test]
async fn values_of_a_guarded_tab_reach_only_those_who_may_see_it() {
    let sample = sample().await;
    let execution = sample.execution_of("acme", "g").await;
    let paths = [
        "/tenants/acme/instances".to_owned(),
        "/tenants/acme/instances/g".to_owned(),
        "/tenants/acme/instances/g/history".to_owned(),
        "/tenants/acme/executions".to_owned(),
        format!("/tenants/acme/executions/{execution}"),
    ];
    let roles = [("viewer", false), ("operator", false), ("author", true), ("administrator", true)];
    for path in &paths {
        for (role, sees) in roles {
            let (status, answer) = sample.ask(&format!("{role}@acme"), "GET", path, None).await;
            assert_eq!(status, 200, "{path} {answer}");
            let text = answer.to_string();
            assert!(text.contains("g.csv"), "{path} as {role}: {text}");
            assert_eq!(text.contains("hush"), sees, "{path} as {role}: {text}");
            assert!(!text.contains("4711"), "{path} as {role}: {text}");
        }
    }
    // The run itself has all of its parameters.
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let all = tenant.executions(&Default::default()).await.unwrap();
    let stored = all.iter().find(|stored| stored.id.0 == execution).unwrap();
    assert_eq!((&stored.parameters["note"], &stored.parameters["pin"]), (&json!("hush"), &json!("4711")));
}

async fn patch(sample: &Sample, who: &str, version: u64, body: Value) -> (u16, Value) {
    let mut request = request(who, "PATCH", "/tenants/acme/instances/g", Some(body));
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).unwrap();
    request.headers_mut().insert(IF_MATCH, tag);
    let response = sample.send(request).await;
    let status = response.status().as_u16();
    let text = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&text).unwrap())
}

#[tokio::test]
async fn changes_of_guarded_values_are_refused_at_their_place() {
    let sample = sample().await;
    let refused = |(status, answer): (u16, Value), pointer: &str| {
        let found = (status, &answer["code"], &answer["errors"][0]["pointer"]);
        assert_eq!(found, (403, &json!("parameters-guarded"), &json!(pointer)), "{answer}");
        assert!(!answer.to_string().contains("hush"), "{answer}");
    };
    let set = |name: &str, value: Value| json!({ "parameters": { name: value } });
    refused(patch(&sample, "author@acme", 1, set("note", json!("x"))).await, "/parameters/note");
    refused(patch(&sample, "author@acme", 1, json!({ "unset": ["note"] })).await, "/parameters/note");

    let new = json!({
        "connector": "forms", "job": "guarded", "type": "export", "code": "h",
        "parameters": parameters(json!({ "note": "x" })),
    });
    refused(
        sample.ask("author@acme", "POST", "/tenants/acme/instances", Some(new)).await,
        "/parameters/note",
    );
    for (name, value) in [("note", "hush"), ("delimiter", ",")] {
        let launch = json!({ "overrides": { name: value } });
        let answer =
            sample.ask("operator@acme", "POST", "/tenants/acme/instances/g/launch", Some(launch)).await;
        refused(answer, &format!("/overrides/{name}"));
    }

    // What is not guarded changes, and what is hidden stays.
    let (status, answer) = patch(&sample, "author@acme", 1, set("delimiter", json!(","))).await;
    assert_eq!((status, &answer["raw_parameters"]["note"]), (200, &json!("hush")), "{answer}");
    let (status, answer) = patch(&sample, "administrator@acme", 2, set("note", json!("x"))).await;
    assert_eq!((status, &answer["raw_parameters"]["note"]), (200, &json!("x")), "{answer}");
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let stored = tenant.instance("g").await.unwrap().raw_parameters;
    assert_eq!(
        (&stored["note"], &stored["pin"], &stored["delimiter"]),
        (&json!("x"), &json!("4711"), &json!(","))
    );
}

#[tokio::test]
async fn a_broken_constraint_does_not_tell_a_hidden_value() {
    let sample = sample().await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("connector.yaml"), CONNECTOR.replace("maxLength: 20", "maxLength: 2"))
        .unwrap();
    tenant.replace_connector(folder.path()).await.unwrap();
    let (status, shown) = sample.ask("viewer@acme", "GET", "/tenants/acme/instances/g", None).await;
    assert_eq!((status, &shown["violations"][0]["path"]), (200, &json!("/note")), "{shown}");
    let launch =
        sample.ask("operator@acme", "POST", "/tenants/acme/instances/g/launch", Some(json!({}))).await;
    for told in [shown.to_string(), launch.1.to_string()] {
        assert!(told.contains("you may not see its value") && !told.contains("hush"), "{told}");
    }
}

#[tokio::test]
async fn a_form_is_that_of_its_viewer_and_mode() {
    let sample = sample().await;
    let form = async |who: &str, mode: &str| {
        let path = format!("/tenants/acme/jobs/guarded/form?mode={mode}");
        let (status, form) = sample.ask(who, "GET", &path, None).await;
        assert_eq!(status, 200, "{form}");
        let tabs = form["tabs"].as_array().unwrap().clone();
        let codes: Vec<_> = tabs.iter().map(|tab| tab["code"].as_str().unwrap().to_owned()).collect();
        let note = tabs.iter().find(|tab| tab["code"] == "notes");
        let read_only = note.map(|tab| tab["entries"][0]["read_only"].as_str().unwrap().to_owned());
        (codes.join(" "), read_only)
    };
    assert_eq!(form("viewer@acme", "show").await, ("settings".to_owned(), None));
    assert_eq!(form("author@acme", "edit").await, ("settings notes".to_owned(), Some("always".to_owned())));
    assert_eq!(
        form("administrator@acme", "edit").await,
        ("settings notes".to_owned(), Some("never".to_owned()))
    );
    let (status, _) =
        sample.ask("viewer@acme", "GET", "/tenants/acme/jobs/guarded/form?mode=draw", None).await;
    assert_eq!(status, 400);
}
