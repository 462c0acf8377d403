//! A store with a long history, made as fast as SQLite can, for tests of what must stay small and fast beside it.

use std::path::Path;

use rusqlite::{Connection, named_params};
use stepbox_store_testing::sample::{NOW, job};

use crate::record::job;

/// The size of a history.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// How many executions. One in twenty is FAILED, the others are COMPLETED; half of them are of the instance
    /// `nightly`. Four in a hundred are parts of another one.
    pub executions: u32,
    /// How many warnings each execution has.
    pub warnings_each: u32,
}

impl History {
    /// Adds the history to a store with a schema, in one transaction. Executions begin one second apart.
    pub(super) fn write(self, file: &Path) {
        let mut db = Connection::open(file).unwrap();
        db.pragma_update(None, "synchronous", "off").unwrap();
        let transaction = db.transaction().unwrap();
        let mut definition = job("acme", "greet");
        definition.label = "Greets everybody. ".repeat(60);
        let parameters = format!(r#"{{"greeting":"{}"}}"#, "hello ".repeat(40));
        let count = self.executions;
        transaction
            .execute(EXECUTIONS, named_params! {
                ":count": count, ":now": NOW.0, ":job": job::encode(&definition), ":parameters": parameters,
            })
            .unwrap();
        transaction.execute(STEPS, named_params! {":count": count}).unwrap();
        transaction.execute(WARNINGS, named_params! {":count": count, ":each": self.warnings_each}).unwrap();
        transaction.execute(EVENTS, named_params! {":count": count, ":now": NOW.0}).unwrap();
        transaction.execute(INSTANCES, []).unwrap();
        transaction.commit().unwrap();
    }
}

const EXECUTIONS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO job_executions
        (id, tenant, instance, status, stoppable, created_at, started_at, ended_at, updated_at, attempt, lease_token,
         user_name, worker, exit_code, exit_description, failures, context, parameters, job, job_name, parameters_key,
         partition_of, partition_step, partition_number, partition_count)
    SELECT i, 'default', iif(i % 2 = 0, 'nightly', 'i' || (i % 100)), iif(i % 20 = 7, 6, 1), 1,
           :now - (:count - i) * 1000, :now - (:count - i) * 1000, :now - (:count - i) * 1000 + 900,
           :now - (:count - i) * 1000 + 900, 1, 1, 'julia', 'w-1', iif(i % 20 = 7, 'FAILED', 'COMPLETED'), '', '[]',
           '{}', :parameters, :job, 'greet', '', iif(i > 100 AND i % 100 BETWEEN 1 AND 4, i - i % 100, NULL),
           iif(i > 100 AND i % 100 BETWEEN 1 AND 4, 0, NULL), iif(i > 100 AND i % 100 BETWEEN 1 AND 4, i % 100 - 1, NULL),
           iif(i > 100 AND i % 100 BETWEEN 1 AND 4, 4, NULL)
    FROM n";

const STEPS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO step_executions
        (tenant, execution_id, position, name, status, exit_code, exit_description, started_at, ended_at, updated_at,
         read_count, written_count, filtered_count, skipped_count, tracking_processed, tracking_total,
         tracking_is_estimate, warning_count, carried_from, summary, errors, failures, checkpoint, starts, retries,
         usage)
    SELECT 'default', i, 0, 'greet', iif(i % 20 = 7, 6, 1), 'COMPLETED', '', 1, 2, 2, 100, 90, 0, 10, 100, 100, 0, 10,
           NULL, '{\"greeted\":90}', '[]', '[]', CAST(x'02' || zeroblob(32) AS BLOB), 1, 0, '{}'
    FROM n";

const WARNINGS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 0 WHERE :each > 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count * :each)
    INSERT INTO warnings (tenant, execution_id, step, code, reason, place, item)
    SELECT 'default', i / :each + 1, 'greet', 'no-name', 'it has no name, and so cannot be greeted', 'line ' || i,
           '{\"name\":\"\",\"number\":' || i || '}'
    FROM n";

const EVENTS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
    SELECT 'default', :now - (:count - i) * 1000, 'julia', 'execution-submitted', i, '{\"instance\":\"nightly\"}'
    FROM n";

const INSTANCES: &str = "
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
    INSERT INTO job_instances (tenant, code, label, connector, job, type, raw_parameters)
    SELECT 'default', iif(i = 0, 'nightly', 'i' || i), 'label', 'acme', 'greet', 'export', '{}' FROM n
    WHERE i = 0 OR i % 2 = 1";
