-- Lists find their rows in an index, whatever is asked for and however much there was before, and pass parts of
-- other executions by without looking at them. What a list is narrowed by is in the index, so that rows that are
-- not wanted are not read.

DROP INDEX job_executions_by_instance;
DROP INDEX job_executions_by_status;
CREATE INDEX job_executions_by_instance ON job_executions (tenant, instance, id, status, created_at)
    WHERE partition_of IS NULL;
CREATE INDEX job_executions_by_status ON job_executions (tenant, status, id, created_at)
    WHERE partition_of IS NULL;
CREATE INDEX job_executions_wholes ON job_executions (tenant, id, created_at) WHERE partition_of IS NULL;

-- The lists of the audit trail that are narrowed by a moment or a name.
CREATE INDEX audit_events_by_moment ON audit_events (tenant, id, at, user_name);
DROP INDEX audit_events_by_tenant;
