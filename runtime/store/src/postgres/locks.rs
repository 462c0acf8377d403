//! Locks for work that only one process may do at a time, although it touches no row that could be locked. Each
//! lock lasts until the end of the transaction, and is taken before any row.
//!
//! The first number, `Stbx` or one of the next three, distinguishes our locks from those of other programs in the same database.

use stepbox_batch::name::TenantId;

use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;

/// A process that chooses what begins next counts what runs, so no other process may begin anything meanwhile.
pub(super) const CLAIMS: &str = "SELECT pg_advisory_xact_lock(1400136312, 2)";

/// Changes to the connectors and components of a tenant.
pub(super) async fn inventory(db: &Db, tenant: &TenantId) -> Outcome<()> {
    let sql = "SELECT pg_advisory_xact_lock(1400136313, hashtext(:tenant))";
    db.rows(sql, &named! {"tenant": tenant.as_str()}).await.map(drop)
}

/// Changes to users, which must leave an operator, and must find no other user where one is the first.
pub(super) async fn users(db: &Db) -> Outcome<()> {
    db.rows("SELECT pg_advisory_xact_lock(1400136312, 3)", &[]).await.map(drop)
}

/// Changes to the members of a tenant, and to the lists that name them. Taken before the rows of users.
pub(super) async fn members(db: &Db, tenant: &TenantId) -> Outcome<()> {
    let sql = "SELECT pg_advisory_xact_lock(1400136315, hashtext(:tenant))";
    db.rows(sql, &named! {"tenant": tenant.as_str()}).await.map(drop)
}

/// Work of a tenant on something that has this name and may not be there yet. Names of two things that are equal only
/// wait for each other.
pub(super) async fn by_name(db: &Db, tenant: &TenantId, name: &str) -> Outcome<()> {
    let sql = "SELECT pg_advisory_xact_lock(1400136314, hashtext(:tenant || ' ' || :name))";
    db.rows(sql, &named! {"tenant": tenant.as_str(), "name": name}).await.map(drop)
}
