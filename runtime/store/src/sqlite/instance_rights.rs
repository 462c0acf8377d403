//! The lists of who has which right at an instance.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::access::InstanceRights;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{InstanceCode, TenantId};

use super::trouble::Outcome;
use super::{accounts, audit, instances};
use crate::record::access::instance_rights;

pub(super) fn set(
    db: &Db,
    tenant: &TenantId,
    instance: &InstanceCode,
    rights: &InstanceRights,
    by: &Actor,
) -> Outcome<()> {
    let before = match get(db, tenant, instance) {
        // Damaged lists are replaced.
        Err(trouble) if trouble.is_of_one_row() => None,
        found => Some(found?),
    };
    if before == Some(InstanceRights::default())
        && !instances::exists(db, tenant.as_str(), instance.as_str())?
    {
        return Err(instances::not_found(instance.as_str()).into());
    }
    for user in rights.users() {
        if !accounts::is_member(db, tenant, user)? {
            return Err(accounts::no_member(user).into());
        }
    }
    if before.as_ref() == Some(rights) {
        return Ok(());
    }
    let (owner, code) = (tenant.as_str(), instance.as_str());
    // The users of its lists are deleted with them.
    db.prepare_cached("DELETE FROM instance_rights WHERE tenant = :tenant AND instance = :instance")?
        .execute(named_params! {":tenant": owner, ":instance": code})?;
    for (right, users) in rights.lists() {
        db.prepare_cached(
            "INSERT INTO instance_rights (tenant, instance, right_name) VALUES (:tenant, :instance, :right)",
        )?
        .execute(named_params! {":tenant": owner, ":instance": code, ":right": right.as_str()})?;
        for user in users {
            db.prepare_cached(
                "INSERT INTO instance_right_users (tenant, instance, right_name, user_name)
                 VALUES (:tenant, :instance, :right, :user)",
            )?
            .execute(named_params! {
                ":tenant": owner, ":instance": code, ":right": right.as_str(), ":user": user.as_str(),
            })?;
        }
    }
    let deed = Deed::instance_rights_changed(instance, &before.unwrap_or_default(), rights);
    audit::append(db, tenant, &deed, by)
}

/// Creates a copy of an instance, with its lists.
pub(super) fn copy(db: &Db, copy: &JobInstance, original: &InstanceCode, by: &Actor) -> Outcome<JobInstance> {
    let created = instances::create(db, copy, by)?;
    let (tenant, code) = (&created.tenant, &created.code);
    let rights = get(db, tenant, code)?.narrowed_by(&get(db, tenant, original)?);
    set(db, tenant, code, &rights, by)?;
    Ok(created)
}

pub(super) fn get(db: &Db, tenant: &TenantId, instance: &InstanceCode) -> Outcome<InstanceRights> {
    let rows: Vec<(String, Option<String>)> = db
        .prepare_cached(LISTS)?
        .query_map(named_params! {":tenant": tenant.as_str(), ":instance": instance.as_str()}, |row| {
            Ok((row.get("right_name")?, row.get("user_name")?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(instance_rights(instance, rows)?)
}

pub(super) const LISTS: &str = "SELECT r.right_name, l.user_name FROM instance_rights r
     LEFT JOIN instance_right_users l
         ON l.tenant = r.tenant AND l.instance = r.instance AND l.right_name = r.right_name
     WHERE r.tenant = :tenant AND r.instance = :instance";
