//! The lists of who has which right at an instance.

use stepbox_batch::access::InstanceRights;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{InstanceCode, TenantId};

use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;
use super::{accounts, audit, instances, locks};
use crate::record::access::instance_rights;
use crate::record::columns::Columns;

pub(super) async fn set(
    db: &Db,
    tenant: &TenantId,
    instance: &InstanceCode,
    rights: &InstanceRights,
    by: &Actor,
) -> Outcome<()> {
    locks::members(db, tenant).await?;
    let before = match get(db, tenant, instance).await {
        // Damaged lists are replaced.
        Err(trouble) if trouble.is_of_one_row() => None,
        found => Some(found?),
    };
    if before == Some(InstanceRights::default()) && instances::get(db, tenant, instance).await?.is_none() {
        return Err(instances::not_found(instance.as_str()).into());
    }
    for user in rights.users() {
        if !accounts::is_member(db, tenant, user).await? {
            return Err(accounts::no_member(user).into());
        }
    }
    if before.as_ref() == Some(rights) {
        return Ok(());
    }
    let (owner, code) = (tenant.as_str(), instance.as_str());
    // The users of its lists are deleted with them.
    let sql = "DELETE FROM instance_rights WHERE tenant = :tenant AND instance = :instance";
    db.execute(sql, &named! {"tenant": owner, "instance": code}).await?;
    for (right, users) in rights.lists() {
        let sql = "INSERT INTO instance_rights (tenant, instance, right_name)
                   VALUES (:tenant, :instance, :right)";
        db.execute(sql, &named! {"tenant": owner, "instance": code, "right": right.as_str()}).await?;
        for user in users {
            let sql = "INSERT INTO instance_right_users (tenant, instance, right_name, user_name)
                       VALUES (:tenant, :instance, :right, :user)";
            let values = named! {
                "tenant": owner, "instance": code, "right": right.as_str(), "user": user.as_str(),
            };
            db.execute(sql, &values).await?;
        }
    }
    let deed = Deed::instance_rights_changed(instance, &before.unwrap_or_default(), rights);
    audit::append(db, tenant, &deed, by).await
}

/// Creates a copy of an instance, with its lists. They stay as they are until the transaction ends.
pub(super) async fn copy(
    db: &Db,
    copy: &JobInstance,
    original: &InstanceCode,
    by: &Actor,
) -> Outcome<JobInstance> {
    locks::members(db, &copy.tenant).await?;
    let created = instances::create(db, copy, by).await?;
    let (tenant, code) = (&created.tenant, &created.code);
    let rights = get(db, tenant, code).await?.narrowed_by(&get(db, tenant, original).await?);
    set(db, tenant, code, &rights, by).await?;
    Ok(created)
}

pub(super) const LISTS: &str = "SELECT r.right_name, l.user_name FROM instance_rights r
     LEFT JOIN instance_right_users l
         ON l.tenant = r.tenant AND l.instance = r.instance AND l.right_name = r.right_name
     WHERE r.tenant = :tenant AND r.instance = :instance";

pub(super) async fn get(db: &Db, tenant: &TenantId, instance: &InstanceCode) -> Outcome<InstanceRights> {
    let values = named! {"tenant": tenant.as_str(), "instance": instance.as_str()};
    let mut lists = Vec::new();
    for row in db.rows(LISTS, &values).await? {
        lists.push((row.text("right_name")?, row.maybe_text("user_name")?));
    }
    Ok(instance_rights(instance, lists)?)
}
