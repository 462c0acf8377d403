//! Reads all rows, and mends those that can be mended.

use std::collections::BTreeSet;

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Fate;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::part::PartOfEnded;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Damaged, Finding, RepositoryError};

use super::connection::Db;
use super::endings::end;
use super::trouble::{Outcome, Trouble};
use super::value::named;
use super::{
    accounts, aside, audit, components, connectors, executions, instance_rights, instances, queue, rescue,
    steps, tokens,
};
use crate::check::{
    BE_LOST, CELLS_MAX, Cell, Cure, EXECUTIONS, FINDINGS_MAX, LISTED_INSTANCES, RULES, Rule, STANDS, TENANTS,
    TOGETHER, emptied, failure,
};
use crate::record::Row;
use crate::record::columns::Columns;
use crate::record::execution;

/// Returns what is wrong. With `mends`, mends each finding in a transaction of its own.
pub(super) async fn check(db: &Db, now: Timestamp, mends: bool) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in &RULES {
        keep_rule(db, rule, now, mends, &mut findings).await?;
    }
    read_executions(db, now, mends, &mut findings).await?;
    read_inventories(db, &mut findings).await?;
    try_rescue(db, now, &mut findings).await?;
    Ok(findings)
}

fn tell(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX && !findings.contains(&finding) {
        findings.push(finding);
    }
}

async fn keep_rule(
    db: &Db,
    rule: &Rule,
    now: Timestamp,
    mends: bool,
    findings: &mut Vec<Finding>,
) -> Outcome<()> {
    for row in db.rows(rule.found, &[]).await? {
        let (tenant, id) = (row.text("tenant")?, row.number("id")?);
        let mut finding = rule.finding(&tenant, id, &row.text("detail")?);
        if mends {
            db.run("BEGIN").await?;
            let mended = aside::attempt(db, mend(db, rule, &tenant, id, now)).await?;
            if let Ok(Some(remedy)) = mended {
                record(db, &tenant, id, &finding.reason, &remedy, now).await?;
                finding.remedy = Some(remedy);
                db.run("COMMIT").await?;
            } else {
                db.run("ROLLBACK").await?;
            }
        }
        tell(findings, finding);
    }
    Ok(())
}

/// Mends an execution that breaks a rule. Returns what was done; `None` if nothing helped.
async fn mend(db: &Db, rule: &Rule, tenant: &str, id: i64, now: Timestamp) -> Outcome<Option<String>> {
    match rule.cure {
        Cure::Statement(sql) => {
            db.execute(sql, &named! {"tenant": tenant, "id": id}).await?;
        }
        Cure::EndWithWhole => end(db, tenant, id, &PartOfEnded::ending(now)).await?,
        Cure::Rescue => {
            if let Some(remedy) = read(db, tenant, id, now, true).await?.and_then(|finding| finding.remedy) {
                return Ok(Some(remedy));
            }
            db.execute(BE_LOST, &named! {"tenant": tenant, "id": id, "now": now.0}).await?;
            return Ok(match rescue::rescue(db, tenant, id, now).await? {
                Some(rescued) if rescued.fate != Fate::SetAside => Some(rule.remedy.to_owned()),
                _ => None,
            });
        }
    }
    Ok(Some(rule.remedy.to_owned()))
}

async fn record(db: &Db, tenant: &str, id: i64, reason: &str, remedy: &str, now: Timestamp) -> Outcome<()> {
    let (Ok(owner), Ok(id)) = (TenantId::new(tenant), u64::try_from(id)) else { return Ok(()) };
    let deed = Deed::execution_repaired(JobExecutionId(id), reason, remedy);
    audit::append(db, &owner, &deed, &Actor::stepbox(now)).await
}

async fn read_executions(db: &Db, now: Timestamp, mends: bool, findings: &mut Vec<Finding>) -> Outcome<()> {
    let mut after = i64::MIN;
    loop {
        let some = db.rows(EXECUTIONS, &named! {"after": after, "limit": TOGETHER}).await?;
        let Some(last) = some.last() else { return Ok(()) };
        after = last.number("id")?;
        for row in &some {
            let (tenant, id) = (row.text("tenant")?, row.number("id")?);
            if let Some(mut finding) = read(db, &tenant, id, now, false).await? {
                if mends {
                    db.run("BEGIN").await?;
                    let again = aside::attempt(db, read(db, &tenant, id, now, true)).await?;
                    if let Ok(Some(Finding { remedy: Some(remedy), .. })) = again {
                        record(db, &tenant, id, &finding.reason, &remedy, now).await?;
                        finding.remedy = Some(remedy);
                        db.run("COMMIT").await?;
                    } else {
                        db.run("ROLLBACK").await?;
                    }
                }
                tell(findings, finding);
            }
        }
    }
}

/// Reads all rows of an execution. If they cannot be read and `mends` is true, cells that may be emptied are
/// emptied, and the execution ends, unless a worker holds it.
async fn read(db: &Db, tenant: &str, id: i64, now: Timestamp, mends: bool) -> Outcome<Option<Finding>> {
    let Err(trouble) = whole(db, tenant, id).await else { return Ok(None) };
    if !trouble.is_of_one_row() {
        return Err(trouble);
    }
    let stands = db.row(STANDS, &named! {"tenant": tenant, "id": id, "now": now.0}).await?;
    let reason = trouble.reason();
    let mut finding =
        Finding { tenant: tenant.to_owned(), execution: Some(id), reason: reason.clone(), remedy: None };
    let Some(stands) = stands.filter(|_| mends) else { return Ok(Some(finding)) };
    let has_ended = stands.flag("has_ended")?;
    if stands.flag("is_held")? {
        return Ok(Some(finding));
    }
    let columns = empty_cells(db, tenant, id, trouble).await?;
    if !has_ended {
        let exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(reason.clone());
        let failure = Some(failure(&reason));
        end(db, tenant, id, &Ending { status: BatchStatus::Failed, exit_status, failure, now }).await?;
    }
    finding.remedy = emptied(&columns, !has_ended);
    Ok(Some(finding))
}

/// Empties cells until everything can be read, or until a damaged cell may not be emptied.
async fn empty_cells(db: &Db, tenant: &str, id: i64, mut trouble: Trouble) -> Outcome<Vec<String>> {
    let mut columns = BTreeSet::new();
    for _ in 0..CELLS_MAX {
        let Trouble::Repository(RepositoryError::Corrupt { what, .. }) = &trouble else { break };
        let Some(cell) = Cell::named(what) else { break };
        let values = named! {"tenant": tenant, "id": id, "step": cell.step.as_deref()};
        db.execute(&cell.statement, &values).await?;
        columns.insert(cell.column);
        match whole(db, tenant, id).await {
            Ok(()) => break,
            Err(next) => trouble = next,
        }
    }
    Ok(columns.into_iter().collect())
}

async fn whole(db: &Db, tenant: &str, id: i64) -> Outcome<()> {
    let row = Row(format!("execution {id}"));
    let (owner, known): (TenantId, _) = (row.name("tenant", tenant.to_owned())?, row.id("id", id)?);
    let values = named! {"tenant": tenant, "id": id, "ids": vec![id]};
    let columns = execution::COLUMNS;
    let sql = format!("SELECT {columns} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let found = db.rows(&sql, &values).await?;
    executions::with_steps(&found, &db.rows(steps::OF_EXECUTIONS, &values).await?)?;
    queue::entry(db, &owner, id).await?;
    steps::warnings(db, &owner, known).await.map(drop)
}

async fn read_inventories(db: &Db, findings: &mut Vec<Finding>) -> Outcome<()> {
    // What belongs to no tenant.
    tell_of(findings, "", accounts::list(db, None, 0).await.map(|users| users.damaged))?;
    tell_of(findings, "", tokens::list(db, None, None).await.map(|tokens| tokens.damaged))?;
    for row in db.rows(TENANTS, &[]).await? {
        let tenant = row.text("tenant")?;
        let owner: Result<TenantId, _> = Row("a tenant".to_owned()).name("tenant", tenant.clone());
        let owner = match owner {
            Ok(owner) => owner,
            Err(error) => {
                let reason = error.to_string();
                tell(findings, Finding { tenant, execution: None, reason, remedy: None });
                continue;
            }
        };
        tell_of(findings, &tenant, connectors::list(db, &owner).await.map(|found| found.damaged))?;
        tell_of(findings, &tenant, components::list(db, &owner).await.map(|found| found.damaged))?;
        tell_of(findings, &tenant, instances::list(db, &owner, None).await.map(|found| found.damaged))?;
        tell_of(findings, &tenant, accounts::members(db, &owner).await.map(|found| found.damaged))?;
        tell_of(findings, &tenant, tokens::list(db, Some(&owner), None).await.map(|found| found.damaged))?;
        for row in db.rows(LISTED_INSTANCES, &named! {"tenant": &tenant}).await? {
            let instance = row.text("instance")?;
            let read = match Row(format!("rights at `{instance}`")).name("instance", instance) {
                Ok(code) => instance_rights::get(db, &owner, &code).await.map(drop),
                Err(error) => Err(error.into()),
            };
            tell_of(findings, &tenant, read.map(|()| Vec::new()))?;
        }
    }
    Ok(())
}

/// Reports the rows of a list that cannot be read, or that the list cannot be read at all.
fn tell_of(findings: &mut Vec<Finding>, tenant: &str, damaged: Outcome<Vec<Damaged>>) -> Outcome<()> {
    let reasons = match damaged {
        Ok(damaged) => damaged.into_iter().map(|damaged| damaged.reason).collect(),
        Err(trouble) if trouble.is_of_one_row() => vec![trouble.reason()],
        Err(trouble) => return Err(trouble),
    };
    for reason in reasons {
        tell(findings, Finding { tenant: tenant.to_owned(), execution: None, reason, remedy: None });
    }
    Ok(())
}

/// Rescues lost executions, rolls that back, and reports those that could not be rescued.
async fn try_rescue(db: &Db, now: Timestamp, findings: &mut Vec<Finding>) -> Outcome<()> {
    db.run("BEGIN").await?;
    for (tenant, id, _) in rescue::lost(db, now).await?.into_iter().flatten() {
        let rescued = rescue::rescue(db, &tenant, id, now).await?;
        if let Some(reason) = rescued.and_then(|rescued| rescued.reason) {
            let reason = format!("it is lost and cannot be rescued: {reason}");
            tell(findings, Finding { tenant, execution: Some(id), reason, remedy: None });
        }
    }
    db.run("ROLLBACK").await
}
