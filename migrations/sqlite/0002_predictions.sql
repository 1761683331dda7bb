-- What was answered. Times are milliseconds since 1970 (UTC); ids are UUIDs of version 7, which sort by time.

-- Model files that answered, as what they said in it: predictions are read without the file.
CREATE TABLE models (
    digest TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- JSON, as in the manifest.
    task TEXT NOT NULL,
    resize TEXT NOT NULL
) STRICT;

CREATE TABLE predictions (
    id TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- SHA-256 of the model file.
    digest TEXT NOT NULL,
    -- The thresholds' revision; 0 for the model file's own.
    revision INTEGER NOT NULL,
    -- The model's output for this picture: a JSON array of numbers.
    outputs TEXT NOT NULL,
    -- The picture's size, as EXIF orients it.
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    -- SHA-256 of the picture's bytes, and where the picture was kept.
    picture_digest TEXT NOT NULL,
    picture TEXT,
    decode_ms REAL NOT NULL,
    queue_ms REAL NOT NULL,
    inference_ms REAL NOT NULL,
    -- 0 sure to 1 not at all; none for points and values.
    uncertainty REAL,
    -- How far the nearest score is from its threshold; for one label, the best score from the second.
    margin REAL
) STRICT;
CREATE INDEX predictions_by_time ON predictions (created_ms);
CREATE INDEX predictions_by_model ON predictions (model, version, created_ms);

-- What a version on trial said of the same picture.
CREATE TABLE shadow_outputs (
    prediction_id TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    outputs TEXT NOT NULL,
    -- Labels named by one of the two only, plus the largest difference; mean distance for points, mean difference for values.
    disagreement REAL NOT NULL
) STRICT;
CREATE INDEX shadow_outputs_by_time ON shadow_outputs (created_ms);
