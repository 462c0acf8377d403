//! The rules for a check of a store, for every store: what can be wrong with the stored rows, and how to mend it.

use stepbox_batch::execution::Failure;
use stepbox_batch::ports::Finding;

use crate::numbers::{claimed, running, waiting};

/// How many findings a report has at most. Further findings are mended, too.
pub(crate) const FINDINGS_MAX: usize = 1_000;
/// How many executions are read at a time.
pub(crate) const TOGETHER: i64 = 500;

/// A rule that the stored rows keep, even after a kill at any moment.
pub(crate) struct Rule {
    /// The statement that finds the rows that break the rule: tenant, id, and further facts.
    pub found: &'static str,
    pub reason: &'static str,
    pub cure: Cure,
    /// What the cure has done, in words.
    pub remedy: &'static str,
}

/// How an execution that breaks a rule is mended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cure {
    /// A statement about one execution of a tenant.
    Statement(&'static str),
    /// The execution ends like a part that was left open after the end of its whole.
    EndWithWhole,
    /// The execution is rescued, as if its worker was lost just now.
    Rescue,
}

/// Each is a statement that every store understands.
pub(crate) const RULES: [Rule; 8] = [
    Rule {
        found: "SELECT p.tenant, p.id, '' AS detail FROM job_executions p
                WHERE p.partition_of IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM job_executions w WHERE w.tenant = p.tenant AND w.id = p.partition_of)
                ORDER BY p.id",
        reason: "it is a part of an execution that is gone",
        cure: Cure::Statement("DELETE FROM job_executions WHERE tenant = :tenant AND id = :id"),
        remedy: "deleted",
    },
    Rule {
        found: "SELECT q.tenant, q.execution_id AS id, '' AS detail FROM queue_entries q
                WHERE NOT EXISTS (
                    SELECT 1 FROM job_executions e WHERE e.tenant = q.tenant AND e.id = q.execution_id)
                ORDER BY q.execution_id",
        reason: "it is in the queue, and is gone",
        cure: Cure::Statement("DELETE FROM queue_entries WHERE tenant = :tenant AND execution_id = :id"),
        remedy: "taken out of the queue",
    },
    Rule {
        found: "SELECT tenant, id, '' AS detail FROM job_executions
                WHERE ended_at IS NOT NULL AND lease_expires_at IS NOT NULL ORDER BY id",
        reason: "it has ended, and a worker still holds it",
        cure: Cure::Statement(
            "UPDATE job_executions SET lease_expires_at = NULL, lease_token = lease_token + 1
             WHERE tenant = :tenant AND id = :id AND ended_at IS NOT NULL",
        ),
        remedy: "its lease was ended",
    },
    Rule {
        found: "SELECT e.tenant, e.id, '' AS detail FROM job_executions e
                WHERE e.ended_at IS NOT NULL AND EXISTS (
                    SELECT 1 FROM queue_entries q WHERE q.tenant = e.tenant AND q.execution_id = e.id)
                ORDER BY e.id",
        reason: "it has ended, and is still in the queue",
        cure: Cure::Statement("DELETE FROM queue_entries WHERE tenant = :tenant AND execution_id = :id"),
        remedy: "taken out of the queue",
    },
    Rule {
        found: "SELECT p.tenant, p.id, '' AS detail FROM job_executions p
                WHERE p.partition_of IS NOT NULL AND p.ended_at IS NULL AND p.lease_expires_at IS NULL
                  AND EXISTS (SELECT 1 FROM job_executions w WHERE w.tenant = p.tenant
                                AND w.id = p.partition_of AND w.ended_at IS NOT NULL)
                ORDER BY p.id",
        reason: "the execution that it is a part of has ended, and it has not",
        cure: Cure::EndWithWhole,
        remedy: "it is STOPPED",
    },
    Rule {
        found: "SELECT tenant, id, set_aside AS detail FROM job_executions
                WHERE set_aside IS NOT NULL AND ended_at IS NULL ORDER BY id",
        reason: "it is set aside",
        cure: Cure::Rescue,
        remedy: "rescued",
    },
    Rule {
        found: concat!(
            "SELECT e.tenant, e.id, '' AS detail FROM job_executions e
                WHERE e.ended_at IS NULL AND e.lease_expires_at IS NULL AND e.set_aside IS NULL
                  AND e.status IN (",
            running!(),
            ") ORDER BY e.id"
        ),
        reason: "a worker has begun it, and nobody holds it",
        cure: Cure::Rescue,
        remedy: "rescued",
    },
    Rule {
        found: concat!(
            "SELECT q.tenant, q.execution_id AS id, '' AS detail FROM queue_entries q
                JOIN job_executions e ON e.tenant = q.tenant AND e.id = q.execution_id
                WHERE q.state = ",
            claimed!(),
            " AND e.ended_at IS NULL AND e.lease_expires_at IS NULL
                  AND e.set_aside IS NULL AND e.status NOT IN (",
            running!(),
            ") ORDER BY q.execution_id"
        ),
        reason: "the queue has it as claimed, and nobody holds it",
        cure: Cure::Statement(concat!(
            "UPDATE queue_entries SET state = ",
            waiting!(),
            " WHERE tenant = :tenant AND execution_id = :id AND state = ",
            claimed!()
        )),
        remedy: "it waits again",
    },
];

impl Rule {
    pub(crate) fn finding(&self, tenant: &str, id: i64, detail: &str) -> Finding {
        let reason = match detail {
            "" => self.reason.to_owned(),
            detail => format!("{}: {detail}", self.reason),
        };
        Finding { tenant: tenant.to_owned(), execution: Some(id), reason, remedy: None }
    }
}

/// Executions in the order of their ids, after one of them.
pub(crate) const EXECUTIONS: &str =
    "SELECT tenant, id FROM job_executions WHERE id > :after ORDER BY id LIMIT :limit";

/// The tenants that have anything other than executions.
pub(crate) const TENANTS: &str = "SELECT tenant FROM connectors UNION SELECT tenant FROM components
    UNION SELECT tenant FROM job_instances UNION SELECT tenant FROM members
    UNION SELECT tenant FROM instance_rights UNION SELECT tenant FROM tokens WHERE tenant IS NOT NULL
    ORDER BY tenant";

/// The instances of a tenant that have lists of who has which right.
pub(crate) const LISTED_INSTANCES: &str =
    "SELECT DISTINCT instance FROM instance_rights WHERE tenant = :tenant ORDER BY instance";

/// Makes an execution look as if its worker was lost just now.
pub(crate) const BE_LOST: &str = "UPDATE job_executions SET set_aside = NULL, lease_expires_at = :now
    WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";

/// Whether a worker holds an execution, and whether it has ended.
pub(crate) const STANDS: &str = "SELECT coalesce(lease_expires_at, 0) > :now AS is_held,
    ended_at IS NOT NULL AS has_ended FROM job_executions WHERE tenant = :tenant AND id = :id";

/// A cell that cannot be read and may be emptied, because nothing else is lost with it.
pub(crate) struct Cell {
    /// The statement that empties the cell; `step` is set if the cell is a step's.
    pub statement: String,
    pub step: Option<String>,
    pub column: String,
}

/// The cells that may be emptied: the column, whether it is a step's, and the empty value.
const CELLS: [(&str, bool, &str); 8] = [
    ("checkpoint", true, "NULL"),
    ("summary", true, "'{}'"),
    ("errors", true, "'[]'"),
    ("failures", true, "'[]'"),
    ("usage", true, "'{}'"),
    ("failures", false, "'[]'"),
    ("context", false, "'{}'"),
    ("attempt", false, "0"),
];

impl Cell {
    /// The cell that [`RepositoryError::Corrupt`](stepbox_batch::ports::RepositoryError::Corrupt) names.
    pub(crate) fn named(what: &str) -> Option<Self> {
        let mut parts = what.split('`').skip(1);
        let (column, between) = (parts.next()?, parts.next()?);
        let step = (between == " of step ").then(|| parts.next()).flatten();
        let is_of_step = step.is_some();
        let (column, _, empty) =
            CELLS.into_iter().find(|(known, of_step, _)| *known == column && *of_step == is_of_step)?;
        let statement = match is_of_step {
            true => format!(
                "UPDATE step_executions SET {column} = {empty}
                 WHERE tenant = :tenant AND execution_id = :id AND name = :step"
            ),
            false => {
                format!("UPDATE job_executions SET {column} = {empty} WHERE tenant = :tenant AND id = :id")
            }
        };
        Some(Self { statement, step: step.map(str::to_owned), column: column.to_owned() })
    }
}

/// How many cells of an execution are emptied at most.
pub(crate) const CELLS_MAX: usize = 100;

/// The failure of an execution that was ended because it cannot be read.
pub(crate) fn failure(reason: &str) -> Failure {
    Failure {
        code: "store-corrupt".to_owned(),
        culprit: String::new(),
        place: String::new(),
        message: format!("it could not continue: {reason}"),
        help: "restart it; a step whose checkpoint is gone begins anew".to_owned(),
        remedies: Vec::new(),
    }
}

/// What was done about an execution that cannot be read. `None` if nothing was done.
pub(crate) fn emptied(columns: &[String], was_ended: bool) -> Option<String> {
    let emptied = (!columns.is_empty()).then(|| format!("emptied: {}", columns.join(", ")));
    match (was_ended, emptied) {
        (true, Some(emptied)) => Some(format!("it is FAILED; {emptied}")),
        (true, None) => Some("it is FAILED, and can be purged".to_owned()),
        (false, emptied) => emptied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_cells_that_may_be_emptied() {
        let rows = [
            ("`checkpoint` of step `greet` of execution 7", Some(("checkpoint", Some("greet")))),
            ("`context` of execution 7", Some(("context", None))),
            ("`job` of execution 7", None),
            ("`parameters` of execution 7", None),
            ("`checkpoint` of execution 7", None),
            ("row of `stepbox.db`", None),
            ("", None),
        ];
        for (what, expected) in rows {
            let cell = Cell::named(what);
            let found = cell.as_ref().map(|cell| (cell.column.as_str(), cell.step.as_deref()));
            assert_eq!(found, expected, "{what}");
        }
    }
}
