//! Users of the installation.

use serde::Serialize;
use stepbox::batch::name::UserName;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::user::{ChangeUser, CreateUser, NewExternalIdentity, OneTimeLink, User};
use utoipa::ToSchema;

use crate::access::{Installation, May, Operate};
use crate::conventions::answer::{Created, Done, Shown};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath, With};
use crate::conventions::list::{List, Listed, Page, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/users", "The users of the installation.", list)
        .post("/users", "Create a user, who has no password yet.", create)
        .get("/users/{user}", "A user.", show)
        .patch("/users/{user}", "Change a user.", change)
        .delete("/users/{user}", "Remove a user, with all roles, sessions and tokens.", remove)
        .post("/users/{user}/link", "Make a link with which the user sets a password.", link)
        .delete("/users/{user}/sessions", "End all sessions of a user.", end_sessions)
}

async fn list(
    may: May<Operate, Installation>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<User>, Failure> {
    let accounts = may.accounts()?;
    Ok(List::paged(page, move |after, limit| {
        let accounts = accounts.clone();
        async move {
            let after = after.and_then(|name| UserName::new(name).ok());
            let mut users = accounts.users(after.as_ref(), limit + 1).await?;
            let has_more = users.items.len() > limit as usize;
            users.items.truncate(limit as usize);
            let next = users.items.last().filter(|_| has_more).map(|user| user.name.to_string());
            let damaged = users.damaged.iter().map(|row| Row::Damaged(DamagedRow::of(row)));
            let rows = users.items.iter().map(|user| Row::Whole(User::of(user))).chain(damaged).collect();
            Ok(Page { rows, next })
        }
    }))
}

async fn create(
    may: May<Operate, Installation>,
    Body(CreateUser { name, label, operator, external }): Body<CreateUser>,
) -> Result<Created<User>, Failure> {
    let external = external.map(NewExternalIdentity::into_identity);
    let new = stepbox::NewUser { name, label, is_operator: operator, external };
    let user = may.accounts()?.create_user(new).await?;
    Ok(Created {
        at: format!("users/{}", encoded(user.name.as_str())),
        version: None,
        thing: User::of(&user),
    })
}

/// A name as a part of an address.
fn encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

async fn show(may: May<Operate, Installation>, InPath(name): InPath<'u'>) -> Result<Shown<User>, Failure> {
    Ok(Shown(User::of(&may.accounts()?.user(&name).await?)))
}

async fn change(
    may: May<Operate, Installation>,
    (With(tools), InPath(name), Body(change)): (With, InPath<'u'>, Body<ChangeUser>),
) -> Result<Shown<User>, Failure> {
    let user = may.accounts()?.change_user(&name, change.into_change()).await?;
    tools.streams.rights_changed();
    Ok(Shown(User::of(&user)))
}

async fn remove(
    may: May<Operate, Installation>,
    (With(tools), InPath(name)): (With, InPath<'u'>),
) -> Result<Done, Failure> {
    may.accounts()?.remove_user(&name).await?;
    tools.streams.rights_changed();
    Ok(Done)
}

async fn link(
    may: May<Operate, Installation>,
    InPath(name): InPath<'u'>,
) -> Result<Shown<OneTimeLink>, Failure> {
    let link = may.accounts()?.password_link(&name).await?;
    Ok(Shown(OneTimeLink::of(link.secret.as_str(), link.expires_at)))
}

/// How many sessions were ended.
#[derive(Debug, Serialize, ToSchema)]
struct EndedSessions {
    /// How many.
    sessions: u64,
}

async fn end_sessions(
    may: May<Operate, Installation>,
    (With(tools), InPath(name)): (With, InPath<'u'>),
) -> Result<Shown<EndedSessions>, Failure> {
    let sessions = may.accounts()?.end_sessions(&name).await?;
    tools.streams.rights_changed();
    Ok(Shown(EndedSessions { sessions }))
}
