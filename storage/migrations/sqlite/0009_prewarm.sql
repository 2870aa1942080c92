-- What edges are to have before anybody asks for it.
CREATE TABLE prewarms (
    id           TEXT   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL CHECK (kind IN ('urls', 'video', 'playlist')),
    -- The video's id, the playlist's path, or paths with a line end between them.
    subject      TEXT   NOT NULL,
    -- How many paths there are; of other kinds 0.
    urls         BIGINT NOT NULL CHECK (urls >= 0),
    -- Segments of each rendition: from the beginning, or the newest of what is live. NULL: all.
    depth        BIGINT CHECK (depth > 0),
    -- Names with commas between them; empty: all.
    renditions   TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    requested_by TEXT   NOT NULL
);

CREATE INDEX prewarms_age ON prewarms (requested_at);

-- Who is to have it, and how far they are. Made with the prewarm: an edge finds its work here.
CREATE TABLE prewarm_nodes (
    prewarm_id TEXT   NOT NULL REFERENCES prewarms (id) ON DELETE CASCADE,
    -- No reference: what a node has not done stays undone when its own row goes.
    node_id    TEXT   NOT NULL,
    state      TEXT   NOT NULL
               CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    -- Objects: those that are known of, those that are there, those that cannot be.
    total      BIGINT NOT NULL CHECK (total >= 0),
    done       BIGINT NOT NULL CHECK (done >= 0),
    failed     BIGINT NOT NULL CHECK (failed >= 0),
    -- Bytes of those that are there.
    bytes      BIGINT NOT NULL CHECK (bytes >= 0),
    -- What failed first, a line each.
    errors     TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (prewarm_id, node_id)
) WITHOUT ROWID;

CREATE INDEX prewarm_nodes_node ON prewarm_nodes (node_id, state);
