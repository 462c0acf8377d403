//! Job profiles: the list, one of them, its forms, its launch and its history.

mod edit;
mod launch;
mod lookup;
mod posted;
mod remove;

use serde::Deserialize;
use stepbox::batch::access::{Right, Thing};
use stepbox::batch::instance_form::Mode;
use stepbox::batch::job::JobInstance;
use stepbox::{Error, Tenant};
use stepbox_api::instance::{Instance, InstanceVersion, Violation};
use stepbox_web::frame::part;
use stepbox_web::pages::profiles as page;
use stepbox_web::{Head, Place};

use self::lookup::{form_rights, job_of, runs};
use super::answer::Page;
use super::form::Query;
use super::visit::Visit;
use crate::access::{Instances, May, OneInstance, View};
use crate::conventions::failure::Failure;
use crate::table::Table;

/// How many profiles a page has.
const PROFILES: usize = 25;

pub(super) fn routes(table: Table) -> Table {
    let table = table
        .get("/tenants/{tenant}/instances", "The job profiles that you may see.", list)
        .get("/tenants/{tenant}/instances/{code}", "A job profile.", show)
        .get("/tenants/{tenant}/instances/{code}/history", "The history of a job profile.", history);
    remove::routes(launch::routes(edit::routes(table)))
}

/// Which profiles are shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    filter: String,
    /// The code of the last profile of the page before.
    after: Option<String>,
}

/// Whether a profile passes a filter: words in its code or label, `job:` and `type:`.
fn passes(instance: &JobInstance, filter: &str) -> bool {
    let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
    filter.split_whitespace().all(|word| match word.split_once(':') {
        Some(("job", job)) => instance.job.as_str() == job,
        Some(("type", job_type)) => instance.job_type == job_type,
        Some(("connector", connector)) => instance.connector.as_str() == connector,
        _ => has(instance.code.as_str(), word) || has(&instance.label, word),
    })
}

async fn list(
    visit: Visit<May<View, Instances>>,
    Query(Asked { filter, after }): Query<Asked>,
) -> Result<Page, Failure> {
    let (tenant, frame) = (visit.may.tenant(), visit.frame().await?);
    let mut instances = tenant.instances(None).await?.items;
    instances.retain(|instance| visit.may(Right::View, Thing::Instance(&instance.code)));
    instances.retain(|instance| passes(instance, &filter));
    instances.sort_by(|one, other| one.code.cmp(&other.code));
    let from = after
        .map_or(0, |after| instances.partition_point(|instance| instance.code.as_str() <= after.as_str()));
    let until = instances.len().min(from + PROFILES);
    let jobs = tenant.jobs().await?;
    let mut rows = Vec::new();
    for instance in &instances[from..until] {
        let job = jobs.iter().find(|job| job.name == instance.job && job.connector == instance.connector);
        let may_see_runs = visit.may(Right::History, Thing::Instance(&instance.code));
        rows.push(page::ProfileRow {
            instance: Instance::of(instance),
            job: job.map(|job| job.label.clone()),
            runs: if may_see_runs { runs(tenant, instance, &visit.reader).await? } else { Vec::new() },
            may_launch: visit.may(Right::Launch, Thing::Instance(&instance.code)),
        });
    }
    let older = (until < instances.len()).then(|| {
        let last = part(instances[until - 1].code.as_str());
        frame.at(&format!("instances?filter={}&after={last}", part(&filter)))
    });
    let may_create = visit.may(Right::Edit, Thing::Instances);
    let markup = page::profiles(&frame, &rows, &filter, may_create, older.as_deref());
    Ok(Page::ok(frame.page(&Head::new(Place::Profiles, "Job profiles"), &markup)))
}

async fn show(visit: Visit<May<View, OneInstance>>, (): ()) -> Result<Page, Failure> {
    let (tenant, frame, found) = (visit.may.tenant(), visit.frame().await?, visit.may.found());
    let rights = form_rights(&visit);
    let job = job_of(tenant, found).await?;
    let guard = job.as_ref().map(|job| job.guard(rights));
    let mut instance = Instance::of(found);
    let (mut effective, mut violations) = match tenant.effective_parameters(found).await {
        Ok(parameters) => (Some(parameters), Vec::new()),
        Err(Error::Violations { violations, .. }) => (None, violations),
        // Without its job, nothing can be said about its values.
        Err(_) if job.is_none() => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if let Some(guard) = &guard {
        guard.hide_in(&mut instance.raw_parameters);
        effective.iter_mut().for_each(|effective| guard.hide_in(effective));
        violations = guard.without_values(violations);
    }
    let form = job.as_ref().map(|job| job.instance_form().seen_by(Mode::Show, rights));
    let runs = match visit.may(Right::History, Thing::Instance(&found.code)) {
        true => Some(runs(tenant, found, &visit.reader).await?),
        false => None,
    };
    let shown = page::Profile {
        instance: &instance,
        job: job.as_ref().map(|job| job.label.as_str()),
        form: form.as_ref(),
        effective: effective.as_ref(),
        violations: &violations.iter().map(Violation::of).collect::<Vec<_>>(),
        runs: runs.as_deref(),
        versions: &versions(tenant, found, &visit).await?,
        asked: &lookup::asked(tenant, job.as_ref()).await?,
        may_edit: visit.may(Right::Edit, Thing::Instance(&found.code)),
        may_launch: visit.may(Right::Launch, Thing::Instance(&found.code)),
    };
    let head =
        Head::new(Place::Profiles, instance.label.clone()).below("Job profiles", frame.at("instances"));
    Ok(Page::ok(frame.page(&head, &page::profile(&frame, &shown))))
}

/// The versions of a profile, newest first, without the values that the reader may not see.
async fn versions(
    tenant: &Tenant,
    instance: &JobInstance,
    visit: &Visit<May<View, OneInstance>>,
) -> Result<Vec<InstanceVersion>, Failure> {
    let guard = job_of(tenant, instance).await?.map(|job| job.guard(form_rights(visit)));
    let history = tenant.instance_history(instance.code.as_str()).await?;
    let shown = history.iter().map(|version| {
        let mut version = InstanceVersion::of(version);
        guard.iter().for_each(|guard| guard.hide_in(&mut version.instance.raw_parameters));
        version
    });
    Ok(shown.collect())
}

async fn history(visit: Visit<May<View, OneInstance>>, (): ()) -> Result<Page, Failure> {
    let (frame, found) = (visit.frame().await?, visit.may.found());
    let versions = versions(visit.may.tenant(), found, &visit).await?;
    let head = Head::new(Place::Profiles, "History")
        .below("Job profiles", frame.at("instances"))
        .below(found.label.clone(), frame.at(&format!("instances/{}", part(found.code.as_str()))));
    Ok(Page::ok(frame.page(&head, &page::history(&frame, &versions))))
}
