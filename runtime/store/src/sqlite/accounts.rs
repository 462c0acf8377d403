//! Users and their roles in tenants.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::access::{ExternalIdentity, LinkHash, Member, PasswordHash, Role, User, UserChange};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::row::first;
use super::trouble::{Outcome, legible, listed};
use super::{audit, views};
use crate::record::Listed;
use crate::record::access::{USER_COLUMNS, UserRecord, member, membership};
use crate::record::audit::Trail;

pub(super) fn create(db: &Db, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Outcome<()> {
    refuse_identity_of_another(db, user)?;
    let record = UserRecord::from(user);
    let UserRecord { name, label, is_operator, is_suspended, created_at, .. } = &record;
    let created = db
        .prepare_cached(
            "INSERT INTO users (name, label, is_operator, is_suspended, created_at, password, password_changed_at,
                                issuer, subject)
             VALUES (:name, :label, :is_operator, :is_suspended, :created_at, :password, :password_changed_at,
                     :issuer, :subject)
             ON CONFLICT (name) DO NOTHING",
        )?
        .execute(named_params! {
            ":name": name, ":label": label, ":is_operator": is_operator, ":is_suspended": is_suspended,
            ":created_at": created_at, ":password": password.map(PasswordHash::as_str),
            ":password_changed_at": password.and(record.password_changed_at), ":issuer": record.issuer,
            ":subject": record.subject,
        })?;
    match created {
        0 => Err(RepositoryError::AlreadyExists { kind: "user", name: user.name.to_string() }.into()),
        _ => audit::append(db, Trail::Installation, &Deed::user_created(user), by),
    }
}

pub(super) fn create_first_operator(
    db: &Db,
    link: &LinkHash,
    user: &User,
    password: &PasswordHash,
    by: &Actor,
) -> Outcome<()> {
    let used = db
        .prepare_cached(
            "DELETE FROM one_time_links WHERE hash = :hash AND user_name IS NULL AND expires_at > :now",
        )?
        .execute(named_params! {":hash": link.as_str(), ":now": by.at.0})?;
    if used == 0 {
        return Err(RepositoryError::NotFound { kind: "link", name: "first operator".to_owned() }.into());
    }
    if has_users(db)? {
        return Err(RepositoryError::HasUsers.into());
    }
    create(db, user, Some(password), by)?;
    audit::append(db, Trail::Installation, &Deed::password_set(&user.name, true), by)
}

pub(super) fn has_users(db: &Db) -> Outcome<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM users")?.exists([])?)
}

pub(super) fn change(db: &Db, name: &UserName, change: &UserChange, by: &Actor) -> Outcome<User> {
    let before = get(db, name)?.ok_or_else(|| not_found(name))?;
    let after = change.applied_to(&before);
    if after == before {
        return Ok(after);
    }
    if before.operates() && !after.operates() {
        refuse_without_operator(db, name)?;
    }
    refuse_identity_of_another(db, &after)?;
    let UserRecord { name, label, is_operator, is_suspended, issuer, subject, .. } = UserRecord::from(&after);
    db.prepare_cached(
        "UPDATE users SET label = :label, is_operator = :is_operator, is_suspended = :is_suspended,
             issuer = :issuer, subject = :subject WHERE name = :name",
    )?
    .execute(named_params! {
        ":name": name, ":label": label, ":is_operator": is_operator, ":is_suspended": is_suspended,
        ":issuer": issuer, ":subject": subject,
    })?;
    if after.has_other_standing_than(&before) {
        end_sessions(db, &after.name)?;
    }
    audit::append(db, Trail::Installation, &Deed::user_changed(&before, &after), by)?;
    Ok(after)
}

pub(super) fn remove(db: &Db, name: &UserName, by: &Actor) -> Outcome<()> {
    let parameters = named_params! {":name": name.as_str()};
    let operates: Option<bool> = db
        .prepare_cached("SELECT is_operator AND NOT is_suspended FROM users WHERE name = :name")?
        .query_row(parameters, |row| row.get(0))
        .optional()?;
    if operates.ok_or_else(|| not_found(name))? {
        refuse_without_operator(db, name)?;
    }
    // Administrators of the tenants hear of it, too. A damaged row is deleted as well.
    for (tenant, role) in memberships(db, name)?.items {
        audit::append(db, &tenant, &Deed::role_changed(name, Some(role), None), by)?;
    }
    views::forget(db, None, name)?;
    // Roles, places in lists, sessions, tokens and links are deleted with it.
    db.prepare_cached("DELETE FROM users WHERE name = :name")?.execute(parameters)?;
    audit::append(db, Trail::Installation, &Deed::user_removed(name), by)
}

/// Refuses if no other operator may come in.
fn refuse_without_operator(db: &Db, name: &UserName) -> Outcome<()> {
    let has_another = db
        .prepare_cached("SELECT 1 FROM users WHERE is_operator AND NOT is_suspended AND name <> :name")?
        .exists(named_params! {":name": name.as_str()})?;
    if has_another { Ok(()) } else { Err(RepositoryError::LastOperator(name.clone()).into()) }
}

fn refuse_identity_of_another(db: &Db, user: &User) -> Outcome<()> {
    let Some(ExternalIdentity { issuer, subject }) = &user.external else { return Ok(()) };
    let is_taken = db
        .prepare_cached(
            "SELECT 1 FROM users WHERE issuer = :issuer AND subject = :subject AND name <> :name",
        )?
        .exists(named_params! {":issuer": issuer, ":subject": subject, ":name": user.name.as_str()})?;
    match is_taken {
        false => Ok(()),
        true => Err(RepositoryError::AlreadyExists { kind: "identity", name: subject.clone() }.into()),
    }
}

pub(super) fn get(db: &Db, name: &UserName) -> Outcome<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE name = :name");
    let mut statement = db.prepare_cached(&sql)?;
    let record =
        first(statement.query(named_params! {":name": name.as_str()})?, |row| UserRecord::read(row))?;
    Ok(record.map(UserRecord::into_user).transpose()?)
}

pub(super) fn of_identity(db: &Db, identity: &ExternalIdentity) -> Outcome<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE issuer = :issuer AND subject = :subject");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":issuer": identity.issuer, ":subject": identity.subject})?;
    Ok(first(rows, |row| UserRecord::read(row))?.map(UserRecord::into_user).transpose()?)
}

pub(super) fn list(db: &Db, after: Option<&UserName>, limit: u32) -> Outcome<Listing<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE name > :after ORDER BY name LIMIT :limit");
    let mut statement = db.prepare_cached(&sql)?;
    // For SQLite, a negative limit means all. A name is never empty.
    let limit = if limit == 0 { -1 } else { i64::from(limit) };
    let after = after.map_or("", UserName::as_str);
    let mut rows = statement.query(named_params! {":after": after, ":limit": limit})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let user = UserRecord::read(row).and_then(|record| Ok(record.into_user()?));
        found.push(listed(Listed::named("user", legible(row, "name")?), user)?);
    }
    Ok(found)
}

pub(super) fn end_sessions(db: &Db, user: &UserName) -> Outcome<u64> {
    let ended = db
        .prepare_cached("DELETE FROM sessions WHERE user_name = :user")?
        .execute(named_params! {":user": user.as_str()})?;
    Ok(ended as u64)
}

pub(super) fn set_member(db: &Db, tenant: &TenantId, new: &Member, by: &Actor) -> Outcome<()> {
    let Member { user, role } = new;
    if !exists(db, user)? {
        return Err(not_found(user).into());
    }
    let before = role_text(db, tenant, user)?;
    if before.as_deref() == Some(role.as_str()) {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO members (tenant, user_name, role) VALUES (:tenant, :user, :role)
         ON CONFLICT (tenant, user_name) DO UPDATE SET role = excluded.role",
    )?
    .execute(named_params! {
        ":tenant": tenant.as_str(), ":user": user.as_str(), ":role": role.as_str(),
    })?;
    end_sessions(db, user)?;
    audit::append(db, tenant, &Deed::role_changed(user, known(before), Some(*role)), by)
}

pub(super) fn remove_member(db: &Db, tenant: &TenantId, user: &UserName, by: &Actor) -> Outcome<()> {
    let before = role_text(db, tenant, user)?;
    // The places in lists are deleted with it.
    let removed = db
        .prepare_cached("DELETE FROM members WHERE tenant = :tenant AND user_name = :user")?
        .execute(named_params! {":tenant": tenant.as_str(), ":user": user.as_str()})?;
    if removed == 0 {
        return Err(no_member(user).into());
    }
    views::forget(db, Some(tenant), user)?;
    end_sessions(db, user)?;
    audit::append(db, tenant, &Deed::role_changed(user, known(before), None), by)
}

/// The role as it is stored, also if it is damaged: then it can still be changed.
fn role_text(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<Option<String>> {
    let found = db
        .prepare_cached("SELECT role FROM members WHERE tenant = :tenant AND user_name = :user")?
        .query_row(named_params! {":tenant": tenant.as_str(), ":user": user.as_str()}, |row| {
            legible(row, "role")
        })
        .optional()?;
    Ok(found)
}

/// The role; `None` if it is damaged.
fn known(role: Option<String>) -> Option<Role> {
    role.and_then(|role| role.parse().ok())
}

pub(super) fn is_member(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<bool> {
    Ok(role_text(db, tenant, user)?.is_some())
}

pub(super) fn members(db: &Db, tenant: &TenantId) -> Outcome<Listing<Member>> {
    let mut statement =
        db.prepare_cached("SELECT user_name, role FROM members WHERE tenant = :tenant ORDER BY user_name")?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let user = legible(row, "user_name")?;
        let role: rusqlite::Result<String> = row.get("role");
        let member = role.map_err(Into::into).and_then(|role| Ok(member(tenant, user.clone(), &role)?));
        found.push(listed(Listed::named("member", user), member)?);
    }
    Ok(found)
}

pub(super) fn memberships(db: &Db, user: &UserName) -> Outcome<Listing<(TenantId, Role)>> {
    let mut statement =
        db.prepare_cached("SELECT tenant, role FROM members WHERE user_name = :user ORDER BY tenant")?;
    let mut rows = statement.query(named_params! {":user": user.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let tenant = legible(row, "tenant")?;
        let role: rusqlite::Result<String> = row.get("role");
        let of_user = role.map_err(Into::into).and_then(|role| Ok(membership(user, tenant.clone(), &role)?));
        found.push(listed(Listed::named("member", tenant), of_user)?);
    }
    Ok(found)
}

pub(super) fn exists(db: &Db, user: &UserName) -> Outcome<bool> {
    let mut statement = db.prepare_cached("SELECT 1 FROM users WHERE name = :name")?;
    Ok(statement.exists(named_params! {":name": user.as_str()})?)
}

pub(super) fn not_found(user: &UserName) -> RepositoryError {
    RepositoryError::NotFound { kind: "user", name: user.to_string() }
}

pub(super) fn no_member(user: &UserName) -> RepositoryError {
    RepositoryError::NotFound { kind: "member", name: user.to_string() }
}
