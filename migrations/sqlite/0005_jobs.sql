-- Bulk work. Times are milliseconds since 1970 (UTC) by the database's clock, so that replicas agree on leases.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    -- The name of the key that asked for it; none for a tool, or a server without keys.
    author TEXT,
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- JSON: which labels are answered.
    selection TEXT NOT NULL,
    -- zip, urls, or the address that the pictures lie below.
    source TEXT NOT NULL,
    -- Address that the results are written to, besides this database.
    output TEXT,
    -- Of that: jsonl or parquet.
    format TEXT NOT NULL,
    -- queued, running, completed, failed or cancelled.
    state TEXT NOT NULL,
    -- Pictures; none while they are not listed.
    total BIGINT,
    error TEXT,
    started_ms BIGINT,
    finished_ms BIGINT
);
CREATE INDEX jobs_by_time ON jobs (created_ms);

-- What a job consists of. A replica leases a task, and renews the lease while it works; who holds the lease finishes the
-- task, in one transaction with its results.
CREATE TABLE job_tasks (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    task BIGINT NOT NULL,
    -- list: find the pictures; predict: answer some of them; write: write all results to the output.
    kind TEXT NOT NULL,
    -- JSON: the pictures of `predict`.
    pictures TEXT,
    leased_by TEXT,
    leased_until_ms BIGINT,
    -- Not taken before this time: a pause after a failure.
    not_before_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- Why the last attempt failed.
    error TEXT,
    done_ms BIGINT,
    answered BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    -- One JSON object a line, in the order of the pictures.
    results TEXT,
    PRIMARY KEY (job_id, task)
);
CREATE INDEX job_tasks_open ON job_tasks (job_id, task) WHERE done_ms IS NULL;
