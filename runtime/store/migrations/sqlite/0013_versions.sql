-- An instance has a version, which grows with each change. Versions are kept, also those of deleted instances: an
-- instance that is created later under the same code goes on with the next number.

ALTER TABLE job_instances ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job_instances ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;

CREATE TABLE instance_history (
    tenant         TEXT NOT NULL,
    code           TEXT NOT NULL,
    version        INTEGER NOT NULL,
    label          TEXT NOT NULL,
    connector      TEXT NOT NULL,
    job            TEXT NOT NULL,
    type           TEXT NOT NULL,
    raw_parameters TEXT NOT NULL, -- JSON
    updated_at     INTEGER NOT NULL,
    user_name      TEXT,          -- null if nobody said
    PRIMARY KEY (tenant, code, version)
) STRICT;

-- The audit trail may know when an instance was changed last.
UPDATE job_instances SET updated_at = unixepoch() * 1000;
INSERT INTO instance_history
    (tenant, code, version, label, connector, job, type, raw_parameters, updated_at, user_name)
SELECT i.tenant, i.code, i.version, i.label, i.connector, i.job, i.type, i.raw_parameters,
       coalesce(e.at, i.updated_at), e.user_name
FROM job_instances i
LEFT JOIN (
    SELECT tenant, subject, at, user_name, max(id) FROM audit_events
    WHERE action IN ('instance-created', 'instance-changed') GROUP BY tenant, subject) e
    ON e.tenant = i.tenant AND e.subject = i.code;
UPDATE job_instances SET updated_at = h.updated_at
FROM instance_history h WHERE h.tenant = job_instances.tenant AND h.code = job_instances.code;

-- What a caller asked for under a key: the same key does not publish a second time.
CREATE TABLE idempotency_keys (
    tenant       TEXT NOT NULL,
    key          TEXT NOT NULL,    -- the SHA-256 of who asked, and of the key that was given
    request      TEXT NOT NULL,    -- the SHA-256 of what was asked
    execution_id INTEGER NOT NULL, -- may have been purged
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Lists are narrowed by the job, and leave out executions of hidden instances.
ALTER TABLE job_executions ADD COLUMN job_name TEXT NOT NULL DEFAULT '';
UPDATE job_executions SET job_name = coalesce(CAST(json_extract(job, '$.name') AS TEXT), '') WHERE json_valid(job);
CREATE INDEX job_executions_by_job ON job_executions (tenant, job_name, id, status, created_at, instance)
    WHERE partition_of IS NULL;
DROP INDEX job_executions_by_status;
CREATE INDEX job_executions_by_status ON job_executions (tenant, status, id, created_at, instance)
    WHERE partition_of IS NULL;
DROP INDEX job_executions_wholes;
CREATE INDEX job_executions_wholes ON job_executions (tenant, id, created_at, instance) WHERE partition_of IS NULL;
