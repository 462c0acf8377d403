-- Which installation this is, among all that there are: what machines share beside the store is marked with it. A
-- copy of the store is the same installation.

CREATE TABLE installation (
    is_here BOOLEAN PRIMARY KEY CHECK (is_here), -- one row
    id      TEXT COLLATE "C" NOT NULL
);
INSERT INTO installation (is_here, id) VALUES (true, replace(CAST(gen_random_uuid() AS TEXT), '-', ''));
