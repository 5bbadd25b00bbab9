-- What the tables of schema 2 were, with sample rows. Never change a released one.
CREATE TABLE namespace_store (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
CREATE TABLE gcode_metadata (path TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
INSERT INTO namespace_store VALUES ('mainsail', 'general', CAST('{"printername":"ü"}' AS BLOB));
INSERT INTO gcode_metadata VALUES ('dir/a.gcode', 5, 1795182265367647600, 1, CAST('{"size":5}' AS BLOB));
PRAGMA application_id = 1298950516;
PRAGMA user_version = 2;
