-- Everything Stepbox persists. Statuses are the numbers of `BatchStatus`, moments are milliseconds since 1970,
-- JSON documents are texts in the forms of `src/record`: the order of their keys is kept, as neither `json`
-- functions nor `jsonb` would. Texts have no NUL and come escaped (`src/postgres/value.rs`).
--
-- The tenant leads every key, so no query finds a row without naming whose it is. Names sort by their bytes, as
-- everywhere else.
--
-- The tables that grow with time carry the id of their execution (or event) in each key, and ids grow with time.
-- So each of them can be partitioned by ranges of that id; `docs/operators.md` tells how.

CREATE TABLE connectors (
    tenant TEXT COLLATE "C" NOT NULL,
    code   TEXT COLLATE "C" NOT NULL,
    label  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, code)
);

-- A job's name is unique in its tenant, whichever connector brings it.
CREATE TABLE jobs (
    tenant     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    connector  TEXT COLLATE "C" NOT NULL,
    position   BIGINT NOT NULL,
    definition TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, name),
    FOREIGN KEY (tenant, connector) REFERENCES connectors (tenant, code) ON DELETE CASCADE
);
CREATE INDEX jobs_by_connector ON jobs (tenant, connector, position);

CREATE TABLE components (
    tenant      TEXT COLLATE "C" NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    world       TEXT NOT NULL,
    size_bytes  BIGINT NOT NULL,
    uploaded_at BIGINT NOT NULL,
    description TEXT NOT NULL, -- JSON
    signer      TEXT,          -- JSON; null where nobody asked for a signature
    PRIMARY KEY (tenant, digest)
);
-- Whether any tenant has a component still decides about its bytes.
CREATE INDEX components_by_digest ON components (digest);

-- No foreign key to connectors: an embedder's own connectors are in its code, not here.
CREATE TABLE job_instances (
    tenant         TEXT COLLATE "C" NOT NULL,
    code           TEXT COLLATE "C" NOT NULL,
    label          TEXT NOT NULL,
    connector      TEXT COLLATE "C" NOT NULL,
    job            TEXT COLLATE "C" NOT NULL,
    type           TEXT COLLATE "C" NOT NULL,
    raw_parameters TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, code)
);
CREATE INDEX job_instances_by_connector ON job_instances (tenant, connector);

-- No foreign key to job_instances: executions stay as history.
--
-- A heartbeat changes `lease_expires_at` alone, which is in no index, so it costs no index an entry. What runs is
-- found by `is_running`, and by nothing else; what asks for one row by its id does not mention it, so that no
-- estimate, however old, leads the server to another index than the one of that question.
CREATE TABLE job_executions (
    id                BIGINT GENERATED ALWAYS AS IDENTITY, -- never given twice, also after a purge
    tenant            TEXT COLLATE "C" NOT NULL,
    instance          TEXT COLLATE "C" NOT NULL,
    status            BIGINT NOT NULL,
    stoppable         BOOLEAN NOT NULL, -- the job's, where a stop request finds it
    created_at        BIGINT NOT NULL,
    started_at        BIGINT,
    ended_at          BIGINT,
    updated_at        BIGINT NOT NULL,
    attempt           BIGINT NOT NULL,
    lease_token       BIGINT NOT NULL, -- grows with each claim
    lease_expires_at  BIGINT,          -- null while nobody holds the lease
    is_running        BOOLEAN NOT NULL
                      GENERATED ALWAYS AS (lease_expires_at IS NOT NULL AND ended_at IS NULL) STORED,
    heartbeat_at      BIGINT,          -- of the last lease
    stop_requested_at BIGINT,          -- never written by the worker
    restart_of        BIGINT,          -- may have been purged
    partition_of      BIGINT,          -- which part of which step of which execution it is
    partition_step    BIGINT,
    partition_number  BIGINT,
    partition_count   BIGINT,
    user_name         TEXT,
    worker            TEXT,
    exit_code         TEXT NOT NULL,
    exit_description  TEXT NOT NULL,
    parameters_key    TEXT COLLATE "C" NOT NULL, -- equal for equal parameters
    failures          TEXT NOT NULL,   -- JSON
    context           TEXT NOT NULL,   -- JSON
    parameters        TEXT NOT NULL,   -- JSON
    job               TEXT NOT NULL,   -- JSON
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, partition_of) REFERENCES job_executions (tenant, id) ON DELETE CASCADE,
    -- COMPLETED, STOPPED, FAILED, ABANDONED, UNKNOWN: whatever has ended says when.
    CHECK ((status IN (1, 5, 6, 7, 8)) = (ended_at IS NOT NULL))
) WITH (fillfactor = 85);
CREATE INDEX job_executions_by_instance ON job_executions (tenant, instance, id);
CREATE INDEX job_executions_by_status ON job_executions (tenant, status, id);
CREATE INDEX job_executions_by_restart ON job_executions (tenant, restart_of) WHERE restart_of IS NOT NULL;
CREATE INDEX job_executions_by_partition
    ON job_executions (tenant, partition_of, partition_step, partition_number) WHERE partition_of IS NOT NULL;
CREATE INDEX job_executions_running ON job_executions (tenant, instance) WHERE is_running;
CREATE INDEX job_executions_open ON job_executions (tenant, instance, parameters_key) WHERE ended_at IS NULL;

CREATE TABLE step_executions (
    tenant               TEXT COLLATE "C" NOT NULL,
    execution_id         BIGINT NOT NULL,
    position             BIGINT NOT NULL,
    name                 TEXT NOT NULL,
    status               BIGINT NOT NULL,
    exit_code            TEXT NOT NULL,
    exit_description     TEXT NOT NULL,
    started_at           BIGINT NOT NULL,
    ended_at             BIGINT,
    updated_at           BIGINT NOT NULL,
    read_count           BIGINT NOT NULL,
    written_count        BIGINT NOT NULL,
    filtered_count       BIGINT NOT NULL,
    skipped_count        BIGINT NOT NULL,
    tracking_processed   BIGINT NOT NULL,
    tracking_total       BIGINT,
    tracking_is_estimate BOOLEAN NOT NULL,
    warning_count        BIGINT NOT NULL,
    carried_from         BIGINT,
    starts               BIGINT NOT NULL,
    retries              BIGINT NOT NULL,
    usage                TEXT NOT NULL, -- JSON
    summary              TEXT NOT NULL, -- JSON
    errors               TEXT NOT NULL, -- JSON
    failures             TEXT NOT NULL, -- JSON
    checkpoint           BYTEA,         -- the form in `src/record/checkpoint.rs`
    PRIMARY KEY (tenant, execution_id, position),
    FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id) ON DELETE CASCADE,
    CHECK ((status IN (1, 5, 6, 7, 8)) = (ended_at IS NOT NULL))
) WITH (fillfactor = 70);

-- In the order they came: of a lease, of one of its saves, within that save. A save that is made again, since
-- nobody knows whether it was made, brings no warning twice.
CREATE TABLE warnings (
    tenant       TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL,
    lease_token  BIGINT NOT NULL,
    save_number  BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    step         TEXT NOT NULL,
    code         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    place        TEXT NOT NULL,
    item         TEXT NOT NULL,
    PRIMARY KEY (tenant, execution_id, lease_token, save_number, number),
    FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id) ON DELETE CASCADE
);

-- Who did what, and when. Events are added and, when the trail is purged, deleted; never changed. No foreign
-- keys: what they tell of may be gone.
CREATE TABLE audit_events (
    id        BIGINT GENERATED ALWAYS AS IDENTITY, -- in the order they came
    tenant    TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    user_name TEXT,          -- null if nobody said
    action    TEXT COLLATE "C" NOT NULL,
    subject   TEXT NOT NULL, -- a name, code or number
    detail    TEXT NOT NULL, -- JSON
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_events_by_action ON audit_events (tenant, action, id);

CREATE FUNCTION stepbox_refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''an audit event is never changed''; END';
CREATE TRIGGER audit_events_stay_as_they_are BEFORE UPDATE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION stepbox_refuse_change();

-- The queue: an entry for each published execution, until it has ended. Entries that begin under the same
-- conditions lie in one lane, so a worker that may not take one of them passes all of them by.
CREATE TABLE queue_lanes (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      TEXT COLLATE "C" NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    job         TEXT COLLATE "C" NOT NULL,
    instance    TEXT COLLATE "C" NOT NULL, -- '' for all instances of a job that sets no limit
    running_max BIGINT,                    -- how many executions of that instance may run; null sets no limit
    UNIQUE (tenant, type, job, instance)
);

CREATE TABLE queue_entries (
    tenant       TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL,
    lane         BIGINT NOT NULL REFERENCES queue_lanes (id),
    state        BIGINT NOT NULL, -- the number of `QueueState`
    is_queued    BOOLEAN NOT NULL GENERATED ALWAYS AS (state <> 2) STORED,
    priority     BIGINT NOT NULL,
    turn         BIGINT NOT NULL, -- its age: the id of the execution; for a part, that of the whole
    available_at BIGINT NOT NULL,
    losses       BIGINT NOT NULL,
    attempts_max BIGINT NOT NULL,
    PRIMARY KEY (tenant, execution_id),
    FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id) ON DELETE CASCADE
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX queue_entries_waiting ON queue_entries (lane, priority DESC, turn, execution_id) WHERE state = 0;
CREATE INDEX queue_entries_delayed ON queue_entries (available_at) WHERE state = 1;
CREATE INDEX queue_entries_queued ON queue_entries (tenant) WHERE is_queued;

-- Whose turn it is: the tenant with the smallest number was served longest ago.
CREATE TABLE queue_tenants (
    tenant TEXT COLLATE "C" PRIMARY KEY,
    served BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE workers (
    name        TEXT COLLATE "C" PRIMARY KEY,
    started_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    concurrency BIGINT NOT NULL,
    is_stopping BOOLEAN NOT NULL,
    takes       TEXT NOT NULL -- JSON
);
