//! Tokens of programs.

use stepbox_batch::access::{NewToken, TOKENS_PER_USER_MAX, Token, TokenHash, TokenId, TokenWish};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{InstanceCode, TenantId, UserName};
use stepbox_batch::ports::{Listing, RepositoryError, TokenPrincipal};

use super::connection::Db;
use super::credentials::principal;
use super::trouble::{Outcome, Trouble, listed};
use super::value::named;
use super::{accounts, audit};
use crate::record::access::{RevokedRecord, TOKEN_COLUMNS, TokenRecord, token_principal};
use crate::record::audit::Trail;
use crate::record::columns::Columns;
use crate::record::{Listed, Row, json, stored};

/// Keeps a token. The owner's row is locked, so that two calls do not both take the last place.
pub(super) async fn create(db: &Db, token: &NewToken, by: &Actor) -> Outcome<TokenId> {
    let NewToken { hash, owner, wish, made_by } = token;
    let TokenWish { name, tenant, instance, scopes, expires_at } = wish;
    accounts::lock(db, owner).await?;
    if let Some(maker) = made_by {
        refuse_unless_there(db, *maker).await?;
    }
    let sql = "DELETE FROM tokens WHERE owner = :owner AND expires_at <= :now";
    db.execute(sql, &named! {"owner": owner.as_str(), "now": by.at.0}).await?;
    let sql = "SELECT count(*) AS kept FROM tokens WHERE owner = :owner";
    let kept = db.row(sql, &named! {"owner": owner.as_str()}).await?;
    if kept.map(|row| row.number("kept")).transpose()?.unwrap_or(0) >= i64::from(TOKENS_PER_USER_MAX) {
        let owner = owner.clone();
        return Err(RepositoryError::TooManyTokens { owner, max: TOKENS_PER_USER_MAX }.into());
    }
    let sql =
        "INSERT INTO tokens (hash, name, owner, tenant, instance, scopes, created_at, expires_at, made_by)
               VALUES (:hash, :name, :owner, :tenant, :instance, :scopes, :now, :expires_at, :made_by)
               RETURNING id";
    let scopes = json(scopes);
    let values = named! {
        "hash": hash.as_str(), "name": name, "owner": owner.as_str(),
        "tenant": tenant.as_ref().map(TenantId::as_str),
        "instance": instance.as_ref().map(InstanceCode::as_str), "scopes": &scopes, "now": by.at.0,
        "expires_at": expires_at.0, "made_by": made_by.map(|id| stored(id.0)),
    };
    let row = db.row(sql, &values).await?.ok_or_else(|| Trouble::Unfit("it gives no id".to_owned()))?;
    let id = TokenId(Row("a token".to_owned()).count("id", row.number("id")?)?);
    audit::append(db, Trail::of(tenant.as_ref()), &Deed::token_created(id, token), by).await?;
    Ok(id)
}

/// Refuses a maker that was revoked meanwhile, and keeps it until the end of the transaction.
async fn refuse_unless_there(db: &Db, id: TokenId) -> Outcome<()> {
    let sql = "SELECT 1 FROM tokens WHERE id = :id FOR KEY SHARE";
    match db.row(sql, &named! {"id": stored(id.0)}).await? {
        Some(_) => Ok(()),
        None => Err(not_found(id).into()),
    }
}

pub(super) async fn principal_of_token(
    db: &Db,
    hash: &TokenHash,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Outcome<Option<TokenPrincipal>> {
    let values = named! {"hash": hash.as_str(), "tenant": tenant.map(TenantId::as_str), "now": now.0};
    let found = db.row(&principal_statement(), &values).await?;
    found.map(|row| token_principal(&row, tenant)).transpose()
}

pub(super) fn principal_statement() -> String {
    format!(
        "SELECT {TOKEN_COLUMNS}, {} FROM tokens t JOIN users u ON u.name = t.owner
         WHERE t.hash = :hash AND t.expires_at > :now AND NOT u.is_suspended
           AND (t.tenant IS NOT NULL OR u.is_operator)",
        principal!()
    )
}

pub(super) async fn touch(db: &Db, id: TokenId, now: Timestamp) -> Outcome<()> {
    let sql = "UPDATE tokens SET last_used_at = :now WHERE id = :id AND coalesce(last_used_at, 0) < :now";
    db.execute(sql, &named! {"id": stored(id.0), "now": now.0}).await.map(drop)
}

pub(super) async fn list(
    db: &Db,
    tenant: Option<&TenantId>,
    owner: Option<&UserName>,
) -> Outcome<Listing<Token>> {
    let values = named! {"tenant": tenant.map(TenantId::as_str), "owner": owner.map(UserName::as_str)};
    let mut found = Listing::default();
    for row in db.rows(&list_statement(tenant.is_some(), owner.is_some()), &values).await? {
        let token = TokenRecord::read(&row).and_then(|record| Ok(record.into_token()?));
        found.push(listed(Listed::named("token", row.number("id")?.to_string()), token)?);
    }
    Ok(found)
}

pub(super) fn list_statement(is_of_tenant: bool, is_of_owner: bool) -> String {
    let tenant = if is_of_tenant { "t.tenant = :tenant" } else { "t.tenant IS NULL" };
    let owner = if is_of_owner { "AND t.owner = :owner" } else { "" };
    format!("SELECT {TOKEN_COLUMNS} FROM tokens t WHERE {tenant} {owner} ORDER BY t.id")
}

/// A token, and every token that was made with it, directly or not.
pub(super) const FAMILY: &str = "WITH RECURSIVE family (id) AS (
         SELECT id FROM tokens WHERE id = :id AND tenant IS NOT DISTINCT FROM CAST(:tenant AS TEXT)
             AND (CAST(:owner AS TEXT) IS NULL OR owner = :owner)
         UNION SELECT t.id FROM family f JOIN tokens t ON t.made_by = f.id)
     SELECT t.id, t.name, t.owner, t.tenant FROM family f JOIN tokens t ON t.id = f.id ORDER BY t.id";

pub(super) async fn revoke(
    db: &Db,
    tenant: Option<&TenantId>,
    id: TokenId,
    owner: Option<&UserName>,
    by: &Actor,
) -> Outcome<()> {
    // No token is made with it meanwhile, and one process revokes it.
    db.rows("SELECT 1 FROM tokens WHERE id = :id FOR UPDATE", &named! {"id": stored(id.0)}).await?;
    let values = named! {
        "id": stored(id.0), "tenant": tenant.map(TenantId::as_str), "owner": owner.map(UserName::as_str),
    };
    let mut revoked = Vec::new();
    for row in db.rows(FAMILY, &values).await? {
        revoked.push(RevokedRecord::read(&row)?);
    }
    if revoked.is_empty() {
        return Err(not_found(id).into());
    }
    // Those that were made with it are deleted with it.
    db.execute("DELETE FROM tokens WHERE id = :id", &named! {"id": stored(id.0)}).await?;
    for record in revoked {
        // A token of a tenant whose name is damaged has no trail.
        if let Some((tenant, deed)) = record.into_deed(id) {
            audit::append(db, Trail::of(tenant.as_ref()), &deed, by).await?;
        }
    }
    Ok(())
}

pub(super) fn not_found(id: TokenId) -> RepositoryError {
    RepositoryError::NotFound { kind: "token", name: id.to_string() }
}
