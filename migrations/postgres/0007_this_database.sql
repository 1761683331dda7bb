-- What this database is called among others that share a place for pictures: each deletes only what is its own.
CREATE TABLE this_database (
    id TEXT NOT NULL
);
INSERT INTO this_database (id) VALUES (replace(gen_random_uuid()::text, '-', ''));
