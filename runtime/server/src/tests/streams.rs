//! Event streams: what they send, and when they end.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use stepbox::PublishOptions;
use stepbox::batch::name::JobExecutionId;
use tokio::time::timeout;

use crate::conventions::limits::ApiLimits;
use crate::testing::{Sample, request, tenant_id};

/// Reads a stream until a text is in it.
async fn until(stream: &mut BodyDataStream, wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            let Some(piece) = stream.next().await else { break };
            text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
        }
    };
    timeout(Duration::from_secs(30), reading).await.unwrap_or_else(|_| panic!("`{wanted}` does not come"));
    text
}

#[tokio::test]
async fn an_execution_is_followed_to_its_end() {
    let sample = Sample::new().await;
    let execution = sample.execution_of("acme", "a").await;
    let path = format!("/tenants/acme/executions/{execution}/events?log_after=0");
    let response = sample.send(request("viewer@acme", "GET", &path, None)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    until(&mut stream, "event: execution").await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    tenant.stop_execution(JobExecutionId(execution)).await.unwrap();
    let text = until(&mut stream, "event: end").await;
    assert!(text.contains("event: state\nid: "), "{text}");
    assert!(stream.next().await.is_none(), "the stream ends");
    // One that has ended before ends at once.
    let response = sample.send(request("viewer@acme", "GET", &path, None)).await;
    let mut stream = response.into_body().into_data_stream();
    until(&mut stream, "event: end").await;
}

#[tokio::test]
async fn a_stream_continues_after_the_last_event_that_was_seen() {
    let sample = Sample::new().await;
    let response = sample.send(request("viewer@acme", "GET", "/tenants/acme/events?after=0", None)).await;
    let mut stream = response.into_body().into_data_stream();
    let text = until(&mut stream, "\"instance\":\"hidden\"").await;
    let first = text.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut asked = request("viewer@acme", "GET", "/tenants/acme/events?after=0", None);
    asked.headers_mut().insert("last-event-id", first.parse().unwrap());
    let mut stream = sample.send(asked).await.into_body().into_data_stream();
    let text = until(&mut stream, "\"instance\":\"hidden\"").await;
    assert!(!text.contains(&format!("id: {first}\n")), "{text}");
}

#[tokio::test]
async fn events_of_hidden_instances_and_other_tenants_do_not_come() {
    let sample = Sample::new().await;
    let response = sample.send(request("narrow@acme", "GET", "/tenants/acme/events?after=0", None)).await;
    let mut stream = response.into_body().into_data_stream();
    until(&mut stream, "\"instance\":\"a\"").await;
    for (name, code) in [("other", "a"), ("acme", "hidden"), ("acme", "a")] {
        let tenant = sample.stepbox.tenant(&tenant_id(name)).unwrap();
        tenant.publish(code, PublishOptions::default()).await.unwrap();
    }
    let own = sample.execution_of("acme", "a").await;
    let text = until(&mut stream, &format!("\"execution\":{own},")).await;
    assert!(!text.contains("hidden"), "{text}");
    assert_eq!(text.matches("event: state").count(), 1, "{text}");
}

#[tokio::test]
async fn one_principal_has_a_number_of_streams() {
    let sample = Sample::with(|options| crate::ApiOptions {
        limits: ApiLimits { streams_per_principal: 2, ..ApiLimits::default() },
        ..options
    })
    .await;
    let open = async |who: &str| sample.send(request(who, "GET", "/tenants/acme/events", None)).await;
    let (first, _second) = (open("viewer@acme").await, open("viewer@acme").await);
    let third = open("viewer@acme").await;
    assert_eq!(third.status().as_u16(), 429);
    assert!(third.headers().contains_key("retry-after"));
    assert_eq!(open("author@acme").await.status().as_u16(), 200, "others have their own");
    drop(first);
    let freed = async {
        while open("viewer@acme").await.status().as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), freed).await.unwrap();
}
