CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, blob BLOB NOT NULL, until_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS entry_until ON entry (until_s);
CREATE TABLE IF NOT EXISTS tag (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (key TEXT PRIMARY KEY, token TEXT NOT NULL, until_s REAL NOT NULL) WITHOUT ROWID;
-- What other processes have to forget: kind is key, tag or all. AUTOINCREMENT: a number that was trimmed is not used again.
CREATE TABLE IF NOT EXISTS change (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, writer TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS change_at ON change (at_s);
