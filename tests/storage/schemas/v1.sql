-- What the tables of schema 1 were, with sample rows. Never change a released one.
CREATE TABLE namespace_store (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
INSERT INTO namespace_store VALUES ('mainsail', 'general', CAST('{"printername":"ü"}' AS BLOB));
PRAGMA application_id = 1298950516;
PRAGMA user_version = 1;
