//! Users and their roles in tenants.

use stepbox_batch::access::{ExternalIdentity, LinkHash, Member, PasswordHash, Role, User, UserChange};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit::limit_of;
use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use super::{audit, locks, views};
use crate::record::Listed;
use crate::record::access::{USER_COLUMNS, UserRecord, member, membership};
use crate::record::audit::Trail;
use crate::record::columns::Columns;

pub(super) async fn create(db: &Db, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Outcome<()> {
    locks::users(db).await?;
    insert(db, user, password, by).await
}

/// Keeps a new user. The caller has locked the users.
async fn insert(db: &Db, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Outcome<()> {
    refuse_identity_of_another(db, user).await?;
    let UserRecord {
        name,
        label,
        is_operator,
        is_suspended,
        created_at,
        password_changed_at,
        issuer,
        subject,
    } = UserRecord::from(user);
    let sql = "INSERT INTO users (name, label, is_operator, is_suspended, created_at, password,
                                  password_changed_at, issuer, subject)
               VALUES (:name, :label, :is_operator, :is_suspended, :created_at, :password, :password_changed_at,
                       :issuer, :subject)
               ON CONFLICT (name) DO NOTHING";
    let values = named! {
        "name": &name, "label": &label, "is_operator": is_operator, "is_suspended": is_suspended,
        "created_at": created_at, "password": password.map(PasswordHash::as_str),
        "password_changed_at": password.and(password_changed_at), "issuer": &issuer, "subject": &subject,
    };
    match db.execute(sql, &values).await? {
        0 => Err(RepositoryError::AlreadyExists { kind: "user", name }.into()),
        _ => audit::append(db, Trail::Installation, &Deed::user_created(user), by).await,
    }
}

pub(super) async fn create_first_operator(
    db: &Db,
    link: &LinkHash,
    user: &User,
    password: &PasswordHash,
    by: &Actor,
) -> Outcome<()> {
    // Two links may be used at once: nobody else creates a user meanwhile.
    locks::users(db).await?;
    let sql = "DELETE FROM one_time_links WHERE hash = :hash AND user_name IS NULL AND expires_at > :now";
    if db.execute(sql, &named! {"hash": link.as_str(), "now": by.at.0}).await? == 0 {
        return Err(RepositoryError::NotFound { kind: "link", name: "first operator".to_owned() }.into());
    }
    if has_users(db).await? {
        return Err(RepositoryError::HasUsers.into());
    }
    insert(db, user, Some(password), by).await?;
    audit::append(db, Trail::Installation, &Deed::password_set(&user.name, true), by).await
}

pub(super) async fn has_users(db: &Db) -> Outcome<bool> {
    Ok(db.row("SELECT 1 FROM users LIMIT 1", &[]).await?.is_some())
}

pub(super) async fn change(db: &Db, name: &UserName, change: &UserChange, by: &Actor) -> Outcome<User> {
    locks::users(db).await?;
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE name = :name FOR NO KEY UPDATE");
    let found = db.row(&sql, &named! {"name": name.as_str()}).await?.ok_or_else(|| not_found(name))?;
    let before = UserRecord::read(&found)?.into_user()?;
    let after = change.applied_to(&before);
    if after == before {
        return Ok(after);
    }
    if before.operates() && !after.operates() {
        refuse_without_operator(db, name).await?;
    }
    refuse_identity_of_another(db, &after).await?;
    let UserRecord { name, label, is_operator, is_suspended, issuer, subject, .. } = UserRecord::from(&after);
    let sql = "UPDATE users SET label = :label, is_operator = :is_operator, is_suspended = :is_suspended,
                   issuer = :issuer, subject = :subject WHERE name = :name";
    let values = named! {
        "name": &name, "label": &label, "is_operator": is_operator, "is_suspended": is_suspended,
        "issuer": &issuer, "subject": &subject,
    };
    db.execute(sql, &values).await?;
    if after.has_other_standing_than(&before) {
        end_sessions(db, &after.name).await?;
    }
    audit::append(db, Trail::Installation, &Deed::user_changed(&before, &after), by).await?;
    Ok(after)
}

pub(super) async fn remove(db: &Db, name: &UserName, by: &Actor) -> Outcome<()> {
    locks::users(db).await?;
    let values = named! {"name": name.as_str()};
    let sql = "SELECT is_operator AND NOT is_suspended AS operates FROM users WHERE name = :name FOR UPDATE";
    let found = db.row(sql, &values).await?.ok_or_else(|| not_found(name))?;
    if found.flag("operates")? {
        refuse_without_operator(db, name).await?;
    }
    // Administrators of the tenants hear of it, too. A damaged row is deleted as well.
    for (tenant, role) in memberships(db, name).await?.items {
        audit::append(db, &tenant, &Deed::role_changed(name, Some(role), None), by).await?;
    }
    views::forget(db, None, name).await?;
    // Roles, places in lists, sessions, tokens and links are deleted with it.
    db.execute("DELETE FROM users WHERE name = :name", &values).await?;
    audit::append(db, Trail::Installation, &Deed::user_removed(name), by).await
}

/// Refuses if no other operator may come in.
async fn refuse_without_operator(db: &Db, name: &UserName) -> Outcome<()> {
    let sql = "SELECT 1 FROM users WHERE is_operator AND NOT is_suspended AND name <> :name LIMIT 1";
    match db.row(sql, &named! {"name": name.as_str()}).await? {
        Some(_) => Ok(()),
        None => Err(RepositoryError::LastOperator(name.clone()).into()),
    }
}

async fn refuse_identity_of_another(db: &Db, user: &User) -> Outcome<()> {
    let Some(ExternalIdentity { issuer, subject }) = &user.external else { return Ok(()) };
    let sql = "SELECT 1 FROM users WHERE issuer = :issuer AND subject = :subject AND name <> :name";
    let values = named! {"issuer": issuer, "subject": subject, "name": user.name.as_str()};
    match db.row(sql, &values).await? {
        None => Ok(()),
        Some(_) => Err(RepositoryError::AlreadyExists { kind: "identity", name: subject.clone() }.into()),
    }
}

pub(super) async fn get(db: &Db, name: &UserName) -> Outcome<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE name = :name");
    let found = db.row(&sql, &named! {"name": name.as_str()}).await?;
    found.map(|row| Ok(UserRecord::read(&row)?.into_user()?)).transpose()
}

pub(super) async fn of_identity(db: &Db, identity: &ExternalIdentity) -> Outcome<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE issuer = :issuer AND subject = :subject");
    let values = named! {"issuer": &identity.issuer, "subject": &identity.subject};
    let found = db.row(&sql, &values).await?;
    found.map(|row| Ok(UserRecord::read(&row)?.into_user()?)).transpose()
}

pub(super) async fn list(db: &Db, after: Option<&UserName>, limit: u32) -> Outcome<Listing<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE name > :after ORDER BY name LIMIT :limit");
    let after = after.map_or("", UserName::as_str);
    let mut found = Listing::default();
    for row in db.rows(&sql, &[("after", after.into()), ("limit", limit_of(limit))]).await? {
        let user = UserRecord::read(&row).and_then(|record| Ok(record.into_user()?));
        found.push(listed(Listed::named("user", row.text("name")?), user)?);
    }
    Ok(found)
}

pub(super) async fn end_sessions(db: &Db, user: &UserName) -> Outcome<u64> {
    db.execute("DELETE FROM sessions WHERE user_name = :user", &named! {"user": user.as_str()}).await
}

/// Locks the row of a user, so that no session begins meanwhile. Refuses a user that does not exist.
pub(super) async fn lock(db: &Db, user: &UserName) -> Outcome<()> {
    let sql = "SELECT 1 FROM users WHERE name = :user FOR NO KEY UPDATE";
    match db.row(sql, &named! {"user": user.as_str()}).await? {
        Some(_) => Ok(()),
        None => Err(not_found(user).into()),
    }
}

pub(super) async fn set_member(db: &Db, tenant: &TenantId, new: &Member, by: &Actor) -> Outcome<()> {
    let Member { user, role } = new;
    locks::members(db, tenant).await?;
    lock(db, user).await?;
    let before = role_text(db, tenant, user).await?;
    if before.as_deref() == Some(role.as_str()) {
        return Ok(());
    }
    let sql = "INSERT INTO members (tenant, user_name, role) VALUES (:tenant, :user, :role)
               ON CONFLICT (tenant, user_name) DO UPDATE SET role = excluded.role";
    let values = named! {"tenant": tenant.as_str(), "user": user.as_str(), "role": role.as_str()};
    db.execute(sql, &values).await?;
    end_sessions(db, user).await?;
    audit::append(db, tenant, &Deed::role_changed(user, known(before), Some(*role)), by).await
}

pub(super) async fn remove_member(db: &Db, tenant: &TenantId, user: &UserName, by: &Actor) -> Outcome<()> {
    locks::members(db, tenant).await?;
    let before = role_text(db, tenant, user).await?;
    if before.is_none() {
        return Err(no_member(user).into());
    }
    lock(db, user).await?;
    // The places in lists are deleted with it.
    let sql = "DELETE FROM members WHERE tenant = :tenant AND user_name = :user";
    db.execute(sql, &named! {"tenant": tenant.as_str(), "user": user.as_str()}).await?;
    views::forget(db, Some(tenant), user).await?;
    end_sessions(db, user).await?;
    audit::append(db, tenant, &Deed::role_changed(user, known(before), None), by).await
}

/// The role as it is stored, also if it is damaged: then it can still be changed.
async fn role_text(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<Option<String>> {
    let sql = "SELECT role FROM members WHERE tenant = :tenant AND user_name = :user";
    let found = db.row(sql, &named! {"tenant": tenant.as_str(), "user": user.as_str()}).await?;
    found.map(|row| row.text("role")).transpose()
}

/// The role; `None` if it is damaged.
fn known(role: Option<String>) -> Option<Role> {
    role.and_then(|role| role.parse().ok())
}

pub(super) async fn is_member(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<bool> {
    Ok(role_text(db, tenant, user).await?.is_some())
}

pub(super) async fn members(db: &Db, tenant: &TenantId) -> Outcome<Listing<Member>> {
    let sql = "SELECT user_name, role FROM members WHERE tenant = :tenant ORDER BY user_name";
    let mut found = Listing::default();
    for row in db.rows(sql, &named! {"tenant": tenant.as_str()}).await? {
        let user = row.text("user_name")?;
        let member = row.text("role").and_then(|role| Ok(member(tenant, user.clone(), &role)?));
        found.push(listed(Listed::named("member", user), member)?);
    }
    Ok(found)
}

pub(super) async fn memberships(db: &Db, user: &UserName) -> Outcome<Listing<(TenantId, Role)>> {
    let sql = "SELECT tenant, role FROM members WHERE user_name = :user ORDER BY tenant";
    let mut found = Listing::default();
    for row in db.rows(sql, &named! {"user": user.as_str()}).await? {
        let tenant = row.text("tenant")?;
        let of_user = row.text("role").and_then(|role| Ok(membership(user, tenant.clone(), &role)?));
        found.push(listed(Listed::named("member", tenant), of_user)?);
    }
    Ok(found)
}

pub(super) fn not_found(user: &UserName) -> RepositoryError {
    RepositoryError::NotFound { kind: "user", name: user.to_string() }
}

pub(super) fn no_member(user: &UserName) -> RepositoryError {
    RepositoryError::NotFound { kind: "member", name: user.to_string() }
}
