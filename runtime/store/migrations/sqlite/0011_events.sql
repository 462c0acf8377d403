-- What happened to executions, for whoever follows them. An event is written in the transaction that it belongs to. What
-- else a reader is told is read from the execution and its step, so an event of a purged execution is told to nobody,
-- and goes when it is old.

CREATE TABLE execution_events (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of the commits: one process writes at a time
    tenant       TEXT NOT NULL,
    execution_id INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    kind         INTEGER NOT NULL, -- the number of `EventKind`
    status       INTEGER,          -- how the execution or the step ended
    position     INTEGER           -- the step that ended
) STRICT;
CREATE INDEX execution_events_by_tenant ON execution_events (tenant, number);

CREATE TABLE execution_event_stream (
    is_here INTEGER PRIMARY KEY CHECK (is_here = 1), -- one row
    dropped INTEGER NOT NULL -- events up to this number may have been deleted for their age
) STRICT;
INSERT INTO execution_event_stream (is_here, dropped) VALUES (1, 0);
