-- Who signed each component, as a JSON object (`src/record/installed.rs`). Null where nobody asked for a
-- signature, as for all that came in before.

ALTER TABLE components ADD COLUMN signer TEXT;
