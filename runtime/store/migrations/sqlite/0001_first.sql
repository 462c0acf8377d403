-- Everything Stepbox persists. Statuses are the numbers of `BatchStatus`, moments are milliseconds
-- since 1970, flags are 0 and 1, and JSON documents have the forms in `src/record`.
--
-- The tenant leads every key, so no query finds a row without naming whose it is.

CREATE TABLE connectors (
    tenant TEXT NOT NULL,
    code   TEXT NOT NULL,
    label  TEXT NOT NULL,
    PRIMARY KEY (tenant, code),
    UNIQUE (tenant, label)
) STRICT, WITHOUT ROWID;

-- A job's name is unique in its tenant, whichever connector brings it.
CREATE TABLE jobs (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    connector  TEXT NOT NULL,
    position   INTEGER NOT NULL,
    definition TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, name),
    FOREIGN KEY (tenant, connector) REFERENCES connectors (tenant, code) ON DELETE CASCADE
) STRICT;
CREATE INDEX jobs_by_connector ON jobs (tenant, connector, position);

CREATE TABLE components (
    tenant      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    world       TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    uploaded_at INTEGER NOT NULL,
    description TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, digest)
) STRICT;
-- Whether any tenant has a component still decides about its bytes.
CREATE INDEX components_by_digest ON components (digest);

-- No foreign key to connectors: an embedder's own connectors are in its code, not here.
CREATE TABLE job_instances (
    tenant         TEXT NOT NULL,
    code           TEXT NOT NULL,
    label          TEXT NOT NULL,
    connector      TEXT NOT NULL,
    job            TEXT NOT NULL,
    type           TEXT NOT NULL,
    raw_parameters TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, code)
) STRICT;
CREATE INDEX job_instances_by_connector ON job_instances (tenant, connector);

-- No foreign key to job_instances: executions stay as history. The small and busy columns come
-- first, so that a scan need not follow the long ones.
CREATE TABLE job_executions (
    id                INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, also after a purge
    tenant            TEXT NOT NULL,
    instance          TEXT NOT NULL,
    status            INTEGER NOT NULL,
    stoppable         INTEGER NOT NULL, -- the job's, where a stop request finds it
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    ended_at          INTEGER,
    updated_at        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    lease_token       INTEGER NOT NULL, -- grows with each claim
    lease_expires_at  INTEGER,          -- null while nobody holds the lease
    heartbeat_at      INTEGER,          -- of the last lease
    stop_requested_at INTEGER,          -- never written by the worker
    restart_of        INTEGER,          -- may have been purged
    user_name         TEXT,
    worker            TEXT,
    exit_code         TEXT NOT NULL,
    exit_description  TEXT NOT NULL,
    failures          TEXT NOT NULL,    -- JSON
    context           TEXT NOT NULL,    -- JSON
    parameters        TEXT NOT NULL,    -- JSON
    job               TEXT NOT NULL,    -- JSON
    UNIQUE (tenant, id),
    -- COMPLETED, STOPPED, FAILED, ABANDONED, UNKNOWN: whatever has ended says when.
    CHECK ((status IN (1, 5, 6, 7, 8)) = (ended_at IS NOT NULL))
) STRICT;
CREATE INDEX job_executions_by_instance ON job_executions (tenant, instance, id);
CREATE INDEX job_executions_by_status ON job_executions (tenant, status, id);
CREATE INDEX job_executions_by_restart ON job_executions (tenant, restart_of) WHERE restart_of IS NOT NULL;
CREATE INDEX job_executions_by_lease ON job_executions (lease_expires_at) WHERE lease_expires_at IS NOT NULL;

CREATE TABLE step_executions (
    tenant               TEXT NOT NULL,
    execution_id         INTEGER NOT NULL,
    position             INTEGER NOT NULL,
    name                 TEXT NOT NULL,
    status               INTEGER NOT NULL,
    exit_code            TEXT NOT NULL,
    exit_description     TEXT NOT NULL,
    started_at           INTEGER NOT NULL,
    ended_at             INTEGER,
    updated_at           INTEGER NOT NULL,
    read_count           INTEGER NOT NULL,
    written_count        INTEGER NOT NULL,
    filtered_count       INTEGER NOT NULL,
    skipped_count        INTEGER NOT NULL,
    tracking_processed   INTEGER NOT NULL,
    tracking_total       INTEGER,
    tracking_is_estimate INTEGER NOT NULL,
    warning_count        INTEGER NOT NULL,
    carried_from         INTEGER,
    summary              TEXT NOT NULL, -- JSON
    errors               TEXT NOT NULL, -- JSON
    failures             TEXT NOT NULL, -- JSON
    checkpoint           BLOB,          -- the form in `src/record/checkpoint.rs`
    PRIMARY KEY (tenant, execution_id, position),
    FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id) ON DELETE CASCADE,
    CHECK ((status IN (1, 5, 6, 7, 8)) = (ended_at IS NOT NULL))
) STRICT;

CREATE TABLE warnings (
    id           INTEGER PRIMARY KEY, -- in the order they came
    tenant       TEXT NOT NULL,
    execution_id INTEGER NOT NULL,
    step         TEXT NOT NULL,
    code         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    place        TEXT NOT NULL,
    item         TEXT NOT NULL,
    FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX warnings_by_execution ON warnings (tenant, execution_id, id);
