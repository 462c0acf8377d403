//! A failure as a page: the same problem that a program gets as a document.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use stepbox_api::problem::Problem;
use stepbox_web::frame::part;
use stepbox_web::pages::failed::{failed, failed_within};
use stepbox_web::{Frame, Markup};

use super::answer::{Go, Page};
use super::reading::reader;
use super::visit::Visit;
use crate::access::{May, Signed, TheTenant, View};
use crate::conventions::failure::{Failure, take_problem};
use crate::conventions::wrapping::RequestId;
use crate::table::App;

/// Makes a page of a problem. A reader who is not signed in is sent to sign in, and comes back afterwards.
pub(super) async fn shown(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    // The router below a path does not see the path.
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let address = format!("{}{address}", app.base_path());
    let id = request.extensions().get().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let around = Request::from_parts(parts.clone(), Body::empty());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = take_problem(&mut response) else { return response };
    let base = app.base_path();
    let (parts, _) = response.into_parts();
    let mut page = match parts.status {
        StatusCode::UNAUTHORIZED if is_reading => {
            Go::to(format!("{base}/sign-in?next={}", part(&address))).into_response()
        }
        StatusCode::UNAUTHORIZED => Go::to(format!("{base}/sign-in")).into_response(),
        status => Page { status, markup: told(&app, around, &problem.of_request(&id)).await }.into_response(),
    };
    page.extensions_mut().extend(parts.extensions);
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = parts.headers.get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// The answer where there is no page.
pub(super) async fn nowhere() -> Response {
    Failure::no_page().into_response()
}

/// A problem, inside the frame for somebody who is signed in.
async fn told(app: &App, request: Request, problem: &Problem) -> Markup {
    let reader = reader(request.headers());
    match frame(app, request).await {
        Some(frame) => failed_within(&frame, problem),
        None => failed(app.base_path(), &reader, problem),
    }
}

/// The frame of the tenant that the address names, if the reader may enter it; otherwise that of the installation.
async fn frame(app: &App, request: Request) -> Option<Frame> {
    let (parts, _) = request.into_parts();
    let again = || Request::from_parts(parts.clone(), Body::empty());
    if let Ok(visit) = app.opened::<Visit<May<View, TheTenant>>>(again()).await {
        return visit.frame().await.ok();
    }
    app.opened::<Visit<Signed>>(again()).await.ok()?.frame().await.ok()
}
