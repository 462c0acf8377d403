//! The first page of the installation, and the dashboard of a tenant.

use std::collections::{BTreeMap, BTreeSet};

use stepbox::Tenant;
use stepbox::batch::access::{InstanceRight, Principal, Right, Thing};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, ExecutionSummary};
use stepbox::batch::name::InstanceCode;
use stepbox_api::execution::Execution;
use stepbox_web::pages::dashboard::{self as page, Beginning, Dashboard, Day, Often};
use stepbox_web::pages::home;
use stepbox_web::{Head, Place};

use super::answer::{Either, Go, Page};
use super::visit::Visit;
use super::workers::work;
use crate::access::{May, Signed, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/", "The tenants that you may enter; with one alone, its dashboard.", home).get(
        "/tenants/{tenant}",
        "The dashboard of a tenant.",
        show,
    )
}

const HOUR_MS: i64 = 3_600_000;
/// How old an execution may be that wants a decision.
const WANTS_MS: i64 = 14 * 24 * HOUR_MS;
/// How many executions may want a decision on the page.
const WANTS_MAX: usize = 10;
/// How many running executions the page has.
const RUNNING_MAX: u32 = 20;
/// How many executions that ended last the page has.
const ENDED_MAX: usize = 8;
/// How many executions of the last day are counted.
const DAY_MAX: u32 = 1000;

async fn home(visit: Visit<Signed>, (): ()) -> Result<Either<Page, Go>, Failure> {
    let frame = visit.frame().await?;
    if let ([tenant], false) = (frame.tenants.as_slice(), frame.viewer.is_operator) {
        return Ok(Either::Other(Go::to(frame.top(&format!("tenants/{tenant}")))));
    }
    let head = Head { title: "Tenants".to_owned(), ..Head::default() };
    Ok(Either::One(Page::ok(frame.page(&head, &home::tenants(&frame)))))
}

async fn show(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let (frame, tenant, principal) = (visit.frame().await?, visit.may.tenant(), visit.may.principal());
    let head = Head::new(Place::Dashboard, "Dashboard");
    if executions(tenant, principal, ExecutionFilter { limit: 1, ..ExecutionFilter::default() })
        .await?
        .is_empty()
    {
        let markup = page::begin(&frame, &beginning(&visit).await?);
        return Ok(Page::ok(frame.page(&head, &markup)));
    }
    let mut shown = moving(&visit.may, principal).await?;
    let recent = last_day(tenant, principal).await?;
    (shown.day, shown.often) = told(&recent, tenant.now());
    let codes: Vec<_> = shown.often.iter().map(|often| often.code.clone()).collect();
    label(tenant, &mut shown.labels, codes).await?;
    Ok(Page::ok(frame.page(&head, &page::show(&frame, &shown))))
}

/// What a tenant begins with in which nothing has run.
async fn beginning(visit: &Visit<May<View, TheTenant>>) -> Result<Beginning, Failure> {
    let tenant = visit.may.tenant();
    let workers = visit.may.workers().await?;
    Ok(Beginning {
        jobs: tenant.jobs().await?.items.iter().map(|job| job.name.to_string()).collect(),
        has_profile: !tenant.instances(None).await?.items.is_empty(),
        has_worker: workers.iter().any(|worker| worker.is_alive),
        may_edit: visit.may(Right::Edit, Thing::Instances),
    })
}

/// The executions that a principal may see.
async fn executions(
    tenant: &Tenant,
    principal: &Principal,
    filter: ExecutionFilter,
) -> Result<Vec<ExecutionSummary>, Failure> {
    if !principal.may(Right::History, Thing::Executions) {
        return Ok(Vec::new());
    }
    let hidden = principal.barred_from(InstanceRight::History);
    Ok(tenant.executions(&ExecutionFilter { hidden, ..filter }).await?.items)
}

/// What moves on the page.
pub(super) async fn moving(may: &May<View, TheTenant>, principal: &Principal) -> Result<Dashboard, Failure> {
    let tenant = may.tenant();
    let running = ExecutionFilter {
        statuses: vec![BatchStatus::Started, BatchStatus::Stopping, BatchStatus::Pausing],
        limit: RUNNING_MAX,
        ..ExecutionFilter::default()
    };
    let running = executions(tenant, principal, running).await?;
    let newest = ExecutionFilter { limit: 4 * ENDED_MAX as u32, ..ExecutionFilter::default() };
    let mut ended = executions(tenant, principal, newest).await?;
    ended.retain(|execution| execution.ended_at.is_some());
    ended.sort_by_key(|execution| std::cmp::Reverse(execution.ended_at));
    ended.truncate(ENDED_MAX);
    let wants = wants(tenant, principal).await?;
    let mut labels = BTreeMap::new();
    let codes = wants.iter().chain(&running).chain(&ended).map(|execution| execution.instance.to_string());
    label(tenant, &mut labels, codes.collect()).await?;
    let listed = |executions: &[ExecutionSummary]| executions.iter().map(Execution::listed).collect();
    Ok(Dashboard {
        wants: listed(&wants),
        running: listed(&running),
        ended: listed(&ended),
        often: Vec::new(),
        day: None,
        work: work(may, principal).await?,
        labels,
        may_launch: principal.may(Right::View, Thing::Instances)
            && principal
                .role()
                .is_some_and(|role| Right::Launch.least_role().is_some_and(|least| role >= least)),
    })
}

/// The executions that rest, and that nothing has continued or gone past: newest first.
async fn wants(tenant: &Tenant, principal: &Principal) -> Result<Vec<ExecutionSummary>, Failure> {
    let resting = ExecutionFilter {
        statuses: vec![BatchStatus::Failed, BatchStatus::Stopped, BatchStatus::Paused, BatchStatus::Unknown],
        created_since: Some(Timestamp(tenant.now().0 - WANTS_MS)),
        limit: 4 * WANTS_MAX as u32,
        ..ExecutionFilter::default()
    };
    let mut later: BTreeMap<InstanceCode, Vec<ExecutionSummary>> = BTreeMap::new();
    let mut wants = Vec::new();
    for execution in executions(tenant, principal, resting).await? {
        // What a worker paused at its end waits in the queue, and goes on by itself.
        if execution.status == BatchStatus::Paused && !execution.pause_requested {
            continue;
        }
        if !later.contains_key(&execution.instance) {
            if later.len() == WANTS_MAX {
                continue;
            }
            let of_instance = ExecutionFilter {
                instance: Some(execution.instance.clone()),
                limit: 50,
                ..ExecutionFilter::default()
            };
            later.insert(execution.instance.clone(), executions(tenant, principal, of_instance).await?);
        }
        if !is_past(&execution, &later[&execution.instance]) && wants.len() < WANTS_MAX {
            wants.push(execution);
        }
    }
    Ok(wants)
}

/// Whether another execution continues this one, or a later one of the same instance went well.
fn is_past(execution: &ExecutionSummary, others: &[ExecutionSummary]) -> bool {
    others.iter().any(|other| {
        other.restart_of == Some(execution.id)
            || (other.id > execution.id
                && other.status == BatchStatus::Completed
                && execution.status != BatchStatus::Paused)
    })
}

/// The executions of the last 24 hours, newest first, as many as are counted.
async fn last_day(tenant: &Tenant, principal: &Principal) -> Result<Vec<ExecutionSummary>, Failure> {
    let filter = ExecutionFilter {
        created_since: Some(Timestamp(tenant.now().0 - 24 * HOUR_MS)),
        limit: DAY_MAX,
        ..ExecutionFilter::default()
    };
    executions(tenant, principal, filter).await
}

/// The last 24 hours in numbers, and what ran most often in them.
fn told(recent: &[ExecutionSummary], now: Timestamp) -> (Option<Day>, Vec<Often>) {
    let (mut day, mut often) = (Day::default(), BTreeMap::<&str, Often>::new());
    for execution in recent {
        let Some(ended_at) = execution.ended_at else { continue };
        let hours_ago = (now.0 - ended_at.0).max(0) / HOUR_MS;
        let Ok(hours_ago @ 0..24) = usize::try_from(hours_ago) else { continue };
        let failed = u64::from(execution.status == BatchStatus::Failed);
        let hour = &mut day.hours[23 - hours_ago];
        *hour = (hour.0 + 1, hour.1 + failed);
        day.written += execution.steps.iter().map(|step| step.counts.written).sum::<u64>();
        day.skipped += execution.steps.iter().map(|step| step.counts.skipped).sum::<u64>();
        let code = execution.instance.as_str();
        let one = often.entry(code).or_insert_with(|| Often { code: code.to_owned(), ended: 0, failed: 0 });
        (one.ended, one.failed) = (one.ended + 1, one.failed + failed);
    }
    day.is_cut = recent.len() == DAY_MAX as usize;
    let mut often: Vec<_> = often.into_values().collect();
    often.sort_by(|one, other| other.ended.cmp(&one.ended).then_with(|| one.code.cmp(&other.code)));
    often.truncate(5);
    (Some(day).filter(|day| day.ended().0 > 0), often)
}

/// Looks up the labels of instances that are not known yet.
async fn label(
    tenant: &Tenant,
    labels: &mut BTreeMap<String, String>,
    codes: Vec<String>,
) -> Result<(), Failure> {
    let codes: BTreeSet<_> = codes.into_iter().filter(|code| !labels.contains_key(code)).collect();
    for code in codes {
        let Ok(name) = InstanceCode::new(&code) else { continue };
        if let Some(instance) = tenant.find_instance(&name).await? {
            labels.insert(code, instance.label);
        }
    }
    Ok(())
}
