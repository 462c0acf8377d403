-- An execution that can be neither run nor rescued is set aside, with the reason: no worker takes it, and nobody
-- tries to rescue it, until somebody has repaired the store.
ALTER TABLE job_executions ADD COLUMN set_aside TEXT;
CREATE INDEX job_executions_set_aside ON job_executions (tenant, id) WHERE set_aside IS NOT NULL;

-- Parts that have not ended: those whose whole has are ended by whoever rescues what was lost.
CREATE INDEX job_executions_open_parts ON job_executions (tenant, partition_of)
    WHERE partition_of IS NOT NULL AND ended_at IS NULL;

-- By how much the clock of a worker's machine is ahead of the store's, in milliseconds; null if nobody compares them.
ALTER TABLE workers ADD COLUMN clock_skew_ms BIGINT;
