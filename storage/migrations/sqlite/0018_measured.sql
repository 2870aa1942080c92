-- What is measured of streams, and who watches them: docs/STREAMS.md.

-- What the process that has a live stream measures of it, written every few seconds. No references:
-- it goes with the end of the broadcast; what a crash leaves is told by its age, and swept.
CREATE TABLE stream_status (
    stream_id   TEXT   NOT NULL PRIMARY KEY,
    session_id  TEXT   NOT NULL,
    -- The origin that measured.
    node_id     TEXT   NOT NULL,
    measured_at BIGINT NOT NULL,
    -- Who watches.
    viewers     BIGINT NOT NULL CHECK (viewers >= 0),
    -- Viewer sessions, which are among them.
    sessions    BIGINT NOT NULL CHECK (sessions >= 0),
    -- All else, as JSON.
    measured    TEXT   NOT NULL
) WITHOUT ROWID;

CREATE INDEX stream_status_age ON stream_status (measured_at);

-- Somebody who watches, and says so now and then. No reference: whoever joins locks nothing.
CREATE TABLE viewer_sessions (
    id        TEXT   NOT NULL PRIMARY KEY,
    stream_id TEXT   NOT NULL,
    -- The last heartbeat.
    seen_at   BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX viewer_sessions_stream ON viewer_sessions (stream_id, seen_at);
CREATE INDEX viewer_sessions_age ON viewer_sessions (seen_at);

-- Who watched a stream in a minute in which it was live. No reference: it is swept by its age.
CREATE TABLE viewer_minutes (
    stream_id TEXT   NOT NULL,
    -- When the minute began.
    minute_at BIGINT NOT NULL,
    -- The most at once.
    viewers   BIGINT NOT NULL CHECK (viewers >= 0),
    -- How long all of them watched.
    watched   BIGINT NOT NULL CHECK (watched >= 0),
    PRIMARY KEY (stream_id, minute_at)
) WITHOUT ROWID;

CREATE INDEX viewer_minutes_age ON viewer_minutes (minute_at);
