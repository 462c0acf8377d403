-- No table changes. Stored JSON says more: failures have remedies, steps may be `always: unless_stopped`, and the state of
-- a writer names its storage. Programs before this version would take such rows for damaged ones.
SELECT 1;
