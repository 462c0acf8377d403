-- Which installation this is, among all that there are: what machines share beside the store is marked with it. A
-- copy of the store is the same installation.

CREATE TABLE installation (
    is_here INTEGER PRIMARY KEY CHECK (is_here = 1), -- one row
    id      TEXT NOT NULL
) STRICT;
INSERT INTO installation (is_here, id) VALUES (1, lower(hex(randomblob(16))));
