-- How often a step was begun and tried again, over all restarts. A row that is there has begun once;
-- no job of that time sets a limit, so nobody counts more closely.
--
-- With this version, a job's definition may hold the settings of workers, checkpoints, skip, retry,
-- restart and flow (`src/record/job/settings.rs`), and a checkpoint may have format 2
-- (`src/record/checkpoint.rs`). Older ones stay as they are.

ALTER TABLE step_executions ADD COLUMN starts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE step_executions ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
