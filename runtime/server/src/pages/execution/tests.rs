use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::response::Response;
use futures_util::StreamExt as _;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::JobExecutionId;
use tokio::time::{Duration, timeout};

use crate::api::{ApiOptions, api};
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

fn leads_to(response: &Response) -> &str {
    response.headers().get(LOCATION).map_or("", |to| to.to_str().unwrap())
}

#[tokio::test]
async fn each_page_is_for_those_who_may_see_the_execution() {
    let sample = sample().await;
    let (own, hidden) = (sample.execution_of("acme", "a").await, sample.execution_of("acme", "hidden").await);
    for below in
        ["", "/warnings", "/warnings/csv", "/warnings/jsonl", "/log", "/log/text", "/moving", "/log/moving"]
    {
        let path = |id: u64| format!("/tenants/acme/executions/{id}{below}");
        let stranger = sample.send(request("", "GET", &path(own), None)).await;
        assert_eq!(stranger.status().as_u16(), 303, "{below}");
        assert!(leads_to(&stranger).starts_with("/sign-in?next="), "{below}");
        for (who, id, expected) in [
            ("viewer@acme", own, 200),
            ("viewer@other", own, 404),
            ("narrow@acme", hidden, 404),
            ("viewer@acme", 999_999, 404),
        ] {
            let answer = sample.send(request(who, "GET", &path(id), None)).await;
            assert_eq!(answer.status().as_u16(), expected, "{who} {}", path(id));
        }
    }
}

#[tokio::test]
async fn a_page_has_the_buttons_that_its_reader_may_press() {
    let sample = sample().await;
    let id = sample.execution_of("acme", "a").await;
    let path = format!("/tenants/acme/executions/{id}");
    let viewer = text_of(sample.send(request("viewer@acme", "GET", &path, None)).await).await;
    assert!(viewer.contains("Queued") && !viewer.contains("/stop\""), "{viewer}");
    let operator = text_of(sample.send(request("operator@acme", "GET", &path, None)).await).await;
    assert!(operator.contains(&format!("action=\"{path}/stop\"")), "{operator}");
    for action in ["stop", "pause", "resume", "restart", "abandon", "reimport"] {
        let form = (action == "reimport").then_some("step=copy&rows=sku");
        let refused = sample.send(request("viewer@acme", "POST", &format!("{path}/{action}"), form)).await;
        assert_eq!(refused.status().as_u16(), 403, "{action}");
        let stranger = sample.send(request("", "POST", &format!("{path}/{action}"), form)).await;
        assert_eq!((stranger.status().as_u16(), leads_to(&stranger)), (303, "/sign-in"), "{action}");
    }
    let asked = sample.send(request("viewer@acme", "GET", &format!("{path}/abandon"), None)).await;
    assert_eq!(asked.status().as_u16(), 403);
}

#[tokio::test]
async fn what_is_pressed_is_done_and_leads_back() {
    let sample = sample().await;
    let id = sample.execution_of("acme", "a").await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let path = format!("/tenants/acme/executions/{id}");
    for (action, expected) in
        // What is resumed stays PAUSED until a worker takes it.
        [
            ("pause", BatchStatus::Paused),
            ("resume", BatchStatus::Paused),
            ("stop", BatchStatus::Stopped),
        ]
    {
        let done = sample.send(request("operator@acme", "POST", &format!("{path}/{action}"), None)).await;
        assert_eq!((done.status().as_u16(), leads_to(&done)), (303, path.as_str()), "{action}");
        assert_eq!(tenant.execution(JobExecutionId(id)).await.unwrap().status, expected, "{action}");
    }
    // Corrected rows that are none are refused in the page, and stay in it.
    let refused = request("operator@acme", "POST", &format!("{path}/reimport"), Some("step=copy&rows=+"));
    let refused = sample.send(refused).await;
    assert_eq!(refused.status().as_u16(), 400);
    assert!(text_of(refused).await.contains("there are no corrected rows"));
    // A file arrives as browsers send it. The job has no step of that name, so nothing begins.
    let mut sent = request("operator@acme", "POST", &format!("{path}/reimport-file"), None);
    let body = "--x\r\nContent-Disposition: form-data; name=\"step\"\r\n\r\nnone\r\n--x\r\nContent-Disposition: form-data; \
                name=\"items\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\nsku\n1\n\r\n--x--\r\n";
    *sent.body_mut() = Body::from(body);
    sent.headers_mut().insert(CONTENT_TYPE, "multipart/form-data; boundary=x".parse().unwrap());
    let refused = sample.send(sent).await;
    assert_eq!(refused.status().as_u16(), 400);
    assert!(text_of(refused).await.contains("has no step"));
    let restarted = sample.send(request("operator@acme", "POST", &format!("{path}/restart"), None)).await;
    assert_eq!(restarted.status().as_u16(), 303);
    let to = leads_to(&restarted).to_owned();
    let page = text_of(sample.send(request("operator@acme", "GET", &to, None)).await).await;
    assert!(page.contains(&format!("continues <a href=\"{path}\">{id}</a>")), "{page}");
}

async fn until(stream: &mut axum::body::BodyDataStream, wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            let Some(piece) = stream.next().await else { break };
            text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
        }
    };
    timeout(Duration::from_secs(30), reading)
        .await
        .unwrap_or_else(|_| panic!("`{wanted}` does not come: {text}"));
    text
}

#[tokio::test]
async fn a_page_moves_until_the_execution_has_ended() {
    let sample = sample().await;
    let id = sample.execution_of("acme", "a").await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let mut streams = Vec::new();
    for below in ["moving", "log/moving?after=0"] {
        let path = format!("/tenants/acme/executions/{id}/{below}");
        let response = sample.send(request("viewer@acme", "GET", &path, None)).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = response.into_body().into_data_stream();
        let first = until(&mut stream, "</hx-partial>").await;
        assert!(first.contains("hx-target=\"#status\"") && first.contains("Queued"), "{first}");
        streams.push(stream);
    }
    tenant.stop_execution(JobExecutionId(id)).await.unwrap();
    for mut stream in streams {
        let last = until(&mut stream, "event: end").await;
        assert!(last.contains("data-status=\"STOPPED\""), "{last}");
        assert!(stream.next().await.is_none(), "the stream ends");
    }
}

#[tokio::test]
async fn a_page_ends_with_the_session() {
    let sample = sample().await;
    let id = sample.execution_of("acme", "a").await;
    let spool = tempfile::tempdir().unwrap();
    let options = ApiOptions { with_pages: true, ..ApiOptions::new(spool.path()) };
    let users = std::sync::Arc::new(crate::OwnUsers::new(sample.stepbox.clone()));
    let routes = api(sample.stepbox.clone(), users, options);
    let send = async |request: Request| tower::ServiceExt::oneshot(routes.clone(), request).await.unwrap();
    let link = sample.stepbox.accounts().first_operator_link().await.unwrap().unwrap();
    let path = format!("/one-time-links/{}", link.secret.as_str());
    let form = "user=julia&password=a-long-password-of-hers&repeated=a-long-password-of-hers";
    assert_eq!(send(request("", "POST", &path, Some(form))).await.status().as_u16(), 303);
    let signed =
        send(request("", "POST", "/sign-in", Some("user=julia&password=a-long-password-of-hers"))).await;
    let cookie = signed.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = |method: &str, path: &str| {
        let mut request = request("", method, path, None);
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        request
    };
    let response = send(with_cookie("GET", &format!("/tenants/acme/executions/{id}/moving"))).await;
    assert_eq!(response.status().as_u16(), 200);
    let mut stream = response.into_body().into_data_stream();
    until(&mut stream, "</hx-partial>").await;
    assert_eq!(send(with_cookie("POST", "/sign-out")).await.status().as_u16(), 303);
    let last = until(&mut stream, "event: end").await;
    assert!(!last.contains("hx-partial"), "{last}");
    assert!(stream.next().await.is_none(), "the stream ends");
}

#[tokio::test]
async fn a_log_is_shown_searched_and_saved() {
    let sample = sample().await;
    let id = sample.execution_of("acme", "a").await;
    let folder = sample.folder().join("data/executions").join(id.to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let line = |number: u64| {
        let level = if number.is_multiple_of(1000) { "error" } else { "info" };
        let message = format!("message {number} <b>\\u001b[31m");
        format!("{{\"at\":1,\"level\":\"{level}\",\"step\":\"copy\",\"message\":\"{message}\"}}\n")
    };
    std::fs::write(folder.join("log.jsonl"), (1..=5000).map(line).collect::<String>()).unwrap();
    let path = format!("/tenants/acme/executions/{id}/log");
    let get = async |query: &str| {
        text_of(sample.send(request("viewer@acme", "GET", &format!("{path}{query}"), None)).await).await
    };
    let last = get("").await;
    assert!(last.contains("id=\"L5000\"") && last.contains("id=\"L3001\"") && !last.contains("id=\"L3000\""));
    assert!(last.contains(&format!("{path}?before=3001")) && last.contains("moving?after=5000"));
    assert!(last.contains("message 5000 &lt;b&gt;\\u{1b}[31m") && !last.contains('\u{1b}'));
    let earlier = get("?before=3001").await;
    assert!(
        earlier.contains("id=\"L3000\"") && !earlier.contains("id=\"L3001\"") && !earlier.contains("/moving")
    );
    let around = get("?line=1234").await;
    assert!(around.contains("<p id=\"L1234\" data-level=\"info\" class=\"hit\">"));
    assert!(
        around.contains("id=\"L234\"") && around.contains("id=\"L2233\"") && !around.contains("id=\"L2234\"")
    );
    let errors = get("?level=error&step=&search=MESSAGE").await;
    assert_eq!(errors.matches("data-level=\"error\"").count(), 5);
    assert!(errors.contains("<mark>message</mark> 1000"), "{errors:.2000}");
    let saved = get("/text?level=error").await;
    assert_eq!(saved.lines().count(), 5);
    assert!(
        saved.starts_with("1000\t") && saved.contains("\terror\tcopy\tmessage 1000 <b>\\u{1b}[31m\n"),
        "{saved}"
    );
    assert_eq!(get("/text").await.lines().count(), 5000);
    let page = text_of(
        sample.send(request("viewer@acme", "GET", &format!("/tenants/acme/executions/{id}"), None)).await,
    )
    .await;
    assert!(
        page.contains("All 5,000 lines") && page.contains("id=\"L5000\"") && !page.contains("id=\"L4988\"")
    );
    let unknown = sample.send(request("viewer@acme", "GET", &format!("{path}?level=loud"), None)).await;
    assert_eq!(unknown.status().as_u16(), 400);
}
