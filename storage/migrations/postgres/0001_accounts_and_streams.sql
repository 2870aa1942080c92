-- Ids are UUIDv7, so that their order is the order of their making. Times are
-- microseconds since 1970-01-01T00:00:00Z. Text has the order of its bytes.

CREATE TABLE users (
    id            UUID    NOT NULL PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL,
    email         TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    is_admin      BOOLEAN NOT NULL,
    created_at    BIGINT  NOT NULL
);

-- Names and addresses are ASCII: lower() folds them the same on every engine.
CREATE UNIQUE INDEX users_name ON users (lower(name));
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE streams (
    id           UUID   NOT NULL PRIMARY KEY,
    owner_id     UUID   NOT NULL REFERENCES users (id),
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    takeover     TEXT COLLATE "C" NOT NULL CHECK (takeover IN ('takeover', 'reject')),
    -- The lowest numbers that nobody has used. They only grow.
    next_epoch   BIGINT NOT NULL DEFAULT 0 CHECK (next_epoch >= 0),
    next_segment BIGINT NOT NULL DEFAULT 0 CHECK (next_segment >= 0),
    -- Media time at the end of the stream's last segment. It only grows.
    media_end    BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL
);

CREATE INDEX streams_owner ON streams (owner_id);

CREATE TABLE stream_keys (
    id         UUID   NOT NULL PRIMARY KEY,
    stream_id  UUID   NOT NULL REFERENCES streams (id),
    -- SHA-256 of the key; the key itself is stored nowhere.
    key_hash   BYTEA  NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX stream_keys_stream ON stream_keys (stream_id);

CREATE TABLE live_sessions (
    id                UUID   NOT NULL PRIMARY KEY,
    stream_id         UUID   NOT NULL REFERENCES streams (id),
    started_at        BIGINT NOT NULL,
    publisher_left_at BIGINT,
    ended_at          BIGINT
);

CREATE UNIQUE INDEX live_sessions_open ON live_sessions (stream_id) WHERE ended_at IS NULL;

CREATE TABLE epochs (
    stream_id       UUID   NOT NULL REFERENCES streams (id),
    number          BIGINT NOT NULL CHECK (number >= 0),
    session_id      UUID   NOT NULL REFERENCES live_sessions (id),
    first_segment   BIGINT NOT NULL,
    started_at      BIGINT NOT NULL,
    -- Whole seconds, as in EXT-X-TARGETDURATION.
    target_duration BIGINT NOT NULL,
    PRIMARY KEY (stream_id, number)
);

CREATE TABLE renditions (
    stream_id         UUID   NOT NULL,
    epoch             BIGINT NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    kind              TEXT COLLATE "C" NOT NULL CHECK (kind IN ('video', 'audio')),
    codecs            TEXT COLLATE "C" NOT NULL,
    codec_config      BYTEA  NOT NULL,
    width             BIGINT,
    height            BIGINT,
    sample_rate       BIGINT,
    channels          BIGINT,
    bit_rate          BIGINT NOT NULL,
    frame_duration_us BIGINT NOT NULL,
    PRIMARY KEY (stream_id, epoch, name),
    FOREIGN KEY (stream_id, epoch) REFERENCES epochs (stream_id, number) ON DELETE CASCADE
);

-- The number comes before the rendition in the key: a window and an expiry are ranges
-- of numbers over all renditions.
CREATE TABLE segments (
    stream_id UUID   NOT NULL,
    number    BIGINT NOT NULL CHECK (number >= 0),
    rendition TEXT COLLATE "C" NOT NULL,
    epoch     BIGINT NOT NULL,
    start     BIGINT NOT NULL,
    duration  BIGINT NOT NULL,
    -- Bytes; 0 is a gap.
    size      BIGINT NOT NULL CHECK (size >= 0),
    PRIMARY KEY (stream_id, number, rendition),
    FOREIGN KEY (stream_id, epoch, rendition) REFERENCES renditions (stream_id, epoch, name)
);

-- What the foreign key looks for when an epoch is deleted.
CREATE INDEX segments_epoch ON segments (stream_id, epoch, rendition);
