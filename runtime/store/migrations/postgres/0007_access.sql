-- Who may do what. Users belong to the installation; whatever else is here goes with its user. Of what people and programs
-- come in with there are hashes only. No foreign key to job_instances: lists of an instance outlive it, so that its
-- deletion makes no history visible.
--
-- Events of audit_events with an empty tenant are those of the installation.

CREATE TABLE users (
    name                TEXT COLLATE "C" PRIMARY KEY,
    label               TEXT NOT NULL,
    is_operator         BOOLEAN NOT NULL,
    is_suspended        BOOLEAN NOT NULL,
    created_at          BIGINT NOT NULL,
    password            TEXT,   -- a PHC string; null if there is none
    password_changed_at BIGINT,
    issuer              TEXT COLLATE "C", -- of the identity at a provider; null if there is none
    subject             TEXT COLLATE "C"
);
CREATE UNIQUE INDEX users_by_identity ON users (issuer, subject) WHERE issuer IS NOT NULL;

CREATE TABLE members (
    tenant    TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    role      TEXT NOT NULL,
    PRIMARY KEY (tenant, user_name)
);
CREATE INDEX members_by_user ON members (user_name);

-- A right at an instance that only listed users have. A right without a row is decided by the role alone.
CREATE TABLE instance_rights (
    tenant     TEXT COLLATE "C" NOT NULL,
    instance   TEXT COLLATE "C" NOT NULL,
    right_name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, instance, right_name)
);

CREATE TABLE instance_right_users (
    tenant     TEXT COLLATE "C" NOT NULL,
    instance   TEXT COLLATE "C" NOT NULL,
    right_name TEXT COLLATE "C" NOT NULL,
    user_name  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, instance, right_name, user_name),
    FOREIGN KEY (tenant, instance, right_name) REFERENCES instance_rights (tenant, instance, right_name)
        ON DELETE CASCADE,
    FOREIGN KEY (tenant, user_name) REFERENCES members (tenant, user_name) ON DELETE CASCADE
);
CREATE INDEX instance_right_users_by_user ON instance_right_users (tenant, user_name);

CREATE TABLE sessions (
    hash       TEXT COLLATE "C" PRIMARY KEY,
    user_name  TEXT COLLATE "C" NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL -- if it is not used again
);
CREATE INDEX sessions_by_user ON sessions (user_name, seen_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE tokens (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    owner        TEXT COLLATE "C" NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    tenant       TEXT COLLATE "C", -- null for a token of the installation
    instance     TEXT COLLATE "C", -- null if it works for all instances
    scopes       TEXT NOT NULL,    -- JSON
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT,           -- to the hour
    made_by      BIGINT REFERENCES tokens (id) ON DELETE CASCADE
);
CREATE INDEX tokens_by_owner ON tokens (owner);
CREATE INDEX tokens_by_tenant ON tokens (tenant, id);
CREATE INDEX tokens_by_maker ON tokens (made_by) WHERE made_by IS NOT NULL;

CREATE TABLE one_time_links (
    hash       TEXT COLLATE "C" PRIMARY KEY,
    user_name  TEXT COLLATE "C" REFERENCES users (name) ON DELETE CASCADE, -- null: for the first operator
    expires_at BIGINT NOT NULL
);
CREATE INDEX one_time_links_by_user ON one_time_links (user_name);
CREATE INDEX one_time_links_by_end ON one_time_links (expires_at);
