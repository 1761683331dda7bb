-- Where pictures are kept whose predictions are deleted, until they are deleted themselves.
CREATE TABLE forgotten_pictures (
    picture TEXT PRIMARY KEY
);
