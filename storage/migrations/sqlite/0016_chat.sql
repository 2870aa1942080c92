-- Live chat: docs/CHAT.md.

-- How the chat of a stream is run. No row: as by default, and nothing was said in it.
CREATE TABLE chat_rooms (
    stream_id      TEXT    NOT NULL PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,
    -- The number of the last event of the room. Raised in the transaction of what it counts, so
    -- that who sees a number sees all before it.
    last_event     BIGINT  NOT NULL DEFAULT 0 CHECK (last_event >= 0),
    -- Between two messages of one person; 0: none has to be.
    slow_mode      BIGINT  NOT NULL DEFAULT 0 CHECK (slow_mode >= 0),
    followers_only BOOLEAN NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

CREATE TABLE chat_messages (
    id          TEXT   NOT NULL PRIMARY KEY,
    stream_id   TEXT   NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    -- The event that it was said by: its place in the room.
    sequence    BIGINT NOT NULL CHECK (sequence > 0),
    -- The last event about it: the same, or the one that it was deleted by.
    last_event  BIGINT NOT NULL CHECK (last_event >= sequence),
    author_id   TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    reply_to_id TEXT   REFERENCES chat_messages (id) ON DELETE SET NULL,
    -- Plain text.
    body        TEXT   NOT NULL,
    -- What its author saw when they said it: media time, which is Unix time.
    media_at    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- Its author, or a moderator.
    deleted_at  BIGINT,
    -- What its author's program calls it: said again under the same key, it is not said again.
    client_key  TEXT,
    CHECK (deleted_at IS NULL OR body = '')
);

CREATE UNIQUE INDEX chat_messages_sequence ON chat_messages (stream_id, sequence);
CREATE UNIQUE INDEX chat_messages_event ON chat_messages (stream_id, last_event);
CREATE INDEX chat_messages_media ON chat_messages (stream_id, media_at, sequence);
CREATE INDEX chat_messages_author ON chat_messages (author_id, stream_id, sequence);
CREATE UNIQUE INDEX chat_messages_key ON chat_messages (author_id, stream_id, client_key)
    WHERE client_key IS NOT NULL;
CREATE INDEX chat_messages_reply ON chat_messages (reply_to_id) WHERE reply_to_id IS NOT NULL;
CREATE INDEX chat_messages_age ON chat_messages (created_at);

-- Who says nothing in a room for a while, or any more.
CREATE TABLE chat_sanctions (
    stream_id  TEXT   NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- NULL: a ban.
    until_at   BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (stream_id, user_id)
) WITHOUT ROWID;

CREATE INDEX chat_sanctions_user ON chat_sanctions (user_id);
CREATE INDEX chat_sanctions_expiry ON chat_sanctions (until_at) WHERE until_at IS NOT NULL;
