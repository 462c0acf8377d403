//! Members of a tenant with their roles, and who has which right at one instance.

use maud::{Markup, html};
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::member::{InstanceRights, Member, Role};
use stepbox_api::problem::Problem;
use stepbox_batch::visible::on_one_line;

use crate::blocks::{
    actions_column, column, field, head, own, refused, section, select, table, text_input, warning,
};
use crate::frame::{Frame, part};

/// The roles, the weakest first.
pub const ROLES: [Role; 4] = [Role::Viewer, Role::Operator, Role::Author, Role::Administrator];

/// The word of a role.
pub fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Author => "author",
        Role::Administrator => "administrator",
    }
}

/// What a role may do, in words.
fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Sees everything but the audit trail and the members.",
        Role::Operator => "May also run, stop, restart and abandon.",
        Role::Author => "May also change job profiles, connectors and components.",
        Role::Administrator => "May also decide about members and rights, and reads the audit trail.",
    }
}

fn words() -> [&'static str; 4] {
    ROLES.map(word)
}

/// The members of a tenant. `user` is what was typed before.
pub fn list(frame: &Frame, members: &[Row<Member>], user: &str, problem: Option<&Problem>) -> Markup {
    let lead =
        html! { "A member has one role in this tenant. Each role may do what those before it may do." };
    let columns = html! { (column("User")) (column("Role")) (actions_column()) };
    let rows = html! { @for row in members { (member_row(frame, row)) } };
    html! {
        (head(&html! { "Users and rights" }, &lead, &html! {}))
        (section("members", &html! { "Members" }, &html! {}, &html! {
            @if members.is_empty() {
                p.muted { "Nobody yet. Operators of the installation are administrators of each tenant, and stand in no list." }
            } @else {
                (table("Members by name", &columns, &rows))
            }
        }))
        (section("add", &html! { "Add a member" }, &html! {}, &html! {
            (refused(problem))
            form.form method="post" action=(frame.at("members")) {
                (field("user", "User", &text_input("user", user, true), "The name with which the user signs in. An operator of the installation creates users."))
                (field("role", "Role", &select("role", &words(), "viewer"), ""))
                div.actions { button.button.primary { "Add" } }
            }
        }))
        (section("roles", &html! { "What the roles may do" }, &html! {}, &html! {
            dl.facts { @for role in ROLES { dt { (word(role)) } dd { (may(role)) } } }
            p.small.muted { "A job profile can narrow this further: its page leads to its rights." }
        }))
    }
}

fn member_row(frame: &Frame, row: &Row<Member>) -> Markup {
    let member = match row {
        Row::Whole(member) => member,
        Row::Damaged(DamagedRow { name, damaged, .. }) => {
            return html! {
                tr { th.title scope="row" { (own(name)) } td.wide colspan="2" { (warning(&html! { "damaged: " (own(damaged)) })) } }
            };
        }
    };
    let address = frame.at(&format!("members/{}", part(&member.user)));
    html! {
        tr {
            th.title scope="row" { (own(&member.user)) }
            td data-label="Role" {
                form.bar method="post" action=(address) {
                    select name="role" aria-label={ "Role of " (on_one_line(&member.user)) } {
                        @for role in ROLES { option value=(word(role)) selected[role == member.role] { (word(role)) } }
                    }
                    button.button.small { "Change" span.sr { " the role of " (own(&member.user)) } }
                }
            }
            td.end { a.button.small href={ (address) "/remove" } { "Remove…" span.sr { " " (own(&member.user)) } } }
        }
    }
}

/// The rights that lists can narrow: the name of each, and what it is.
pub const RIGHTS: [(&str, &str, &str); 4] = [
    ("view", "See it", "Who does not may do nothing else with it, and does not know that it is there."),
    ("edit", "Change it", ""),
    ("launch", "Run it", "Also stop, restart and abandon its executions."),
    ("history", "See its executions", "Who does not cannot stop them either."),
];

/// Who has which right at an instance.
pub fn rights(frame: &Frame, code: &str, rights: &InstanceRights, problem: Option<&Problem>) -> Markup {
    let lists = [&rights.view, &rights.edit, &rights.launch, &rights.history];
    let lead = html! { "The role of a member gives a right everywhere; a list here gives it at this profile only to the users in it. Administrators pass every list." };
    html! {
        (head(&html! { "Rights at " (own(code)) }, &lead, &html! {}))
        (refused(problem))
        form.form method="post" action=(frame.at(&format!("instances/{}/rights", part(code)))) {
            @for ((name, label, about), list) in RIGHTS.into_iter().zip(lists) {
                fieldset.group {
                    legend { (label) }
                    div.field {
                        span.label { "Who" }
                        div {
                            div.choice {
                                label { input type="radio" name={ (name) "_who" } value="role" checked[list.is_none()]; "everybody whose role allows it" }
                                label { input type="radio" name={ (name) "_who" } value="list" checked[list.is_some()]; "of them, only these" }
                            }
                            @let names = list.iter().flatten().cloned().collect::<Vec<_>>().join("\n");
                            textarea name=(name) rows="3" aria-label={ "Users: " (label) } spellcheck="false" autocapitalize="none" { (names) }
                            p.help { "One name a line. " (about) }
                        }
                    }
                }
            }
            div.save-bar {
                a.button href=(frame.at(&format!("instances/{}", part(code)))) { "Cancel" }
                button.button.primary { "Save" }
            }
        }
    }
}
