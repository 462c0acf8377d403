//! Running a job profile: at once, or with other values.

use serde::Deserialize;
use serde_json::Value;
use stepbox::PublishOptions;
use stepbox::batch::instance_form::Mode;
use stepbox::batch::parameters;
use stepbox_api::instance::Violation;
use stepbox_api::problem::Problem;
use stepbox_web::form::Filled;
use stepbox_web::frame::part;
use stepbox_web::pages::profiles as page;
use stepbox_web::{Head, Markup, Place};

use super::edit::{installed, schema_of};
use super::lookup::{Surroundings, form_rights};
use super::posted::Sent;
use crate::access::{Launch, May, OneExecution, OneInstance};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, With};
use crate::pages::answer::{Either, Go, Page};
use crate::pages::form::{Pairs, Query};
use crate::pages::visit::Visit;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .post("/tenants/{tenant}/instances/{code}/run", "Run a job profile.", run)
        .get("/tenants/{tenant}/instances/{code}/launch", "The form of a run with other values.", open)
        .post("/tenants/{tenant}/instances/{code}/launch", "Run a job profile with other values.", launch)
}

async fn run(
    visit: Visit<May<Launch, OneInstance>>,
    (With(tools), Caller(who)): (With, Caller),
) -> Result<Go, Failure> {
    tools.limits.launch(&who)?;
    let frame = visit.frame().await?;
    let published =
        visit.may.tenant().publish(visit.may.found().code.as_str(), PublishOptions::default()).await?;
    Ok(Go::to(frame.at(&format!("executions/{}", published.id()))))
}

/// The execution whose values the form begins with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    from: Option<String>,
}

/// The values that the form begins with: those of a run before, or those of the profile with the defaults.
async fn begun(visit: &Visit<May<Launch, OneInstance>>, from: Option<&str>) -> Result<Value, Failure> {
    let found = visit.may.found();
    let mut values = match from {
        Some(id) => {
            let run = visit.may.also::<OneExecution>(id).await?;
            match run.found().instance == found.code {
                true => run.found().parameters.clone(),
                false => return Err(Failure::not_found("execution of this instance")),
            }
        }
        None => visit.may.tenant().effective_parameters(found).await?,
    };
    installed(visit).await?.guard(form_rights(visit)).hide_in(&mut values);
    Ok(values)
}

async fn shown(
    visit: &Visit<May<Launch, OneInstance>>,
    values: &Value,
    violations: &[parameters::Violation],
    problem: Option<&Problem>,
    (sent, from): (&Sent, Option<&str>),
) -> Result<Markup, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(visit).await?);
    let form = job.instance_form().seen_by(Mode::Launch, form_rights(visit));
    let around = Surroundings::of(visit, &frame);
    let violations: Vec<_> = violations.iter().map(Violation::of).collect();
    let at = |path: &str| frame.at(&format!("instances/{}{path}", part(instance.code.as_str())));
    let from = from.map(|id| format!("?from={}", part(id))).unwrap_or_default();
    let shown = page::Editor {
        title: &format!("Run {}", instance.label),
        action: &at(&format!("/launch{from}")),
        discard: &at(""),
        save: "Run",
        job: (&job.label, job.connector.as_str()),
        code: None,
        label: None,
        version: None,
        as_json: None,
        problem,
        stale: None,
        filled: Filled {
            form: &form,
            values,
            violations: &violations,
            open: sent.tab.as_deref(),
            secrets: &around.secrets,
            uploads: around.uploads.as_deref(),
        },
    };
    let head = Head::new(Place::Profiles, "Run with other values")
        .below("Job profiles", frame.at("instances"))
        .below(instance.label.clone(), at(""));
    Ok(frame.page(&head, &page::editor(&frame, &shown)))
}

async fn open(
    visit: Visit<May<Launch, OneInstance>>,
    Query(From { from }): Query<From>,
) -> Result<Page, Failure> {
    let values = begun(&visit, from.as_deref()).await?;
    Ok(Page::ok(shown(&visit, &values, &[], None, (&Sent::default(), from.as_deref())).await?))
}

async fn launch(
    visit: Visit<May<Launch, OneInstance>>,
    (With(tools), Caller(who), Query(From { from }), Pairs(pairs)): (With, Caller, Query<From>, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let (frame, job) = (visit.frame().await?, installed(&visit).await?);
    let form = job.instance_form().seen_by(Mode::Launch, form_rights(&visit));
    let (sent, before) = (Sent::of(pairs)?, begun(&visit, from.as_deref()).await?);
    let mut posted = form.parameters_of(&sent.inputs, &before);
    let again = (&sent, from.as_deref());
    if let Some(button) = &sent.button {
        button.press(&mut posted.parameters);
        return Ok(Either::One(Page::ok(shown(&visit, &posted.parameters, &[], None, again).await?)));
    }
    let violations =
        job.guard(form_rights(&visit)).without_values(posted.all_violations(&form, &schema_of(&job)?));
    if !violations.is_empty() {
        let markup = shown(&visit, &posted.parameters, &violations, None, again).await?;
        return Ok(Either::One(Page::unprocessable(markup)));
    }
    tools.limits.launch(&who)?;
    // The values of the form that the run before had count as well, where the profile has others.
    let of_run = from.is_some().then(|| before.as_object().cloned()).flatten().unwrap_or_default();
    let mut overrides = of_run;
    overrides.extend(posted.overrides(&form).as_object().cloned().unwrap_or_default());
    let options = PublishOptions { overrides: Some(Value::Object(overrides)), ..PublishOptions::default() };
    match visit.may.tenant().publish(visit.may.found().code.as_str(), options).await {
        Ok(published) => Ok(Either::Other(Go::to(frame.at(&format!("executions/{}", published.id()))))),
        Err(error) => {
            let failure = Failure::of_parameters(&error, "/overrides");
            let markup = shown(&visit, &posted.parameters, &[], Some(failure.problem()), again).await?;
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}
