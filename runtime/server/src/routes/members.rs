//! Members of a tenant, and rights per instance.

use stepbox_api::member::{InstanceRights, Member, SetMember};

use crate::access::{Administer, May, Members};
use crate::conventions::answer::{Done, Shown};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath, With};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/members", "The members of a tenant, and their roles.", list)
        .put("/tenants/{tenant}/members/{user}", "Give a user a role in a tenant.", set)
        .delete("/tenants/{tenant}/members/{user}", "Take a user's role in a tenant away.", remove)
        .get("/tenants/{tenant}/instances/{code}/rights", "Who has which right at an instance.", rights)
        .put(
            "/tenants/{tenant}/instances/{code}/rights",
            "Set who has which right at an instance.",
            set_rights,
        )
}

async fn list(
    may: May<Administer, Members>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Member>, Failure> {
    let members = may.tenant().members().await?;
    Ok(List::of(page, members, |member| member.user.to_string(), Member::of))
}

async fn set(
    may: May<Administer, Members>,
    (With(tools), InPath(user), Body(SetMember { role })): (With, InPath<'u'>, Body<SetMember>),
) -> Result<Shown<Member>, Failure> {
    let member = may.tenant().set_member(&user, role.into_role()).await?;
    tools.streams.rights_changed();
    Ok(Shown(Member::of(&member)))
}

async fn remove(
    may: May<Administer, Members>,
    (With(tools), InPath(user)): (With, InPath<'u'>),
) -> Result<Done, Failure> {
    may.tenant().remove_member(&user).await?;
    tools.streams.rights_changed();
    Ok(Done)
}

async fn rights(
    may: May<Administer, Members>,
    InPath(code): InPath<'c'>,
) -> Result<Shown<InstanceRights>, Failure> {
    Ok(Shown(InstanceRights::of(&may.tenant().instance_rights(&code).await?)))
}

async fn set_rights(
    may: May<Administer, Members>,
    (With(tools), InPath(code), Body(rights)): (With, InPath<'c'>, Body<InstanceRights>),
) -> Result<Shown<InstanceRights>, Failure> {
    let rights = rights.into_rights().map_err(stepbox::Error::from)?;
    may.tenant().set_instance_rights(&code, &rights).await?;
    tools.streams.rights_changed();
    Ok(Shown(InstanceRights::of(&rights)))
}
