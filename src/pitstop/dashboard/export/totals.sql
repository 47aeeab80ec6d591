-- What was counted of each series up to `until_s`, and nothing after it. Beside the store: pitstop.totals.db, mode 0600.
CREATE TABLE IF NOT EXISTS total (
  service TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, parent TEXT NOT NULL,
  outcome TEXT NOT NULL, seen_s INTEGER NOT NULL, count INTEGER NOT NULL, sum_ns INTEGER NOT NULL,
  nbytes INTEGER NOT NULL, hist BLOB NOT NULL,
  PRIMARY KEY (service, tenant, kind, name, parent, outcome)
) WITHOUT ROWID;

-- `change` grows with every transaction, so that other processes see that they have to read again.
CREATE TABLE IF NOT EXISTS mark (id INTEGER PRIMARY KEY CHECK (id = 1), until_s INTEGER NOT NULL, change INTEGER NOT NULL);
INSERT OR IGNORE INTO mark VALUES (1, 0, 0);

-- Who sends to a remote-write receiver, so that two dashboards do not both.
CREATE TABLE IF NOT EXISTS sender (id INTEGER PRIMARY KEY CHECK (id = 1), holder TEXT NOT NULL, until_s REAL NOT NULL);
