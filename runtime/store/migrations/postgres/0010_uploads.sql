-- Files that users upload as inputs of jobs. The bytes are in the data folder, and in the folder that machines share. The
-- row is there before the bytes come and until they are gone, so that none are left behind.

CREATE TABLE uploads (
    tenant     TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    state      BIGINT NOT NULL, -- 0: it arrives; 1: it is complete; 2: it goes
    name       TEXT NOT NULL,   -- for people
    size_bytes BIGINT NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    user_name  TEXT,            -- null if nobody said
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- while it arrives: when it counts as interrupted
    PRIMARY KEY (tenant, id)
);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);
