-- Numbers that only grow, each in a row that is locked while one is drawn, so that they become
-- visible in their order: of the last purge (purge), of the last purge whose row was deleted
-- (purge_floor), of the last change of assets (configuration). Without a row: 0.
CREATE TABLE edge_counters (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL CHECK (value >= 0)
);

-- Caches, by the data directory that they run on.
CREATE TABLE edge_nodes (
    id                  UUID   NOT NULL PRIMARY KEY,
    -- The process that registered last: only that one writes the row.
    instance            TEXT COLLATE "C" NOT NULL,
    -- Roles, joined by commas.
    roles               TEXT COLLATE "C" NOT NULL,
    -- What its URLs begin with; empty: not known.
    url                 TEXT COLLATE "C" NOT NULL,
    -- Where it is, as the operator calls it; empty: not told.
    region              TEXT COLLATE "C" NOT NULL,
    version             TEXT COLLATE "C" NOT NULL,
    started_at          BIGINT NOT NULL,
    heartbeat_at        BIGINT NOT NULL,
    -- Until then a purge waits for it.
    lease_until         BIGINT NOT NULL,
    connections         BIGINT NOT NULL CHECK (connections >= 0),
    requests            BIGINT NOT NULL CHECK (requests >= 0),
    requests_per_second BIGINT NOT NULL CHECK (requests_per_second >= 0),
    memory_bytes        BIGINT NOT NULL CHECK (memory_bytes >= 0),
    -- What is wrong with it; empty: nothing.
    health              TEXT COLLATE "C" NOT NULL,
    -- The configuration that it has read.
    configuration       BIGINT NOT NULL CHECK (configuration >= 0),
    -- It fills from other nodes: these obey purges first.
    has_shields         BOOLEAN NOT NULL,
    -- It gives nothing that a purge up to this position selects.
    purge_position      BIGINT NOT NULL CHECK (purge_position >= 0)
);

CREATE INDEX edge_nodes_heartbeat ON edge_nodes (heartbeat_at);

-- What must not be served any more.
CREATE TABLE purges (
    id           UUID   NOT NULL PRIMARY KEY,
    -- The order in which they are obeyed. Never given twice.
    position     BIGINT NOT NULL UNIQUE CHECK (position > 0),
    kind         TEXT COLLATE "C" NOT NULL
                 CHECK (kind IN ('url', 'prefix', 'pattern', 'tag', 'everything')),
    subject      TEXT COLLATE "C" NOT NULL,
    -- What it selects is stale, not gone.
    is_soft      BOOLEAN NOT NULL,
    requested_at BIGINT NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    -- When it was found to have left every node with a live lease. NULL: not yet.
    completed_at BIGINT
);

CREATE INDEX purges_age ON purges (requested_at);

CREATE TABLE purge_acknowledgements (
    purge_id        UUID   NOT NULL REFERENCES purges (id) ON DELETE CASCADE,
    node_id         UUID   NOT NULL REFERENCES edge_nodes (id) ON DELETE CASCADE,
    acknowledged_at BIGINT NOT NULL,
    PRIMARY KEY (purge_id, node_id)
);

CREATE INDEX purge_acknowledgements_node ON purge_acknowledgements (node_id);

-- What an operator has registered to be cached.
CREATE TABLE edge_assets (
    id          UUID   NOT NULL PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL UNIQUE,
    -- All paths that begin with it.
    path_prefix TEXT COLLATE "C" NOT NULL UNIQUE,
    kind        TEXT COLLATE "C" NOT NULL CHECK (kind IN ('live', 'vod', 'other')),
    -- What is asked for it; empty: the origin of the installation.
    origin      TEXT COLLATE "C" NOT NULL,
    access      TEXT COLLATE "C" NOT NULL CHECK (access IN ('public', 'signed')),
    -- Joined by commas. A purge of one selects all of the asset's paths.
    tags        TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
