-- Full text of posts, people and streams: docs/SEARCH.md. All of it is made of other rows by a
-- consumer of the outbox, and can be made again: `nova db copy` leaves it out.
--
-- The words are made by the server, for both engines alike: no configuration of PostgreSQL's is
-- asked. Indexes have no list of pending entries: a search would have to read it.

-- How far an index is. Whoever writes to an index locks its row first.
CREATE TABLE search_indexes (
    name         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Grows with each transaction that changes what the index says.
    version      BIGINT           NOT NULL,
    -- The highest and the lowest position that were given.
    highest      BIGINT           NOT NULL,
    lowest       BIGINT           NOT NULL,
    -- Rows from before the index are read from the newest to the oldest: the last one read.
    caught_up_to UUID,
    is_caught_up BOOLEAN          NOT NULL
);

INSERT INTO search_indexes (name, version, highest, lowest, caught_up_to, is_caught_up)
VALUES ('posts', 0, 0, 1, NULL, FALSE),
       ('users', 0, 0, 1, NULL, FALSE),
       ('streams', 0, 0, 1, NULL, FALSE);

CREATE TABLE search_posts (
    post_id   UUID   NOT NULL PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    -- Pages go from high positions to low ones.
    position  BIGINT NOT NULL UNIQUE,
    -- Of its words: who indexes the same again changes nothing.
    digest    BIGINT NOT NULL,
    -- Of the index, when it was written.
    version   BIGINT NOT NULL,
    -- Also the windows of positions that it is in.
    words     TSVECTOR NOT NULL
);

CREATE INDEX search_posts_words ON search_posts USING gin (words) WITH (fastupdate = off);

CREATE TABLE search_users (
    user_id   UUID   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL UNIQUE,
    digest    BIGINT NOT NULL,
    version   BIGINT NOT NULL,
    words     TSVECTOR NOT NULL
);

CREATE INDEX search_users_words ON search_users USING gin (words) WITH (fastupdate = off);

CREATE TABLE search_streams (
    stream_id UUID   NOT NULL PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL UNIQUE,
    digest    BIGINT NOT NULL,
    version   BIGINT NOT NULL,
    words     TSVECTOR NOT NULL
);

CREATE INDEX search_streams_words ON search_streams USING gin (words) WITH (fastupdate = off);
