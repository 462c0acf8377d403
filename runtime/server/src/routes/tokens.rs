//! Tokens of programs: one's own, and for administrators those of others.

use std::collections::BTreeSet;

use serde::Deserialize;
use stepbox::batch::access::{Scope, TOKEN_DAYS, TokenId, TokenWish};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::name::{InstanceCode, TenantId, UserName};
use stepbox_api::token::{CreateToken, CreatedToken, Token};
use utoipa::ToSchema;

use crate::access::{Installation, May, OfSelf, Operate};
use crate::conventions::answer::{Created, Done};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath, With, plain_number};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tokens", "The tokens of the installation.", of_installation)
        .post("/tokens", "Make a token of the installation.", create_for_installation)
        .delete(
            "/tokens/{token}",
            "Revoke a token of the installation, and all that were made with it.",
            revoke_of_installation,
        )
        .get("/tenants/{tenant}/tokens", "Your tokens in a tenant, or everybody's.", list)
        .post("/tenants/{tenant}/tokens", "Make a token with your rights in a tenant.", create)
        .delete(
            "/tenants/{tenant}/tokens/{token}",
            "Revoke a token of a tenant, and all that were made with it.",
            revoke,
        )
}

const DAY_MS: u64 = 24 * 3_600_000;

/// What a token shall be, from a request.
pub(crate) fn wish(
    asked: CreateToken,
    tenant: Option<TenantId>,
    now: Timestamp,
) -> Result<TokenWish, Failure> {
    let CreateToken { name, scopes, instance, days } = asked;
    let mut wanted = BTreeSet::new();
    for scope in &scopes {
        let scope = scope.parse::<Scope>().map_err(|error| {
            let failure =
                Failure::bad_request("body-invalid", format!("the body is not what is expected: {error}"));
            failure.with_part("/scopes".to_owned(), error.to_string())
        })?;
        wanted.insert(scope);
    }
    let instance = instance.map(InstanceCode::new).transpose().map_err(stepbox::Error::from)?;
    let expires_at = now.plus_ms(u64::from(days.unwrap_or(TOKEN_DAYS)) * DAY_MS);
    Ok(TokenWish { name, tenant, instance, scopes: wanted, expires_at })
}

fn id(text: &str) -> Result<TokenId, Failure> {
    plain_number(text).map(TokenId).ok_or_else(|| Failure::not_found("token"))
}

fn key(token: &stepbox::batch::access::Token) -> String {
    format!("{:020}", token.id.0)
}

async fn of_installation(
    may: May<Operate, Installation>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Token>, Failure> {
    Ok(List::of(page, may.accounts()?.tokens(None).await?, key, Token::of))
}

async fn create_for_installation(
    may: May<Operate, Installation>,
    Body(asked): Body<CreateToken>,
) -> Result<Created<CreatedToken>, Failure> {
    let wish = wish(asked, None, may.now())?;
    let (text, token) = may.accounts()?.create_token(may.principal(), wish).await?;
    let thing = CreatedToken::of(&token, &text);
    Ok(Created { at: format!("tokens/{}", token.id), version: None, thing })
}

async fn revoke_of_installation(
    may: May<Operate, Installation>,
    (With(tools), InPath(token)): (With, InPath<'t'>),
) -> Result<Done, Failure> {
    may.accounts()?.revoke_token(id(&token)?, None).await?;
    tools.streams.rights_changed();
    Ok(Done)
}

/// Whose tokens are listed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// Everybody's, for administrators. Otherwise your own.
    #[serde(default)]
    all: bool,
}

async fn list(own: OfSelf, Listed { page, filter }: Listed<Whose>) -> Result<List<Token>, Failure> {
    own.decides()?;
    let owner: Option<UserName> = if filter.all { own.of_everybody()? } else { own.user() };
    let tokens = own.tenant().tokens(owner.as_ref()).await?;
    Ok(List::of(page, tokens, key, Token::of))
}

async fn create(own: OfSelf, Body(asked): Body<CreateToken>) -> Result<Created<CreatedToken>, Failure> {
    let wish = wish(asked, Some(own.tenant().id().clone()), own.tenant().now())?;
    let (text, token) = own.create_token(wish).await?;
    let thing = CreatedToken::of(&token, &text);
    Ok(Created { at: format!("tokens/{}", token.id), version: None, thing })
}

async fn revoke(own: OfSelf, (With(tools), InPath(token)): (With, InPath<'t'>)) -> Result<Done, Failure> {
    own.decides()?;
    // An administrator may revoke everybody's.
    let owner = own.of_everybody().unwrap_or_else(|_| own.user());
    own.tenant().revoke_token(id(&token)?, owner.as_ref()).await?;
    tools.streams.rights_changed();
    Ok(Done)
}
