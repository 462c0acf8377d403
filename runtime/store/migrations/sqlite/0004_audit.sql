-- Who did what, and when. Events are added and, when the trail is purged, deleted; never changed. No foreign
-- keys: what they tell of may be gone.
--
-- With this version, what a step has used may hold what it was refused (`http_requests_refused` and its like).

CREATE TABLE audit_events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order they came
    tenant    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    user_name TEXT,          -- null if nobody said
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL, -- a name, code or number
    detail    TEXT NOT NULL  -- JSON
) STRICT;
CREATE INDEX audit_events_by_tenant ON audit_events (tenant, id);
CREATE INDEX audit_events_by_action ON audit_events (tenant, action, id);

CREATE TRIGGER audit_events_stay_as_they_are BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never changed');
END;
