-- Full text of posts, people and streams: docs/SEARCH.md. All of it is made of other rows by a
-- consumer of the outbox, and can be made again: `nova db copy` leaves it out.
--
-- The words are made by the server, for both engines alike: one after the other, between spaces.
-- The tokenizer takes every other character for a part of a word.

-- How far an index is. Whoever writes to an index locks its row first.
CREATE TABLE search_indexes (
    name         TEXT             NOT NULL PRIMARY KEY,
    -- Grows with each transaction that changes what the index says.
    version      BIGINT           NOT NULL,
    -- The highest and the lowest position that were given.
    highest      BIGINT           NOT NULL,
    lowest       BIGINT           NOT NULL,
    -- Rows from before the index are read from the newest to the oldest: the last one read.
    caught_up_to TEXT,
    is_caught_up BOOLEAN          NOT NULL
);

INSERT INTO search_indexes (name, version, highest, lowest, caught_up_to, is_caught_up)
VALUES ('posts', 0, 0, 1, NULL, FALSE),
       ('users', 0, 0, 1, NULL, FALSE),
       ('streams', 0, 0, 1, NULL, FALSE);

CREATE TABLE search_posts (
    post_id   TEXT   NOT NULL PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    -- Pages go from high positions to low ones.
    position  BIGINT NOT NULL UNIQUE,
    -- Of its words: who indexes the same again changes nothing.
    digest    BIGINT NOT NULL,
    -- Of the index, when it was written.
    version   BIGINT NOT NULL
);

CREATE VIRTUAL TABLE search_post_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "ascii tokenchars '^#@_-'"
);

CREATE TRIGGER search_posts_deleted AFTER DELETE ON search_posts BEGIN
    DELETE FROM search_post_words WHERE rowid = OLD.position;
END;

CREATE TABLE search_users (
    user_id   TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL UNIQUE,
    digest    BIGINT NOT NULL,
    version   BIGINT NOT NULL
);

CREATE VIRTUAL TABLE search_user_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "ascii tokenchars '^#@_-'"
);

CREATE TRIGGER search_users_deleted AFTER DELETE ON search_users BEGIN
    DELETE FROM search_user_words WHERE rowid = OLD.position;
END;

CREATE TABLE search_streams (
    stream_id TEXT   NOT NULL PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL UNIQUE,
    digest    BIGINT NOT NULL,
    version   BIGINT NOT NULL
);

CREATE VIRTUAL TABLE search_stream_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = none,
    tokenize = "ascii tokenchars '^#@_-'"
);

CREATE TRIGGER search_streams_deleted AFTER DELETE ON search_streams BEGIN
    DELETE FROM search_stream_words WHERE rowid = OLD.position;
END;
