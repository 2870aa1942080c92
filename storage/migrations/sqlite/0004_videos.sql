-- Something to play that is not live: the recording of a broadcast, whose segments are the
-- stream's own, or an imported file, which has segments of its own.
CREATE TABLE videos (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner_id        TEXT   NOT NULL REFERENCES users (id),
    -- The broadcast that it is the recording of. NULL: imported.
    live_session_id TEXT   UNIQUE REFERENCES live_sessions (id),
    title           TEXT   NOT NULL,
    state           TEXT   NOT NULL
                    CHECK (state IN ('transcoding', 'ready', 'failed', 'cancelled')),
    -- Why it failed.
    error           TEXT,
    -- Bytes of the imported file. NULL: a recording.
    original_size   BIGINT CHECK (original_size >= 0),
    -- What was found in the file and where it is cut, as JSON. NULL: not looked at yet, or a
    -- recording.
    plan            BLOB,
    -- Microseconds. NULL: not known yet, or a recording: what is kept of it gets less.
    duration        BIGINT CHECK (duration >= 0),
    -- Segments of all renditions that the plan makes.
    segments_planned BIGINT CHECK (segments_planned >= 0),
    created_at      BIGINT NOT NULL,
    -- When it could be played first. NULL: not yet.
    ready_at        BIGINT,
    CHECK ((live_session_id IS NULL) = (original_size IS NOT NULL))
);

CREATE INDEX videos_owner ON videos (owner_id);
CREATE INDEX videos_cancelled ON videos (id) WHERE state = 'cancelled';

-- A stretch of an imported file that one worker transcodes. They go with their video: they
-- name no object.
CREATE TABLE video_chunks (
    video_id      TEXT   NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    number        BIGINT NOT NULL CHECK (number >= 0),
    first_segment BIGINT NOT NULL CHECK (first_segment >= 0),
    segments      BIGINT NOT NULL CHECK (segments > 0),
    -- NULL: to do.
    finished_at   BIGINT,
    PRIMARY KEY (video_id, number)
) WITHOUT ROWID;

CREATE TABLE video_renditions (
    video_id          TEXT   NOT NULL REFERENCES videos (id),
    name              TEXT   NOT NULL,
    kind              TEXT   NOT NULL CHECK (kind IN ('video', 'audio')),
    codecs            TEXT   NOT NULL,
    codec_config      BLOB   NOT NULL,
    width             BIGINT,
    height            BIGINT,
    sample_rate       BIGINT,
    channels          BIGINT,
    bit_rate          BIGINT NOT NULL,
    frame_duration_us BIGINT NOT NULL,
    PRIMARY KEY (video_id, name)
) WITHOUT ROWID;

CREATE TABLE video_segments (
    video_id  TEXT   NOT NULL,
    number    BIGINT NOT NULL CHECK (number >= 0),
    rendition TEXT   NOT NULL,
    start     BIGINT NOT NULL,
    duration  BIGINT NOT NULL,
    -- Bytes; 0 is a gap.
    size      BIGINT NOT NULL CHECK (size >= 0),
    PRIMARY KEY (video_id, number, rendition),
    FOREIGN KEY (video_id, rendition) REFERENCES video_renditions (video_id, name)
) WITHOUT ROWID;

-- What the foreign key looks for when a rendition is deleted.
CREATE INDEX video_segments_rendition ON video_segments (video_id, rendition);
