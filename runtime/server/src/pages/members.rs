//! Members of a tenant, and rights per instance.

use std::collections::BTreeSet;

use serde::Deserialize;
use stepbox_api::list::Row;
use stepbox_api::member::{InstanceRights, Member, Role};
use stepbox_web::blocks::{self, Confirm};
use stepbox_web::frame::part;
use stepbox_web::pages::members as page;
use stepbox_web::{Frame, Head, Markup, Place};

use super::answer::{Either, Go, Page};
use super::form::{Form, Pairs};
use super::visit::Visit;
use crate::access::{Administer, May, Members};
use crate::conventions::failure::Failure;
use crate::conventions::input::{InPath, With};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/members", "The members of a tenant.", list)
        .post("/tenants/{tenant}/members", "Add a member.", add)
        .post("/tenants/{tenant}/members/{user}", "Give a member another role.", change)
        .get("/tenants/{tenant}/members/{user}/remove", "Ask whether to remove a member.", ask)
        .post("/tenants/{tenant}/members/{user}/remove", "Take a user's role in a tenant away.", remove)
        .get("/tenants/{tenant}/instances/{code}/rights", "Who has which right at an instance.", rights)
        .post(
            "/tenants/{tenant}/instances/{code}/rights",
            "Set who has which right at an instance.",
            set_rights,
        )
}

fn head(frame: &Frame, title: &str) -> Head {
    Head::new(Place::Users, title).below("Users and rights", frame.at("members"))
}

async fn listing(
    visit: &Visit<May<Administer, Members>>,
    user: &str,
    refused: Option<&Failure>,
) -> Result<Markup, Failure> {
    let (frame, members) = (visit.frame().await?, visit.may.tenant().members().await?);
    let rows = Row::of(&members, Member::of);
    let markup = page::list(&frame, &rows, user, refused.map(Failure::problem));
    Ok(frame.page(&Head::new(Place::Users, "Users and rights"), &markup))
}

async fn list(visit: Visit<May<Administer, Members>>, (): ()) -> Result<Page, Failure> {
    Ok(Page::ok(listing(&visit, "", None).await?))
}

/// The fields of a new member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    user: String,
    role: Role,
}

async fn add(
    visit: Visit<May<Administer, Members>>,
    (With(tools), Form(NewMember { user, role })): (With, Form<NewMember>),
) -> Result<Either<Page, Go>, Failure> {
    match visit.may.tenant().set_member(&user, role.into_role()).await.map_err(Failure::from) {
        Ok(_) => {
            tools.streams.rights_changed();
            Ok(Either::Other(Go::to(visit.frame().await?.at("members"))))
        }
        Err(failure) => {
            let markup = listing(&visit, &user, Some(&failure)).await?;
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

/// The fields of another role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherRole {
    role: Role,
}

async fn change(
    visit: Visit<May<Administer, Members>>,
    (With(tools), InPath(user), Form(OtherRole { role })): (With, InPath<'u'>, Form<OtherRole>),
) -> Result<Go, Failure> {
    visit.may.tenant().set_member(&user, role.into_role()).await?;
    tools.streams.rights_changed();
    Ok(Go::to(visit.frame().await?.at("members")))
}

async fn ask(visit: Visit<May<Administer, Members>>, InPath(user): InPath<'u'>) -> Result<Page, Failure> {
    let members = visit.may.tenant().members().await?;
    let member = members.iter().find(|member| member.user.as_str() == user);
    let member = member.ok_or_else(|| Failure::not_found("member"))?;
    let frame = visit.frame().await?;
    let markup = blocks::confirm(&Confirm {
        question: &format!("Remove {user} from this tenant?"),
        consequences: &[
            format!(
                "The user loses the role {} here; sessions end, and tokens for this tenant stop.",
                member.role
            ),
            "The user stays in the installation and in other tenants.".to_owned(),
        ],
        action: "Remove",
        to: &frame.at(&format!("members/{}/remove", part(&user))),
        back: &frame.at("members"),
        problem: None,
    });
    Ok(Page::ok(frame.page(&head(&frame, "Remove a member"), &markup)))
}

async fn remove(
    visit: Visit<May<Administer, Members>>,
    (With(tools), InPath(user)): (With, InPath<'u'>),
) -> Result<Go, Failure> {
    visit.may.tenant().remove_member(&user).await?;
    tools.streams.rights_changed();
    Ok(Go::to(visit.frame().await?.at("members")))
}

async fn rights(visit: Visit<May<Administer, Members>>, InPath(code): InPath<'c'>) -> Result<Page, Failure> {
    let rights = InstanceRights::of(&visit.may.tenant().instance_rights(&code).await?);
    let frame = visit.frame().await?;
    let head = rights_head(&frame, &code);
    Ok(Page::ok(frame.page(&head, &page::rights(&frame, &code, &rights, None))))
}

fn rights_head(frame: &Frame, code: &str) -> Head {
    Head::new(Place::Profiles, "Rights")
        .below("Job profiles", frame.at("instances"))
        .below(code, frame.at(&format!("instances/{}", part(code))))
}

/// The lists of a form: a right is narrowed if its choice is `list`. Names stand on lines, or between commas.
fn lists(pairs: &[(String, String)]) -> InstanceRights {
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    let list = |name: &str| -> Option<BTreeSet<String>> {
        let names = value(name).split(['\n', '\r', ',']).map(str::trim);
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        (value(&format!("{name}_who")) == "list").then(|| names.collect())
    };
    InstanceRights {
        view: list("view"),
        edit: list("edit"),
        launch: list("launch"),
        history: list("history"),
    }
}

async fn set_rights(
    visit: Visit<May<Administer, Members>>,
    (With(tools), InPath(code), Pairs(pairs)): (With, InPath<'c'>, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let (asked, tenant) = (lists(&pairs), visit.may.tenant());
    let set = match asked.clone().into_rights().map_err(stepbox::Error::from) {
        Ok(rights) => tenant.set_instance_rights(&code, &rights).await,
        Err(error) => Err(error),
    };
    let frame = visit.frame().await?;
    match set.map_err(Failure::from) {
        Ok(()) => {
            tools.streams.rights_changed();
            Ok(Either::Other(Go::to(frame.at(&format!("instances/{}/rights", part(&code))))))
        }
        Err(failure) => {
            let markup = page::rights(&frame, &code, &asked, Some(failure.problem()));
            let markup = frame.page(&rights_head(&frame, &code), &markup);
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_only_if_it_is_chosen() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let read = lists(&pairs(&[
            ("view_who", "role"),
            ("view", "julia"),
            ("edit_who", "list"),
            ("edit", "julia\r\n peter ,\n"),
            ("launch_who", "list"),
        ]));
        let names: BTreeSet<_> = ["julia".to_owned(), "peter".to_owned()].into();
        let expected =
            InstanceRights { view: None, edit: Some(names), launch: Some(BTreeSet::new()), history: None };
        assert_eq!(read, expected);
    }
}
