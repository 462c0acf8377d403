//! Filters that users keep.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::saved_view::{SavedView, VIEWS_MAX};

use super::trouble::Outcome;

/// The views of a user, by name.
pub(super) fn list(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<Vec<SavedView>> {
    let mut statement = db.prepare_cached(
        "SELECT name, filter FROM saved_views WHERE tenant = :tenant AND user_name = :user ORDER BY name",
    )?;
    let values = named_params! {":tenant": tenant.as_str(), ":user": user.as_str()};
    let found = statement
        .query_map(values, |row| Ok(SavedView { name: row.get("name")?, filter: row.get("filter")? }))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn put(db: &Db, tenant: &TenantId, user: &UserName, view: &SavedView) -> Outcome<()> {
    let SavedView { name, filter } = view;
    let others: u32 = db
        .prepare_cached(
            "SELECT count(*) FROM saved_views WHERE tenant = :tenant AND user_name = :user AND name <> :name",
        )?
        .query_row(
            named_params! {":tenant": tenant.as_str(), ":user": user.as_str(), ":name": name},
            |row| row.get(0),
        )?;
    if others >= VIEWS_MAX {
        return Err(RepositoryError::TooManyViews { max: VIEWS_MAX }.into());
    }
    db.prepare_cached(
        "INSERT INTO saved_views (tenant, user_name, name, filter) VALUES (:tenant, :user, :name, :filter)
         ON CONFLICT (tenant, user_name, name) DO UPDATE SET filter = excluded.filter",
    )?
    .execute(named_params! {
        ":tenant": tenant.as_str(), ":user": user.as_str(), ":name": name, ":filter": filter,
    })?;
    Ok(())
}

pub(super) fn remove(db: &Db, tenant: &TenantId, user: &UserName, name: &str) -> Outcome<()> {
    let removed = db
        .prepare_cached(
            "DELETE FROM saved_views WHERE tenant = :tenant AND user_name = :user AND name = :name",
        )?
        .execute(named_params! {":tenant": tenant.as_str(), ":user": user.as_str(), ":name": name})?;
    match removed {
        0 => Err(RepositoryError::NotFound { kind: "view", name: name.to_owned() }.into()),
        _ => Ok(()),
    }
}

/// Forgets the views of a user who goes: from one tenant or, without one, from the installation.
pub(super) fn forget(db: &Db, tenant: Option<&TenantId>, user: &UserName) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM saved_views WHERE user_name = :user AND (:tenant IS NULL OR tenant = :tenant)",
    )?
    .execute(named_params! {":user": user.as_str(), ":tenant": tenant.map(TenantId::as_str)})?;
    Ok(())
}
