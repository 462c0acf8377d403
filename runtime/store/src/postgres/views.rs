//! Filters that users keep.

use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::saved_view::{SavedView, VIEWS_MAX};

use super::connection::Db;
use super::locks;
use super::trouble::Outcome;
use super::value::named;
use crate::record::columns::Columns;

/// The views of a user, by name.
pub(super) async fn list(db: &Db, tenant: &TenantId, user: &UserName) -> Outcome<Vec<SavedView>> {
    let sql =
        "SELECT name, filter FROM saved_views WHERE tenant = :tenant AND user_name = :user ORDER BY name";
    let found = db.rows(sql, &named! {"tenant": tenant.as_str(), "user": user.as_str()}).await?;
    found.iter().map(|row| Ok(SavedView { name: row.text("name")?, filter: row.text("filter")? })).collect()
}

pub(super) async fn put(db: &Db, tenant: &TenantId, user: &UserName, view: &SavedView) -> Outcome<()> {
    // So that two calls at once cannot both take the last place.
    locks::by_name(db, tenant, &format!("views {user}")).await?;
    let SavedView { name, filter } = view;
    let values = named! {
        "tenant": tenant.as_str(), "user": user.as_str(), "name": name, "filter": filter,
    };
    let sql = "SELECT count(*) AS others FROM saved_views
               WHERE tenant = :tenant AND user_name = :user AND name <> :name";
    let row = db.row(sql, &values).await?;
    if row.map(|row| row.number("others")).transpose()?.unwrap_or(0) >= i64::from(VIEWS_MAX) {
        return Err(RepositoryError::TooManyViews { max: VIEWS_MAX }.into());
    }
    let sql =
        "INSERT INTO saved_views (tenant, user_name, name, filter) VALUES (:tenant, :user, :name, :filter)
               ON CONFLICT (tenant, user_name, name) DO UPDATE SET filter = excluded.filter";
    db.execute(sql, &values).await.map(drop)
}

pub(super) async fn remove(db: &Db, tenant: &TenantId, user: &UserName, name: &str) -> Outcome<()> {
    let sql = "DELETE FROM saved_views WHERE tenant = :tenant AND user_name = :user AND name = :name";
    let values = named! {"tenant": tenant.as_str(), "user": user.as_str(), "name": name};
    match db.execute(sql, &values).await? {
        0 => Err(RepositoryError::NotFound { kind: "view", name: name.to_owned() }.into()),
        _ => Ok(()),
    }
}

/// Forgets the views of a user who goes: from one tenant or, without one, from the installation.
pub(super) async fn forget(db: &Db, tenant: Option<&TenantId>, user: &UserName) -> Outcome<()> {
    let sql = "DELETE FROM saved_views
               WHERE user_name = :user AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)";
    let values = named! {"user": user.as_str(), "tenant": tenant.map(TenantId::as_str)};
    db.execute(sql, &values).await.map(drop)
}
