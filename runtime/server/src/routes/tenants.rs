//! Tenants: which ones there are for somebody, and what each may use.

use stepbox::{Tenant, TenantStanding};
use stepbox_api::policy::Policy;
use stepbox_api::tenant::{Standing, TenantDetails, TenantSummary};

use crate::access::{May, Operate, Signed, TheTenant, View};
use crate::conventions::answer::{All, Shown};
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants", "The tenants that you have a role in.", list)
        .get("/tenants/{tenant}", "A tenant: its standing, its quotas, and what is used of them.", show)
        .get("/tenants/{tenant}/policy", "What the jobs of a tenant may touch.", policy)
        .post("/tenants/{tenant}/suspend", "Let nothing of a tenant begin in this process.", suspend)
        .post("/tenants/{tenant}/resume", "Let executions of a tenant begin again.", resume)
}

async fn list(signed: Signed, (): ()) -> Result<All<TenantSummary>, Failure> {
    let summary = |tenant: &Tenant| TenantSummary {
        name: tenant.id().to_string(),
        standing: standing(tenant),
        role: signed.role_in(tenant.id()),
    };
    Ok(All(signed.tenants()?.iter().map(summary).collect()))
}

async fn show(may: May<View, TheTenant>, (): ()) -> Result<Shown<TenantDetails>, Failure> {
    details(may.tenant()).await.map(Shown)
}

pub(crate) async fn details(tenant: &Tenant) -> Result<TenantDetails, Failure> {
    let components = tenant.components().await?;
    let depths = tenant.queue_depths().await?;
    Ok(TenantDetails::of(tenant, standing(tenant), &components, &depths))
}

async fn policy(may: May<View, TheTenant>, (): ()) -> Result<Shown<Policy>, Failure> {
    Ok(Shown(Policy::of_tenant(may.tenant())))
}

async fn suspend(may: May<Operate, TheTenant>, (): ()) -> Result<Shown<TenantDetails>, Failure> {
    may.suspend()?;
    details(may.tenant()).await.map(Shown)
}

async fn resume(may: May<Operate, TheTenant>, (): ()) -> Result<Shown<TenantDetails>, Failure> {
    may.resume()?;
    details(may.tenant()).await.map(Shown)
}

fn standing(tenant: &Tenant) -> Standing {
    match tenant.standing() {
        TenantStanding::Active => Standing::Active,
        TenantStanding::Suspended | TenantStanding::Removed => Standing::Suspended,
    }
}
