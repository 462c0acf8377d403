//! A long history: one execution with its steps and warnings, again and again, written by SQL.

use crate::Result;
use crate::stores::Store;

/// How many instances the history is spread over.
const INSTANCES: u32 = 20;

/// Copies an execution until there are so many. Each seventh has failed, and they are of twenty instances.
pub(crate) async fn multiply(store: &Store, id: u64, executions: u32) -> Result<()> {
    for (table, key) in
        [("job_executions", "id"), ("step_executions", "execution_id"), ("warnings", "execution_id")]
    {
        // Warnings have numbers of their own.
        let columns =
            columns(store, table)?.into_iter().filter(|column| table != "warnings" || column != "id");
        let columns: Vec<_> = columns.collect();
        let values: Vec<_> = columns.iter().map(|column| value(table, key, column)).collect();
        let (columns, values, last) = (columns.join(", "), values.join(", "), executions - 1);
        let own_numbers = match &store.server {
            Some(_) if table == "job_executions" => "OVERRIDING SYSTEM VALUE",
            _ => "",
        };
        store
            .execute(&format!(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) \
                 INSERT INTO {table} ({columns}) {own_numbers} \
                 SELECT {values} FROM {table}, numbers WHERE {key} = {id}"
            ))
            .await?;
    }
    if store.server.is_some() {
        let sequence = "pg_get_serial_sequence('job_executions', 'id')";
        store.execute(&format!("SELECT setval({sequence}, (SELECT max(id) FROM job_executions))")).await?;
        // As the server does by itself after a while.
        store.execute("ANALYZE").await?;
    }
    Ok(())
}

/// The value of a column in the copy of number `n`.
fn value(table: &str, key: &str, column: &str) -> String {
    match (table, column) {
        (_, column) if column == key => format!("{key} + n"),
        ("job_executions", "instance") => {
            format!("CASE n % {INSTANCES} WHEN 0 THEN instance ELSE 'nightly_' || (n % {INSTANCES}) END")
        }
        ("job_executions", "status") => "CASE n % 7 WHEN 0 THEN 6 ELSE status END".to_owned(),
        (_, column) => column.to_owned(),
    }
}

fn columns(store: &Store, table: &str) -> Result<Vec<String>> {
    if let Some((server, database)) = &store.server {
        let asked = format!(
            "SELECT column_name FROM information_schema.columns \
             WHERE table_name = '{table}' AND is_generated = 'NEVER' ORDER BY ordinal_position"
        );
        return Ok(server.sql(database, &asked)?.lines().map(str::to_owned).collect());
    }
    let db = rusqlite::Connection::open(store.folder().join("stepbox.db"))?;
    let mut asked = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = asked.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}
