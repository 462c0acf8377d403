//! The forms that create and change a job profile.

use serde::Deserialize;
use serde_json::{Value, json};
use stepbox::batch::instance_form::{InstanceForm, Mode};
use stepbox::batch::job::{Job, JobInstance};
use stepbox::batch::parameters::{self, ParameterSchema};
use stepbox::{Error, InstanceEdit, NewInstance};
use stepbox_api::instance::{Instance, Violation};
use stepbox_api::problem::Problem;
use stepbox_web::form::Filled;
use stepbox_web::frame::{Frame, part};
use stepbox_web::pages::profiles as page;
use stepbox_web::{Head, Markup, Place};

use super::lookup::{Surroundings, form_rights, job_of};
use super::posted::Sent;
use crate::access::{Edit, Instances, May, OneInstance, RightOf};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, With};
use crate::pages::answer::{Either, Go, Page};
use crate::pages::form::{Form, Pairs, Query};
use crate::pages::visit::Visit;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/new-instance", "The form of a new job profile.", begin)
        .post("/tenants/{tenant}/new-instance", "Create a job profile.", create)
        .get("/tenants/{tenant}/instances/{code}/edit", "The form of a job profile.", open)
        .post("/tenants/{tenant}/instances/{code}/edit", "Change a job profile.", save)
        .get("/tenants/{tenant}/instances/{code}/values", "The values of a job profile as JSON.", open_values)
        .post("/tenants/{tenant}/instances/{code}/values", "Change the values as JSON.", save_values)
}

/// The job of a new profile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfJob {
    job: Option<String>,
}

/// A form as it is shown, and why it is shown again.
struct Again<'a> {
    form: &'a InstanceForm,
    values: &'a Value,
    violations: &'a [parameters::Violation],
    problem: Option<&'a Problem>,
    stale: Option<&'a [(String, String)]>,
    sent: &'a Sent,
    around: &'a Surroundings,
}

/// The values that a form shows, with what is wrong.
fn drawn(again: &Again<'_>, shown: impl FnOnce(Filled<'_>) -> Markup) -> Markup {
    let violations: Vec<_> = again.violations.iter().map(Violation::of).collect();
    shown(Filled {
        form: again.form,
        values: again.values,
        violations: &violations,
        open: again.sent.tab.as_deref(),
        secrets: &again.around.secrets,
        uploads: again.around.uploads.as_deref(),
        described: &again.around.described,
    })
}

fn new_page(frame: &Frame, job: &Job, again: &Again<'_>) -> Markup {
    let title = format!("New profile of {}", job.label);
    let markup = drawn(again, |filled| {
        let shown = page::Editor {
            title: &title,
            action: &frame.at(&format!("new-instance?job={}", part(job.name.as_str()))),
            discard: &frame.at("instances"),
            save: "Create",
            job: (&job.label, job.connector.as_str()),
            code: Some((&again.sent.code, true)),
            label: Some(again.sent.label.as_deref().unwrap_or_default()),
            version: None,
            as_json: None,
            problem: again.problem,
            stale: None,
            filled,
        };
        page::editor(frame, &shown)
    });
    let head = Head::new(Place::Profiles, title.clone()).below("Job profiles", frame.at("instances"));
    frame.page(&head, &markup)
}

/// The job of that name.
async fn job_named(visit: &Visit<May<Edit, Instances>>, name: &str) -> Result<Job, Failure> {
    Ok(visit.may.tenant().job(name).await?)
}

async fn begin(
    visit: Visit<May<Edit, Instances>>,
    (With(tools), Caller(who), Query(OfJob { job })): (With, Caller, Query<OfJob>),
) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let Some(name) = job else {
        let mut jobs: Vec<_> =
            visit.may.tenant().jobs().await?.iter().map(stepbox_api::job::Job::of).collect();
        jobs.sort_by(|one, other| one.label.cmp(&other.label));
        let head = Head::new(Place::Profiles, "New profile").below("Job profiles", frame.at("instances"));
        return Ok(Page::ok(frame.page(&head, &page::choose_job(&frame, &jobs))));
    };
    let job = job_named(&visit, &name).await?;
    let form = job.instance_form().seen_by(Mode::Create, form_rights(&visit));
    let (values, sent) = (json!({}), Sent::default());
    let around = Surroundings::of(&visit, (&tools, &who), &job, &form, &values).await?;
    let again = Again {
        form: &form,
        values: &values,
        violations: &[],
        problem: None,
        stale: None,
        sent: &sent,
        around: &around,
    };
    Ok(Page::ok(new_page(&frame, &job, &again)))
}

/// Why a form comes again.
enum Refused {
    /// A button of a table was pressed.
    Pressed,
    /// Values break constraints.
    Values(Vec<parameters::Violation>),
    /// Another change was saved in the meantime: the values that it changed.
    Stale(Vec<(String, String)>),
    /// Anything else.
    Failed(Failure),
}

impl Refused {
    fn page(&self, markup: Markup) -> Page {
        match self {
            Self::Pressed => Page::ok(markup),
            Self::Values(_) => Page::unprocessable(markup),
            Self::Stale(_) => Page::conflict(markup),
            Self::Failed(failure) => Page::refused(failure, markup),
        }
    }

    /// The form as it comes again.
    fn again<'a>(
        &'a self,
        form: &'a InstanceForm,
        values: &'a Value,
        sent: &'a Sent,
        around: &'a Surroundings,
    ) -> Again<'a> {
        let (mut violations, mut problem, mut stale) = (&[][..], None, None);
        match self {
            Self::Pressed => {}
            Self::Values(found) => violations = found,
            Self::Stale(changed) => stale = Some(changed.as_slice()),
            Self::Failed(failure) => problem = Some(failure.problem()),
        }
        Again { form, values, violations, problem, stale, sent, around }
    }
}

async fn create(
    visit: Visit<May<Edit, Instances>>,
    (With(tools), Caller(who), Query(OfJob { job }), Pairs(pairs)): (With, Caller, Query<OfJob>, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let frame = visit.frame().await?;
    let job = job_named(&visit, &job.unwrap_or_default()).await?;
    let form = job.instance_form().seen_by(Mode::Create, form_rights(&visit));
    let sent = Sent::of(pairs)?;
    let posted = form.parameters_of(&sent.inputs, &json!({}));
    let mut values = posted.parameters.clone();
    let refused = match posted.all_violations(&form, &schema_of(&job)?) {
        _ if sent.button.is_some() => Refused::Pressed,
        violations if !violations.is_empty() => Refused::Values(violations),
        _ => {
            let new = NewInstance {
                connector: job.connector.to_string(),
                job: job.name.to_string(),
                job_type: job.job_type.clone(),
                code: sent.code.clone(),
                label: sent.label.clone(),
                parameters: posted.parameters,
            };
            match visit.may.tenant().create_instance(new).await {
                Ok(instance) => return Ok(Either::Other(Go::to(address(&frame, &instance)))),
                Err(error) => Refused::Failed(error.into()),
            }
        }
    };
    let around = Surroundings::of(&visit, (&tools, &who), &job, &form, &values).await?;
    sent.press(&mut values, &around.described);
    let markup = new_page(&frame, &job, &refused.again(&form, &values, &sent, &around));
    Ok(Either::One(refused.page(markup)))
}

/// The address of a profile.
fn address(frame: &Frame, instance: &JobInstance) -> String {
    frame.at(&format!("instances/{}", part(instance.code.as_str())))
}

/// The schema of a job's parameters. It was checked when the connector was installed.
pub(super) fn schema_of(job: &Job) -> Result<ParameterSchema, Failure> {
    ParameterSchema::new(&job.parameters).map_err(|error| Failure::unexpected(error.to_string()))
}

/// The job of a profile that is changed or run.
pub(super) async fn installed<R: RightOf>(visit: &Visit<May<R, OneInstance>>) -> Result<Job, Failure> {
    let (tenant, found) = (visit.may.tenant(), visit.may.found());
    match job_of(tenant, found).await? {
        Some(job) => Ok(job),
        // The error says which one is missing.
        None => Ok(tenant.job(found.job.as_str()).await?),
    }
}

fn edit_page(frame: &Frame, job: &Job, instance: &JobInstance, again: &Again<'_>) -> Markup {
    let at = |path: &str| frame.at(&format!("instances/{}{path}", part(instance.code.as_str())));
    let title = format!("Edit {}", instance.label);
    let markup = drawn(again, |filled| {
        let shown = page::Editor {
            title: &title,
            action: &at("/edit"),
            discard: &at(""),
            save: "Save",
            job: (&job.label, job.connector.as_str()),
            code: Some((instance.code.as_str(), false)),
            label: Some(again.sent.label.as_deref().unwrap_or(&instance.label)),
            version: Some(instance.version),
            as_json: Some(&at("/values")),
            problem: again.problem,
            stale: again.stale,
            filled,
        };
        page::editor(frame, &shown)
    });
    let head = Head::new(Place::Profiles, "Edit")
        .below("Job profiles", frame.at("instances"))
        .below(instance.label.clone(), at(""));
    frame.page(&head, &markup)
}

async fn open(
    visit: Visit<May<Edit, OneInstance>>,
    (With(tools), Caller(who)): (With, Caller),
) -> Result<Page, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(&visit).await?);
    let form = job.instance_form().seen_by(Mode::Edit, form_rights(&visit));
    let (sent, values) = (Sent::default(), seen(&visit, &job, &instance.raw_parameters));
    let found = effective_violations(&job, &values);
    let around = Surroundings::of(&visit, (&tools, &who), &job, &form, &values).await?;
    let again = Again {
        form: &form,
        values: &values,
        violations: &found,
        problem: None,
        stale: None,
        sent: &sent,
        around: &around,
    };
    Ok(Page::ok(edit_page(&frame, &job, instance, &again)))
}

/// The values that the reader may see.
fn seen(visit: &Visit<May<Edit, OneInstance>>, job: &Job, values: &Value) -> Value {
    let mut values = values.clone();
    job.guard(form_rights(visit)).hide_in(&mut values);
    values
}

/// What is wrong with saved values, since their job was installed again with other constraints.
fn effective_violations(job: &Job, values: &Value) -> Vec<parameters::Violation> {
    let Ok(schema) = ParameterSchema::new(&job.parameters) else { return Vec::new() };
    let found = schema.effective(values, &json!({})).err().unwrap_or_default();
    found.into_iter().filter(|violation| values.pointer(&violation.path).is_some()).collect()
}

async fn save(
    visit: Visit<May<Edit, OneInstance>>,
    (With(tools), Caller(who), Pairs(pairs)): (With, Caller, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(&visit).await?);
    let form = job.instance_form().seen_by(Mode::Edit, form_rights(&visit));
    let sent = Sent::of(pairs)?;
    let posted = form.parameters_of(&sent.inputs, &instance.raw_parameters);
    let mut values = seen(&visit, &job, &posted.parameters);
    let violations = posted.all_violations(&form, &schema_of(&job)?);
    let refused = match job.guard(form_rights(&visit)).without_values(violations) {
        _ if sent.button.is_some() => Refused::Pressed,
        _ if sent.version != Some(instance.version) => {
            Refused::Stale(changed_since(&visit, &job, sent.version).await?)
        }
        violations if !violations.is_empty() => Refused::Values(violations),
        _ => {
            let (label, expected) = (sent.label.clone(), sent.version);
            let edit =
                InstanceEdit { label, set: Some(Value::Object(posted.set)), unset: posted.unset, expected };
            match visit.may.tenant().edit_instance(instance.code.as_str(), edit).await {
                Ok(instance) => return Ok(Either::Other(Go::to(address(&frame, &instance)))),
                Err(error) => Refused::Failed(error.into()),
            }
        }
    };
    let around = Surroundings::of(&visit, (&tools, &who), &job, &form, &values).await?;
    sent.press(&mut values, &around.described);
    let markup = edit_page(&frame, &job, instance, &refused.again(&form, &values, &sent, &around));
    Ok(Either::One(refused.page(markup)))
}

/// The values that were changed since a version, as they are now.
async fn changed_since(
    visit: &Visit<May<Edit, OneInstance>>,
    job: &Job,
    version: Option<u64>,
) -> Result<Vec<(String, String)>, Failure> {
    let now = visit.may.found();
    let history = visit.may.tenant().instance_history(now.code.as_str()).await?;
    let then = history.iter().find(|known| Some(known.instance.version) == version);
    let empty = json!({});
    let old = seen(visit, job, then.map_or(&empty, |known| &known.instance.raw_parameters));
    let new = seen(visit, job, &now.raw_parameters);
    let names = old.as_object().into_iter().chain(new.as_object()).flatten().map(|(name, _)| name.clone());
    let mut changed: Vec<_> = names.filter(|name| old.get(name) != new.get(name)).collect();
    changed.sort();
    changed.dedup();
    let text = |name: &String| match new.get(name) {
        None => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    Ok(changed
        .into_iter()
        .map(|name| {
            (job.instance_form().field(&name).map_or(name.clone(), |field| field.label.clone()), text(&name))
        })
        .collect())
}

async fn open_values(visit: Visit<May<Edit, OneInstance>>, (): ()) -> Result<Page, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(&visit).await?);
    let values = seen(&visit, &job, &instance.raw_parameters);
    let text = serde_json::to_string_pretty(&values).unwrap_or_default();
    Ok(Page::ok(values_page(&frame, instance, &text, None)))
}

fn values_page(frame: &Frame, instance: &JobInstance, text: &str, problem: Option<&Problem>) -> Markup {
    let at = |path: &str| frame.at(&format!("instances/{}{path}", part(instance.code.as_str())));
    let title = format!("Values of {}", Instance::of(instance).label);
    let markup = page::values_editor(frame, &title, &at("/values"), &at(""), instance.version, text, problem);
    let head = Head::new(Place::Profiles, "Values")
        .below("Job profiles", frame.at("instances"))
        .below(instance.label.clone(), at(""));
    frame.page(&head, &markup)
}

/// Values as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    _version: u64,
    values: String,
}

async fn save_values(
    visit: Visit<May<Edit, OneInstance>>,
    Form(Values { _version: version, values }): Form<Values>,
) -> Result<Either<Page, Go>, Failure> {
    let (frame, instance, job) = (visit.frame().await?, visit.may.found(), installed(&visit).await?);
    let saved = async {
        let new = stepbox::batch::strict_json::parse(values.as_bytes()).map_err(|error| {
            Failure::bad_request("body-malformed", format!("the values are no JSON: {error}"))
        })?;
        let Value::Object(new) = new else {
            return Err(Failure::bad_request("body-invalid", "the values are no JSON object"));
        };
        // A value that the reader does not see was not in the text, and stays.
        let before = seen(&visit, &job, &instance.raw_parameters);
        let gone = before.as_object().into_iter().flatten().map(|(name, _)| name);
        let unset = gone.filter(|name| !new.contains_key(*name)).cloned().collect();
        let set = new.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect();
        let edit =
            InstanceEdit { label: None, set: Some(Value::Object(set)), unset, expected: Some(version) };
        refuse_locked(&visit, &job, &edit, &instance.raw_parameters)?;
        Ok(visit.may.tenant().edit_instance(instance.code.as_str(), edit).await?)
    };
    match saved.await {
        Ok(instance) => {
            Ok(Either::Other(Go::to(frame.at(&format!("instances/{}", part(instance.code.as_str()))))))
        }
        Err(failure) => {
            let markup = values_page(&frame, instance, &values, Some(failure.problem()));
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

/// Refuses a change that the reader may not make.
fn refuse_locked(
    visit: &Visit<May<Edit, OneInstance>>,
    job: &Job,
    edit: &InstanceEdit,
    before: &Value,
) -> Result<(), Failure> {
    let set = edit.set.as_ref().and_then(Value::as_object).into_iter().flatten();
    let set = set.map(|(name, value)| (name.as_str(), Some(value)));
    let given = set.chain(edit.unset.iter().map(|name| (name.as_str(), None)));
    let violations = job.guard(form_rights(visit)).refused(Mode::Edit, given, before);
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::Violations { subject: visit.may.found().code.to_string(), violations }.into()),
    }
}
