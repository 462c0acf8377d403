//! Connectors: their list with the components, one of them, a package that is not installed yet, and their removal.

use stepbox::batch::access::{Right, Thing};
use stepbox::batch::inventory;
use stepbox::batch::ports::Listing;
use stepbox::{COMPONENT_BYTES_MAX, Error, InspectedConnector};
use stepbox_api::connector::{Component, Connector, ConnectorSummary, Grant, Installed};
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::problem::Problem;
use stepbox_web::blocks::{self, Confirm};
use stepbox_web::frame::part;
use stepbox_web::pages::components::Listed;
use stepbox_web::pages::connectors::{self as page, Found};
use stepbox_web::{Frame, Head, Markup, Place};

use super::answer::{Either, Go, Page};
use super::form::Form;
use super::visit::Visit;
use crate::access::{Connectors, Edit, May, Opened, View};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::form_data::{FormData, read_form_data};
use crate::conventions::input::{Caller, InPath, Input, With};
use crate::conventions::pending::{Inspected, Of};
use crate::routes::connectors::seen_by;
use crate::routes::packages::{PACKAGE_BYTES_MAX, Package};
use crate::table::Table;
use crate::tools::Tools;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/connectors", "Connectors and steps of a tenant.", list)
        .post("/tenants/{tenant}/connectors/inspect", "Inspect a connector's package.", inspect)
        .get(
            "/tenants/{tenant}/inspected-connectors/{secret}",
            "A connector that is not installed yet.",
            inspected,
        )
        .post(
            "/tenants/{tenant}/inspected-connectors/{secret}",
            "Install a connector that was inspected.",
            install,
        )
        .post("/tenants/{tenant}/inspected-connectors/{secret}/discard", "Forget an upload.", discard)
        .get("/tenants/{tenant}/connectors/{code}", "A connector.", show)
        .get("/tenants/{tenant}/connectors/{code}/remove", "Ask whether to remove a connector.", ask)
        .post(
            "/tenants/{tenant}/connectors/{code}/remove",
            "Remove a connector that no instance needs.",
            remove,
        )
}

/// A package in a form.
struct SentPackage(FormData);

impl Input for SentPackage {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        read_form_data(asking, "package", PACKAGE_BYTES_MAX).await.map(Self)
    }

    fn describe(_: &mut Describing) {}
}

/// Whose upload waits for a decision.
pub(super) fn of<E: Opened>(visit: &Visit<E>) -> Of {
    let user = visit.may.principal().user.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    Of { user, tenant: visit.may.tenant().map(|tenant| tenant.id().to_string()).unwrap_or_default() }
}

/// The codes of the connectors that use a component.
pub(super) fn users(connectors: &[inventory::Connector], digest: &str) -> Vec<String> {
    let uses = |connector: &&inventory::Connector| {
        let mut components = connector.jobs.iter().flat_map(|job| job.components());
        components.any(|component| component.digest.as_str() == digest)
    };
    connectors.iter().filter(uses).map(|connector| connector.code.to_string()).collect()
}

/// The head of a page below connectors and steps.
pub(super) fn head(frame: &Frame, title: impl Into<String>) -> Head {
    Head::new(Place::Connectors, title).below("Connectors and steps", frame.at("connectors"))
}

async fn list(visit: Visit<May<View, Connectors>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let markup = listing(&visit, &frame, None, None).await?;
    Ok(Page::ok(frame.page(&Head::new(Place::Connectors, "Connectors and steps"), &markup)))
}

/// Connectors and components, as far as the reader may see them, and why an upload was refused.
pub(super) async fn listing<E: Opened>(
    visit: &Visit<E>,
    frame: &Frame,
    component_problem: Option<&Problem>,
    package_problem: Option<&Problem>,
) -> Result<Markup, Failure> {
    let Some(tenant) = visit.may.tenant() else { return Err(Failure::not_found("tenant")) };
    let connectors = match visit.may(Right::View, Thing::Connectors) {
        true => tenant.connectors().await?,
        false => Listing { items: Vec::new(), damaged: Vec::new() },
    };
    let components = match visit.may(Right::View, Thing::Steps) {
        true => tenant.components().await?,
        false => Listing { items: Vec::new(), damaged: Vec::new() },
    };
    let damaged: Vec<_> = components.damaged.iter().map(DamagedRow::of).collect();
    let listed = components.items.iter().map(|component| Listed {
        component: Component::of(component),
        used_by: users(&connectors.items, component.digest.as_str()),
    });
    let mut listed: Vec<_> = listed.collect();
    listed.sort_by(|one, other| {
        let key = |listed: &Listed| (listed.component.name.clone(), listed.component.uploaded_at.clone());
        key(one).cmp(&key(other))
    });
    Ok(page::list(
        frame,
        &page::Page {
            connectors: &Row::of(&connectors, ConnectorSummary::of),
            components: &listed,
            damaged: &damaged,
            may_edit_connectors: visit.may(Right::Edit, Thing::Connectors),
            may_edit_steps: visit.may(Right::Edit, Thing::Steps),
            component_bytes_max: COMPONENT_BYTES_MAX as u64,
            package_bytes_max: PACKAGE_BYTES_MAX,
            component_problem,
            package_problem,
        },
    ))
}

async fn inspect(
    visit: Visit<May<Edit, Connectors>>,
    (With(tools), Caller(who), SentPackage(form)): (With, Caller, SentPackage),
) -> Result<Either<Page, Go>, Failure> {
    tools.limits.upload(&who)?;
    let frame = visit.frame().await?;
    let upload = Inspected::new(form.name, None, form.file, ()).await;
    let found = match found(&visit, &tools, &upload).await {
        Ok(found) => found,
        Err(failure) => {
            let markup = listing(&visit, &frame, None, Some(failure.problem())).await?;
            let head = Head::new(Place::Connectors, "Connectors and steps");
            return Ok(Either::One(Page::refused(&failure, frame.page(&head, &markup))));
        }
    };
    let id = tools.packages.keep(of(&visit), upload.with(found))?;
    Ok(Either::Other(Go::to(frame.at(&format!("inspected-connectors/{id}")))))
}

/// What is found out about a package.
async fn found(
    visit: &Visit<May<Edit, Connectors>>,
    tools: &Tools,
    upload: &Inspected<()>,
) -> Result<Found, Failure> {
    let (_guard, body) = upload.body().await?;
    let folder = Package::found_in(body).await?.unpack(&tools.spool).await?;
    let (tenant, path) = (visit.may.tenant(), folder.path());
    let inspected = tenant.inspect_package(path).await.map_err(|error| Failure::within(&error, path))?;
    let InspectedConnector { connector, components, replaced, broken } = inspected;
    let grants = tenant.policy().leaves_of(&connector).iter().map(Grant::of).collect();
    let (seen, hidden) = seen_by(visit.may.principal(), broken);
    let known = tenant.components().await?;
    let shown = |component: &inventory::Component| {
        let is_known = known.iter().any(|known| known.digest == component.digest);
        let shown = Component::of(component);
        Component { uploaded_at: shown.uploaded_at.filter(|_| is_known), ..shown }
    };
    Ok(Found {
        components: components.iter().map(shown).collect(),
        replaced: replaced.map(|replaced| replaced.jobs.iter().map(|job| job.name.to_string()).collect()),
        installed: Installed::of(&connector, grants, &seen, hidden),
    })
}

async fn inspected(
    visit: Visit<May<Edit, Connectors>>,
    (With(tools), InPath(id)): (With, InPath<'l'>),
) -> Result<Page, Failure> {
    let upload = tools.packages.find(&of(&visit), &id)?;
    let frame = visit.frame().await?;
    let markup = page::inspected(&frame, &id, &upload.name, &upload.shown, None);
    Ok(Page::ok(frame.page(&head(&frame, "Install a connector"), &markup)))
}

/// Whether the reader has seen that instances break.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    #[serde(default)]
    force: bool,
}

async fn install(
    visit: Visit<May<Edit, Connectors>>,
    (With(tools), InPath(id), Form(How { force })): (With, InPath<'l'>, Form<How>),
) -> Result<Either<Page, Go>, Failure> {
    let (of, frame, tenant) = (of(&visit), visit.frame().await?, visit.may.tenant());
    let upload = tools.packages.find(&of, &id)?;
    let folder = {
        let (_guard, body) = upload.body().await?;
        Package::found_in(body).await?.unpack(&tools.spool).await?
    };
    let path = folder.path();
    let installed = match tenant.install_package(path).await {
        Err(Error::BreaksInstances { .. }) if force => tenant.replace_with_package(path).await,
        Err(Error::BreaksInstances { connector, instances, .. }) => {
            let (instances, hidden) = seen_by(visit.may.principal(), instances);
            Err(Error::BreaksInstances { connector, instances, hidden })
        }
        installed => installed,
    };
    match installed.map_err(|error| Failure::within(&error, path)) {
        Ok(connector) => {
            tools.packages.forget(&of, &id);
            let code = part(connector.code.as_str());
            Ok(Either::Other(Go::to(frame.at(&format!("connectors/{code}")))))
        }
        Err(failure) => {
            let problem = Some(failure.problem());
            let markup = page::inspected(&frame, &id, &upload.name, &upload.shown, problem);
            let markup = frame.page(&head(&frame, "Install a connector"), &markup);
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

async fn discard(
    visit: Visit<May<Edit, Connectors>>,
    (With(tools), InPath(id)): (With, InPath<'l'>),
) -> Result<Go, Failure> {
    tools.packages.forget(&of(&visit), &id);
    Ok(Go::to(visit.frame().await?.at("connectors")))
}

async fn show(visit: Visit<May<View, Connectors>>, InPath(code): InPath<'c'>) -> Result<Page, Failure> {
    let tenant = visit.may.tenant();
    let connector = tenant.connector(&code).await?;
    let grants = tenant.policy().leaves_of(&connector).iter().map(Grant::of).collect();
    let shown = Connector::of(&connector, grants);
    let frame = visit.frame().await?;
    let may = (visit.may(Right::Edit, Thing::Connectors), visit.may(Right::Edit, Thing::Instances));
    let markup = page::show(&frame, &shown, may.0, may.1);
    Ok(Page::ok(frame.page(&head(&frame, shown.label.clone()), &markup)))
}

async fn ask(visit: Visit<May<Edit, Connectors>>, InPath(code): InPath<'c'>) -> Result<Page, Failure> {
    asked(&visit, &code, None).await
}

/// The question whether to remove a connector, and why it was refused.
async fn asked(
    visit: &Visit<May<Edit, Connectors>>,
    code: &str,
    refused: Option<&Failure>,
) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let connector = visit.may.tenant().connector(code).await?;
    let address = frame.at(&format!("connectors/{}", part(connector.code.as_str())));
    let jobs: Vec<_> = connector.jobs.iter().map(|job| job.name.as_str()).collect();
    let markup = blocks::confirm(&Confirm {
        question: &format!("Remove the connector {}?", connector.label),
        consequences: &[
            format!(
                "Its jobs go: {}. A job profile that needs one of them stands in the way.",
                jobs.join(", ")
            ),
            "Executions keep the job that they were submitted with. Its components stay.".to_owned(),
        ],
        action: "Remove",
        to: &format!("{address}/remove"),
        back: &address,
        problem: refused.map(Failure::problem),
    });
    let markup = frame.page(&head(&frame, "Remove a connector"), &markup);
    Ok(match refused {
        Some(failure) => Page::refused(failure, markup),
        None => Page::ok(markup),
    })
}

async fn remove(
    visit: Visit<May<Edit, Connectors>>,
    InPath(code): InPath<'c'>,
) -> Result<Either<Page, Go>, Failure> {
    let tenant = visit.may.tenant();
    let connector = tenant.connector(&code).await?;
    match tenant.remove_connector(&connector.code).await.map_err(Failure::from) {
        Ok(()) => Ok(Either::Other(Go::to(visit.frame().await?.at("connectors")))),
        Err(failure) => Ok(Either::One(asked(&visit, &code, Some(&failure)).await?)),
    }
}
