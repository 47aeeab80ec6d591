CREATE TABLE {name} (
    ts INTEGER NOT NULL,
    series INTEGER NOT NULL,            -- the first one
    worker INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    last INTEGER NOT NULL DEFAULT 0,    -- the last series
    kind TEXT NOT NULL DEFAULT '',      -- of all of them
    n INTEGER NOT NULL DEFAULT 0,       -- how many
    numbers BLOB NOT NULL DEFAULT x'',  -- see packs.py
    hists BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY ({key})
);  -- with rowid: else such rows stand in the inner pages of the tree, too, four to a page, and it is eight deep
CREATE INDEX {name}_of_kind ON {name} (kind, ts, series, last);  -- steps over a route's many statements unread
