-- What stays of a stream. A stream that is not recorded keeps its live window only.
ALTER TABLE streams ADD COLUMN recording BOOLEAN NOT NULL DEFAULT FALSE;
-- Microseconds that are kept at any rate, while live and after. NULL: the installation's
-- default.
ALTER TABLE streams ADD COLUMN live_window BIGINT CHECK (live_window > 0);
-- Microseconds that a recording is kept. NULL: for ever.
ALTER TABLE streams ADD COLUMN keep_for BIGINT CHECK (keep_for > 0);
-- Bytes of all renditions together. NULL: no limit.
ALTER TABLE streams ADD COLUMN byte_quota BIGINT CHECK (byte_quota >= 0);
-- Numbers below it are taken although next_segment may not say so: a publisher goes on with
-- them while the database is away.
ALTER TABLE streams ADD COLUMN reserved_to BIGINT NOT NULL DEFAULT 0 CHECK (reserved_to >= 0);
-- The lowest segment number that is kept. Below it objects may be gone. It only grows.
ALTER TABLE streams ADD COLUMN kept_from BIGINT NOT NULL DEFAULT 0 CHECK (kept_from >= 0);

-- When, after its end, the objects of a session were compared with its rows.
ALTER TABLE live_sessions ADD COLUMN settled_at BIGINT;

CREATE INDEX live_sessions_stream ON live_sessions (stream_id, id);
CREATE INDEX epochs_session ON epochs (session_id);
CREATE INDEX live_sessions_unsettled ON live_sessions (ended_at)
    WHERE ended_at IS NOT NULL AND settled_at IS NULL;

CREATE TABLE leases (
    name       TEXT   NOT NULL PRIMARY KEY,
    owner      TEXT   NOT NULL,
    -- Grows with every acquisition: a write with an older one is refused.
    token      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE jobs (
    id               TEXT    NOT NULL PRIMARY KEY,
    queue            TEXT    NOT NULL,
    -- At most one unfinished job of a queue has it.
    unique_key       TEXT,
    payload          BLOB    NOT NULL,
    state            TEXT    NOT NULL
                     CHECK (state IN ('ready', 'running', 'done', 'dead', 'cancelled')),
    -- When a worker may take it: a running job when its worker has been silent for too
    -- long. NULL: never again.
    due_at           BIGINT,
    -- How often it was taken. Also the fencing token of whoever took it last: it only
    -- grows.
    attempts         BIGINT  NOT NULL,
    -- How many attempts failed or fell silent since somebody last asked for the job. An
    -- attempt that a stopping worker gave back is none of them.
    failures         BIGINT  NOT NULL,
    -- With so many failures it is dead.
    max_attempts     BIGINT  NOT NULL CHECK (max_attempts > 0),
    -- Who took it last.
    worker           TEXT,
    -- Parts of 1,000,000.
    progress         BIGINT  NOT NULL CHECK (progress BETWEEN 0 AND 1000000),
    cancel_requested BOOLEAN NOT NULL,
    -- Why the last attempt failed.
    error            TEXT,
    created_at       BIGINT  NOT NULL,
    finished_at      BIGINT,
    CHECK ((state IN ('ready', 'running')) = (due_at IS NOT NULL)),
    CHECK ((state IN ('ready', 'running')) = (finished_at IS NULL))
);

CREATE UNIQUE INDEX jobs_unfinished ON jobs (queue, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('ready', 'running');
CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_state ON jobs (queue, state, id);
CREATE INDEX jobs_finished ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;

-- Events, written in the transaction that they tell of.
CREATE TABLE outbox_events (
    -- Order of writing. Numbers of transactions that did not commit stay unused.
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT   NOT NULL UNIQUE,
    subject    TEXT   NOT NULL,
    -- Events of one key are delivered in order.
    key        TEXT   NOT NULL,
    payload    BLOB   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE outbox_consumers (
    name       TEXT   NOT NULL PRIMARY KEY,
    -- The sequence of the last event that was delivered.
    position   BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Events that a consumer has handled, so that a second delivery changes nothing.
CREATE TABLE consumed_events (
    consumer    TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    consumed_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;

CREATE INDEX consumed_events_age ON consumed_events (consumed_at);
