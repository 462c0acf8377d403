//! Users of the installation: their list, one of them, and the link with which a user sets a password.

use maud::{Markup, html};
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::member::Membership;
use stepbox_api::problem::Problem;
use stepbox_api::user::User;

use super::members::word;
use crate::blocks::{
    column, field, head, own, panel, refused, section, shown_once, state, table, text_input, warning,
};
use crate::frame::{Frame, part};
use crate::list::pager;

/// What was typed into the form of a new user.
#[derive(Debug, Default)]
pub struct New<'a> {
    /// The name.
    pub name: &'a str,
    /// The name for people.
    pub label: &'a str,
    /// Whether the user operates the installation.
    pub is_operator: bool,
    /// Why it was refused.
    pub problem: Option<&'a Problem>,
}

/// The users. `older` leads to the next page.
pub fn list(frame: &Frame, users: &[Row<User>], older: Option<&str>, new: &New<'_>) -> Markup {
    let lead = html! { "A user signs in once for all tenants, and has a role in each tenant that takes the user in." };
    let columns =
        html! { (column("User")) (column("Standing")) (column("Password set")) (column("Created")) };
    let rows = html! { @for row in users { (user_row(frame, row)) } };
    html! {
        (head(&html! { "Users" }, &lead, &html! {}))
        (section("users", &html! { "Users" }, &html! {}, &html! {
            (table("Users by name", &columns, &rows))
            @if older.is_some() { (pager("", None, older)) }
        }))
        (section("new", &html! { "Create a user" }, &html! {}, &html! {
            (refused(new.problem))
            form.form method="post" action=(frame.top("users")) {
                (field("name", "Name", &text_input("name", new.name, true), "The user signs in with it."))
                (field("label", "Name for people", &text_input("label", new.label, true), "May be left empty."))
                div.field {
                    span.label { "Installation" }
                    div {
                        div.choice { label { input type="checkbox" name="operator" value="true" checked[new.is_operator]; "operates the installation" } }
                        p.help { "Then the user may do everything, in each tenant." }
                    }
                }
                div.actions { button.button.primary { "Create, and make a link" } }
                p.help { "You get a link, once. A person who has the link sets the password of the user." }
            }
        }))
    }
}

fn user_row(frame: &Frame, row: &Row<User>) -> Markup {
    let user = match row {
        Row::Whole(user) => user,
        Row::Damaged(DamagedRow { name, damaged, .. }) => {
            return html! {
                tr { th.title scope="row" { (own(name)) } td.wide colspan="3" { (warning(&html! { "damaged: " (own(damaged)) })) } }
            };
        }
    };
    html! {
        tr {
            th.title scope="row" {
                a href=(frame.top(&format!("users/{}", part(&user.name)))) { (own(&user.label)) }
                span.sub { (own(&user.name)) }
            }
            td data-label="Standing" { (standing(user)) }
            td.nowrap data-label="Password set" { (password(frame, user)) }
            td.nowrap data-label="Created" { (frame.reader.moment(&user.created_at)) }
        }
    }
}

fn standing(user: &User) -> Markup {
    html! {
        @if user.suspended {
            (state("STOPPED", "s-stopped", "Suspended"))
        } @else if user.operator {
            (state("COMPLETED", "s-completed", "Operator of the installation"))
        } @else {
            (state("COMPLETED", "s-completed", "Active"))
        }
    }
}

fn password(frame: &Frame, user: &User) -> Markup {
    html! {
        @match (&user.password_changed_at, &user.external) {
            (Some(at), _) => (frame.reader.moment(at)),
            (None, Some(_)) => span.muted { "signs in at the company’s provider" },
            (None, None) => span.muted { "not yet" },
        }
    }
}

/// What the page of a user shows.
#[derive(Debug)]
pub struct OneUser<'a> {
    /// The user.
    pub user: &'a User,
    /// The roles.
    pub memberships: &'a [Membership],
    /// A link that was just made: its address, and when it expires.
    pub link: Option<(&'a str, &'a str)>,
    /// How many sessions were just ended.
    pub ended: Option<u64>,
    /// Why a change was refused.
    pub problem: Option<&'a Problem>,
}

/// A user.
pub fn show(frame: &Frame, shown: &OneUser<'_>) -> Markup {
    let user = shown.user;
    let to = frame.top(&format!("users/{}", part(&user.name)));
    let actions = html! { a.button.danger href={ (to) "/remove" } { "Remove…" } };
    html! {
        (head(&html! { (own(&user.label)) }, &html! { code { (own(&user.name)) } " " (standing(user)) }, &actions))
        @if let Some((address, expires_at)) = shown.link {
            (shown_once("A link that sets the password", address, "It is shown this once, works once, and lets in every person who has it. Give it to the user by a way that nobody else reads."))
            p.small.muted { "It expires " (frame.reader.moment(expires_at)) "." }
        }
        @if let Some(ended) = shown.ended {
            div.note role="status" { p { "Sessions that were ended: " (frame.reader.number(ended)) } }
        }
        (refused(shown.problem))
        div.split {
            div {
                (section("change", &html! { "Change" }, &html! {}, &change(user, &to)))
                (section("in", &html! { "Password and sessions" }, &html! {}, &html! {
                    div.actions {
                        form method="post" action={ (to) "/link" } { button.button { "Make a new link" } }
                        form method="post" action={ (to) "/end-sessions" } { button.button { "End all sessions" } }
                    }
                    p.help { "A new link sets the password; the sessions of the user end when it is used. Tokens go on until they are revoked." }
                }))
            }
            aside aria-label="About this user" {
                (panel("roles", "Roles", &html! {
                    @if user.operator { p.small { "Operators are administrators of each tenant." } }
                    @if shown.memberships.is_empty() && !user.operator { p.small.muted { "A member of no tenant." } }
                    ul.list {
                        @for Membership { tenant, role } in shown.memberships {
                            li {
                                a href={ (frame.top("tenants")) "/" (part(tenant)) "/members" } { (own(tenant)) }
                                span { (word(*role)) }
                            }
                        }
                    }
                }))
                (panel("facts", "Facts", &html! {
                    dl.facts {
                        dt { "Created" } dd { (frame.reader.moment(&user.created_at)) }
                        dt { "Password set" } dd { (password(frame, user)) }
                        @if let Some(identity) = &user.external {
                            dt { "Provider" } dd { (own(&identity.issuer)) }
                            dt { "Known there as" } dd { (own(&identity.subject)) }
                        }
                    }
                }))
            }
        }
    }
}

fn change(user: &User, to: &str) -> Markup {
    html! {
        form.form method="post" action=(to) {
            (field("label", "Name for people", &text_input("label", &user.label, false), ""))
            div.field {
                span.label { "Standing" }
                div {
                    div.choice {
                        label { input type="checkbox" name="operator" value="true" checked[user.operator]; "operates the installation" }
                        label { input type="checkbox" name="suspended" value="true" checked[user.suspended]; "suspended" }
                    }
                    p.help { "A suspended user cannot sign in, and the user’s tokens do not work. With another standing all sessions of the user end." }
                }
            }
            div.actions { button.button.primary { "Save" } }
        }
    }
}
