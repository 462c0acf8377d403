//! Tokens of programs.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, named_params, params_from_iter};
use stepbox_batch::access::{NewToken, TOKENS_PER_USER_MAX, TokenHash, TokenId, TokenWish};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{Listing, RepositoryError, TokenPrincipal};

use super::credentials::principal;
use super::row::first;
use super::trouble::{Outcome, legible, listed};
use super::{accounts, audit};
use crate::record::access::{RevokedRecord, TOKEN_COLUMNS, TokenRecord, token_principal};
use crate::record::audit::Trail;
use crate::record::{Listed, json, stored};

pub(super) fn create(db: &Db, token: &NewToken, by: &Actor) -> Outcome<TokenId> {
    let NewToken { hash, owner, wish, made_by } = token;
    let TokenWish { name, tenant, instance, scopes, expires_at } = wish;
    if !accounts::exists(db, owner)? {
        return Err(accounts::not_found(owner).into());
    }
    if let Some(maker) = made_by {
        refuse_unless_there(db, *maker)?;
    }
    db.prepare_cached("DELETE FROM tokens WHERE owner = :owner AND expires_at <= :now")?
        .execute(named_params! {":owner": owner.as_str(), ":now": by.at.0})?;
    let kept: u32 = db
        .prepare_cached("SELECT count(*) FROM tokens WHERE owner = :owner")?
        .query_row(named_params! {":owner": owner.as_str()}, |row| row.get(0))?;
    if kept >= TOKENS_PER_USER_MAX {
        let owner = owner.clone();
        return Err(RepositoryError::TooManyTokens { owner, max: TOKENS_PER_USER_MAX }.into());
    }
    db.prepare_cached(
        "INSERT INTO tokens (hash, name, owner, tenant, instance, scopes, created_at, expires_at, made_by)
         VALUES (:hash, :name, :owner, :tenant, :instance, :scopes, :now, :expires_at, :made_by)",
    )?
    .execute(named_params! {
        ":hash": hash.as_str(), ":name": name, ":owner": owner.as_str(),
        ":tenant": tenant.as_ref().map(TenantId::as_str),
        ":instance": instance.as_ref().map(|code| code.as_str()), ":scopes": json(scopes),
        ":now": by.at.0, ":expires_at": expires_at.0, ":made_by": made_by.map(|id| stored(id.0)),
    })?;
    let id = TokenId(u64::try_from(db.last_insert_rowid()).unwrap_or_default());
    audit::append(db, Trail::of(tenant.as_ref()), &Deed::token_created(id, token), by)?;
    Ok(id)
}

/// Refuses a maker that was revoked meanwhile.
fn refuse_unless_there(db: &Db, id: TokenId) -> Outcome<()> {
    let mut statement = db.prepare_cached("SELECT 1 FROM tokens WHERE id = :id")?;
    if statement.exists(named_params! {":id": stored(id.0)})? { Ok(()) } else { Err(not_found(id).into()) }
}

pub(super) fn principal_of_token(
    db: &Db,
    hash: &TokenHash,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Outcome<Option<TokenPrincipal>> {
    let mut statement = db.prepare_cached(&principal_statement())?;
    let rows = statement.query(named_params! {
        ":hash": hash.as_str(), ":tenant": tenant.map(TenantId::as_str), ":now": now.0,
    })?;
    first(rows, |row| token_principal(row, tenant))
}

pub(super) fn principal_statement() -> String {
    format!(
        "SELECT {TOKEN_COLUMNS}, {} FROM tokens t JOIN users u ON u.name = t.owner
         WHERE t.hash = :hash AND t.expires_at > :now AND NOT u.is_suspended
           AND (t.tenant IS NOT NULL OR u.is_operator)",
        principal!()
    )
}

pub(super) fn touch(db: &Db, id: TokenId, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE tokens SET last_used_at = :now WHERE id = :id AND coalesce(last_used_at, 0) < :now",
    )?
    .execute(named_params! {":id": stored(id.0), ":now": now.0})?;
    Ok(())
}

pub(super) fn list(
    db: &Db,
    tenant: Option<&TenantId>,
    owner: Option<&UserName>,
) -> Outcome<Listing<stepbox_batch::access::Token>> {
    let (sql, values) = list_statement(tenant, owner);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let token = TokenRecord::read(row).and_then(|record| Ok(record.into_token()?));
        found.push(listed(Listed::named("token", legible(row, "id")?), token)?);
    }
    Ok(found)
}

/// The statement of a list, and its values.
pub(super) fn list_statement(tenant: Option<&TenantId>, owner: Option<&UserName>) -> (String, Vec<Value>) {
    let wanted = [
        Some(("t.tenant IS ?", Value::from(tenant.map(ToString::to_string)))),
        owner.map(|owner| ("t.owner = ?", Value::from(owner.to_string()))),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) = wanted.into_iter().flatten().unzip();
    let sql =
        format!("SELECT {TOKEN_COLUMNS} FROM tokens t WHERE {} ORDER BY t.id", conditions.join(" AND "));
    (sql, values)
}

/// A token, and every token that was made with it, directly or not.
pub(super) const FAMILY: &str = "WITH RECURSIVE family (id) AS (
         SELECT id FROM tokens WHERE id = :id AND tenant IS :tenant AND (:owner IS NULL OR owner = :owner)
         UNION SELECT t.id FROM family f CROSS JOIN tokens t ON t.made_by = f.id)
     SELECT t.id, t.name, t.owner, t.tenant FROM family f CROSS JOIN tokens t ON t.id = f.id ORDER BY t.id";

pub(super) fn revoke(
    db: &Db,
    tenant: Option<&TenantId>,
    id: TokenId,
    owner: Option<&UserName>,
    by: &Actor,
) -> Outcome<()> {
    let mut statement = db.prepare_cached(FAMILY)?;
    let mut rows = statement.query(named_params! {
        ":id": stored(id.0), ":tenant": tenant.map(TenantId::as_str), ":owner": owner.map(UserName::as_str),
    })?;
    let mut revoked = Vec::new();
    while let Some(row) = rows.next()? {
        revoked.push(RevokedRecord::read(row)?);
    }
    if revoked.is_empty() {
        return Err(not_found(id).into());
    }
    // Those that were made with it are deleted with it.
    db.prepare_cached("DELETE FROM tokens WHERE id = :id")?.execute(named_params! {":id": stored(id.0)})?;
    for record in revoked {
        // A token of a tenant whose name is damaged has no trail.
        if let Some((tenant, deed)) = record.into_deed(id) {
            audit::append(db, Trail::of(tenant.as_ref()), &deed, by)?;
        }
    }
    Ok(())
}

pub(super) fn not_found(id: TokenId) -> RepositoryError {
    RepositoryError::NotFound { kind: "token", name: id.to_string() }
}
