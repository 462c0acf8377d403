//! Signing in, and what one-time links lead to.

use maud::{Markup, html};
use stepbox_api::problem::Problem;

use crate::frame::alone;
use crate::reader::Reader;

/// What the page of signing in shows.
#[derive(Debug, Default)]
pub struct SignIn<'a> {
    /// The name that was typed before.
    pub user: &'a str,
    /// Where the user comes back to, below the server; empty for the first page.
    pub next: &'a str,
    /// Why the last attempt failed.
    pub problem: Option<&'a Problem>,
    /// The address where a sign-in at an identity provider begins.
    pub provider: Option<&'a str>,
}

/// The page of signing in.
pub fn sign_in(base: &str, reader: &Reader, shown: &SignIn<'_>) -> Markup {
    alone(
        base,
        reader,
        "Sign in",
        &html! {
            h1 { "Sign in" }
            form.stacked method="post" action={ (base) "/sign-in" } {
                (refused(shown.problem))
                input type="hidden" name="next" value=(shown.next);
                p {
                    label for="user" { "User" }
                    input #user name="user" autocomplete="username" autocapitalize="none" spellcheck="false" value=(shown.user) required autofocus[shown.user.is_empty()];
                }
                p {
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="current-password" required autofocus[!shown.user.is_empty()];
                }
                button.button.primary { "Sign in" }
                @if let Some(provider) = shown.provider {
                    a.button href=(provider) { "Sign in with your company’s account" }
                }
            }
            p.small.muted {
                @if !shown.next.is_empty() { "You come back to " code { (shown.next) } ". " }
                "Lost your password? An administrator of this Stepbox makes a new one-time link."
            }
        },
    )
}

fn refused(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            div.note.fail role="alert" {
                p { bdi { (problem.detail) } }
                @for invalid in &problem.errors { p { bdi { (invalid.detail) } } }
                @if let Some(help) = &problem.help { p { bdi { (help) } } }
            }
        }
    }
}

/// What the page of a one-time link shows.
#[derive(Debug, Default)]
pub struct Link<'a> {
    /// The secret of the link.
    pub secret: &'a str,
    /// The name that was typed before.
    pub user: &'a str,
    /// Whether the link creates the first operator, who chooses a name.
    pub is_first: bool,
    /// Why the last attempt failed.
    pub problem: Option<&'a Problem>,
    /// The fewest characters that a password has.
    pub password_chars_min: usize,
}

/// The page of a one-time link: a password, and for the first operator a name.
pub fn link(base: &str, reader: &Reader, shown: &Link<'_>) -> Markup {
    let title = if shown.is_first { "Create the first operator" } else { "Set your password" };
    alone(
        base,
        reader,
        title,
        &html! {
            h1 { (title) }
            form.stacked method="post" action={ (base) "/one-time-links/" (crate::frame::part(shown.secret)) } {
                (refused(shown.problem))
                @if shown.is_first {
                    p {
                        label for="user" { "User" }
                        input #user name="user" autocomplete="username" autocapitalize="none" spellcheck="false" value=(shown.user) required autofocus aria-describedby="user-help";
                        span.help #user-help { "A name of letters, digits, " code { "-" } ", " code { "_" } " and " code { "." } "." }
                    }
                } @else {
                    input type="text" name="user" value="" hidden autocomplete="username";
                }
                p {
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="new-password" required autofocus[!shown.is_first] aria-describedby="password-help";
                    span.help #password-help { "At least " (shown.password_chars_min) " characters." }
                }
                p {
                    label for="repeated" { "The same password again" }
                    input #repeated name="repeated" type="password" autocomplete="new-password" required;
                }
                button.button.primary { (title) }
            }
            p.small.muted { "The link works once. Afterwards you sign in with the name and the password." }
        },
    )
}
