-- Schema 4. Tables that grow are led by time: appends go to one end of the tree, prunes cut the other.
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
CREATE INDEX series_of_kind ON series (kind, parent, service, outcome, tenant);  -- names may be statements of 4 kB

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

CREATE TABLE trace (
    ts INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    series INTEGER NOT NULL DEFAULT 0,     -- what the request was; its parent is ''
    reason TEXT NOT NULL DEFAULT '',
    duration_ns INTEGER NOT NULL DEFAULT 0,
    start_ns INTEGER NOT NULL DEFAULT 0,
    trace_id BLOB NOT NULL DEFAULT x'',    -- hex digits as bytes; anything else as text
    span_id BLOB NOT NULL DEFAULT x'',
    parent_id BLOB NOT NULL DEFAULT x'',
    host TEXT NOT NULL DEFAULT '',         -- the worker where it is not the one that wrote it
    nbytes INTEGER NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1,
    fingerprint BLOB NOT NULL DEFAULT x'',
    spans INTEGER NOT NULL DEFAULT 0,
    left_out INTEGER NOT NULL DEFAULT 0,
    body INTEGER NOT NULL DEFAULT 0,       -- of trace_body; 0: none
    PRIMARY KEY (ts, worker, seq, n)
) WITHOUT ROWID;
CREATE INDEX trace_parts ON trace (trace_id);
CREATE INDEX trace_of_series ON trace (series, reason, ts, duration_ns);
CREATE INDEX trace_of_reason ON trace (reason, ts, duration_ns);
CREATE INDEX trace_of_day ON trace (ts / 86400, duration_ns, ts);

CREATE TABLE trace_body (                  -- with rowid: such a row may fill its page, the others at most a quarter
    id INTEGER PRIMARY KEY,
    spans BLOB NOT NULL DEFAULT x''
);

CREATE TABLE failure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL DEFAULT '',
    route TEXT NOT NULL DEFAULT '',
    service TEXT NOT NULL DEFAULT '',
    seen_s INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX failure_identity ON failure (fingerprint, route, service);

CREATE TABLE error (
    ts INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    failure INTEGER NOT NULL DEFAULT 0,
    type TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    line TEXT NOT NULL DEFAULT '',
    stack INTEGER NOT NULL DEFAULT 0,
    trace_id BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (ts, worker, seq, n)
) WITHOUT ROWID;
CREATE INDEX error_of_failure ON error (failure, ts);

CREATE TABLE report (                      -- the newest of each worker, kind and name: replaced, not appended
    worker INTEGER NOT NULL,
    kind TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    ts INTEGER NOT NULL,
    service TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',         -- the worker where it is not the one that wrote it
    body TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (worker, kind, name)
);                                         -- with rowid: bodies are long
CREATE UNIQUE INDEX report_of_time ON report (ts, worker, kind, name);

CREATE TABLE source (                      -- what stacks are sampled of
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL DEFAULT '',
    mode TEXT NOT NULL DEFAULT '',
    route TEXT NOT NULL DEFAULT '',
    seen_s INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX source_identity ON source (route, mode, service);

CREATE TABLE frame (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX frame_text ON frame (text);

CREATE TABLE stack (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL DEFAULT x'',
    frames BLOB NOT NULL DEFAULT x'',      -- see frames.py
    seen_s INTEGER NOT NULL DEFAULT 0,     -- lower bound of its newest row, raised when hours are folded
    days_s INTEGER NOT NULL DEFAULT 0      -- the newest day that has it
);
CREATE UNIQUE INDEX stack_digest ON stack (digest);
