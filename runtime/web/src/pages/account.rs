//! One's own account: password and tokens.

use maud::{Markup, html};
use stepbox_api::problem::Problem;
use stepbox_api::token::{CreatedToken, Token};

use crate::blocks::{
    actions_column, column, field, head, own, refused, section, select, shown_once, table, text_input,
};
use crate::frame::Frame;
use crate::list::none;

/// What was asked of a new token.
#[derive(Debug, Default)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its tenant; empty for a token of the installation.
    pub tenant: String,
    /// Its only instance; empty for all.
    pub instance: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// How many days it lasts.
    pub days: String,
}

/// What the page of one's own account shows.
#[derive(Debug, Default)]
pub struct Account<'a> {
    /// The tokens of the reader, in all tenants.
    pub tokens: &'a [Token],
    /// The tenants for which the reader can make one.
    pub tenants: &'a [&'a str],
    /// All scopes.
    pub scopes: &'a [&'static str],
    /// Whether the reader may make tokens of the installation.
    pub is_operator: bool,
    /// The fewest characters that a password has.
    pub password_chars_min: usize,
    /// How many days a token lasts if nobody says otherwise, and at most.
    pub token_days: (u32, u32),
    /// A token that was just made, with its text.
    pub created: Option<&'a CreatedToken>,
    /// What was asked of a token that was refused.
    pub asked: Asked,
    /// Why a token was refused.
    pub token_problem: Option<&'a Problem>,
    /// Why a password was refused.
    pub password_problem: Option<&'a Problem>,
    /// Whether the password was just changed.
    pub is_password_changed: bool,
}

/// One's own account.
pub fn show(frame: &Frame, shown: &Account<'_>) -> Markup {
    let lead = html! { "You are " (own(&frame.viewer.name)) @if frame.viewer.is_operator { ", an operator of this installation" } "." };
    html! {
        (head(&html! { "Your account" }, &lead, &html! {}))
        @if let Some(CreatedToken { token, text }) = shown.created {
            (shown_once(&format!("Token {}", token.name), text, "It is shown this once. A program sends it as “Authorization: Bearer …”; the command line takes it with stepbox login."))
        }
        (section("password", &html! { "Password" }, &html! {}, &password(frame, shown)))
        (section("tokens", &html! { "Your tokens" }, &html! {}, &tokens(frame, shown)))
        (section("new", &html! { "Make a token" }, &html! {}, &new_token(frame, shown)))
    }
}

fn password(frame: &Frame, shown: &Account<'_>) -> Markup {
    let secret = |name: &str, autocomplete: &str, has_help: bool| {
        let help = has_help.then(|| format!("{name}-help"));
        html! { input id={ "field-" (name) } name=(name) type="password" autocomplete=(autocomplete) required aria-describedby=[help]; }
    };
    html! {
        @if shown.is_password_changed {
            div.note role="status" { p { "Your password was changed. All your other sessions have ended." } }
        }
        (refused(shown.password_problem))
        form.form method="post" action=(frame.top("account/password")) {
            input type="text" name="user" value=(frame.viewer.name) hidden autocomplete="username";
            (field("current", "Present password", &secret("current", "current-password", false), ""))
            (field("new", "New password", &secret("new", "new-password", true), &format!("At least {} characters.", shown.password_chars_min)))
            (field("repeated", "The same again", &secret("repeated", "new-password", false), ""))
            div.actions { button.button { "Change the password" } }
            p.help { "All your sessions end but a new one, which begins here. Tokens go on." }
        }
    }
}

fn tokens(frame: &Frame, shown: &Account<'_>) -> Markup {
    if shown.tokens.is_empty() {
        return none("None. A token lets a program do what you may do, within its scopes.");
    }
    let columns = html! {
        (column("Token")) (column("Where")) (column("Scopes")) (column("Used last")) (column("Expires")) (actions_column())
    };
    let reader = &frame.reader;
    let rows = html! {
        @for token in shown.tokens {
            tr {
                th.title scope="row" { (own(&token.name)) span.sub { (token.id) } }
                td data-label="Where" {
                    @match &token.tenant { Some(tenant) => (own(tenant)), None => "the installation" }
                    @if let Some(instance) = &token.instance { span.sub { (own(instance)) } }
                }
                td.wide data-label="Scopes" {
                    @for (place, scope) in token.scopes.iter().enumerate() { @if place > 0 { ", " } code { (scope) } }
                }
                td.nowrap data-label="Used last" {
                    @match &token.last_used_at { Some(at) => (reader.moment(at)), None => span.muted { "never" } }
                }
                td.nowrap data-label="Expires" { (reader.moment(&token.expires_at)) }
                td.end {
                    form method="post" action=(frame.top("account/tokens/revoke")) {
                        input type="hidden" name="token" value=(token.id);
                        @if let Some(tenant) = &token.tenant { input type="hidden" name="tenant" value=(tenant); }
                        button.button.small.danger { "Revoke" span.sr { " " (own(&token.name)) } }
                    }
                }
            }
        }
    };
    html! {
        (table("Your tokens by number", &columns, &rows))
        p.small.muted { "A revoked token stops at once, and so does every token that was made with it." }
    }
}

fn new_token(frame: &Frame, shown: &Account<'_>) -> Markup {
    let asked = &shown.asked;
    let (days, days_max) = shown.token_days;
    let days = if asked.days.is_empty() { days.to_string() } else { asked.days.clone() };
    let of_installation = "the installation";
    let places: Vec<&str> =
        shown.tenants.iter().copied().chain(shown.is_operator.then_some(of_installation)).collect();
    if places.is_empty() {
        return none("You are a member of no tenant, so a token could be used for nothing.");
    }
    html! {
        (refused(shown.token_problem))
        form.form method="post" action=(frame.top("account/tokens")) {
            (field("name", "What it is for", &text_input("name", &asked.name, true), "Shown in this list and in the audit trail."))
            (field("tenant", "Where", &select("tenant", &places, &asked.tenant), ""))
            (field("instance", "Only this profile", &text_input("instance", &asked.instance, true), "Its code. Empty: all profiles that you may use."))
            div.field {
                span.label #scopes-label { "Scopes" }
                div {
                    div.choice role="group" aria-labelledby="scopes-label" {
                        @for scope in shown.scopes {
                            label { input type="checkbox" name="scope" value=(scope) checked[asked.scopes.iter().any(|asked| asked == scope)]; code { (scope) } }
                        }
                    }
                    p.help { "It never may do more than you. Choose what the program needs, and no more." }
                }
            }
            (field("days", "Days", &html! { input.short #field-days name="days" type="number" min="1" max=(days_max) value=(days) aria-describedby="days-help"; }, &format!("At most {days_max}.")))
            div.actions { button.button.primary { "Make the token" } }
        }
    }
}
