-- Splits the tables of Stepbox's PostgreSQL store that grow with time, by ranges of the execution's id, which grows
-- with time. What is there becomes the first part; choose the number where the second one begins above the
-- largest id so far. Stop everything that uses the database first, and run it as the owner of the tables:
--
--   psql -v ON_ERROR_STOP=1 -v next=1000000 -v end=2000000 -f partition-postgres.sql "$STEPBOX_DATABASE_URL"
--
-- Later parts are made in time, as below, of all three tables (an id that belongs into none is refused):
--
--   CREATE TABLE job_executions_3 PARTITION OF job_executions
--       FOR VALUES FROM (2000000) TO (3000000) WITH (fillfactor = 85);
--
-- and old ones go at once, those of steps and warnings first:
--
--   DROP TABLE warnings_1, step_executions_1;
--   ALTER TABLE job_executions DETACH PARTITION job_executions_1;
--   DROP TABLE job_executions_1;

BEGIN;
ALTER TABLE step_executions DROP CONSTRAINT step_executions_tenant_execution_id_fkey;
ALTER TABLE warnings DROP CONSTRAINT warnings_tenant_execution_id_fkey;
ALTER TABLE queue_entries DROP CONSTRAINT queue_entries_tenant_execution_id_fkey;
ALTER TABLE job_executions DROP CONSTRAINT job_executions_tenant_partition_of_fkey;

ALTER TABLE job_executions RENAME TO job_executions_1;
CREATE TABLE job_executions
    (LIKE job_executions_1 INCLUDING ALL) PARTITION BY RANGE (id);
-- The next id is larger than any that was given, also than those of executions that are gone.
SELECT setval(pg_get_serial_sequence('job_executions', 'id'),
              nextval(pg_get_serial_sequence('job_executions_1', 'id')));
ALTER TABLE job_executions_1 ALTER COLUMN id DROP IDENTITY;
ALTER TABLE job_executions ATTACH PARTITION job_executions_1 FOR VALUES FROM (MINVALUE) TO (:next);
CREATE TABLE job_executions_2 PARTITION OF job_executions
    FOR VALUES FROM (:next) TO (:end) WITH (fillfactor = 85);

ALTER TABLE step_executions RENAME TO step_executions_1;
DROP TRIGGER steps_with_warnings_are_counted ON step_executions_1;
DROP TRIGGER more_warnings_are_counted ON step_executions_1;
CREATE TABLE step_executions
    (LIKE step_executions_1 INCLUDING ALL) PARTITION BY RANGE (execution_id);
ALTER TABLE step_executions ATTACH PARTITION step_executions_1 FOR VALUES FROM (MINVALUE) TO (:next);
CREATE TABLE step_executions_2 PARTITION OF step_executions
    FOR VALUES FROM (:next) TO (:end) WITH (fillfactor = 70);
CREATE TRIGGER steps_with_warnings_are_counted AFTER INSERT ON step_executions
    FOR EACH ROW WHEN (NEW.warning_count <> 0) EXECUTE FUNCTION stepbox_count_warnings();
CREATE TRIGGER more_warnings_are_counted AFTER UPDATE ON step_executions
    FOR EACH ROW WHEN (NEW.warning_count <> OLD.warning_count) EXECUTE FUNCTION stepbox_count_warnings();

ALTER TABLE warnings RENAME TO warnings_1;
CREATE TABLE warnings
    (LIKE warnings_1 INCLUDING ALL) PARTITION BY RANGE (execution_id);
ALTER TABLE warnings ATTACH PARTITION warnings_1 FOR VALUES FROM (MINVALUE) TO (:next);
CREATE TABLE warnings_2 PARTITION OF warnings FOR VALUES FROM (:next) TO (:end);

ALTER TABLE job_executions
    ADD FOREIGN KEY (tenant, partition_of) REFERENCES job_executions (tenant, id)
    ON DELETE CASCADE;
ALTER TABLE step_executions
    ADD FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id)
    ON DELETE CASCADE;
ALTER TABLE warnings
    ADD FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id)
    ON DELETE CASCADE;
ALTER TABLE queue_entries
    ADD FOREIGN KEY (tenant, execution_id) REFERENCES job_executions (tenant, id)
    ON DELETE CASCADE;
COMMIT;
