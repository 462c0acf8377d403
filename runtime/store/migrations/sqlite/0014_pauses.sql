-- A pause that a person requests has a column, as a stop request has. The execution waits in the queue in a state of its
-- own then (the number 3 of `QueueState`), and no worker takes it until it is resumed.

ALTER TABLE job_executions ADD COLUMN pause_requested_at INTEGER; -- never written by the worker
