-- An instance has a version, which grows with each change. Versions are kept, also those of deleted instances: an
-- instance that is created later under the same code goes on with the next number.

ALTER TABLE job_instances ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE job_instances ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE instance_history (
    tenant         TEXT COLLATE "C" NOT NULL,
    code           TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    label          TEXT NOT NULL,
    connector      TEXT COLLATE "C" NOT NULL,
    job            TEXT COLLATE "C" NOT NULL,
    type           TEXT COLLATE "C" NOT NULL,
    raw_parameters TEXT NOT NULL, -- JSON
    updated_at     BIGINT NOT NULL,
    user_name      TEXT,          -- null if nobody said
    PRIMARY KEY (tenant, code, version)
);

-- The audit trail may know when an instance was changed last.
INSERT INTO instance_history
    (tenant, code, version, label, connector, job, type, raw_parameters, updated_at, user_name)
SELECT i.tenant, i.code, i.version, i.label, i.connector, i.job, i.type, i.raw_parameters,
       coalesce(e.at, CAST(extract(epoch FROM now()) * 1000 AS BIGINT)), e.user_name
FROM job_instances i
LEFT JOIN (
    SELECT DISTINCT ON (tenant, subject) tenant, subject, at, user_name FROM audit_events
    WHERE action IN ('instance-created', 'instance-changed') ORDER BY tenant, subject, id DESC) e
    ON e.tenant = i.tenant AND e.subject = i.code;
UPDATE job_instances i SET updated_at = h.updated_at
FROM instance_history h WHERE h.tenant = i.tenant AND h.code = i.code;

-- What a caller asked for under a key: the same key does not publish a second time.
CREATE TABLE idempotency_keys (
    tenant       TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL, -- the SHA-256 of who asked, and of the key that was given
    request      TEXT COLLATE "C" NOT NULL, -- the SHA-256 of what was asked
    execution_id BIGINT NOT NULL,           -- may have been purged
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Lists are narrowed by the job.
ALTER TABLE job_executions ADD COLUMN job_name TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE job_executions SET job_name = coalesce(substring(job FROM '"name":"([^"]*)"'), '');
CREATE INDEX job_executions_by_job ON job_executions (tenant, job_name, id, status) WHERE partition_of IS NULL;
