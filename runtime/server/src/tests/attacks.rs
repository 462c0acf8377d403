//! What attackers try: each test is named after what must not work. The numbers are those of the list of attacks in
//! docs/api.md.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use serde_json::{Value, json};
use stepbox_api::problem::MEDIA_TYPE;

use crate::listening::Origins;
use crate::testing::{Sample, request};

/// 1: no spelling of an address goes past the credentials.
#[tokio::test]
async fn odd_addresses_open_nothing() {
    let sample = Sample::new().await;
    let odd = [
        "/api/v1/tenants/acme/instances/",
        "/api/v1//tenants/acme/instances",
        "/api/v1/./tenants/acme/instances",
        "/api/v1/live/../tenants/acme/instances",
        "/api/v1/live%2f..%2ftenants/acme/instances",
        "/api/v1/tenants/acme/instances;x=/live",
        "/api/v1/tenants/acme/instances/health",
        "/api/v1/tenants/acme/instances/live",
        "/api/v1/tenants/acme/instances/metrics",
        "/api/v1/tenants/acme/instances/openapi.json",
        "/API/V1/tenants/acme/instances",
        "/api/v1/TENANTS/acme/instances",
        "/api/v1/tenants/acme/instances%00",
        "/api/v1/tenants/acme%2finstances",
        "/tenants/acme/instances",
        "/api/v1/live/tenants/acme/instances",
        "/metrics",
        "/configs",
    ];
    for path in odd {
        let asked = Request::builder().uri(path).header(HOST, "localhost").body(Body::empty()).unwrap();
        let status = sample.send(asked).await.status().as_u16();
        assert!([401, 404].contains(&status), "{path}: {status}");
    }
}

/// 4: an id in a body, a filter or a cursor is judged like one in the path, and no tenant is the default.
#[tokio::test]
async fn the_tenant_is_in_the_path_alone() {
    let sample = Sample::new().await;
    let foreign = sample.execution_of("other", "a").await;
    for tenant in ["", "*", "~", "_", "default", "ACME", "acme%20", "..", "other", "acme,other"] {
        let (status, _) =
            sample.ask("administrator@acme", "GET", &format!("/tenants/{tenant}/instances"), None).await;
        assert_eq!(status, 404, "{tenant}");
    }
    // Numbers are unique in the store, so one of another tenant could be tried.
    let path = format!("/tenants/acme/executions/{foreign}");
    let (status, answer) = sample.ask("administrator@acme", "GET", &path, None).await;
    assert_eq!(status, 404, "{answer}");
    let (status, _) =
        sample.ask("administrator@acme", "GET", "/tenants/acme/instances?tenant=other", None).await;
    assert_eq!(status, 400);
    let launch = json!({ "tenant": "other" });
    let (status, answer) =
        sample.ask("administrator@acme", "POST", "/tenants/acme/instances/a/launch", Some(launch)).await;
    assert_eq!((status, &answer["code"]), (400, &json!("unknown-field")), "{answer}");
}

/// 5: a list leaves out what one may not see, also where only a part of it would show.
#[tokio::test]
async fn a_list_does_not_tell_of_hidden_things() {
    let sample = Sample::new().await;
    let hidden = sample.execution_of("acme", "hidden").await;
    for path in [
        "/instances",
        "/executions",
        "/executions?instance=hidden",
        "/workers",
        "/executions?status=STARTING",
    ] {
        for accept in ["application/json", "text/csv", "application/jsonl"] {
            let mut asked = request("narrow@acme", "GET", &format!("/tenants/acme{path}"), None);
            asked.headers_mut().insert("accept", accept.parse().unwrap());
            let body = to_bytes(sample.send(asked).await.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            assert!(!text.contains("hidden"), "{path} {accept}: {text}");
            assert!(!text.contains(&format!("\"id\":{hidden},")), "{path} {accept}: {text}");
        }
    }
}

/// 6: an error does not name what one may not see.
#[tokio::test]
async fn an_error_does_not_guess_hidden_names() {
    let sample = Sample::new().await;
    let (_, answer) = sample.ask("narrow@acme", "GET", "/tenants/acme/instances/hiddem", None).await;
    assert!(!answer.to_string().contains("hidden"), "{answer}");
}

/// 7: names in addresses are names, not paths.
#[tokio::test]
async fn no_address_leaves_its_folder() {
    let sample = Sample::new().await;
    let execution = sample.execution_of("acme", "a").await;
    let steps = [
        "..%2f..%2fetc%2fpasswd",
        "%252e%252e%252f",
        "..%5c..%5c",
        "%2fetc%2fpasswd",
        "a%00.csv",
        ".",
        "%2e%2e",
    ];
    for step in steps {
        let path = format!("/tenants/acme/executions/{execution}/rejected/{step}");
        let (status, answer) = sample.ask("administrator@acme", "GET", &path, None).await;
        assert_eq!(status, 404, "{step}: {answer}");
    }
    for number in ["1e3", "0x1", "+1", "01", "-1", "1.0", "18446744073709551616", "%31%20", "1;2"] {
        let path = format!("/tenants/acme/executions/{number}");
        assert_eq!(sample.ask("administrator@acme", "GET", &path, None).await.0, 404, "{number}");
    }
}

/// 8: a body has the one type that the route takes.
#[tokio::test]
async fn a_body_is_what_it_says() {
    let sample = Sample::new().await;
    let rows: [(&[&str], u16); 8] = [
        (&["application/json"], 202),
        (&["text/plain"], 415),
        (&["application/x-www-form-urlencoded"], 415),
        (&["multipart/form-data; boundary=x"], 415),
        (&["application/json", "multipart/form-data; boundary=x"], 415),
        (&["application/json; charset=utf-7"], 415),
        (&["application/jsonp"], 415),
        (&[], 415),
    ];
    for (kinds, expected) in rows {
        let mut asked = request("operator@acme", "POST", "/tenants/acme/instances/a/launch", None);
        for kind in kinds {
            asked.headers_mut().append(CONTENT_TYPE, kind.parse().unwrap());
        }
        *asked.body_mut() = Body::from("{}");
        assert_eq!(sample.send(asked).await.status().as_u16(), expected, "{kinds:?}");
    }
    // An encoded body is not opened, so there is no bomb to open.
    let mut asked = request("operator@acme", "POST", "/tenants/acme/instances/a/launch", Some(json!({})));
    asked.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(sample.send(asked).await.status().as_u16(), 415);
}

/// 9: an upload is inspected before it is kept, whatever it says of itself.
#[tokio::test]
async fn an_upload_is_no_component_because_it_says_so() {
    let sample = Sample::new().await;
    for body in [&b"<html><script>alert(1)</script>"[..], b"", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
        let mut asked = request("author@acme", "POST", "/tenants/acme/steps", None);
        asked.headers_mut().insert(CONTENT_TYPE, "application/wasm".parse().unwrap());
        *asked.body_mut() = Body::from(body);
        let response = sample.send(asked).await;
        let kind = response.headers()[CONTENT_TYPE].clone();
        assert_eq!((response.status().as_u16(), kind.to_str().unwrap()), (422, MEDIA_TYPE), "{body:?}");
    }
    let (_, kept) = sample.ask("author@acme", "GET", "/tenants/acme/steps", None).await;
    assert_eq!(kept["items"], json!([]));
    // The length is judged before anything is read.
    let mut asked = request("author@acme", "POST", "/tenants/acme/steps", None);
    asked.headers_mut().insert(CONTENT_TYPE, "application/wasm".parse().unwrap());
    asked.headers_mut().insert("content-length", "99999999999".parse().unwrap());
    *asked.body_mut() =
        Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(sample.send(asked).await.status().as_u16(), 413);
}

/// 15: no page of another site makes a browser do anything.
#[tokio::test]
async fn another_site_changes_nothing() {
    let sample = Sample::new().await;
    let launch = |headers: &[(&str, &str)]| {
        let mut asked = request("operator@acme", "POST", "/tenants/acme/instances/a/launch", Some(json!({})));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            asked.headers_mut().insert(name, value.parse().unwrap());
        }
        asked
    };
    let rows: [(&[(&str, &str)], u16); 8] = [
        (&[], 202),
        (&[("sec-fetch-site", "same-origin")], 202),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:9999")], 403),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "http://localhost:9999")], 403),
        (&[("origin", "http://localhost")], 202),
        (&[("origin", "null")], 403),
    ];
    for (headers, expected) in rows {
        let response = sample.send(launch(headers)).await;
        let kind = response.headers()[CONTENT_TYPE].clone();
        assert_eq!(response.status().as_u16(), expected, "{headers:?}");
        assert_eq!(kind == MEDIA_TYPE, expected == 403, "{headers:?}");
    }
    // A change has one method, and no header makes another one of it.
    for (method, header) in
        [("GET", ""), ("HEAD", ""), ("GET", "x-http-method-override"), ("PUT", ""), ("OPTIONS", "")]
    {
        let mut asked = request("operator@acme", method, "/tenants/acme/instances/a/launch", None);
        if !header.is_empty() {
            let name: HeaderName = header.parse().unwrap();
            asked.headers_mut().insert(name, "POST".parse().unwrap());
        }
        let response = sample.send(asked).await;
        assert_eq!(response.status().as_u16(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "POST", "{method}");
    }
}

/// 18: credentials are in one place, and come back from nowhere.
#[tokio::test]
async fn credentials_are_taken_from_their_header_alone() {
    let sample = Sample::new().await;
    for query in ["token=operator", "access_token=operator", "authorization=Bearer%20operator", "x=sbx_abc"] {
        let path = format!("/tenants/acme/instances?{query}");
        let (status, answer) = sample.ask("", "GET", &path, None).await;
        assert_eq!((status, &answer["code"]), (400, &json!("token-in-url")), "{query}");
        assert!(!answer.to_string().contains("sbx_abc"), "{answer}");
    }
    // What is wrong with credentials is not said.
    for who in ["nothing", "sbx_0000", "viewer@"] {
        let (status, answer) = sample.ask(who, "GET", "/tenants/acme/instances", None).await;
        assert_eq!((status, &answer["detail"]), (401, &json!("the credentials are of no use")));
    }
    for value in ["operator@acme", "Basic b3BlcmF0b3I6eA==", "bearer  ", "Bearer"] {
        let mut asked = request("", "GET", "/tenants/acme/instances", None);
        asked.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        assert_eq!(sample.send(asked).await.status().as_u16(), 401, "{value}");
    }
}

/// 19: a request for another name, as after DNS rebinding, is refused.
#[tokio::test]
async fn a_foreign_host_is_refused() {
    let sample = Sample::with(|options| crate::ApiOptions {
        origins: Origins { names: vec!["jobs.example.com".to_owned()], ..Origins::default() },
        ..options
    })
    .await;
    let hosts = [
        ("localhost", 200),
        ("jobs.example.com", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ];
    for (host, expected) in hosts {
        let mut asked = request("viewer@acme", "GET", "/tenants/acme/instances", None);
        asked.headers_mut().insert(HOST, host.parse().unwrap());
        // Only a proxy that is known may say so.
        asked.headers_mut().insert("x-forwarded-host", "localhost".parse().unwrap());
        asked.headers_mut().insert(ORIGIN, "http://localhost".parse().unwrap());
        assert_eq!(sample.send(asked).await.status().as_u16(), expected, "{host}");
    }
}

/// 20: nothing in a query or a body is more than the value that it is.
#[tokio::test]
async fn queries_and_bodies_hold_values_alone() {
    let sample = Sample::new().await;
    let queries = [
        "status=FAILED'%20OR%201=1--",
        "instance=a'%3B%20DROP%20TABLE%20users",
        "order=id%20desc",
        "limit=0",
        "limit=100000",
        "limit=-1",
        "limit=5&limit=6",
        "after=1",
        "after=118%20OR%201=1",
        "hidden=",
        "before=1",
    ];
    for query in queries {
        let (status, answer) =
            sample.ask("viewer@acme", "GET", &format!("/tenants/acme/executions?{query}"), None).await;
        assert_eq!(status, 400, "{query}: {answer}");
    }
    let (_, shown) = sample.ask("author@acme", "GET", "/tenants/acme/instances/a", None).await;
    for field in ["tenant", "version", "code", "connector", "job", "role", "raw_parameters", "updated_at"] {
        let mut asked =
            request("author@acme", "PATCH", "/tenants/acme/instances/a", Some(json!({ field: "x" })));
        asked.headers_mut().insert("if-match", "*".parse().unwrap());
        let response = sample.send(asked).await;
        assert_eq!(response.status().as_u16(), 400, "{field}");
    }
    assert_eq!(sample.ask("author@acme", "GET", "/tenants/acme/instances/a", None).await.1, shown);
}

/// Every answer says how browsers must treat it, and every problem is one.
#[tokio::test]
async fn every_answer_carries_what_browsers_need() {
    let sample = Sample::new().await;
    for (who, path) in [
        ("viewer@acme", "/tenants/acme/instances"),
        ("", "/tenants/acme/instances"),
        ("viewer@acme", "/nothing"),
        ("viewer@acme", "/tenants/acme/instances/missing"),
        ("", "/reference"),
    ] {
        let mut asked = request(who, "GET", path, None);
        asked.headers_mut().insert("x-request-id", "req-1".parse().unwrap());
        let response = sample.send(asked).await;
        let headers = response.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-request-id"], "req-1", "{path}");
        assert!(
            headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"),
            "{path}"
        );
        let is_error = response.status().as_u16() >= 400;
        assert_eq!(headers[CONTENT_TYPE] == MEDIA_TYPE, is_error, "{path}");
        if is_error {
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["request_id"], "req-1", "{problem}");
            assert!(problem["code"].is_string() && problem["status"].is_u64(), "{problem}");
        }
    }
}

/// 4: in a request for many things, each of them is judged by itself.
#[tokio::test]
async fn a_request_for_many_reaches_no_more_than_one_for_each() {
    let sample = Sample::new().await;
    let (own, hidden) = (sample.execution_of("acme", "a").await, sample.execution_of("acme", "hidden").await);
    let foreign = sample.execution_of("other", "a").await;
    let bulk = json!({ "action": "stop", "ids": [hidden, foreign, 999_999, own], "expected_count": 4 });
    let (status, answer) =
        sample.ask("narrow@acme", "POST", "/tenants/acme/executions/bulk", Some(bulk.clone())).await;
    assert_eq!(status, 200, "{answer}");
    let outcomes = answer["outcomes"].as_array().unwrap();
    for outcome in &outcomes[..3] {
        assert_eq!(
            (&outcome["is_done"], &outcome["code"]),
            (&json!(false), &json!("not-found")),
            "{outcome}"
        );
        assert_eq!(outcome["detail"], outcomes[2]["detail"], "{outcome}");
    }
    assert_eq!(outcomes[3]["is_done"], true, "{answer}");
    let (status, _) = sample.ask("viewer@acme", "POST", "/tenants/acme/executions/bulk", Some(bulk)).await;
    assert_eq!(status, 403);
    let few = json!({ "action": "stop", "filter": { "instance": "a" }, "expected_count": 9 });
    let (status, answer) =
        sample.ask("operator@acme", "POST", "/tenants/acme/executions/bulk", Some(few)).await;
    assert_eq!((status, &answer["code"]), (409, &json!("count-differs")), "{answer}");
}

/// 11: a question about a form names a component and values, and nothing that has grants, credentials or a URL.
#[tokio::test]
async fn a_question_about_a_form_reaches_nothing() {
    let sample = Sample::new().await;
    let path = "/tenants/acme/connectors/stepbox/jobs/csv_export/form/describe";
    let question = json!({ "component": "csv", "what": "mapping", "parameters": {}, "source": "source" });
    let ask = async |who: &str, path: &str, body: Value| {
        let (status, answer) = sample.ask(who, "POST", path, Some(body)).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    // A native element is no component, and neither are those of another tenant.
    assert_eq!(ask("author@acme", path, question.clone()).await, (404, "not-found".to_owned()));
    let foreign = path.replace("acme", "other");
    assert_eq!(ask("author@acme", &foreign, question.clone()).await, (404, "not-found".to_owned()));
    for (key, value) in [
        ("header", json!(["sku"])),
        ("grants", json!({ "http": ["GET https://*"] })),
        ("secrets", json!(["crm_token"])),
        ("url", json!("http://127.0.0.1/")),
        ("tenant", json!("other")),
        ("digest", json!("0".repeat(64))),
    ] {
        let mut body = question.clone();
        body[key] = value;
        assert_eq!(ask("author@acme", path, body).await, (400, "unknown-field".to_owned()), "{key}");
    }
}
