//! What a page's route gives: a page, or the way to another one.

use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use stepbox_web::Markup;
use utoipa::ToSchema;

use crate::conventions::answer::Answer;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::list::List;

/// What a page may do in a browser: load files and ask for streams of this server, send forms to it, and no more.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) markup: Markup,
}

impl Page {
    /// A page with 200.
    pub(super) fn ok(markup: Markup) -> Self {
        Self { status: StatusCode::OK, markup }
    }

    /// A form again, with why it was refused.
    pub(super) fn refused(failure: &Failure, markup: Markup) -> Self {
        Self { status: failure.status(), markup }
    }

    /// A form again, with the values that break constraints.
    pub(super) fn unprocessable(markup: Markup) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, markup }
    }

    /// A form again, since something else was saved in the meantime.
    pub(super) fn conflict(markup: Markup) -> Self {
        Self { status: StatusCode::CONFLICT, markup }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = (self.status, self.markup.into_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Without it, a browser would not say that a form comes from a page of this server.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(VARY, HeaderValue::from_static("cookie, accept-language"));
        response
    }
}

impl Answer for Page {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        Ok(self.into_response())
    }

    fn describe(_: &mut Describing) {}
}

/// The way to a page, after a form was sent.
pub(super) struct Go {
    to: String,
    cookie: Option<HeaderValue>,
}

impl Go {
    /// The way to an address of this server, which begins with the path before all pages.
    pub(super) fn to(to: impl Into<String>) -> Self {
        Self { to: to.into(), cookie: None }
    }

    #[must_use]
    pub(super) fn with_cookie(self, cookie: HeaderValue) -> Self {
        Self { cookie: Some(cookie), ..self }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        if let Ok(to) = HeaderValue::from_str(&self.to) {
            response.headers_mut().insert(LOCATION, to);
        }
        if let Some(cookie) = self.cookie {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}

impl Answer for Go {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        Ok(self.into_response())
    }

    fn describe(_: &mut Describing) {}
}

/// A list that the browser saves as a file.
pub(super) struct Saved<T> {
    /// The name of the file: plain letters.
    pub(super) name: &'static str,
    pub(super) list: List<T>,
}

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for Saved<T> {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        let mut response = self.list.answer(headers).await?;
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", self.name)) {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
        Ok(response)
    }

    fn describe(_: &mut Describing) {}
}

/// Either of two answers: the page again, or the way on.
pub(super) enum Either<A, B> {
    One(A),
    Other(B),
}

impl<A: Answer, B: Answer> Answer for Either<A, B> {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        match self {
            Self::One(answer) => answer.answer(headers).await,
            Self::Other(answer) => answer.answer(headers).await,
        }
    }

    fn describe(_: &mut Describing) {}
}
