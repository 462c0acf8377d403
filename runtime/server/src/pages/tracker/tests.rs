use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::response::Response;
use futures_util::StreamExt as _;
use stepbox::batch::audit::AuditAction;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::JobExecutionId;
use stepbox::{PublishOptions, Tenant};
use tokio::time::{Duration, timeout};

use crate::api::ApiOptions;
use crate::testing::{Sample, tenant_id};

async fn sample() -> Sample {
    Sample::with(|options| ApiOptions { with_pages: true, ..options }).await
}

fn request(who: &str, method: &str, path: &str, form: Option<&str>) -> Request {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if !who.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {who}"));
    }
    if form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(form.map_or_else(Body::empty, |form| Body::from(form.to_owned()))).unwrap()
}

async fn text_of(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 22).await.unwrap().to_vec()).unwrap()
}

fn leads_to(response: &Response) -> String {
    response.headers().get(LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned()
}

/// The status and the text of a page.
async fn get(sample: &Sample, who: &str, path: &str) -> (u16, String) {
    let response = sample.send(request(who, "GET", path, None)).await;
    (response.status().as_u16(), text_of(response).await)
}

async fn post(sample: &Sample, who: &str, path: &str, form: &str) -> (u16, String, String) {
    let response = sample.send(request(who, "POST", path, Some(form))).await;
    let (status, to) = (response.status().as_u16(), leads_to(&response));
    (status, to, text_of(response).await)
}

fn acme(sample: &Sample) -> Tenant {
    sample.stepbox.tenant(&tenant_id("acme")).unwrap()
}

async fn status_of(sample: &Sample, id: u64) -> BatchStatus {
    acme(sample).execution(JobExecutionId(id)).await.unwrap().status
}

/// The numbers of the executions whose rows a page has.
fn rows(page: &str) -> Vec<u64> {
    let links = page.split("<span class=\"id\">").skip(1);
    links.map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
}

const PAGES: [&str; 6] =
    ["executions", "executions.csv", "executions/moving", "executions/all", "views", "find?q=a"];

#[tokio::test]
async fn each_page_is_for_those_who_may_enter() {
    let sample = sample().await;
    for page in PAGES {
        let path = format!("/tenants/acme/{page}");
        let stranger = sample.send(request("", "GET", &path, None)).await;
        assert_eq!(stranger.status().as_u16(), 303, "{page}");
        assert!(leads_to(&stranger).starts_with("/sign-in?next="), "{page}");
        assert_eq!(get(&sample, "operator@other", &path).await.0, 404, "{page}");
        let operator = sample.send(request("operator@acme", "GET", &path, None)).await;
        assert_eq!(operator.status().as_u16(), 200, "{page}");
        let expected = if page == "executions/all" { 403 } else { 200 };
        let viewer = sample.send(request("viewer@acme", "GET", &path, None)).await;
        assert_eq!(viewer.status().as_u16(), expected, "{page}");
    }
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_and_presses_none() {
    let sample = sample().await;
    let own = sample.execution_of("acme", "a").await;
    let (_, page) = get(&sample, "viewer@acme", "/tenants/acme/executions").await;
    assert!(rows(&page).contains(&own));
    assert!(!page.contains("type=\"checkbox\"") && !page.contains("name=\"stop\""), "{page}");
    for (path, form) in
        [("executions/selected", format!("stop={own}")), ("executions/bulk", "action=stop".to_owned())]
    {
        let (status, ..) = post(&sample, "viewer@acme", &format!("/tenants/acme/{path}"), &form).await;
        assert_eq!(status, 403, "{path}");
    }
    assert_eq!(status_of(&sample, own).await, BatchStatus::Starting);
}

#[tokio::test]
async fn hidden_instances_are_in_no_row_count_file_or_result() {
    let sample = sample().await;
    let (own, hidden) = (sample.execution_of("acme", "a").await, sample.execution_of("acme", "hidden").await);
    for filter in ["", "?filter=hidden", "?filter=profile:hidden", "?filter=-user:nobody"] {
        let (_, page) = get(&sample, "narrow@acme", &format!("/tenants/acme/executions{filter}")).await;
        assert!(!rows(&page).contains(&hidden), "{filter}");
        let (_, csv) = get(&sample, "narrow@acme", &format!("/tenants/acme/executions.csv{filter}")).await;
        assert!(!csv.contains(",hidden,"), "{filter}: {csv}");
    }
    let (_, page) = get(&sample, "narrow@acme", "/tenants/acme/executions").await;
    assert!(page.contains(">1 execution<"), "{page}");
    let (_, page) = get(&sample, "operator@acme", "/tenants/acme/executions").await;
    assert!(page.contains(">2 executions<"), "{page}");
    let (_, found) = get(&sample, "narrow@acme", "/tenants/acme/find?q=hidden").await;
    assert!(found.contains("Nothing has this number"), "{found}");
    let (status, _) = get(&sample, "narrow@acme", &format!("/tenants/acme/find?q={hidden}")).await;
    assert_eq!(status, 200, "it leads nowhere");

    let (_, asked) = get(&sample, "narrow@acme", "/tenants/acme/executions/all").await;
    assert!(asked.contains("All 1 execution that match"), "{asked}");
    let form = format!("action=stop&expected_count=2&id={own}&id={hidden}");
    let (_, _, told) = post(&sample, "narrow@acme", "/tenants/acme/executions/bulk", &form).await;
    assert!(told.contains("1 of 2 asked to stop") && told.contains("errors/not-found"), "{told}");
    assert_eq!(status_of(&sample, hidden).await, BatchStatus::Starting);
    assert_eq!(status_of(&sample, own).await, BatchStatus::Stopped);
}

#[tokio::test]
async fn a_filter_narrows_and_a_wrong_one_is_explained() {
    let sample = sample().await;
    let own = sample.execution_of("acme", "a").await;
    let rows_of = [
        ("status:STARTING", 2),
        ("status:FAILED", 0),
        ("profile:a", 1),
        ("job:csv_export%20type:export", 2),
        ("step:never", 0),
        ("created:1d", 2),
        ("created:%3C2020-01-01", 0),
        ("warning:yes", 0),
    ];
    for (filter, expected) in rows_of {
        let (status, page) =
            get(&sample, "operator@acme", &format!("/tenants/acme/executions?filter={filter}")).await;
        assert_eq!((status, rows(&page).len()), (200, expected), "{filter}");
    }
    let (_, page) = get(&sample, "operator@acme", &format!("/tenants/acme/executions?filter={own}")).await;
    assert_eq!(rows(&page), [own]);
    let (status, page) = get(&sample, "operator@acme", "/tenants/acme/executions?filter=stauts:FAILED").await;
    assert_eq!(status, 400);
    for expected in
        ["did you mean <code>status:</code>?", "filter-invalid", "value=\"stauts:FAILED\"", "aria-invalid"]
    {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    // The interface says the same.
    let (status, problem) =
        sample.ask("operator@acme", "GET", "/tenants/acme/executions?filter=stauts:FAILED", None).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("filter-invalid")));
    let (status, list) = sample
        .ask("operator@acme", "GET", "/tenants/acme/executions?filter=profile:a&status=STARTING", None)
        .await;
    assert_eq!((status, list["items"].as_array().map(Vec::len)), (200, Some(1)));
    for nothing in ["filter=profile:a&instance=hidden", "filter=status:FAILED&status=STARTING"] {
        let (_, list) =
            sample.ask("operator@acme", "GET", &format!("/tenants/acme/executions?{nothing}"), None).await;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{nothing}");
    }
}

#[tokio::test]
async fn pages_lead_to_older_and_newer_ones() {
    let sample = sample().await;
    let tenant = acme(&sample);
    for _ in 0..60 {
        tenant.publish("a", PublishOptions::default()).await.unwrap();
    }
    let of = async |query: &str| {
        rows(&get(&sample, "operator@acme", &format!("/tenants/acme/executions{query}")).await.1)
    };
    let first = of("").await;
    assert_eq!(first.len(), 50);
    let second = of(&format!("?before={}", first[49])).await;
    assert_eq!(second.len(), 12);
    assert!(second[0] < first[49]);
    assert_eq!(of(&format!("?after={}", second[0])).await, first, "and back");
    assert_eq!(of(&format!("?after={}", second[11])).await.len(), 50, "those that are next to it");
}

#[tokio::test]
async fn the_filtered_list_is_a_file() {
    let sample = sample().await;
    let path = "/tenants/acme/executions.csv?filter=profile:a";
    let response = sample.send(request("viewer@acme", "GET", path, None)).await;
    let disposition = response.headers().get(CONTENT_DISPOSITION).unwrap().to_str().unwrap().to_owned();
    assert_eq!(disposition, "attachment; filename=\"executions.csv\"");
    let text = text_of(response).await;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().next().unwrap().starts_with("id,instance,"), "{text}");
}

#[tokio::test]
async fn stop_in_a_row_acts_and_comes_back_to_the_list() {
    let sample = sample().await;
    let own = sample.execution_of("acme", "a").await;
    let form = format!("look=&filter=type%3Aexport&stop={own}");
    let (status, to, _) = post(&sample, "operator@acme", "/tenants/acme/executions/selected", &form).await;
    assert_eq!((status, to.as_str()), (303, "/tenants/acme/executions?filter=type%3Aexport"));
    assert_eq!(status_of(&sample, own).await, BatchStatus::Stopped);
    let (status, _, page) = post(&sample, "operator@acme", "/tenants/acme/executions/selected", &form).await;
    assert!(status == 200 && page.contains("errors/wrong-status"), "{page}");
}

#[tokio::test]
async fn many_are_asked_about_before_and_told_of_afterwards() {
    let sample = sample().await;
    let (one, other) = (sample.execution_of("acme", "a").await, sample.execution_of("acme", "hidden").await);
    let form = format!("action=stop&id={one}&id={other}");
    let (status, _, page) = post(&sample, "operator@acme", "/tenants/acme/executions/selected", &form).await;
    assert!(status == 200 && page.contains("Stop 2 executions?"), "{page}");
    assert_eq!(status_of(&sample, one).await, BatchStatus::Starting, "nothing is done yet");

    let bulk = "/tenants/acme/executions/bulk";
    let (status, _, page) =
        post(&sample, "operator@acme", bulk, "action=stop&filter=status:STARTING&expected_count=7").await;
    assert!(status == 409 && page.contains("count-differs") && page.contains("Stop 2 executions?"), "{page}");
    let (status, _, page) =
        post(&sample, "operator@acme", bulk, "action=stop&filter=status:STARTING&expected_count=2").await;
    assert!(status == 200 && page.contains("2 of 2 asked to stop"), "{page}");
    assert_eq!(status_of(&sample, other).await, BatchStatus::Stopped);
    let trail = acme(&sample).audit(&Default::default()).await.unwrap();
    let stops = trail.iter().filter(|event| event.deed.action == AuditAction::ExecutionStopRequested);
    assert!(stops.clone().all(|event| event.by.user.as_deref() == Some("operator@acme")));
    assert_eq!(stops.count(), 2, "each has its event");

    let form = format!("action=restart&expected_count=2&id={one}&id=999999");
    let (_, _, page) = post(&sample, "operator@acme", bulk, &form).await;
    assert!(page.contains("1 of 2 restarted") && page.contains("errors/not-found"), "{page}");
    for (form, expected) in [("action=explode&id=1", 400), ("id=x", 400), ("other=1", 400), ("look=1", 303)] {
        assert_eq!(post(&sample, "operator@acme", bulk, form).await.0, expected, "{form}");
    }
}

#[tokio::test]
async fn views_are_kept_for_their_user() {
    let sample = sample().await;
    let (status, to, _) =
        post(&sample, "viewer@acme", "/tenants/acme/views", "name=This+week&filter=created%3A7d").await;
    assert_eq!((status, to.as_str()), (303, "/tenants/acme/executions?filter=created%3A7d"));
    let (_, page) = get(&sample, "viewer@acme", "/tenants/acme/executions").await;
    assert!(page.contains("<bdi>This week</bdi>"), "{page}");
    let (_, page) = get(&sample, "operator@acme", "/tenants/acme/executions").await;
    assert!(!page.contains("This week"), "another user's");
    for (form, expected) in
        [("name=&filter=created%3A7d", "view-invalid"), ("name=x&filter=stauts%3Ax", "filter-invalid")]
    {
        let (status, _, page) = post(&sample, "viewer@acme", "/tenants/acme/views", form).await;
        assert!(status == 400 && page.contains(expected), "{form}: {page}");
    }
    let (status, to, _) = post(&sample, "viewer@acme", "/tenants/acme/views/remove", "name=This+week").await;
    assert_eq!((status, to.as_str()), (303, "/tenants/acme/views"));
    let (_, page) = get(&sample, "viewer@acme", "/tenants/acme/views").await;
    assert!(page.contains("You keep no views yet"), "{page}");
}

#[tokio::test]
async fn a_number_leads_to_its_execution_and_a_text_finds_names() {
    let sample = sample().await;
    let own = sample.execution_of("acme", "a").await;
    let response =
        sample.send(request("viewer@acme", "GET", &format!("/tenants/acme/find?q={own}"), None)).await;
    assert_eq!(
        (response.status().as_u16(), leads_to(&response)),
        (303, format!("/tenants/acme/executions/{own}"))
    );
    let (_, page) = get(&sample, "viewer@acme", "/tenants/acme/find?q=HIDD").await;
    for expected in ["instances/hidden", "executions/"] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let (_, page) = get(&sample, "viewer@acme", "/tenants/acme/find").await;
    assert!(page.contains("Type the number of an execution"), "{page}");
}

#[tokio::test]
async fn new_executions_and_changes_are_sent() {
    let sample = sample().await;
    let own = sample.execution_of("acme", "a").await;
    let newest = own.max(sample.execution_of("acme", "hidden").await);
    let path = format!("/tenants/acme/executions/moving?filter=profile:a&open={own}&since={newest}");
    let response = sample.send(request("operator@acme", "GET", &path, None)).await;
    assert_eq!(response.status().as_u16(), 200);
    let mut body = response.into_body().into_data_stream();
    let mut seen = String::new();
    let mut until = async |text: &str| {
        let read = async {
            while !seen.contains(text) {
                seen.push_str(&String::from_utf8_lossy(&body.next().await.unwrap().unwrap()));
            }
        };
        assert!(timeout(Duration::from_secs(20), read).await.is_ok(), "no {text} came");
    };
    until(&format!("hx-target=\"#status-{own}\"")).await;
    until("hx-target=\"#new-rows\"").await;
    let tenant = acme(&sample);
    tenant.publish("hidden", PublishOptions::default()).await.unwrap();
    tenant.publish("a", PublishOptions::default()).await.unwrap();
    until("1 new: show it").await;
    tenant.stop_execution(JobExecutionId(own)).await.unwrap();
    until("data-status=\"STOPPED\"").await;
    for wrong in ["open=x", "filter=stauts:x"] {
        let (status, _) =
            get(&sample, "operator@acme", &format!("/tenants/acme/executions/moving?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}");
    }
}
