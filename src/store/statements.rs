//! Every statement that the store runs, in one table. A test prepares each on both databases.
//!
//! SQLite and PostgreSQL read the same text where they can, `$1` for the first value included.

use super::Dialect;

/// One statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// What messages and tests call it.
    pub name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Statement {
    /// Its text for a database.
    pub fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// Declares statements, and `ALL` with each of them.
macro_rules! statements {
    (@text $text:literal) => { ($text, $text) };
    (@text $sqlite:literal, $postgres:literal) => { ($sqlite, $postgres) };
    ($($(#[$doc:meta])* $name:ident = $($text:literal),+;)*) => {
        $(
            $(#[$doc])*
            pub(super) const $name: Statement = {
                let (sqlite, postgres) = statements!(@text $($text),+);
                Statement { name: stringify!($name), sqlite, postgres }
            };
        )*
        /// Every statement there is.
        pub const ALL: &[Statement] = &[$($name),*];
    };
}

statements! {
    THIS_DATABASE = "SELECT id FROM this_database";

    ADD_KEY = "INSERT INTO api_keys (id, name, digest, scopes, rate, created_ms, expires_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LIST_KEYS = "SELECT id, name, digest, scopes, rate, created_ms, expires_ms, last_used_ms, revoked_ms
        FROM api_keys ORDER BY created_ms, id";
    REVOKE_KEY = "UPDATE api_keys SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL";
    /// Replicas write when each saw the key; the latest stays.
    USE_KEY = "UPDATE api_keys SET last_used_ms = $2 WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)";

    ADD_MODEL = "INSERT INTO models (digest, model, version, task, resize) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (digest) DO NOTHING";
    /// A batch as one JSON array: one message, whatever its length.
    ADD_PREDICTIONS = "INSERT INTO predictions (id, created_ms, model, version, digest, revision, outputs, width, height,
            picture_digest, picture, decode_ms, queue_ms, inference_ms, uncertainty, margin)
        SELECT value ->> 'id', value ->> 'created_ms', value ->> 'model', value ->> 'version', value ->> 'digest',
            value ->> 'revision', value ->> 'outputs', value ->> 'width', value ->> 'height',
            value ->> 'picture_digest', value ->> 'picture', value ->> 'decode_ms', value ->> 'queue_ms',
            value ->> 'inference_ms', value ->> 'uncertainty', value ->> 'margin'
        FROM json_each($1) WHERE TRUE ON CONFLICT (id) DO NOTHING",
        "INSERT INTO predictions (id, created_ms, model, version, digest, revision, outputs, width, height,
            picture_digest, picture, decode_ms, queue_ms, inference_ms, uncertainty, margin)
        SELECT id, created_ms, model, version, digest, revision, outputs, width, height,
            picture_digest, picture, decode_ms, queue_ms, inference_ms, uncertainty, margin
        FROM json_to_recordset($1::text::json) AS row (id TEXT, created_ms BIGINT, model TEXT, version BIGINT, digest TEXT,
            revision BIGINT, outputs TEXT, width BIGINT, height BIGINT, picture_digest TEXT, picture TEXT,
            decode_ms DOUBLE PRECISION, queue_ms DOUBLE PRECISION, inference_ms DOUBLE PRECISION,
            uncertainty DOUBLE PRECISION, margin DOUBLE PRECISION)
        ON CONFLICT (id) DO NOTHING";
    ADD_SHADOW_OUTPUTS = "INSERT INTO shadow_outputs (prediction_id, created_ms, version, outputs, disagreement)
        SELECT value ->> 'prediction_id', value ->> 'created_ms', value ->> 'version', value ->> 'outputs',
            value ->> 'disagreement'
        FROM json_each($1) WHERE TRUE ON CONFLICT (prediction_id) DO NOTHING",
        "INSERT INTO shadow_outputs (prediction_id, created_ms, version, outputs, disagreement)
        SELECT prediction_id, created_ms, version, outputs, disagreement
        FROM json_to_recordset($1::text::json) AS row (prediction_id TEXT, created_ms BIGINT, version BIGINT, outputs TEXT,
            disagreement DOUBLE PRECISION)
        ON CONFLICT (prediction_id) DO NOTHING";
    /// But for those that somebody has corrected, or is correcting.
    FORGET_PREDICTIONS = "DELETE FROM predictions WHERE id IN (
            SELECT p.id FROM predictions p WHERE p.created_ms < $1
                AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
            ORDER BY p.created_ms LIMIT $2)
        RETURNING picture",
        "DELETE FROM predictions WHERE id IN (
            SELECT p.id FROM predictions p WHERE p.created_ms < $1
                AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
            ORDER BY p.created_ms LIMIT $2 FOR UPDATE OF p SKIP LOCKED)
        RETURNING picture";
    FORGET_SHADOW_OUTPUTS = "DELETE FROM shadow_outputs WHERE created_ms < $1";
    ADD_FORGOTTEN_PICTURES = "INSERT INTO forgotten_pictures (picture) SELECT value FROM json_each($1)
        WHERE TRUE ON CONFLICT (picture) DO NOTHING",
        "INSERT INTO forgotten_pictures (picture) SELECT json_array_elements_text($1::text::json)
        ON CONFLICT (picture) DO NOTHING";
    FORGOTTEN_PICTURES = "SELECT picture FROM forgotten_pictures WHERE picture > $1 ORDER BY picture LIMIT $2";
    END_FORGOTTEN_PICTURES = "DELETE FROM forgotten_pictures WHERE picture IN (SELECT value FROM json_each($1))",
        "DELETE FROM forgotten_pictures WHERE picture IN (SELECT json_array_elements_text($1::text::json))";

    /// Those that some predictions ($1: JSON array of ids) have.
    PICTURES_OF = "SELECT picture FROM predictions
        WHERE id IN (SELECT value FROM json_each($1)) AND picture IS NOT NULL",
        "SELECT picture FROM predictions
        WHERE id IN (SELECT json_array_elements_text($1::text::json)) AND picture IS NOT NULL";

    PREDICTED_BY = "SELECT p.model, p.version, m.task, p.picture FROM predictions p JOIN models m ON m.digest = p.digest
        WHERE p.id = $1";
    ADD_FEEDBACK = "INSERT INTO feedback (prediction_id, created_ms, author, truth) VALUES ($1, $2, $3, $4)
        ON CONFLICT (prediction_id) DO UPDATE
        SET created_ms = excluded.created_ms, author = excluded.author, truth = excluded.truth";
    REVIEW_UNCERTAIN = "SELECT p.id, p.created_ms, p.model, p.version, p.digest, m.task, m.resize, p.outputs, p.width, p.height,
            p.picture_digest, p.picture, p.uncertainty, p.margin, s.version AS shadow_version, s.disagreement
        FROM predictions p JOIN models m ON m.digest = p.digest
        LEFT JOIN shadow_outputs s ON s.prediction_id = p.id
        WHERE p.model = $1 AND ($2 < 0 OR p.version = $2)
            AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
            AND p.uncertainty IS NOT NULL
        ORDER BY p.uncertainty DESC, p.id LIMIT $3";
    REVIEW_THRESHOLD = "SELECT p.id, p.created_ms, p.model, p.version, p.digest, m.task, m.resize, p.outputs, p.width, p.height,
            p.picture_digest, p.picture, p.uncertainty, p.margin, s.version AS shadow_version, s.disagreement
        FROM predictions p JOIN models m ON m.digest = p.digest
        LEFT JOIN shadow_outputs s ON s.prediction_id = p.id
        WHERE p.model = $1 AND ($2 < 0 OR p.version = $2)
            AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
            AND p.margin IS NOT NULL
        ORDER BY p.margin, p.id LIMIT $3";
    REVIEW_SHADOW = "SELECT p.id, p.created_ms, p.model, p.version, p.digest, m.task, m.resize, p.outputs, p.width, p.height,
            p.picture_digest, p.picture, p.uncertainty, p.margin, s.version AS shadow_version, s.disagreement
        FROM predictions p JOIN models m ON m.digest = p.digest
        LEFT JOIN shadow_outputs s ON s.prediction_id = p.id
        WHERE p.model = $1 AND ($2 < 0 OR p.version = $2)
            AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
            AND s.disagreement IS NOT NULL
        ORDER BY s.disagreement DESC, p.id LIMIT $3";
    REVIEW_NEWEST = "SELECT p.id, p.created_ms, p.model, p.version, p.digest, m.task, m.resize, p.outputs, p.width, p.height,
            p.picture_digest, p.picture, p.uncertainty, p.margin, s.version AS shadow_version, s.disagreement
        FROM predictions p JOIN models m ON m.digest = p.digest
        LEFT JOIN shadow_outputs s ON s.prediction_id = p.id
        WHERE p.model = $1 AND ($2 < 0 OR p.version = $2)
            AND NOT EXISTS (SELECT 1 FROM feedback WHERE prediction_id = p.id)
        ORDER BY p.created_ms DESC, p.id DESC LIMIT $3";
    CORRECTED = "SELECT p.id, p.version, p.digest, p.outputs, f.truth, p.picture, p.picture_digest, m.task
        FROM feedback f JOIN predictions p ON p.id = f.prediction_id JOIN models m ON m.digest = p.digest
        WHERE p.model = $1 AND ($2 < 0 OR p.version = $2) ORDER BY f.created_ms DESC, p.id DESC LIMIT $3";

    MODEL = "SELECT digest, model, version, task, resize FROM models WHERE model = $1 AND ($2 < 0 OR version = $2)
        ORDER BY version DESC LIMIT 1";
    THRESHOLDS_IN_FORCE = "SELECT f.digest, f.revision, r.thresholds FROM thresholds_in_force f
        JOIN threshold_revisions r ON r.digest = f.digest AND r.revision = f.revision";
    /// The next number; two at once have the same, and the second fails.
    ADD_THRESHOLDS = "INSERT INTO threshold_revisions (digest, revision, created_ms, author, replaces, thresholds)
        SELECT $1, COALESCE((SELECT MAX(revision) FROM threshold_revisions WHERE digest = $1), 0) + 1, $2, $3,
            COALESCE((SELECT revision FROM thresholds_in_force WHERE digest = $1), 0), $4
        RETURNING revision";
    PUT_THRESHOLDS_IN_FORCE = "INSERT INTO thresholds_in_force (digest, revision) VALUES ($1, $2)
        ON CONFLICT (digest) DO UPDATE SET revision = excluded.revision";
    ROLL_BACK_THRESHOLDS = "UPDATE thresholds_in_force SET revision = (SELECT r.replaces FROM threshold_revisions r
            WHERE r.digest = thresholds_in_force.digest AND r.revision = thresholds_in_force.revision)
        WHERE digest = $1 AND revision > 0 RETURNING revision";

    ADD_JOB = "INSERT INTO jobs (id, created_ms, author, model, version, selection, source, output, format, state, total)
        VALUES ($1, CAST(unixepoch('subsec') * 1000 AS INTEGER), $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        "INSERT INTO jobs (id, created_ms, author, model, version, selection, source, output, format, state, total)
        VALUES ($1, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    /// Some of a job's tasks as one JSON array.
    ADD_TASKS = "INSERT INTO job_tasks (job_id, task, kind, pictures, not_before_ms, attempts)
        SELECT $1, value ->> 'task', value ->> 'kind', value ->> 'pictures', 0, 0 FROM json_each($2) WHERE TRUE",
        "INSERT INTO job_tasks (job_id, task, kind, pictures, not_before_ms, attempts)
        SELECT $1, task, kind, pictures, 0, 0
        FROM json_to_recordset($2::text::json) AS row (task BIGINT, kind TEXT, pictures TEXT)";
    /// The first task that nobody works on, of a job that is not at an end. Versions that this replica has not loaded are left
    /// to others ($3: JSON array of model/version).
    LEASE_TASK = "UPDATE job_tasks
        SET leased_by = $1, leased_until_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2, attempts = attempts + 1
        WHERE (job_id, task) = (
            SELECT t.job_id, t.task FROM job_tasks t JOIN jobs j ON j.id = t.job_id
            WHERE t.done_ms IS NULL AND j.state IN ('queued', 'running')
                AND t.not_before_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
                AND (t.leased_until_ms IS NULL OR t.leased_until_ms < CAST(unixepoch('subsec') * 1000 AS INTEGER))
                AND (t.kind <> 'predict' OR j.model || '/' || j.version IN (SELECT value FROM json_each($3)))
            ORDER BY j.created_ms, t.job_id, t.task LIMIT 1)
        RETURNING job_id, task, kind, pictures, attempts",
        "UPDATE job_tasks
        SET leased_by = $1, leased_until_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $2,
            attempts = attempts + 1
        WHERE (job_id, task) = (
            SELECT t.job_id, t.task FROM job_tasks t JOIN jobs j ON j.id = t.job_id
            WHERE t.done_ms IS NULL AND j.state IN ('queued', 'running')
                AND t.not_before_ms <= EXTRACT(EPOCH FROM clock_timestamp()) * 1000
                AND (t.leased_until_ms IS NULL OR t.leased_until_ms < EXTRACT(EPOCH FROM clock_timestamp()) * 1000)
                AND (t.kind <> 'predict'
                    OR j.model || '/' || j.version IN (SELECT json_array_elements_text($3::text::json)))
            ORDER BY j.created_ms, t.job_id, t.task LIMIT 1 FOR UPDATE OF t SKIP LOCKED)
        RETURNING job_id, task, kind, pictures, attempts";
    /// Nothing where the lease is somebody else's by now, or the job is at an end.
    RENEW_LEASE = "UPDATE job_tasks SET leased_until_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $4
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL
            AND EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND state IN ('queued', 'running'))",
        "UPDATE job_tasks
        SET leased_until_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $4
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL
            AND EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND state IN ('queued', 'running'))";
    /// Gives a task back, to be taken again after $4 ms; $5 takes the attempt back, too, where it was none.
    RELEASE_TASK = "UPDATE job_tasks SET leased_by = NULL, leased_until_ms = NULL, attempts = attempts - $5, error = $6,
            not_before_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $4
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL",
        "UPDATE job_tasks SET leased_by = NULL, leased_until_ms = NULL, attempts = attempts - $5, error = $6,
            not_before_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $4
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL";
    /// Holds the job's row until the transaction ends: of two that finish a job's last tasks, one comes after the other.
    HOLD_JOB = "UPDATE jobs SET state = 'running',
            started_ms = COALESCE(started_ms, CAST(unixepoch('subsec') * 1000 AS INTEGER))
        WHERE id = $1 AND state IN ('queued', 'running')",
        "UPDATE jobs SET state = 'running',
            started_ms = COALESCE(started_ms, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT))
        WHERE id = $1 AND state IN ('queued', 'running')";
    FINISH_TASK = "UPDATE job_tasks SET done_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER), leased_by = NULL,
            leased_until_ms = NULL, answered = $4, failed = $5, results = $6
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL",
        "UPDATE job_tasks SET done_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), leased_by = NULL,
            leased_until_ms = NULL, answered = $4, failed = $5, results = $6
        WHERE job_id = $1 AND task = $2 AND leased_by = $3 AND done_ms IS NULL";
    SET_TOTAL = "UPDATE jobs SET total = $2 WHERE id = $1";
    OPEN_TASKS = "SELECT COUNT(*) AS tasks FROM job_tasks WHERE job_id = $1 AND done_ms IS NULL";
    /// The last one, with what the job writes to.
    LAST_TASK = "SELECT t.task, t.kind, j.output FROM job_tasks t JOIN jobs j ON j.id = t.job_id
        WHERE t.job_id = $1 ORDER BY t.task DESC LIMIT 1";
    END_JOB = "UPDATE jobs SET state = $2, error = $3, finished_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER)
        WHERE id = $1 AND state IN ('queued', 'running')",
        "UPDATE jobs SET state = $2, error = $3,
            finished_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
        WHERE id = $1 AND state IN ('queued', 'running')";
    JOB = "SELECT j.id, j.created_ms, j.author, j.model, j.version, j.selection, j.source, j.output, j.format, j.state, j.total,
            j.error, j.started_ms, j.finished_ms,
            CAST(COALESCE((SELECT SUM(answered) FROM job_tasks WHERE job_id = j.id), 0) AS BIGINT) AS answered,
            CAST(COALESCE((SELECT SUM(failed) FROM job_tasks WHERE job_id = j.id), 0) AS BIGINT) AS failed
        FROM jobs j WHERE j.id = $1";
    /// Those of one author, or all where none is named; the newest first.
    JOBS = "SELECT j.id, j.created_ms, j.author, j.model, j.version, j.selection, j.source, j.output, j.format, j.state, j.total,
            j.error, j.started_ms, j.finished_ms,
            CAST(COALESCE((SELECT SUM(answered) FROM job_tasks WHERE job_id = j.id), 0) AS BIGINT) AS answered,
            CAST(COALESCE((SELECT SUM(failed) FROM job_tasks WHERE job_id = j.id), 0) AS BIGINT) AS failed
        FROM jobs j WHERE CAST($1 AS TEXT) IS NULL OR j.author = $1 ORDER BY j.created_ms DESC, j.id DESC LIMIT $2";
    /// A page of a job's results: those of some tasks after the $2th, in order.
    RESULTS = "SELECT task, results FROM job_tasks
        WHERE job_id = $1 AND task > $2 AND kind = 'predict' AND done_ms IS NOT NULL ORDER BY task LIMIT $3";
    TASK_PICTURES = "SELECT task, pictures AS results FROM job_tasks
        WHERE job_id = $1 AND task > $2 AND kind = 'predict' ORDER BY task LIMIT $3";
    /// A page of the jobs that ended before $1, the first to end first: those after the one that ended at $2 and has the id $3.
    OLD_JOBS = "SELECT id, finished_ms FROM jobs WHERE finished_ms < $1 AND (finished_ms, id) > ($2, $3)
        ORDER BY finished_ms, id LIMIT $4";
    FORGET_TASKS = "DELETE FROM job_tasks WHERE job_id = $1";
    FORGET_JOB = "DELETE FROM jobs WHERE id = $1";
}
