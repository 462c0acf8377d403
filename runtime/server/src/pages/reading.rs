//! Who reads a page, as far as the head of the request tells: zone, language, theme.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use cookie::{Cookie, SameSite};
use jiff::Timestamp;
use stepbox_web::{Reader, Theme};

use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::Input;

/// The cookie with the zone of the reader's clock. The script of the pages sets it.
const ZONE: &str = "stepbox-zone";
/// The cookie with the theme.
const THEME: &str = "stepbox-theme";

/// The reader of a request.
pub(super) fn reader(headers: &HeaderMap) -> Reader {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies: Vec<_> = lines.flat_map(|line| Cookie::split_parse(line)).filter_map(Result::ok).collect();
    let value =
        |name: &str| cookies.iter().find(|cookie| cookie.name() == name).map_or("", |cookie| cookie.value());
    let languages = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Reader::new(value(ZONE), languages, Theme::of(value(THEME)), Timestamp::now())
}

/// The cookie that keeps a theme for a year.
pub(super) fn theme_cookie(theme: Theme, is_secure: bool, base: &str) -> Cookie<'static> {
    let path = if base.is_empty() { "/".to_owned() } else { base.to_owned() };
    Cookie::build((THEME, theme.as_str()))
        .path(path)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure)
        .max_age(cookie::time::Duration::days(365))
        .build()
}

/// The reader of the page, and the path before all pages.
pub(super) struct Reading {
    pub(super) reader: Reader,
    pub(super) base: String,
}

impl Input for Reading {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self { reader: reader(asking.headers()), base: asking.tools.base_path().to_owned() })
    }

    fn describe(_: &mut Describing) {}
}
