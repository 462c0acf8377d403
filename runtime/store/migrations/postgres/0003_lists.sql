-- Lists of an instance's executions in one status pass by what is in another one without reading it.

DROP INDEX job_executions_by_instance;
CREATE INDEX job_executions_by_instance ON job_executions (tenant, instance, id, status);
