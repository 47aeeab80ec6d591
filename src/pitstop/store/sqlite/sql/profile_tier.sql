CREATE TABLE {name} (
    ts INTEGER NOT NULL,
    source INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,       -- how many stacks
    stacks BLOB NOT NULL DEFAULT x'',   -- see profiles.py
    PRIMARY KEY ({key})
);  -- with rowid: packs of 1 to 4 kB stay in one page, else a fourth of each would and the rest take one of its own
