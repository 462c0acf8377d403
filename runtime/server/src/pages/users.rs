//! Users of the installation.

use serde::Deserialize;
use stepbox::batch::access::UserChange;
use stepbox::batch::name::UserName;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::member::Membership;
use stepbox_api::user::User;
use stepbox_web::blocks::{self, Confirm};
use stepbox_web::frame::part;
use stepbox_web::pages::users::{self as page, New, OneUser};
use stepbox_web::{Frame, Head, Markup, Place};

use super::answer::{Either, Go, Page};
use super::form::{Form, Query};
use super::visit::Visit;
use crate::access::{Installation, May, Operate};
use crate::conventions::failure::Failure;
use crate::conventions::input::{InPath, With};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/users", "The users of the installation.", list)
        .post("/users", "Create a user, and show the link that sets the password.", create)
        .get("/users/{user}", "A user.", show)
        .post("/users/{user}", "Change a user.", change)
        .post("/users/{user}/link", "Make a link that sets the password, and show it once.", link)
        .post("/users/{user}/end-sessions", "End all sessions of a user.", end_sessions)
        .get("/users/{user}/remove", "Ask whether to remove a user.", ask)
        .post("/users/{user}/remove", "Remove a user, with all roles, sessions and tokens.", remove)
}

/// How many users a page has.
const USERS: u32 = 100;

type Operator = Visit<May<Operate, Installation>>;

/// Which users are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct From {
    /// Those after this name.
    after: String,
}

async fn listing(visit: &Operator, after: &str, new: &New<'_>) -> Result<Markup, Failure> {
    let (frame, after) = (visit.frame().await?, UserName::new(after).ok());
    let mut users = visit.may.accounts()?.users(after.as_ref(), USERS + 1).await?;
    let has_more = users.items.len() > USERS as usize;
    users.items.truncate(USERS as usize);
    let older = users.items.last().filter(|_| has_more);
    let older = older.map(|user| frame.top(&format!("users?after={}", part(user.name.as_str()))));
    let damaged = users.damaged.iter().map(|row| Row::Damaged(DamagedRow::of(row)));
    let rows: Vec<_> = users.items.iter().map(|user| Row::Whole(User::of(user))).chain(damaged).collect();
    let markup = page::list(&frame, &rows, older.as_deref(), new);
    Ok(frame.page(&Head::new(Place::Users, "Users"), &markup))
}

async fn list(visit: Operator, Query(From { after }): Query<From>) -> Result<Page, Failure> {
    Ok(Page::ok(listing(&visit, &after, &New::default()).await?))
}

/// The fields of a new user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    operator: bool,
}

async fn create(
    visit: Operator,
    Form(NewUser { name, label, operator }): Form<NewUser>,
) -> Result<Page, Failure> {
    let new = stepbox::NewUser {
        name: name.clone(),
        label: Some(label.clone()).filter(|label| !label.is_empty()),
        is_operator: operator,
        external: None,
    };
    match visit.may.accounts()?.create_user(new).await.map_err(Failure::from) {
        Ok(user) => with_link(&visit, user.name.as_str()).await,
        Err(failure) => {
            let new =
                New { name: &name, label: &label, is_operator: operator, problem: Some(failure.problem()) };
            Ok(Page::refused(&failure, listing(&visit, "", &new).await?))
        }
    }
}

/// Where a one-time link leads, for somebody who opens it in a browser.
fn address(visit: &Operator, secret: &str) -> String {
    let scheme = if visit.client.is_secure { "https" } else { "http" };
    format!("{scheme}://{}{}/one-time-links/{}", visit.client.host, visit.base, part(secret))
}

/// What is shown beside a user.
#[derive(Default)]
struct Beside<'a> {
    link: Option<(&'a str, &'a str)>,
    ended: Option<u64>,
    refused: Option<&'a Failure>,
}

async fn one(visit: &Operator, name: &str, beside: Beside<'_>) -> Result<Page, Failure> {
    let (frame, accounts) = (visit.frame().await?, visit.may.accounts()?);
    let user = User::of(&accounts.user(name).await?);
    let memberships = accounts.memberships(name).await?;
    let memberships: Vec<_> =
        memberships.iter().map(|(tenant, role)| Membership::of(tenant, *role)).collect();
    let shown = OneUser {
        user: &user,
        memberships: &memberships,
        link: beside.link,
        ended: beside.ended,
        problem: beside.refused.map(Failure::problem),
    };
    let markup = frame.page(&head(&frame, &user.name), &page::show(&frame, &shown));
    Ok(match beside.refused {
        Some(failure) => Page::refused(failure, markup),
        None => Page::ok(markup),
    })
}

fn head(frame: &Frame, title: &str) -> Head {
    Head::new(Place::Users, title).below("Users", frame.top("users"))
}

async fn with_link(visit: &Operator, name: &str) -> Result<Page, Failure> {
    let link = visit.may.accounts()?.password_link(name).await?;
    let (address, expires_at) = (address(visit, link.secret.as_str()), link.expires_at.to_string());
    one(visit, name, Beside { link: Some((&address, &expires_at)), ..Beside::default() }).await
}

async fn show(visit: Operator, InPath(name): InPath<'u'>) -> Result<Page, Failure> {
    one(&visit, &name, Beside::default()).await
}

/// The fields of a user. A box that is not checked is not sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    label: String,
    #[serde(default)]
    operator: bool,
    #[serde(default)]
    suspended: bool,
}

async fn change(
    visit: Operator,
    (With(tools), InPath(name), Form(Changed { label, operator, suspended })): (
        With,
        InPath<'u'>,
        Form<Changed>,
    ),
) -> Result<Either<Page, Go>, Failure> {
    let change = UserChange {
        label: Some(label),
        is_operator: Some(operator),
        is_suspended: Some(suspended),
        external: None,
    };
    match visit.may.accounts()?.change_user(&name, change).await.map_err(Failure::from) {
        Ok(_) => {
            tools.streams.rights_changed();
            Ok(Either::Other(Go::to(format!("{}/users/{}", visit.base, part(&name)))))
        }
        Err(failure) => {
            let beside = Beside { refused: Some(&failure), ..Beside::default() };
            Ok(Either::One(one(&visit, &name, beside).await?))
        }
    }
}

async fn link(visit: Operator, InPath(name): InPath<'u'>) -> Result<Page, Failure> {
    with_link(&visit, &name).await
}

async fn end_sessions(
    visit: Operator,
    (With(tools), InPath(name)): (With, InPath<'u'>),
) -> Result<Page, Failure> {
    let ended = visit.may.accounts()?.end_sessions(&name).await?;
    tools.streams.rights_changed();
    one(&visit, &name, Beside { ended: Some(ended), ..Beside::default() }).await
}

async fn ask(visit: Operator, InPath(name): InPath<'u'>) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let user = visit.may.accounts()?.user(&name).await?;
    let address = frame.top(&format!("users/{}", part(user.name.as_str())));
    let markup = blocks::confirm(&Confirm {
        question: &format!("Remove the user {}?", user.name),
        consequences: &[
            "All roles, sessions and tokens of the user go. What the user has done stays in the audit trails.".to_owned(),
            "To keep somebody out for a time, suspend the user.".to_owned(),
        ],
        action: "Remove",
        to: &format!("{address}/remove"),
        back: &address,
        problem: None,
    });
    Ok(Page::ok(frame.page(&head(&frame, "Remove a user"), &markup)))
}

async fn remove(visit: Operator, (With(tools), InPath(name)): (With, InPath<'u'>)) -> Result<Go, Failure> {
    visit.may.accounts()?.remove_user(&name).await?;
    tools.streams.rights_changed();
    Ok(Go::to(format!("{}/users", visit.base)))
}
