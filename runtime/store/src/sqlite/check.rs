//! Reads all rows, and mends those that can be mended.

use std::collections::BTreeSet;

use rusqlite::{Connection as Db, OptionalExtension, TransactionBehavior, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Fate;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::part::PartOfEnded;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Damaged, Finding, RepositoryError};

use super::endings::end;
use super::trouble::{Outcome, Trouble};
use super::{
    accounts, aside, audit, components, connectors, executions, instance_rights, instances, queue, rescue,
    steps, tokens,
};
use crate::check::{
    BE_LOST, CELLS_MAX, Cell, Cure, EXECUTIONS, FINDINGS_MAX, LISTED_INSTANCES, RULES, Rule, STANDS, TENANTS,
    TOGETHER, emptied, failure,
};
use crate::record::Row;

/// Returns what is wrong. With `mends`, mends each finding in a transaction of its own.
pub(super) fn check(db: &mut Db, now: Timestamp, mends: bool) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in &RULES {
        keep_rule(db, rule, now, mends, &mut findings)?;
    }
    read_executions(db, now, mends, &mut findings)?;
    read_inventories(db, &mut findings)?;
    try_rescue(db, now, &mut findings)?;
    Ok(findings)
}

fn tell(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX && !findings.contains(&finding) {
        findings.push(finding);
    }
}

fn keep_rule(
    db: &mut Db,
    rule: &Rule,
    now: Timestamp,
    mends: bool,
    findings: &mut Vec<Finding>,
) -> Outcome<()> {
    let broken: Vec<(String, i64, String)> = db
        .prepare(rule.found)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (tenant, id, detail) in broken {
        let mut finding = rule.finding(&tenant, id, &detail);
        if mends {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mended = aside::attempt(&transaction, || mend(&transaction, rule, &tenant, id, now))?;
            if let Ok(Some(remedy)) = mended {
                record(&transaction, &tenant, id, &finding.reason, &remedy, now)?;
                finding.remedy = Some(remedy);
                transaction.commit()?;
            }
        }
        tell(findings, finding);
    }
    Ok(())
}

/// Mends an execution that breaks a rule. Returns what was done; `None` if nothing helped.
fn mend(db: &Db, rule: &Rule, tenant: &str, id: i64, now: Timestamp) -> Outcome<Option<String>> {
    match rule.cure {
        Cure::Statement(sql) => {
            db.prepare(sql)?.execute(named_params! {":tenant": tenant, ":id": id})?;
        }
        Cure::EndWithWhole => end(db, tenant, id, &PartOfEnded::ending(now))?,
        Cure::Rescue => {
            if let Some(remedy) = read(db, tenant, id, now, true)?.and_then(|finding| finding.remedy) {
                return Ok(Some(remedy));
            }
            db.prepare(BE_LOST)?.execute(named_params! {":tenant": tenant, ":id": id, ":now": now.0})?;
            return Ok(match rescue::rescue(db, tenant, id, now)? {
                Some(rescued) if rescued.fate != Fate::SetAside => Some(rule.remedy.to_owned()),
                _ => None,
            });
        }
    }
    Ok(Some(rule.remedy.to_owned()))
}

fn record(db: &Db, tenant: &str, id: i64, reason: &str, remedy: &str, now: Timestamp) -> Outcome<()> {
    let (Ok(owner), Ok(id)) = (TenantId::new(tenant), u64::try_from(id)) else { return Ok(()) };
    let deed = Deed::execution_repaired(JobExecutionId(id), reason, remedy);
    audit::append(db, &owner, &deed, &Actor::stepbox(now))
}

fn read_executions(db: &mut Db, now: Timestamp, mends: bool, findings: &mut Vec<Finding>) -> Outcome<()> {
    let mut after = i64::MIN;
    loop {
        let some: Vec<(String, i64)> = db
            .prepare_cached(EXECUTIONS)?
            .query_map(named_params! {":after": after, ":limit": TOGETHER}, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some((_, last)) = some.last() else { return Ok(()) };
        after = *last;
        for (tenant, id) in some {
            if let Some(mut finding) = read(db, &tenant, id, now, false)? {
                if mends {
                    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    let again = aside::attempt(&transaction, || read(&transaction, &tenant, id, now, true))?;
                    if let Ok(Some(Finding { remedy: Some(remedy), .. })) = again {
                        record(&transaction, &tenant, id, &finding.reason, &remedy, now)?;
                        finding.remedy = Some(remedy);
                        transaction.commit()?;
                    }
                }
                tell(findings, finding);
            }
        }
    }
}

/// Reads all rows of an execution. If they cannot be read and `mends` is true, cells that may be emptied are
/// emptied, and the execution ends, unless a worker holds it.
fn read(db: &Db, tenant: &str, id: i64, now: Timestamp, mends: bool) -> Outcome<Option<Finding>> {
    let Err(trouble) = whole(db, tenant, id) else { return Ok(None) };
    if !trouble.is_of_one_row() {
        return Err(trouble);
    }
    let reason = trouble.reason();
    let mut finding =
        Finding { tenant: tenant.to_owned(), execution: Some(id), reason: reason.clone(), remedy: None };
    let stands = db
        .prepare_cached(STANDS)?
        .query_row(named_params! {":tenant": tenant, ":id": id, ":now": now.0}, |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?))
        })
        .optional()?;
    let Some((false, has_ended)) = stands.filter(|_| mends) else { return Ok(Some(finding)) };
    let columns = empty_cells(db, tenant, id, trouble)?;
    if !has_ended {
        let exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(reason.clone());
        let failure = Some(failure(&reason));
        end(db, tenant, id, &Ending { status: BatchStatus::Failed, exit_status, failure, now })?;
    }
    finding.remedy = emptied(&columns, !has_ended);
    Ok(Some(finding))
}

/// Empties cells until everything can be read, or until a damaged cell may not be emptied.
fn empty_cells(db: &Db, tenant: &str, id: i64, mut trouble: Trouble) -> Outcome<Vec<String>> {
    let mut columns = BTreeSet::new();
    for _ in 0..CELLS_MAX {
        let Trouble::Repository(RepositoryError::Corrupt { what, .. }) = &trouble else { break };
        let Some(cell) = Cell::named(what) else { break };
        let mut statement = db.prepare(&cell.statement)?;
        match &cell.step {
            Some(step) => statement.execute(named_params! {":tenant": tenant, ":id": id, ":step": step})?,
            None => statement.execute(named_params! {":tenant": tenant, ":id": id})?,
        };
        columns.insert(cell.column);
        match whole(db, tenant, id) {
            Ok(()) => break,
            Err(next) => trouble = next,
        }
    }
    Ok(columns.into_iter().collect())
}

fn whole(db: &Db, tenant: &str, id: i64) -> Outcome<()> {
    let row = Row(format!("execution {id}"));
    let (owner, known) = (row.name("tenant", tenant.to_owned())?, row.id("id", id)?);
    executions::get(db, &owner, known)?;
    queue::entry(db, &owner, id)?;
    steps::warnings(db, &owner, known).map(drop)
}

fn read_inventories(db: &Db, findings: &mut Vec<Finding>) -> Outcome<()> {
    // What belongs to no tenant.
    tell_of(findings, "", accounts::list(db, None, 0).map(|users| users.damaged))?;
    tell_of(findings, "", tokens::list(db, None, None).map(|tokens| tokens.damaged))?;
    let tenants: Vec<String> =
        db.prepare(TENANTS)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for tenant in tenants {
        let owner: Result<TenantId, _> = Row("a tenant".to_owned()).name("tenant", tenant.clone());
        let owner = match owner {
            Ok(owner) => owner,
            Err(error) => {
                let reason = error.to_string();
                tell(findings, Finding { tenant, execution: None, reason, remedy: None });
                continue;
            }
        };
        tell_of(findings, &tenant, connectors::list(db, &owner).map(|found| found.damaged))?;
        tell_of(findings, &tenant, components::list(db, &owner).map(|found| found.damaged))?;
        tell_of(findings, &tenant, instances::list(db, &owner, None).map(|found| found.damaged))?;
        tell_of(findings, &tenant, accounts::members(db, &owner).map(|found| found.damaged))?;
        tell_of(findings, &tenant, tokens::list(db, Some(&owner), None).map(|found| found.damaged))?;
        for instance in listed_instances(db, &tenant)? {
            let code = Row(format!("rights at `{instance}`")).name("instance", instance.clone());
            let read = code.map_err(Trouble::from).and_then(|code| instance_rights::get(db, &owner, &code));
            tell_of(findings, &tenant, read.map(|_| Vec::new()))?;
        }
    }
    Ok(())
}

fn listed_instances(db: &Db, tenant: &str) -> Outcome<Vec<String>> {
    let mut statement = db.prepare(LISTED_INSTANCES)?;
    let codes = statement.query_map(named_params! {":tenant": tenant}, |row| row.get(0))?;
    Ok(codes.collect::<Result<_, _>>()?)
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
fn try_rescue(db: &mut Db, now: Timestamp, findings: &mut Vec<Finding>) -> Outcome<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (tenant, id, _) in rescue::lost(&transaction, now)? {
        let rescued = rescue::rescue(&transaction, &tenant, id, now)?;
        if let Some(reason) = rescued.and_then(|rescued| rescued.reason) {
            let reason = format!("it is lost and cannot be rescued: {reason}");
            tell(findings, Finding { tenant, execution: Some(id), reason, remedy: None });
        }
    }
    Ok(transaction.rollback()?)
}
