-- What happened to executions, for whoever follows them. An event is written in the transaction that it belongs to. What
-- else a reader is told is read from the execution and its step, so an event of a purged execution is told to nobody,
-- and goes when it is old.
--
-- Transactions commit in another order than they took their numbers in. So an event comes in without a number, and
-- readers give it one: one reader at a time, since it locks the row of `execution_event_stream`. Numbers become visible
-- in their order then, and writers wait for nobody. Neither a long transaction nor a restored dump disturbs that, as
-- both would with numbers that are compared with the server's transactions.

CREATE TABLE new_execution_events (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- grows with the events of one execution
    tenant       TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    kind         BIGINT NOT NULL, -- the number of `EventKind`
    status       BIGINT,          -- how the execution or the step ended
    position     BIGINT           -- the step that ended
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE execution_events (
    number       BIGINT PRIMARY KEY,
    tenant       TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    kind         BIGINT NOT NULL,
    status       BIGINT,
    position     BIGINT
);
CREATE INDEX execution_events_by_tenant ON execution_events (tenant, number);

CREATE TABLE execution_event_stream (
    is_here BOOLEAN PRIMARY KEY CHECK (is_here), -- one row
    last    BIGINT NOT NULL, -- the last number that was given
    dropped BIGINT NOT NULL  -- events up to this number may have been deleted for their age
) WITH (fillfactor = 50);
INSERT INTO execution_event_stream (is_here, last, dropped) VALUES (true, 0, 0);
