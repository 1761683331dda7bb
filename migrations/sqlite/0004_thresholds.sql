-- Thresholds that were fitted after a model file was written. Each file (SHA-256) has its own revisions, from 1.
CREATE TABLE threshold_revisions (
    digest TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    -- The name of the key that asked for it; none for a tool.
    author TEXT,
    -- The revision that was in force before, where this one is rolled back to; 0 for the file's own thresholds.
    replaces INTEGER NOT NULL,
    -- JSON: for each label its thresholds with their intervals.
    thresholds TEXT NOT NULL,
    PRIMARY KEY (digest, revision)
) STRICT;

-- Files without a row, or with 0, have their own thresholds.
CREATE TABLE thresholds_in_force (
    digest TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;
