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
use crate::tools::Tools;

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

/// Why the form comes again.
#[derive(Default)]
struct Again<'a> {
    violations: &'a [parameters::Violation],
    problem: Option<&'a Problem>,
    sent: Sent,
    /// The execution whose values the form began with.
    from: Option<&'a str>,
}

async fn shown(
    visit: &Visit<May<Launch, OneInstance>>,
    asker: (&Tools, &str),
    mut values: Value,
    again: Again<'_>,
) -> Result<Markup, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(visit).await?);
    let form = job.instance_form().seen_by(Mode::Launch, form_rights(visit));
    let around = Surroundings::of(visit, asker, &job, &form, &values).await?;
    again.sent.press(&mut values, &around.described);
    let violations: Vec<_> = again.violations.iter().map(Violation::of).collect();
    let at = |path: &str| frame.at(&format!("instances/{}{path}", part(instance.code.as_str())));
    let from = again.from.map(|id| format!("?from={}", part(id))).unwrap_or_default();
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
        problem: again.problem,
        stale: None,
        filled: Filled {
            form: &form,
            values: &values,
            violations: &violations,
            open: again.sent.tab.as_deref(),
            secrets: &around.secrets,
            uploads: around.uploads.as_deref(),
            described: &around.described,
        },
    };
    let head = Head::new(Place::Profiles, "Run with other values")
        .below("Job profiles", frame.at("instances"))
        .below(instance.label.clone(), at(""));
    Ok(frame.page(&head, &page::editor(&frame, &shown)))
}

async fn open(
    visit: Visit<May<Launch, OneInstance>>,
    (With(tools), Caller(who), Query(From { from })): (With, Caller, Query<From>),
) -> Result<Page, Failure> {
    let values = begun(&visit, from.as_deref()).await?;
    let again = Again { from: from.as_deref(), ..Again::default() };
    Ok(Page::ok(shown(&visit, (&tools, &who), values, again).await?))
}

async fn launch(
    visit: Visit<May<Launch, OneInstance>>,
    (With(tools), Caller(who), Query(From { from }), Pairs(pairs)): (With, Caller, Query<From>, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let (frame, job) = (visit.frame().await?, installed(&visit).await?);
    let form = job.instance_form().seen_by(Mode::Launch, form_rights(&visit));
    let (sent, before) = (Sent::of(pairs)?, begun(&visit, from.as_deref()).await?);
    let posted = form.parameters_of(&sent.inputs, &before);
    let (asker, from, values) = ((&*tools, who.as_str()), from.as_deref(), posted.parameters.clone());
    if sent.button.is_some() {
        let again = Again { sent, from, ..Again::default() };
        return Ok(Either::One(Page::ok(shown(&visit, asker, values, again).await?)));
    }
    let violations = posted.all_violations(&form, &schema_of(&job)?);
    let violations = job.guard(form_rights(&visit)).without_values(violations);
    if !violations.is_empty() {
        let again = Again { violations: &violations, sent, from, ..Again::default() };
        return Ok(Either::One(Page::unprocessable(shown(&visit, asker, values, again).await?)));
    }
    tools.limits.launch(&who)?;
    // The values of the form that the run before had count as well, where the profile has others.
    let mut overrides = from.is_some().then(|| before.as_object().cloned()).flatten().unwrap_or_default();
    overrides.extend(posted.overrides(&form).as_object().cloned().unwrap_or_default());
    let options = PublishOptions { overrides: Some(Value::Object(overrides)), ..PublishOptions::default() };
    match visit.may.tenant().publish(visit.may.found().code.as_str(), options).await {
        Ok(published) => Ok(Either::Other(Go::to(frame.at(&format!("executions/{}", published.id()))))),
        Err(error) => {
            let failure = Failure::of_parameters(&error, "/overrides");
            let again = Again { problem: Some(failure.problem()), sent, from, ..Again::default() };
            let markup = shown(&visit, asker, values, again).await?;
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}
