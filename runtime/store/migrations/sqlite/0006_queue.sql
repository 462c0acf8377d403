-- The queue: an entry for each published execution, until it has ended.
--
-- With this version, a job's definition may hold its concurrency, and that of an item step into how many parts
-- its input is split (`src/record/job.rs`).

-- Entries that begin under the same conditions lie in one lane, so a worker that may not take one of them
-- passes all of them by.
CREATE TABLE queue_lanes (
    id          INTEGER PRIMARY KEY,
    tenant      TEXT NOT NULL,
    type        TEXT NOT NULL,
    job         TEXT NOT NULL,
    instance    TEXT NOT NULL,    -- '' for all instances of a job that sets no limit
    running_max INTEGER,          -- how many executions of that instance may run; null sets no limit
    UNIQUE (tenant, type, job, instance)
) STRICT;

CREATE TABLE queue_entries (
    execution_id INTEGER PRIMARY KEY REFERENCES job_executions (id) ON DELETE CASCADE,
    tenant       TEXT NOT NULL,
    lane         INTEGER NOT NULL REFERENCES queue_lanes (id),
    state        INTEGER NOT NULL, -- the number of `QueueState`
    priority     INTEGER NOT NULL,
    turn         INTEGER NOT NULL, -- its age: the id of the execution; for a part, that of the whole
    available_at INTEGER NOT NULL,
    losses       INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_entries_waiting ON queue_entries (lane, priority DESC, turn, execution_id) WHERE state = 0;
CREATE INDEX queue_entries_delayed ON queue_entries (available_at) WHERE state = 1;
CREATE INDEX queue_entries_by_tenant ON queue_entries (tenant, state, available_at);

-- Whose turn it is: the tenant with the smallest number was served longest ago.
CREATE TABLE queue_tenants (
    tenant TEXT PRIMARY KEY,
    served INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    name        TEXT PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    is_stopping INTEGER NOT NULL,
    takes       TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- Equal for equal parameters; empty for what was accepted before.
ALTER TABLE job_executions ADD COLUMN parameters_key TEXT NOT NULL DEFAULT '';
CREATE INDEX job_executions_open ON job_executions (tenant, instance, parameters_key) WHERE ended_at IS NULL;

-- Which part of which step of which execution it is.
ALTER TABLE job_executions ADD COLUMN partition_of INTEGER REFERENCES job_executions (id) ON DELETE CASCADE;
ALTER TABLE job_executions ADD COLUMN partition_step INTEGER;
ALTER TABLE job_executions ADD COLUMN partition_number INTEGER;
ALTER TABLE job_executions ADD COLUMN partition_count INTEGER;
CREATE INDEX job_executions_by_partition ON job_executions (partition_of, partition_step, partition_number)
    WHERE partition_of IS NOT NULL;

CREATE INDEX job_executions_leased ON job_executions (tenant, instance) WHERE lease_expires_at IS NOT NULL;
