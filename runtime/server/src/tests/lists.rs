//! Lists: pages with cursors, all rows in a stream, versions of instances.

use axum::body::to_bytes;
use serde_json::{Value, json};
use stepbox::PublishOptions;

use crate::testing::{Sample, request, tenant_id};

async fn sample_with(executions: u32) -> Sample {
    let sample = Sample::new().await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    for _ in 0..executions {
        tenant.publish("a", PublishOptions::default()).await.unwrap();
    }
    sample
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let sample = sample_with(7).await;
    let (mut path, mut all, mut pages) = ("/tenants/acme/executions?limit=3".to_owned(), Vec::new(), 0);
    loop {
        let response = sample.send(request("viewer@acme", "GET", &path, None)).await;
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let page: Value =
            serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
        all.extend(ids(&page));
        pages += 1;
        let Some(next) = page["next"].as_str() else {
            assert!(link.is_none());
            break;
        };
        let link = link.unwrap();
        assert!(link.contains(next) && link.ends_with("; rel=\"next\""), "{link}");
        path = format!("/tenants/acme/executions{}", link.split(['<', '>']).nth(1).unwrap());
    }
    assert_eq!((all.len(), pages), (9, 3));
    assert!(all.is_sorted_by(|one, other| one > other), "{all:?}");
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let sample = sample_with(7).await;
    let (_, page) = sample.ask("viewer@acme", "GET", "/tenants/acme/executions?limit=3", None).await;
    let next = page["next"].as_str().unwrap();
    let others = [
        format!("/tenants/acme/executions?instance=a&after={next}"),
        format!("/tenants/acme/instances?after={next}"),
        format!("/tenants/other/executions?after={next}"),
        format!("/tenants/acme/executions?after={next}x"),
    ];
    for (path, who) in others.iter().zip(["viewer@acme", "viewer@acme", "viewer@other", "viewer@acme"]) {
        let (status, answer) = sample.ask(who, "GET", path, None).await;
        assert_eq!((status, &answer["code"]), (400, &json!("cursor-invalid")), "{path}");
    }
    let (status, _) = sample
        .ask("viewer@acme", "GET", &format!("/tenants/acme/executions?limit=2&after={next}"), None)
        .await;
    assert_eq!(status, 200, "another length of the page is the same list");
}

#[tokio::test]
async fn all_rows_come_as_csv_and_as_json_lines() {
    let sample = sample_with(620).await;
    for (accept, expected) in [("text/csv", 623), ("application/jsonl", 622)] {
        let mut asked = request("viewer@acme", "GET", "/tenants/acme/executions?limit=5", None);
        asked.headers_mut().insert("accept", accept.parse().unwrap());
        let response = sample.send(asked).await;
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(accept));
        let text = to_bytes(response.into_body(), 1 << 24).await.unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(text.lines().count(), expected, "{accept}");
        let first = text.lines().next().unwrap();
        match accept {
            "text/csv" => assert!(first.starts_with("id,instance,connector,job,type,status,"), "{first}"),
            _ => assert!(serde_json::from_str::<Value>(first).unwrap()["id"].is_u64(), "{first}"),
        }
    }
}

#[tokio::test]
async fn a_change_names_the_version_that_it_changes() {
    let sample = Sample::new().await;
    let path = "/tenants/acme/instances/a";
    let change = async |version: Option<&str>| {
        let mut asked = request("author@acme", "PATCH", path, Some(json!({ "label": "b" })));
        if let Some(version) = version {
            asked.headers_mut().insert("if-match", version.parse().unwrap());
        }
        let response = sample.send(asked).await;
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        (response.status().as_u16(), etag)
    };
    assert_eq!(change(None).await, (428, None));
    assert_eq!(change(Some("\"1\"")).await, (200, Some("\"2\"".to_owned())));
    assert_eq!(change(Some("\"1\"")).await, (412, None));
    assert_eq!(change(Some("*")).await, (200, Some("\"3\"".to_owned())));
    let (_, history) = sample.ask("author@acme", "GET", "/tenants/acme/instances/a/history", None).await;
    let versions: Vec<_> = history["items"].as_array().unwrap().iter().map(|row| &row["version"]).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(history["items"][1]["user"], "author@acme");
}

#[tokio::test]
async fn the_same_launch_is_one_execution() {
    let sample = Sample::new().await;
    let launch = async |key: &str, body: Value, who: &str| {
        let mut asked = request(who, "POST", "/tenants/acme/instances/a/launch", Some(body));
        asked.headers_mut().insert("idempotency-key", key.parse().unwrap());
        let response = sample.send(asked).await;
        let replayed = response.headers().contains_key("idempotency-replayed");
        let status = response.status().as_u16();
        let body: Value =
            serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
        (status, replayed, body["id"].as_u64())
    };
    let first = launch("k", json!({}), "operator@acme").await;
    assert_eq!((first.0, first.1), (202, false));
    assert_eq!(launch("k", json!({}), "operator@acme").await, (202, true, first.2));
    assert_eq!(launch("k", json!({ "priority": 1 }), "operator@acme").await.0, 409);
    let another = launch("k", json!({}), "author@acme").await;
    assert!(another.2 != first.2 && !another.1, "a key belongs to its caller");
}
