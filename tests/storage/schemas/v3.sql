-- What the tables of schema 3 were, with sample rows. Never change a released one.
CREATE TABLE namespace_store (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
CREATE TABLE gcode_metadata (path TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE job_history (id INTEGER PRIMARY KEY, user TEXT NOT NULL, filename TEXT NOT NULL, status TEXT NOT NULL, start_time REAL NOT NULL, end_time REAL, print_duration REAL NOT NULL, total_duration REAL NOT NULL, filament_used REAL NOT NULL, metadata BLOB NOT NULL, auxiliary_data BLOB NOT NULL) STRICT;
CREATE TABLE running_job (id INTEGER PRIMARY KEY REFERENCES job_history (id) ON DELETE CASCADE, started REAL NOT NULL, boot_id TEXT NOT NULL, seen REAL NOT NULL, left_open INTEGER NOT NULL) STRICT;
CREATE TABLE job_totals (field TEXT NOT NULL PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE last_print (only INTEGER PRIMARY KEY CHECK (only = 1), state TEXT NOT NULL, filename TEXT NOT NULL, total_duration REAL NOT NULL) STRICT;
INSERT INTO namespace_store VALUES ('mainsail', 'general', CAST('{"printername":"ü"}' AS BLOB));
INSERT INTO gcode_metadata VALUES ('dir/a.gcode', 5, 1795182265367647600, 1, CAST('{"size":5}' AS BLOB));
INSERT INTO job_history VALUES (11, '_TRUSTED_USER_', 'a.gcode', 'in_progress', 1795182732.5, NULL, 1.5, 2.5, 3.5, CAST('{}' AS BLOB), CAST('[]' AS BLOB));
INSERT INTO running_job VALUES (11, 2406.5, 'boot', 1795182740.0, 0);
INSERT INTO job_totals VALUES ('total_jobs', 11.0);
INSERT INTO last_print VALUES (1, 'complete', 'b.gcode', 65.5);
PRAGMA application_id = 1298950516;
PRAGMA user_version = 3;
