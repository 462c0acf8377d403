-- What the process tracker narrows its list by is in one index, so that a list reads executions that are not wanted only
-- there. Once an execution is accepted, its connector, type and steps never change.

ALTER TABLE job_executions ADD COLUMN connector TEXT NOT NULL DEFAULT '';
ALTER TABLE job_executions ADD COLUMN job_type TEXT NOT NULL DEFAULT '';
ALTER TABLE job_executions ADD COLUMN step_names TEXT NOT NULL DEFAULT '[]'; -- JSON
UPDATE job_executions SET
    connector = coalesce(CAST(json_extract(job, '$.connector') AS TEXT), ''),
    job_type = coalesce(CAST(json_extract(job, '$.type') AS TEXT), ''),
    step_names = (SELECT json_group_array(json_extract(s.value, '$.name'))
                  FROM json_each(job, '$.steps') s WHERE s.type = 'object')
WHERE json_valid(job);

-- The warnings of all steps. A step with more than a billion of them counts as one with a billion.
ALTER TABLE job_executions ADD COLUMN warning_count INTEGER NOT NULL DEFAULT 0;
UPDATE job_executions SET warning_count = (
    SELECT coalesce(sum(min(s.warning_count, 1000000000)), 0) FROM step_executions s
    WHERE s.tenant = job_executions.tenant AND s.execution_id = job_executions.id);
CREATE TRIGGER steps_with_warnings_are_counted AFTER INSERT ON step_executions WHEN NEW.warning_count <> 0
BEGIN
    UPDATE job_executions SET warning_count = warning_count + min(NEW.warning_count, 1000000000)
    WHERE tenant = NEW.tenant AND id = NEW.execution_id;
END;
CREATE TRIGGER more_warnings_are_counted AFTER UPDATE OF warning_count ON step_executions
WHEN NEW.warning_count <> OLD.warning_count
BEGIN
    UPDATE job_executions
    SET warning_count = warning_count + min(NEW.warning_count, 1000000000) - min(OLD.warning_count, 1000000000)
    WHERE tenant = NEW.tenant AND id = NEW.execution_id;
END;

DROP INDEX job_executions_wholes;
CREATE INDEX job_executions_wholes
    ON job_executions (tenant, id, created_at, instance, status, started_at, ended_at, user_name, job_name, job_type,
                       connector, step_names, warning_count)
    WHERE partition_of IS NULL;

-- Filters of the process tracker that a user has kept under a name. No foreign key to users: an embedder has users of its
-- own.
CREATE TABLE saved_views (
    tenant    TEXT NOT NULL,
    user_name TEXT NOT NULL,
    name      TEXT NOT NULL,
    filter    TEXT NOT NULL,
    PRIMARY KEY (tenant, user_name, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX saved_views_by_user ON saved_views (user_name);
