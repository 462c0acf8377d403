//! What a reader looks for: the number of an execution leads there; other texts are looked for in names.

use serde::Deserialize;
use stepbox::batch::access::{InstanceRight, Right, Thing};
use stepbox::batch::execution::{ExecutionFilter, Narrowing};
use stepbox_api::execution::Execution;
use stepbox_web::Head;
use stepbox_web::pages::find::{self as page, Found};

use super::answer::{Either, Go, Page};
use super::form::Query;
use super::visit::Visit;
use crate::access::{May, OneExecution, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::conventions::input::plain_number;
use crate::table::Table;

/// How many things of a kind are shown.
const SHOWN_MAX: usize = 20;
/// The longest text that is looked for, in characters.
const TEXT_CHARACTERS_MAX: usize = 100;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/find", "Find an execution, a profile or a step.", find)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    q: String,
}

async fn find(
    visit: Visit<May<View, TheTenant>>,
    Query(Asked { q }): Query<Asked>,
) -> Result<Either<Page, Go>, Failure> {
    let frame = visit.frame().await?;
    let text: String = q.trim().chars().take(TEXT_CHARACTERS_MAX).collect();
    if plain_number(&text).is_some() {
        let numbered: Result<May<View, OneExecution>, Failure> = visit.may.also(&text).await;
        if numbered.is_ok_and(|may| visit.may(Right::History, Thing::Execution(&may.found().instance))) {
            return Ok(Either::Other(Go::to(frame.at(&format!("executions/{text}")))));
        }
    }
    let found = if text.is_empty() { Found::default() } else { found(&visit, &text).await? };
    Ok(Either::One(Page::ok(
        frame.page(&Head { title: "Find".to_owned(), ..Head::default() }, &page::page(&frame, &text, &found)),
    )))
}

async fn found(visit: &Visit<May<View, TheTenant>>, text: &str) -> Result<Found, Failure> {
    let tenant = visit.may.tenant();
    let lower = text.to_lowercase();
    let is_in = |name: &str| name.to_lowercase().contains(&lower);
    let mut found = Found::default();

    let instances = tenant.instances(None).await?;
    let mut profiles = instances.items.into_iter().filter(|instance| {
        (is_in(instance.code.as_str()) || is_in(&instance.label))
            && visit.may(Right::View, Thing::Instance(&instance.code))
    });
    let shown = profiles.by_ref().take(SHOWN_MAX);
    found.profiles = shown.map(|instance| (instance.code.to_string(), instance.label)).collect();
    found.has_more_profiles = profiles.next().is_some();

    if visit.may(Right::History, Thing::Executions) {
        let filter = ExecutionFilter {
            hidden: visit.may.principal().barred_from(InstanceRight::History),
            narrowing: Narrowing { text: Some(text.to_owned()), ..Narrowing::default() },
            limit: SHOWN_MAX as u32 + 1,
            ..ExecutionFilter::default()
        };
        let executions = tenant.executions(&filter).await?;
        found.has_more_executions = executions.items.len() > SHOWN_MAX;
        found.executions = executions.items.iter().take(SHOWN_MAX).map(Execution::listed).collect();
    }

    if visit.may(Right::View, Thing::Steps) {
        let components = tenant.components().await?;
        let mut steps = components.items.into_iter().filter(|component| is_in(&component.name));
        let shown = steps.by_ref().take(SHOWN_MAX);
        found.steps = shown
            .map(|component| (component.name, component.version, component.digest.to_string()))
            .collect();
        found.has_more_steps = steps.next().is_some();
    }
    Ok(found)
}
