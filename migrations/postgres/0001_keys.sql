-- Keys that may ask. A key itself is nowhere: its SHA-256 is enough to know it again.
-- Times are milliseconds since 1970 (UTC). A revoked key stays, so that it is seen that there were keys.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest BYTEA NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    rate TEXT,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    last_used_ms BIGINT,
    revoked_ms BIGINT
);
