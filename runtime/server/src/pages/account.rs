//! One's own account: password and tokens.

use serde::Deserialize;
use stepbox::PASSWORD_BYTES_MIN;
use stepbox::batch::access::{Scope, TOKEN_DAYS, TOKEN_DAYS_MAX, TokenId};
use stepbox::batch::name::TenantId;
use stepbox_api::token::{CreateToken, CreatedToken, Token};
use stepbox_web::pages::account::{self as page, Account, Asked};
use stepbox_web::{Head, Markup};

use super::answer::{Either, Go, Page};
use super::form::{Form, Pairs, Query};
use super::visit::Visit;
use crate::access::{SESSION, Signed};
use crate::conventions::failure::Failure;
use crate::conventions::input::With;
use crate::routes::tokens::wish;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/account", "Your account.", show)
        .post("/account/password", "Change your password.", change_password)
        .post("/account/tokens", "Make a token, and show it once.", create_token)
        .post("/account/tokens/revoke", "Revoke a token of yours.", revoke_token)
}

/// What was just done.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Done {
    changed: bool,
}

/// What the page shows besides what is looked up.
#[derive(Default)]
struct Beside<'a> {
    created: Option<&'a CreatedToken>,
    asked: Asked,
    token: Option<&'a Failure>,
    password: Option<&'a Failure>,
    is_password_changed: bool,
}

/// The word of the installation in the choice of tenants.
const INSTALLATION: &str = "the installation";

async fn shown(visit: &Visit<Signed>, beside: Beside<'_>) -> Result<Markup, Failure> {
    let frame = visit.frame().await?;
    let tokens: Vec<_> = visit.may.own_tokens().await?.iter().map(Token::of).collect();
    let tenants: Vec<_> = frame.tenants.iter().map(String::as_str).collect();
    let account = Account {
        tokens: &tokens,
        tenants: &tenants,
        scopes: &Scope::ALL.map(Scope::as_str),
        is_operator: frame.viewer.is_operator,
        password_chars_min: PASSWORD_BYTES_MIN,
        token_days: (TOKEN_DAYS, TOKEN_DAYS_MAX),
        created: beside.created,
        asked: beside.asked,
        token_problem: beside.token.map(Failure::problem),
        password_problem: beside.password.map(Failure::problem),
        is_password_changed: beside.is_password_changed,
    };
    let head = Head { title: "Your account".to_owned(), ..Head::default() };
    Ok(frame.page(&head, &page::show(&frame, &account)))
}

async fn show(visit: Visit<Signed>, Query(Done { changed }): Query<Done>) -> Result<Page, Failure> {
    let beside = Beside { is_password_changed: changed, ..Beside::default() };
    Ok(Page::ok(shown(&visit, beside).await?))
}

/// The fields of another password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passwords {
    /// For password managers alone.
    #[serde(default, rename = "user")]
    _user: String,
    current: String,
    new: String,
    repeated: String,
}

async fn change_password(
    visit: Visit<Signed>,
    (With(tools), Form(Passwords { current, new, repeated, .. })): (With, Form<Passwords>),
) -> Result<Either<Page, Go>, Failure> {
    let changed = match new == repeated {
        true => visit.may.change_password(&current, &new).await,
        false => Err(Failure::bad_request("body-invalid", "the two passwords are not the same")),
    };
    match changed {
        Ok(signed_in) => {
            tools.streams.rights_changed();
            let cookie = SESSION.set(Some(signed_in.id.as_str()), &visit.client, &visit.base, None);
            Ok(Either::Other(Go::to(format!("{}/account?changed=true", visit.base)).with_cookie(cookie)))
        }
        Err(failure) => {
            let beside = Beside { password: Some(&failure), ..Beside::default() };
            Ok(Either::One(Page::refused(&failure, shown(&visit, beside).await?)))
        }
    }
}

/// What is asked of a new token, from the fields of a form.
fn asked(pairs: &[(String, String)]) -> Asked {
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let scopes = pairs.iter().filter(|(name, _)| name == "scope").map(|(_, value)| value.clone());
    Asked {
        name: value("name"),
        tenant: value("tenant"),
        instance: value("instance"),
        scopes: scopes.collect(),
        days: value("days"),
    }
}

async fn create_token(visit: Visit<Signed>, Pairs(pairs): Pairs) -> Result<Page, Failure> {
    let asked = asked(&pairs);
    match created(&visit, &asked).await {
        Ok(created) => {
            let beside = Beside { created: Some(&created), ..Beside::default() };
            Ok(Page::ok(shown(&visit, beside).await?))
        }
        Err(failure) => {
            let beside = Beside { asked, token: Some(&failure), ..Beside::default() };
            Ok(Page::refused(&failure, shown(&visit, beside).await?))
        }
    }
}

async fn created(visit: &Visit<Signed>, asked: &Asked) -> Result<CreatedToken, Failure> {
    let days = match asked.days.as_str() {
        "" => None,
        text => {
            Some(text.parse().map_err(|_| Failure::bad_request("body-invalid", "the days are no number"))?)
        }
    };
    let tenant = match asked.tenant.as_str() {
        INSTALLATION => None,
        name => Some(TenantId::new(name).map_err(stepbox::Error::from)?),
    };
    let wanted = CreateToken {
        name: asked.name.clone(),
        instance: Some(asked.instance.clone()).filter(|instance| !instance.is_empty()),
        scopes: asked.scopes.iter().cloned().collect(),
        days,
    };
    let (text, token) = visit.may.create_token(wish(wanted, tenant, visit.may.now())?).await?;
    Ok(CreatedToken::of(&token, &text))
}

/// The fields of a token that is revoked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    token: u64,
    tenant: Option<String>,
}

async fn revoke_token(
    visit: Visit<Signed>,
    (With(tools), Form(Revoked { token, tenant })): (With, Form<Revoked>),
) -> Result<Go, Failure> {
    visit.may.revoke_own_token(tenant.as_deref(), TokenId(token)).await?;
    tools.streams.rights_changed();
    Ok(Go::to(format!("{}/account", visit.base)))
}
