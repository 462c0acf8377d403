//! A failure as a page: the same problem that a program gets as a document.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use stepbox_web::frame::part;
use stepbox_web::pages::failed::failed;

use super::answer::{Go, Page};
use super::reading::reader;
use crate::conventions::failure::take_problem;
use crate::conventions::wrapping::RequestId;

/// Makes a page of a problem. A reader who is not signed in is sent to sign in, and comes back afterwards.
pub(super) async fn shown(State(base): State<Arc<str>>, request: Request, next: Next) -> Response {
    let reader = reader(request.headers());
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let id = request.extensions().get().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let mut response = next.run(request).await;
    let Some(problem) = take_problem(&mut response) else { return response };
    let (parts, _) = response.into_parts();
    let mut page = match parts.status {
        StatusCode::UNAUTHORIZED if is_reading => {
            Go::to(format!("{base}/sign-in?next={}", part(&address))).into_response()
        }
        StatusCode::UNAUTHORIZED => Go::to(format!("{base}/sign-in")).into_response(),
        status => Page { status, markup: failed(&base, &reader, &problem.of_request(&id)) }.into_response(),
    };
    page.extensions_mut().extend(parts.extensions);
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = parts.headers.get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}
