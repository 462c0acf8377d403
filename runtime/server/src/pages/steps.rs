//! Components: one of them, an uploaded one that is not kept yet, and their removal.

use std::time::Instant;

use stepbox::batch::access::{Right, Thing};
use stepbox::batch::inventory;
use stepbox::{COMPONENT_BYTES_MAX, SIGNATURE_BYTES_MAX, Tenant, Upload};
use stepbox_api::connector::{Component, Grant};
use stepbox_web::blocks::{self, Confirm};
use stepbox_web::pages::components::{self as page, Found, Listed};
use stepbox_web::{Frame, Head, Place};

use super::answer::{Either, Go, Page};
use super::connectors::listing;
use super::visit::Visit;
use crate::access::{Edit, May, Opened, Steps, View};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::form_data::{FormData, read_form_data};
use crate::conventions::input::{Caller, InPath, Input, With};
use crate::conventions::pending::{Inspected, Of};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/steps", "The components, on the page of connectors and steps.", list)
        .post("/tenants/{tenant}/steps/inspect", "Inspect a component, and ask whether to keep it.", inspect)
        .get(
            "/tenants/{tenant}/inspected-components/{secret}",
            "A component that is not kept yet.",
            inspected,
        )
        .post("/tenants/{tenant}/inspected-components/{secret}", "Keep a component that was inspected.", keep)
        .post("/tenants/{tenant}/inspected-components/{secret}/discard", "Forget an upload.", discard)
        .get("/tenants/{tenant}/steps/{reference}", "A component.", show)
        .get("/tenants/{tenant}/steps/{reference}/remove", "Ask whether to remove a component.", ask)
        .post("/tenants/{tenant}/steps/{reference}/remove", "Remove a component that nothing needs.", remove)
}

/// What a missing signature is called.
const SIGNATURE_NAME: &str = "the file of its signature";

/// A component in a form.
struct SentComponent(FormData);

impl Input for SentComponent {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let form = read_form_data(asking, "component", COMPONENT_BYTES_MAX as u64).await?;
        match form.field("signature").is_some_and(|text| text.len() > SIGNATURE_BYTES_MAX) {
            true => Err(Failure::bad_request("body-invalid", "the signature is longer than any signature")),
            false => Ok(Self(form)),
        }
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

/// What a component asks for by its description, and what the policy leaves of it.
fn leaves(tenant: &Tenant, component: &Component) -> Vec<Grant> {
    let lines = component.description["grants"].as_array().into_iter().flatten();
    let lines: Vec<_> = lines.filter_map(|line| line.as_str().map(str::to_owned)).collect();
    tenant.policy().leaves_of_component(&lines).iter().map(Grant::of).collect()
}

/// The head of a page below connectors and steps.
pub(super) fn head(frame: &Frame, title: impl Into<String>) -> Head {
    Head::new(Place::Connectors, title).below("Connectors and steps", frame.at("connectors"))
}

async fn list(visit: Visit<May<View, Steps>>, (): ()) -> Result<Go, Failure> {
    Ok(Go::to(visit.frame().await?.at("connectors#steps")))
}

async fn inspect(
    visit: Visit<May<Edit, Steps>>,
    (With(tools), Caller(who), SentComponent(form)): (With, Caller, SentComponent),
) -> Result<Either<Page, Go>, Failure> {
    tools.limits.upload(&who)?;
    let frame = visit.frame().await?;
    let signature = form.field("signature").map(str::to_owned);
    let kept = Inspected::new(form.name, signature, form.file, ()).await;
    let found = match found(visit.may.tenant(), &kept).await {
        Ok(found) => found,
        Err(failure) => {
            let markup = listing(&visit, &frame, Some(failure.problem()), None).await?;
            let head = Head::new(Place::Connectors, "Connectors and steps");
            return Ok(Either::One(Page::refused(&failure, frame.page(&head, &markup))));
        }
    };
    let id = tools.components.keep(of(&visit), kept.with(found))?;
    Ok(Either::Other(Go::to(frame.at(&format!("inspected-components/{id}")))))
}

/// What is found out about an upload.
async fn found(tenant: &Tenant, upload: &Inspected<()>) -> Result<Found, Failure> {
    let (_guard, body) = upload.body().await?;
    let bytes = body.into_bytes().await?;
    let began_at = Instant::now();
    let inspected = tenant.inspect_component(&bytes).await?;
    let checked_ms = began_at.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let signed =
        Upload { bytes: &bytes, signature: upload.signature.as_deref(), signature_file: SIGNATURE_NAME };
    let known = tenant.components().await?;
    let is_known = known.iter().any(|known| known.digest == inspected.digest);
    let others = known
        .iter()
        .filter(|known| known.name == inspected.description.name && known.digest != inspected.digest);
    let versions = others.map(|known| known.version.clone()).collect();
    let component = Component {
        digest: inspected.digest.to_string(),
        name: inspected.description.name.clone(),
        version: inspected.description.version.clone(),
        world: inspected.world.to_string(),
        size_bytes: bytes.len() as u64,
        uploaded_at: None,
        signed_by: tenant.signer_of(signed).ok().flatten().map(|signer| signer.name),
        description: inspected.description.to_json(),
    };
    let problem = tenant.check_upload(signed).await.err().map(|error| Failure::from(error).problem().clone());
    Ok(Found {
        grants: leaves(tenant, &component),
        component,
        checked_ms,
        needs_signature: tenant.policy().components.signed_by.is_some(),
        problem,
        is_known,
        versions,
        bytes_max: COMPONENT_BYTES_MAX as u64,
    })
}

async fn inspected(
    visit: Visit<May<Edit, Steps>>,
    (With(tools), InPath(id)): (With, InPath<'l'>),
) -> Result<Page, Failure> {
    let upload = tools.components.find(&of(&visit), &id)?;
    let frame = visit.frame().await?;
    let head = head(&frame, "Upload");
    Ok(Page::ok(frame.page(&head, &page::inspected(&frame, &id, &upload.shown))))
}

async fn keep(
    visit: Visit<May<Edit, Steps>>,
    (With(tools), InPath(id)): (With, InPath<'l'>),
) -> Result<Either<Page, Go>, Failure> {
    let (of, frame) = (of(&visit), visit.frame().await?);
    let upload = tools.components.find(&of, &id)?;
    let bytes = {
        let (_guard, body) = upload.body().await?;
        body.into_bytes().await?
    };
    let signed =
        Upload { bytes: &bytes, signature: upload.signature.as_deref(), signature_file: SIGNATURE_NAME };
    match visit.may.tenant().upload(signed).await.map_err(Failure::from) {
        Ok(component) => {
            tools.components.forget(&of, &id);
            Ok(Either::Other(Go::to(frame.at(&format!("steps/{}", component.digest)))))
        }
        Err(failure) => {
            let found = Found { problem: Some(failure.problem().clone()), ..upload.shown.clone() };
            let markup = frame.page(&head(&frame, "Upload"), &page::inspected(&frame, &id, &found));
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

async fn discard(
    visit: Visit<May<Edit, Steps>>,
    (With(tools), InPath(id)): (With, InPath<'l'>),
) -> Result<Go, Failure> {
    tools.components.forget(&of(&visit), &id);
    Ok(Go::to(visit.frame().await?.at("connectors#steps")))
}

async fn show(visit: Visit<May<View, Steps>>, InPath(reference): InPath<'r'>) -> Result<Page, Failure> {
    let tenant = visit.may.tenant();
    let component = Component::of(&tenant.component(&reference).await?);
    let used_by = match visit.may(Right::View, Thing::Connectors) {
        true => users(&tenant.connectors().await?.items, &component.digest),
        false => Vec::new(),
    };
    let frame = visit.frame().await?;
    let (head, grants) = (head(&frame, component.reference()), leaves(tenant, &component));
    let may_edit = visit.may(Right::Edit, Thing::Steps);
    let listed = Listed { component, used_by };
    Ok(Page::ok(frame.page(&head, &page::show(&frame, &listed, &grants, may_edit))))
}

async fn ask(visit: Visit<May<Edit, Steps>>, InPath(reference): InPath<'r'>) -> Result<Page, Failure> {
    asked(&visit, &reference, None).await
}

/// The question whether to remove a component, and why it was refused.
async fn asked(
    visit: &Visit<May<Edit, Steps>>,
    reference: &str,
    refused: Option<&Failure>,
) -> Result<Page, Failure> {
    let (frame, tenant) = (visit.frame().await?, visit.may.tenant());
    let component = Component::of(&tenant.component(reference).await?);
    let used_by = users(&tenant.connectors().await?.items, &component.digest);
    let mut consequences =
        vec!["Its bytes and its compiled code are deleted. A later upload brings it back.".to_owned()];
    if !used_by.is_empty() {
        consequences.push(format!("It is used by {}, and cannot be removed before.", used_by.join(", ")));
    }
    let address = page::address(&frame, &component);
    let markup = blocks::confirm(&Confirm {
        question: &format!("Remove the component {}?", component.reference()),
        consequences: &consequences,
        action: "Remove",
        to: &format!("{address}/remove"),
        back: &address,
        problem: refused.map(Failure::problem),
    });
    let markup = frame.page(&head(&frame, "Remove a component"), &markup);
    Ok(match refused {
        Some(failure) => Page::refused(failure, markup),
        None => Page::ok(markup),
    })
}

async fn remove(
    visit: Visit<May<Edit, Steps>>,
    InPath(reference): InPath<'r'>,
) -> Result<Either<Page, Go>, Failure> {
    let tenant = visit.may.tenant();
    let component = tenant.component(&reference).await?;
    match tenant.remove_component(&component.digest).await.map_err(Failure::from) {
        Ok(()) => Ok(Either::Other(Go::to(visit.frame().await?.at("connectors#steps")))),
        Err(failure) => Ok(Either::One(asked(&visit, &reference, Some(&failure)).await?)),
    }
}
