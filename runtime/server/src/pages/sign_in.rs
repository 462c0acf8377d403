//! Signing in and out, one-time links, and the theme.

use axum::http::HeaderValue;
use serde::Deserialize;
use stepbox::PASSWORD_BYTES_MIN;
use stepbox::batch::access::LinkPurpose;
use stepbox_web::Theme;
use stepbox_web::pages::sign_in as page;

use super::answer::{Either, Go, Page};
use super::form::{Form, Query};
use super::reading::{Reading, theme_cookie};
use crate::access::{Anybody, Signed, cookie};
use crate::conventions::failure::Failure;
use crate::conventions::input::{InPath, With};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/sign-in", "The page of signing in.", show)
        .post("/sign-in", "Sign in.", sign_in)
        .post("/sign-out", "Sign out.", sign_out)
        .get("/one-time-links/{secret}", "The page of a one-time link.", link)
        .post("/one-time-links/{secret}", "Use a one-time link.", use_link)
        .post("/theme", "Keep a theme.", keep_theme)
}

/// Where the reader comes back to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    #[serde(default)]
    next: String,
}

/// An address of this server's pages; the first page for everything else. Another server is never led to.
fn own_page(base: &str, next: &str) -> String {
    let rest = next.strip_prefix(base).filter(|rest| rest.starts_with('/'));
    let is_plain = |rest: &&str| {
        !rest.starts_with("//") && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    match rest.filter(is_plain) {
        Some(_) => next.to_owned(),
        None => format!("{base}/"),
    }
}

async fn show(
    _: Anybody,
    (Reading { reader, base }, Query(Next { next })): (Reading, Query<Next>),
) -> Result<Page, Failure> {
    Ok(Page::ok(page::sign_in(&base, &reader, &page::SignIn { next: &next, ..page::SignIn::default() })))
}

/// The fields of signing in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    anybody: Anybody,
    (Reading { reader, base }, With(tools), Form(Credentials { user, password, next })): (
        Reading,
        With,
        Form<Credentials>,
    ),
) -> Result<Either<Page, Go>, Failure> {
    let signed_in = anybody.sign_in(&user, &password).await;
    tools.meters.signed_in(if signed_in.is_ok() { "ok" } else { "refused" });
    match signed_in {
        Ok(signed_in) => {
            let cookie = cookie(Some(signed_in.id.as_str()), anybody.client(), &base);
            Ok(Either::Other(Go::to(own_page(&base, &next)).with_cookie(cookie)))
        }
        Err(failure) => {
            let problem = Some(failure.problem());
            let shown = page::SignIn { user: &user, next: &next, problem, provider: None };
            Ok(Either::One(Page::refused(&failure, page::sign_in(&base, &reader, &shown))))
        }
    }
}

async fn sign_out(
    signed: Signed,
    (Reading { base, .. }, With(tools)): (Reading, With),
) -> Result<Go, Failure> {
    signed.sign_out().await?;
    tools.streams.rights_changed();
    let gone = cookie(None, signed.client(), &base);
    Ok(Go::to(format!("{base}/sign-in")).with_cookie(gone))
}

async fn link(
    anybody: Anybody,
    (Reading { reader, base }, InPath(secret)): (Reading, InPath<'l'>),
) -> Result<Page, Failure> {
    let purpose = anybody.link_purpose(&secret).await?;
    let shown = page::Link {
        secret: &secret,
        is_first: purpose == LinkPurpose::FirstOperator,
        password_chars_min: PASSWORD_BYTES_MIN,
        ..page::Link::default()
    };
    Ok(Page::ok(page::link(&base, &reader, &shown)))
}

/// The fields of a one-time link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    #[serde(default)]
    user: String,
    password: String,
    repeated: String,
}

async fn use_link(
    anybody: Anybody,
    (Reading { reader, base }, With(tools), InPath(secret), Form(Chosen { user, password, repeated })): (
        Reading,
        With,
        InPath<'l'>,
        Form<Chosen>,
    ),
) -> Result<Either<Page, Go>, Failure> {
    let used = match password == repeated {
        true => {
            anybody.use_link(&secret, Some(user.as_str()).filter(|user| !user.is_empty()), &password).await
        }
        false => Err(Failure::bad_request("body-invalid", "the two passwords are not the same")),
    };
    match used {
        Ok(_) => {
            tools.streams.rights_changed();
            Ok(Either::Other(Go::to(format!("{base}/sign-in"))))
        }
        Err(failure) => {
            let is_first = matches!(anybody.link_purpose(&secret).await, Ok(LinkPurpose::FirstOperator));
            let shown = page::Link {
                secret: &secret,
                user: &user,
                is_first,
                problem: Some(failure.problem()),
                password_chars_min: PASSWORD_BYTES_MIN,
            };
            Ok(Either::One(Page::refused(&failure, page::link(&base, &reader, &shown))))
        }
    }
}

/// The fields of the theme.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChosenTheme {
    theme: String,
}

async fn keep_theme(
    anybody: Anybody,
    (Reading { base, .. }, Form(ChosenTheme { theme })): (Reading, Form<ChosenTheme>),
) -> Result<Go, Failure> {
    let cookie = theme_cookie(Theme::of(&theme), anybody.client().is_secure, &base).to_string();
    let cookie = HeaderValue::from_str(&cookie).map_err(|error| Failure::unexpected(error.to_string()))?;
    Ok(Go::to(format!("{base}/")).with_cookie(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_server() {
        let rows = [
            ("", "/tenants/acme/executions?filter=a%20b", true),
            ("/x/y", "/x/y/tenants/acme", true),
            ("/x/y", "/other", false),
            ("", "//evil.example", false),
            ("", "/\\evil.example", false),
            ("", "https://evil.example/", false),
            ("", "javascript:alert(1)", false),
            ("", "", false),
            ("", "/a\r\nset-cookie: x=1", false),
        ];
        for (base, next, is_taken) in rows {
            let expected = if is_taken { next.to_owned() } else { format!("{base}/") };
            assert_eq!(own_page(base, next), expected, "{next}");
        }
    }
}
