-- Schema 2. Tables that grow are led by time: appends go to one end of the tree, prunes cut the other.
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: processes remember it
    service TEXT NOT NULL DEFAULT '',
    tenant TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    parent TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '',
    seen_s INTEGER NOT NULL DEFAULT 0      -- lower bound of its newest row, raised when hours are folded
);
CREATE UNIQUE INDEX series_identity ON series (name, kind, parent, outcome, service, tenant);

CREATE TABLE gauge (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    seen_s INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX gauge_identity ON gauge (worker, name, service);

CREATE TABLE worker (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- from 1; rows of worker 0 are folded ones
    name TEXT NOT NULL DEFAULT '',
    seq INTEGER NOT NULL DEFAULT 0,        -- the last batch accepted
    seen_s INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX worker_name ON worker (name);

CREATE TABLE event (
    ts INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    service TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ts, worker, seq, n)
) WITHOUT ROWID;

CREATE TABLE tier (
    name TEXT NOT NULL PRIMARY KEY,
    step_s INTEGER NOT NULL DEFAULT 0,
    floor_s INTEGER NOT NULL DEFAULT 0,    -- complete from here
    mark_s INTEGER NOT NULL DEFAULT 0,     -- complete up to here (finest tiers: always)
    n_rows INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE house (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL DEFAULT '',
    taken_s REAL NOT NULL DEFAULT 0,
    until_s REAL NOT NULL DEFAULT 0
);

CREATE TABLE late (
    tier TEXT NOT NULL,
    ts INTEGER NOT NULL,
    packs INTEGER NOT NULL DEFAULT 0,      -- rows that this interval got beside the folded ones
    PRIMARY KEY (tier, ts)
) WITHOUT ROWID;
CREATE INDEX late_many ON late (tier, ts) WHERE packs > 8;
