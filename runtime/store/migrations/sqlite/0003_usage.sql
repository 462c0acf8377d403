-- What each step has used of the machine, as a JSON object (`src/record/step.rs`). What nobody counted is 0.

ALTER TABLE step_executions ADD COLUMN usage TEXT NOT NULL DEFAULT '{}';
