-- Files that users upload as inputs of jobs. The bytes are in the data folder, and in the folder that machines share. The
-- row is there before the bytes come and until they are gone, so that none are left behind.

CREATE TABLE uploads (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    state      INTEGER NOT NULL, -- 0: it arrives; 1: it is complete; 2: it goes
    name       TEXT NOT NULL,    -- for people
    size_bytes INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    user_name  TEXT,             -- null if nobody said
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- while it arrives: when it counts as interrupted
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX uploads_by_expiry ON uploads (expires_at);
