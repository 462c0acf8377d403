//! Connectors: installed from a package of their folder, found by code, removed.

use serde::Deserialize;
use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::inventory;
use stepbox::{BrokenInstance, Error};
use stepbox_api::connector::{Connector, ConnectorSummary, Grant, Installed};
use stepbox_api::form::ConnectorPreview;
use utoipa::ToSchema;

use super::packages::Package;
use crate::access::{Connectors, Edit, May, View};
use crate::conventions::answer::{Created, Done, Shown};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, InPath, Query, With};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/connectors", "The connectors.", list)
        .post(
            "/tenants/{tenant}/connectors",
            "Install a connector from a tar or a zip of its folder.",
            install,
        )
        .post(
            "/tenants/{tenant}/connector-preview",
            "Check a tar or a zip of a connector's folder, and show its forms, without keeping anything.",
            preview,
        )
        .get(
            "/tenants/{tenant}/connectors/{code}",
            "A connector, its jobs, and what their steps ask for.",
            show,
        )
        .delete("/tenants/{tenant}/connectors/{code}", "Remove a connector that no instance needs.", remove)
}

/// How a connector is installed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct How {
    /// Install it even if instances cannot run afterwards.
    #[serde(default)]
    force: bool,
}

async fn list(
    may: May<View, Connectors>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<ConnectorSummary>, Failure> {
    let connectors = may.tenant().connectors().await?;
    let native = connectors.items.first().map(|connector| connector.code.clone());
    // The native connector comes first, and the others by code.
    let key = |connector: &inventory::Connector| {
        format!("{}{}", u8::from(native.as_ref() != Some(&connector.code)), connector.code)
    };
    Ok(List::of(page, connectors, key, ConnectorSummary::of))
}

async fn install(
    may: May<Edit, Connectors>,
    (Query(How { force }), With(tools), Caller(who), package): (Query<How>, With, Caller, Package),
) -> Result<Created<Installed>, Failure> {
    tools.limits.upload(&who)?;
    let folder = package.unpack(&tools.spool).await?;
    let (tenant, path) = (may.tenant(), folder.path());
    let installed = match tenant.install_package(path).await {
        Err(Error::BreaksInstances { connector, instances, .. }) => {
            let (instances, hidden) = seen_by(may.principal(), instances);
            match force {
                true => {
                    tenant.replace_with_package(path).await.map(|connector| (connector, instances, hidden))
                }
                false => Err(Error::BreaksInstances { connector, instances, hidden }),
            }
        }
        installed => installed.map(|connector| (connector, Vec::new(), 0)),
    };
    let (connector, broken, hidden) = installed.map_err(|error| Failure::within(&error, path))?;
    let grants = tenant.policy().leaves_of(&connector).iter().map(Grant::of).collect();
    let at = format!("connectors/{}", connector.code);
    Ok(Created { at, version: None, thing: Installed::of(&connector, grants, &broken, hidden) })
}

/// The instances that a principal may see, and how many more there are.
pub(crate) fn seen_by(
    principal: &Principal,
    mut instances: Vec<BrokenInstance>,
) -> (Vec<BrokenInstance>, usize) {
    let all = instances.len();
    instances.retain(|instance| principal.may(Right::View, Thing::Instance(&instance.code)));
    let hidden = all - instances.len();
    (instances, hidden)
}

async fn preview(
    may: May<Edit, Connectors>,
    (With(tools), Caller(who), package): (With, Caller, Package),
) -> Result<Shown<ConnectorPreview>, Failure> {
    tools.limits.upload(&who)?;
    let folder = package.unpack(&tools.spool).await?;
    let (tenant, path) = (may.tenant(), folder.path());
    let connector = tenant.preview_package(path).await.map_err(|error| Failure::within(&error, path))?;
    let grants = tenant.policy().leaves_of(&connector).iter().map(Grant::of).collect();
    Ok(Shown(ConnectorPreview::of(&connector, Connector::of(&connector, grants))))
}

async fn show(may: May<View, Connectors>, InPath(code): InPath<'c'>) -> Result<Shown<Connector>, Failure> {
    let connector = may.tenant().connector(&code).await?;
    Ok(Shown(shown(&may, &connector)))
}

fn shown(may: &May<View, Connectors>, connector: &inventory::Connector) -> Connector {
    let grants = may.tenant().policy().leaves_of(connector);
    Connector::of(connector, grants.iter().map(Grant::of).collect())
}

async fn remove(may: May<Edit, Connectors>, InPath(code): InPath<'c'>) -> Result<Done, Failure> {
    let connector = may.tenant().connector(&code).await?;
    may.tenant().remove_connector(&connector.code).await?;
    Ok(Done)
}

#[cfg(test)]
mod tests {
    use stepbox::batch::access::{InstanceRight, Role};
    use stepbox::batch::name::InstanceCode;

    use super::*;
    use crate::testing::tenant_id;

    /// Names of instances that one may not see are not told by an error about a connector either.
    #[test]
    fn hidden_instances_are_counted_alone() {
        let code = |code: &str| InstanceCode::new(code).unwrap();
        let broken = || {
            let codes = ["a", "hidden", "b"].into_iter();
            codes.map(|text| BrokenInstance { code: code(text), reason: "no job".to_owned() }).collect()
        };
        let author = Principal {
            memberships: [(tenant_id("acme"), Role::Author)].into(),
            tenant: Some(tenant_id("acme")),
            ..Principal::default()
        };
        let narrow =
            Principal { barred: [(code("hidden"), [InstanceRight::View].into())].into(), ..author.clone() };
        for (principal, seen, hidden) in [(author, "a hidden b", 0), (narrow, "a b", 1)] {
            let (instances, count) = seen_by(&principal, broken());
            let codes: Vec<_> = instances.iter().map(|instance| instance.code.as_str()).collect();
            assert_eq!((codes.join(" ").as_str(), count), (seen, hidden));
            let error = Error::BreaksInstances { connector: connector(), instances, hidden: count };
            let told = format!("{:?}", Failure::from(error).problem());
            assert_eq!(told.contains("hidden"), hidden == 0, "{told}");
            assert!(told.contains("3 of the instances"), "{told}");
        }
    }

    fn connector() -> stepbox::batch::name::ConnectorCode {
        stepbox::batch::name::ConnectorCode::new("acme").unwrap()
    }
}
