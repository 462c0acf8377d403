//! The pages of those who build and operate: who sees which, and what their forms do.

use std::io::Write as _;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::response::Response;
use stepbox::{NewUser, TenantStanding};
use tower::ServiceExt as _;

use crate::api::{ApiOptions, api};
use crate::testing::{Sample, tenant_id};

async fn sample() -> Sample {
    Sample::with(|options| ApiOptions { with_pages: true, ..options }).await
}

/// A request of this principal; with a form, as a browser sends it.
fn request(who: &str, method: &str, path: &str, form: Option<&str>) -> Request {
    let kind = "application/x-www-form-urlencoded";
    request_of(who, method, path, form.map(|form| (kind, form.as_bytes().to_vec())))
}

fn request_of(who: &str, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Request {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if !who.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {who}"));
    }
    match body {
        Some((kind, body)) => request.header(CONTENT_TYPE, kind).body(Body::from(body)).unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

async fn text_of(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 22).await.unwrap().to_vec()).unwrap()
}

fn leads_to(response: &Response) -> String {
    response.headers().get(LOCATION).map_or_else(String::new, |to| to.to_str().unwrap().to_owned())
}

/// The status and the text of a page.
async fn page(sample: &Sample, who: &str, path: &str) -> (u16, String) {
    let response = sample.send(request(who, "GET", path, None)).await;
    (response.status().as_u16(), text_of(response).await)
}

#[tokio::test]
async fn each_page_is_for_those_who_may_see_it() {
    let sample = sample().await;
    // A path, and what a viewer, an author, an administrator and an operator of the installation get.
    let rows = [
        ("/tenants/acme", [200, 200, 200, 200]),
        ("/tenants/acme/moving", [200, 200, 200, 200]),
        ("/tenants/acme/connectors", [200, 200, 200, 200]),
        ("/tenants/acme/connectors/stepbox", [200, 200, 200, 200]),
        ("/tenants/acme/connectors/stepbox/remove", [403, 200, 200, 200]),
        ("/tenants/acme/connectors/no_such_one", [404, 404, 404, 404]),
        ("/tenants/acme/steps", [303, 303, 303, 303]),
        ("/tenants/acme/steps/no-such-one", [404, 404, 404, 404]),
        ("/tenants/acme/workers", [200, 200, 200, 200]),
        ("/tenants/acme/workers/moving", [200, 200, 200, 200]),
        ("/tenants/acme/audit", [403, 403, 200, 200]),
        ("/tenants/acme/audit/csv", [403, 403, 200, 200]),
        ("/tenants/acme/members", [403, 403, 200, 200]),
        ("/tenants/acme/instances/a/rights", [403, 403, 200, 200]),
        ("/tenants/acme/policy", [200, 200, 200, 200]),
        ("/tenants/acme/schedules", [200, 200, 200, 200]),
        ("/tenants", [200, 200, 200, 200]),
        ("/users", [403, 403, 403, 200]),
        ("/audit", [403, 403, 403, 200]),
        ("/audit/csv", [403, 403, 403, 200]),
    ];
    for (path, expected) in rows {
        let stranger = sample.send(request("", "GET", path, None)).await;
        assert_eq!(stranger.status().as_u16(), 303, "{path}");
        assert!(leads_to(&stranger).starts_with("/sign-in?next="), "{path}");
        for (who, expected) in
            ["viewer@acme", "author@acme", "administrator@acme", "operator"].into_iter().zip(expected)
        {
            let answer = sample.send(request(who, "GET", path, None)).await;
            assert_eq!(answer.status().as_u16(), expected, "{who} {path}");
        }
        if path.starts_with("/tenants/acme") {
            let other = sample.send(request("administrator@other", "GET", path, None)).await;
            assert_eq!(other.status().as_u16(), 404, "{path}");
        }
    }
}

#[tokio::test]
async fn a_form_is_for_those_who_may_use_it() {
    let sample = sample().await;
    // A path, a form, and what a viewer, an author and an administrator get.
    let rows = [
        ("/tenants/acme/members", "user=viewer&role=viewer", [403, 403, 404]),
        ("/tenants/acme/members/viewer", "role=author", [403, 403, 404]),
        ("/tenants/acme/members/viewer/remove", "", [403, 403, 404]),
        ("/tenants/acme/instances/a/rights", "edit_who=list&edit=", [403, 403, 303]),
        ("/tenants/acme/connectors/stepbox/remove", "", [403, 400, 400]),
        ("/tenants/acme/suspend", "", [403, 403, 403]),
        ("/tenants/acme/resume", "", [403, 403, 403]),
        ("/users", "name=x", [403, 403, 403]),
        ("/users/x/remove", "", [403, 403, 403]),
    ];
    for (path, form, expected) in rows {
        let stranger = sample.send(request("", "POST", path, Some(form))).await;
        assert_eq!((stranger.status().as_u16(), leads_to(&stranger).as_str()), (303, "/sign-in"), "{path}");
        for (who, expected) in ["viewer@acme", "author@acme", "administrator@acme"].into_iter().zip(expected)
        {
            let answer =
                sample.send(request(who, "POST", path, Some(form).filter(|form| !form.is_empty()))).await;
            assert_eq!(answer.status().as_u16(), expected, "{who} {path}");
        }
    }
}

#[tokio::test]
async fn a_viewer_sees_no_button_that_it_may_not_press() {
    let sample = sample().await;
    let (_, viewers) = page(&sample, "viewer@acme", "/tenants/acme/connectors").await;
    let (_, authors) = page(&sample, "author@acme", "/tenants/acme/connectors").await;
    assert!(!viewers.contains("/inspect\"") && authors.matches("/inspect\"").count() == 2);
    let (_, viewers) = page(&sample, "viewer@acme", "/tenants/acme/policy").await;
    let (_, operators) = page(&sample, "operator", "/tenants/acme/policy").await;
    assert!(!viewers.contains("/suspend\"") && operators.contains("/suspend\""));
}

#[tokio::test]
async fn some_pages_are_for_everybody() {
    let sample = sample().await;
    let rows = [
        ("/errors", 200, "not-found"),
        ("/errors/not-found", 200, "prose"),
        ("/errors/no-such-code", 404, "there is no such error code"),
        ("/reference", 200, "/tenants/{tenant}/executions"),
        ("/nowhere/at/all", 404, "there is nothing at this address"),
    ];
    for (path, status, expected) in rows {
        for (who, has_frame) in [("", false), ("viewer@acme", true)] {
            let (found, text) = page(&sample, who, path).await;
            assert_eq!(found, status, "{who} {path}");
            assert!(text.contains(expected), "{path}: {text:.2000}");
            assert_eq!(text.contains("action=\"/sign-out\""), has_frame, "{who} {path}");
        }
    }
    // Programs get no pages.
    let (status, text) = page(&sample, "viewer@acme", "/api/v1/nowhere").await;
    assert!(status == 404 && text.starts_with('{'), "{text}");
    // A failure in a tenant stays in its frame.
    let (status, text) = page(&sample, "viewer@acme", "/tenants/acme/connectors/no_such_one").await;
    assert!(status == 404 && text.contains("href=\"/tenants/acme/workers\""), "{text:.2000}");
}

const CONNECTOR: &str = "\
connector: brought
label: \"<script>alert(1)</script>\"
jobs:
  brought_export:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: \"${parameters.source}\" } }
        writer: { csv: { to: \"${parameters.storage}\" } }
";

/// A form with a file, as a browser sends it.
fn with_file(name: &str, file: &[u8]) -> (&'static str, Vec<u8>) {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\nContent-Type: x/y\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b--\r\n");
    ("multipart/form-data; boundary=b", body)
}

fn package(text: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("connector.yaml", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(text.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_connector_is_shown_before_it_is_installed() {
    let sample = sample().await;
    let send = async |who: &str, path: &str, body: Option<(&str, Vec<u8>)>| {
        sample.send(request_of(who, "POST", path, body)).await
    };
    let inspect = "/tenants/acme/connectors/inspect";
    let refused = send("viewer@acme", inspect, Some(with_file("package", &package(CONNECTOR)))).await;
    assert_eq!(refused.status().as_u16(), 403);
    let wrong = send("author@acme", inspect, Some(with_file("package", b"no package"))).await;
    assert_eq!(wrong.status().as_u16(), 400);
    let text = text_of(wrong).await;
    assert!(text.contains("the package cannot be used") && text.contains("/inspect\""), "{text:.3000}");

    let inspected = send("author@acme", inspect, Some(with_file("package", &package(CONNECTOR)))).await;
    let at = leads_to(&inspected);
    assert!(
        inspected.status().as_u16() == 303 && at.starts_with("/tenants/acme/inspected-connectors/"),
        "{at}"
    );
    let (status, shown) = page(&sample, "author@acme", &at).await;
    assert!(status == 200 && shown.contains("brought_export") && shown.contains("is not installed yet"));
    assert!(shown.contains("&lt;script&gt;alert(1)") && !shown.contains("<script>alert"));
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    assert!(tenant.connector("brought").await.is_err(), "nothing was installed");
    // Nobody else finds the upload.
    assert_eq!(page(&sample, "administrator@acme", &at).await.0, 404);
    assert_eq!(send("administrator@acme", &at, None).await.status().as_u16(), 415);
    assert_eq!(
        sample.send(request("administrator@acme", "POST", &at, Some(""))).await.status().as_u16(),
        404
    );

    let installed = sample.send(request("author@acme", "POST", &at, Some(""))).await;
    assert_eq!(leads_to(&installed), "/tenants/acme/connectors/brought");
    assert!(tenant.connector("brought").await.is_ok());
    assert_eq!(page(&sample, "author@acme", &at).await.0, 404, "the upload is gone");

    let (_, asked) = page(&sample, "author@acme", "/tenants/acme/connectors/brought/remove").await;
    assert!(
        asked.contains("brought_export")
            && asked.contains("action=\"/tenants/acme/connectors/brought/remove\"")
    );
    let removed = send("author@acme", "/tenants/acme/connectors/brought/remove", None).await;
    assert_eq!(leads_to(&removed), "/tenants/acme/connectors");
    assert!(tenant.connector("brought").await.is_err());
}

#[tokio::test]
async fn a_discarded_upload_is_gone() {
    let sample = sample().await;
    let body = Some(with_file("package", &package(CONNECTOR)));
    let inspected =
        sample.send(request_of("author@acme", "POST", "/tenants/acme/connectors/inspect", body)).await;
    let at = leads_to(&inspected);
    let discarded = sample.send(request("author@acme", "POST", &format!("{at}/discard"), None)).await;
    assert_eq!(leads_to(&discarded), "/tenants/acme/connectors");
    assert_eq!(page(&sample, "author@acme", &at).await.0, 404);
}

#[tokio::test]
async fn what_is_no_component_is_refused_beside_its_form() {
    let sample = sample().await;
    let body = Some(with_file("component", b"no component"));
    let refused = sample.send(request_of("author@acme", "POST", "/tenants/acme/steps/inspect", body)).await;
    assert_eq!(refused.status().as_u16(), 422);
    let text = text_of(refused).await;
    assert!(text.contains("role=\"alert\"") && text.contains("name=\"component\""), "{text:.3000}");
}

#[tokio::test]
async fn members_and_rights_are_changed_in_forms() {
    let sample = sample().await;
    let accounts = sample.stepbox.accounts();
    for name in ["julia", "peter"] {
        accounts.create_user(NewUser { name: name.to_owned(), ..NewUser::default() }).await.unwrap();
    }
    let post = async |path: &str, form: &str| {
        let form = Some(form).filter(|form| !form.is_empty());
        sample.send(request("administrator@acme", "POST", path, form)).await
    };
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    let roles = async || {
        let members = tenant.members().await.unwrap();
        members.iter().map(|member| format!("{} {}", member.user, member.role)).collect::<Vec<_>>().join(",")
    };
    assert_eq!(
        leads_to(&post("/tenants/acme/members", "user=julia&role=viewer").await),
        "/tenants/acme/members"
    );
    assert_eq!(roles().await, "julia viewer");
    post("/tenants/acme/members/julia", "role=author").await;
    assert_eq!(roles().await, "julia author");
    let unknown = post("/tenants/acme/members", "user=nobody&role=viewer").await;
    assert_eq!(unknown.status().as_u16(), 404);
    assert!(text_of(unknown).await.contains("value=\"nobody\""), "what was typed stays");
    post("/tenants/acme/members/julia/remove", "").await;
    assert_eq!(roles().await, "");

    for user in ["julia", "peter"] {
        post("/tenants/acme/members", &format!("user={user}&role=author")).await;
    }
    let form = "view_who=role&edit_who=list&edit=julia%0D%0Apeter&launch_who=list&launch=&history_who=role";
    assert_eq!(post("/tenants/acme/instances/a/rights", form).await.status().as_u16(), 303);
    let rights = tenant.instance_rights("a").await.unwrap();
    assert!(rights.view.is_none() && rights.edit.as_ref().unwrap().len() == 2);
    assert!(rights.launch.as_ref().unwrap().is_empty() && rights.history.is_none());
    let (_, shown) = page(&sample, "administrator@acme", "/tenants/acme/instances/a/rights").await;
    assert!(shown.contains("julia\npeter</textarea>"), "{shown:.4000}");
    let (_, trail) = page(
        &sample,
        "administrator@acme",
        "/tenants/acme/audit?action=instance-rights-changed&user=&since=",
    )
    .await;
    assert!(trail.contains("changed the rights at profile") && !trail.contains("created profile"));
    let csv = sample.send(request("administrator@acme", "GET", "/tenants/acme/audit/csv?user=", None)).await;
    assert!(csv.headers()[CONTENT_DISPOSITION].to_str().unwrap().contains("audit.csv"));
    let csv = text_of(csv).await;
    assert!(csv.starts_with("id,at,user,") && csv.contains("instance-rights-changed"), "{csv:.500}");
}

#[tokio::test]
async fn the_audit_trail_has_pages() {
    let sample = sample().await;
    let tenant = sample.stepbox.tenant(&tenant_id("acme")).unwrap();
    for _ in 0..60 {
        tenant.publish("a", stepbox::PublishOptions::default()).await.unwrap();
    }
    let (_, first) =
        page(&sample, "administrator@acme", "/tenants/acme/audit?action=execution-submitted").await;
    assert_eq!(first.matches("submitted execution").count(), 50);
    let older = first.split("href=\"").find(|part| part.contains("before=")).unwrap();
    let older = older.split('"').next().unwrap().replace("&amp;", "&");
    let (_, second) = page(&sample, "administrator@acme", &older).await;
    assert_eq!(second.matches("submitted execution").count(), 12, "{older}");
    for wrong in ["since=yesterday", "action=nothing", "unknown=1"] {
        let path = format!("/tenants/acme/audit?{wrong}");
        assert_eq!(page(&sample, "administrator@acme", &path).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_user_is_made_with_a_link_that_is_shown_once() {
    let sample = sample().await;
    let post = async |path: &str, form: &str| {
        let form = Some(form).filter(|form| !form.is_empty());
        sample.send(request("operator", "POST", path, form)).await
    };
    let created = post("/users", "name=julia&label=%3Cb%3EJulia&operator=true").await;
    assert_eq!(created.status().as_u16(), 200);
    let text = text_of(created).await;
    let link = text.split("http://localhost").nth(1).unwrap().split('<').next().unwrap();
    assert!(
        link.starts_with("/one-time-links/") && text.contains("&lt;b&gt;Julia") && !text.contains("<b>Julia")
    );
    assert_eq!(page(&sample, "", link).await.0, 200, "the link can be opened");
    let (_, again) = page(&sample, "operator", "/users/julia").await;
    assert!(!again.contains("/one-time-links/"));
    let twice = post("/users", "name=julia&label=").await;
    assert_eq!(twice.status().as_u16(), 409);
    assert!(text_of(twice).await.contains("value=\"julia\""));
    let accounts = sample.stepbox.accounts();
    // Somebody must remain who operates the installation.
    let other = NewUser { name: "root".to_owned(), is_operator: true, ..NewUser::default() };
    accounts.create_user(other).await.unwrap();
    post("/users/julia", "label=Julia&suspended=true").await;
    let user = accounts.user("julia").await.unwrap();
    assert!(user.label == "Julia" && user.is_suspended && !user.is_operator);
    assert_eq!(leads_to(&post("/users/julia/remove", "").await), "/users");
    assert!(accounts.user("julia").await.is_err());
}

#[tokio::test]
async fn a_tenant_is_suspended_and_resumed() {
    let sample = sample().await;
    let standing = || {
        let tenants = sample.stepbox.tenants();
        tenants.into_iter().find(|(id, _)| *id == tenant_id("acme")).unwrap().1
    };
    for (path, expected) in [("suspend", TenantStanding::Suspended), ("resume", TenantStanding::Active)] {
        let answer = sample.send(request("operator", "POST", &format!("/tenants/acme/{path}"), None)).await;
        assert_eq!(leads_to(&answer), "/tenants/acme/policy");
        assert_eq!(standing(), expected);
    }
}

#[tokio::test]
async fn the_account_page_makes_and_revokes_tokens_and_changes_the_password() {
    let sample = sample().await;
    let spool = tempfile::tempdir().unwrap();
    let options = ApiOptions { with_pages: true, ..ApiOptions::new(spool.path()) };
    let users = std::sync::Arc::new(crate::OwnUsers::new(sample.stepbox.clone()));
    let routes = api(sample.stepbox.clone(), users, options);
    let send = async |request: Request| routes.clone().oneshot(request).await.unwrap();
    let link = sample.stepbox.accounts().first_operator_link().await.unwrap().unwrap();
    let password = "a-long-password-of-hers";
    let form = format!("user=julia&password={password}&repeated={password}");
    let path = format!("/one-time-links/{}", link.secret.as_str());
    assert_eq!(send(request("", "POST", &path, Some(&form))).await.status().as_u16(), 303);
    let signed =
        send(request("", "POST", "/sign-in", Some(&format!("user=julia&password={password}")))).await;
    let cookie_of = |response: &Response| {
        response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let cookie = cookie_of(&signed);
    let with = |cookie: &str, method: &str, path: &str, form: Option<&str>| {
        let mut request = request("", method, path, form);
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        request
    };

    let form = "name=ci&tenant=acme&instance=&scope=executions%3Aread&scope=steps%3Aread&days=7";
    let made = text_of(send(with(&cookie, "POST", "/account/tokens", Some(form))).await).await;
    let token = made.split("sbx_").nth(1).unwrap().split(['<', '"']).next().unwrap();
    let asks = async || {
        send(request(&format!("sbx_{token}"), "GET", "/tenants/acme/workers", None)).await.status().as_u16()
    };
    assert_eq!(asks().await, 200);
    // With a token nobody looks at tokens.
    let other = send(request(&format!("sbx_{token}"), "GET", "/account", None)).await;
    assert_eq!(other.status().as_u16(), 403);
    let listed = text_of(send(with(&cookie, "GET", "/account", None)).await).await;
    assert!(listed.contains(">ci<") && !listed.contains("sbx_"), "{listed:.3000}");
    let number = listed.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("token={number}&tenant=acme");
    assert_eq!(
        send(with(&cookie, "POST", "/account/tokens/revoke", Some(&form))).await.status().as_u16(),
        303
    );
    assert_eq!(asks().await, 303, "a revoked token lets nobody in");
    let refused = send(with(&cookie, "POST", "/account/tokens", Some("name=none&tenant=acme&days=x"))).await;
    assert_eq!(refused.status().as_u16(), 400);
    assert!(text_of(refused).await.contains("value=\"none\""));

    let new = "another-long-password";
    let form = format!("user=julia&current={password}&new={new}&repeated=not-the-same");
    assert_eq!(send(with(&cookie, "POST", "/account/password", Some(&form))).await.status().as_u16(), 400);
    let form = format!("user=julia&current={password}&new={new}&repeated={new}");
    let changed = send(with(&cookie, "POST", "/account/password", Some(&form))).await;
    assert_eq!(leads_to(&changed), "/account?changed=true");
    assert_eq!(send(with(&cookie, "GET", "/account", None)).await.status().as_u16(), 303, "the old session");
    let fresh = cookie_of(&changed);
    let text = text_of(send(with(&fresh, "GET", "/account?changed=true", None)).await).await;
    assert!(text.contains("Your password was changed"));
}

#[tokio::test]
async fn the_dashboard_tells_what_wants_a_decision() {
    let sample = sample().await;
    let (_, waiting) = page(&sample, "viewer@acme", "/tenants/acme").await;
    assert!(waiting.contains("No worker listens") && waiting.contains("no worker takes jobs of type"));
    assert!(!waiting.contains("Run a profile"), "a viewer runs nothing");
    let (_, narrow) = page(&sample, "narrow@acme", "/tenants/acme/workers").await;
    assert!(narrow.contains("executions/") && !narrow.contains(">hidden<"), "{narrow:.4000}");
}
