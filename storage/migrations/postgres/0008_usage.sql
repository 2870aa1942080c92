-- What an edge served, by the minute.
CREATE TABLE usage_minutes (
    -- When the minute began.
    minute_at       BIGINT NOT NULL,
    -- The edge that served it.
    node            TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL CHECK (kind IN ('stream', 'video', 'other')),
    -- The stream or the video; of others the nil id. No reference: usage stays when they go.
    subject_id      UUID   NOT NULL,
    requests        BIGINT NOT NULL CHECK (requests >= 0),
    hits            BIGINT NOT NULL CHECK (hits >= 0),
    errors          BIGINT NOT NULL CHECK (errors >= 0),
    bytes           BIGINT NOT NULL CHECK (bytes >= 0),
    origin_requests BIGINT NOT NULL CHECK (origin_requests >= 0),
    origin_bytes    BIGINT NOT NULL CHECK (origin_bytes >= 0),
    -- Different sessions in the minute.
    viewers         BIGINT NOT NULL CHECK (viewers >= 0),
    PRIMARY KEY (minute_at, node, kind, subject_id)
);

CREATE INDEX usage_minutes_subject ON usage_minutes (subject_id, minute_at);
