-- Origins, by the data directory that they run on. Which streams one has are the leases
-- live/STREAM that it owns: they are its own until its place here has run out.
CREATE TABLE origins (
    id           TEXT   NOT NULL PRIMARY KEY,
    -- The process that registered last: only that one writes the row. Empty: another has come
    -- that is alone.
    instance     TEXT   NOT NULL,
    -- Where edges reach it; empty: nobody does.
    url          TEXT   NOT NULL,
    -- It has all live streams: no other is beside it.
    is_alone     BOOLEAN NOT NULL,
    version      TEXT   NOT NULL,
    started_at   BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    -- Until then its streams are its own. 0: it has left.
    lease_until  BIGINT NOT NULL
);

CREATE INDEX origins_heartbeat ON origins (heartbeat_at);

-- Where other edges reach a node that is a shield; empty: it is none.
ALTER TABLE edge_nodes ADD COLUMN shield_url TEXT NOT NULL DEFAULT '';

-- Until now one process had all live streams, by this lease. One that still runs has lost them, and
-- ends.
UPDATE leases SET token = token + 1, expires_at = 0 WHERE name = 'live';
