-- What the process tracker narrows its list by is in one index, so that a list reads executions that are not wanted only
-- there. Once an execution is accepted, its connector, type and steps never change.

ALTER TABLE job_executions ADD COLUMN connector TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_executions ADD COLUMN job_type TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_executions ADD COLUMN step_names TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON
-- What cannot be read of a damaged definition stays empty.
CREATE FUNCTION stepbox_field(definition TEXT, field TEXT) RETURNS TEXT LANGUAGE plpgsql AS
    'BEGIN RETURN coalesce(CAST(definition AS JSON) ->> field, ); EXCEPTION WHEN OTHERS THEN RETURN ; END';
CREATE FUNCTION stepbox_steps(definition TEXT) RETURNS TEXT LANGUAGE plpgsql AS '
    BEGIN
        RETURN coalesce((
            SELECT ''['' || string_agg(''"'' || (s.step ->> ''name'') || ''"'', '','' ORDER BY s.number) || '']''
            FROM json_array_elements(CAST(definition AS JSON) -> ''steps'') WITH ORDINALITY s (step, number)), ''[]'');
    EXCEPTION WHEN OTHERS THEN RETURN ''[]'';
    END';
UPDATE job_executions SET
    connector = stepbox_field(job, 'connector'),
    job_type = stepbox_field(job, 'type'),
    step_names = stepbox_steps(job);
DROP FUNCTION stepbox_field;
DROP FUNCTION stepbox_steps;

-- The warnings of all steps. A step with more than a billion of them counts as one with a billion.
ALTER TABLE job_executions ADD COLUMN warning_count BIGINT NOT NULL DEFAULT 0;
UPDATE job_executions e SET warning_count = s.warnings
FROM (SELECT tenant, execution_id, CAST(sum(least(warning_count, 1000000000)) AS BIGINT) AS warnings
      FROM step_executions WHERE warning_count <> 0 GROUP BY tenant, execution_id) s
WHERE s.tenant = e.tenant AND s.execution_id = e.id;
CREATE FUNCTION stepbox_count_warnings() RETURNS TRIGGER LANGUAGE plpgsql AS '
    DECLARE
        before BIGINT := 0;
    BEGIN
        IF TG_OP = ''UPDATE'' THEN
            before := least(OLD.warning_count, 1000000000);
        END IF;
        UPDATE job_executions SET warning_count = warning_count + least(NEW.warning_count, 1000000000) - before
        WHERE tenant = NEW.tenant AND id = NEW.execution_id;
        RETURN NULL;
    END';
CREATE TRIGGER steps_with_warnings_are_counted AFTER INSERT ON step_executions
    FOR EACH ROW WHEN (NEW.warning_count <> 0) EXECUTE FUNCTION stepbox_count_warnings();
CREATE TRIGGER more_warnings_are_counted AFTER UPDATE ON step_executions
    FOR EACH ROW WHEN (NEW.warning_count <> OLD.warning_count) EXECUTE FUNCTION stepbox_count_warnings();

CREATE INDEX job_executions_wholes ON job_executions (tenant, id)
    INCLUDE (created_at, instance, status, started_at, ended_at, user_name, job_name, job_type, connector, step_names,
             warning_count)
    WHERE partition_of IS NULL;

-- Filters of the process tracker that a user has kept under a name. No foreign key to users: an embedder has users of its
-- own.
CREATE TABLE saved_views (
    tenant    TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL,
    name      TEXT COLLATE "C" NOT NULL,
    filter    TEXT NOT NULL,
    PRIMARY KEY (tenant, user_name, name)
);
CREATE INDEX saved_views_by_user ON saved_views (user_name);
