-- What whoever watches remembers between two looks and across restarts. Beside the store: pitstop.watch.db, mode 0600.
CREATE TABLE IF NOT EXISTS lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_s REAL NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS incident (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
  labels TEXT NOT NULL, summary TEXT NOT NULL, value REAL, limit_value REAL, unit TEXT NOT NULL,
  began_s REAL NOT NULL, fired_s REAL, ended_s REAL, acked_by TEXT NOT NULL DEFAULT '', acked_s REAL,
  clear_since_s REAL, told_s REAL, silenced TEXT NOT NULL DEFAULT '', inhibited TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS incident_open ON incident (key) WHERE ended_s IS NULL;
CREATE INDEX IF NOT EXISTS incident_ended ON incident (ended_s, began_s);

CREATE TABLE IF NOT EXISTS moment (
  incident INTEGER NOT NULL, ts_s REAL NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS moment_incident ON moment (incident, ts_s);

CREATE TABLE IF NOT EXISTS message_group (
  key TEXT PRIMARY KEY, first_s REAL NOT NULL, told_s REAL, told TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS silence (
  id INTEGER PRIMARY KEY, matches TEXT NOT NULL, author TEXT NOT NULL, why TEXT NOT NULL,
  start_s REAL NOT NULL, end_s REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS rule (
  name TEXT PRIMARY KEY, text TEXT NOT NULL, who TEXT NOT NULL, saved_s REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS heartbeat (name TEXT PRIMARY KEY, seen_s REAL NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS channel (
  name TEXT PRIMARY KEY, kind TEXT NOT NULL, sealed BLOB NOT NULL, options TEXT NOT NULL, who TEXT NOT NULL,
  saved_s REAL NOT NULL
) WITHOUT ROWID;

-- One row a notification and channel; written in the transaction that makes the incident fire, so that neither is lost.
CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
  delivery TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, created_s REAL NOT NULL,
  next_s REAL, done_s REAL, claimed_by TEXT NOT NULL DEFAULT '', claimed_until_s REAL, problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (state, next_s);
CREATE INDEX IF NOT EXISTS outbox_channel ON outbox (channel, state, key);
