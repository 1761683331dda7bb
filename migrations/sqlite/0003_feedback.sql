-- What people say is right about a prediction; the last word on each.
CREATE TABLE feedback (
    prediction_id TEXT PRIMARY KEY REFERENCES predictions (id),
    created_ms INTEGER NOT NULL,
    -- The name of the key that said so.
    author TEXT,
    -- JSON: labels, points or values.
    truth TEXT NOT NULL
) STRICT;
