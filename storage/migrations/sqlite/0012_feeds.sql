-- Home feeds, counts of posts and trends: docs/FEED.md. All of it is derived from posts, follows
-- and likes, and can be made again.

-- A post in the home feed of somebody who follows its author. No references: a post adds
-- thousands of rows, and each would lock its user. What is left over is not shown, and swept.
CREATE TABLE feed_entries (
    user_id TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (user_id, post_id)
) WITHOUT ROWID;

-- How far back a home feed goes: this post is below it. Raised before entries are deleted.
CREATE TABLE feed_floors (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    post_id TEXT NOT NULL
) WITHOUT ROWID;

-- Authors whom so many follow that their posts are read from `posts`, not from entries.
CREATE TABLE pulled_authors (
    user_id  TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Since when their new posts become entries again. NULL: they do not.
    ended_at BIGINT
) WITHOUT ROWID;

CREATE INDEX pulled_authors_ended ON pulled_authors (ended_at) WHERE ended_at IS NOT NULL;

-- How far what was there before the consumer of the outbox has been taken in.
CREATE TABLE feed_catch_ups (
    name        TEXT   NOT NULL PRIMARY KEY,
    -- The last post that was.
    post_id     TEXT   NOT NULL,
    finished_at BIGINT
) WITHOUT ROWID;

-- No row: nothing of it is there.
CREATE TABLE post_counts (
    post_id   TEXT   NOT NULL PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    likes     BIGINT NOT NULL CHECK (likes >= 0),
    -- Direct answers.
    comments  BIGINT NOT NULL CHECK (comments >= 0),
    shares    BIGINT NOT NULL CHECK (shares >= 0),
    quotes    BIGINT NOT NULL CHECK (quotes >= 0),
    -- When something of it last changed; 0: it cannot trend.
    active_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX post_counts_active ON post_counts (active_at, post_id);

-- Posts of which much is counted: they are counted now and then, not with every event.
CREATE TABLE counts_due (
    post_id TEXT NOT NULL PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE
);

-- One computation of all trends. The newest is shown, those before it to who reads on.
CREATE TABLE trend_generations (
    number      BIGINT NOT NULL PRIMARY KEY CHECK (number >= 0),
    computed_at BIGINT NOT NULL
);

CREATE TABLE trends (
    generation BIGINT NOT NULL REFERENCES trend_generations (number) ON DELETE CASCADE,
    kind       TEXT   NOT NULL CHECK (kind IN ('post', 'hashtag', 'stream')),
    -- From 0 on, the highest score first.
    rank       BIGINT NOT NULL CHECK (rank >= 0),
    -- A post or a stream. No reference: whoever reads finds that it is gone.
    subject_id TEXT,
    hashtag    TEXT,
    -- In millionths.
    score      BIGINT NOT NULL,
    -- Posts with the hashtag.
    posts      BIGINT NOT NULL CHECK (posts >= 0),
    PRIMARY KEY (generation, kind, rank),
    CHECK ((kind = 'hashtag') = (hashtag IS NOT NULL)),
    CHECK ((hashtag IS NULL) = (subject_id IS NOT NULL))
) WITHOUT ROWID;

-- What discover reads.
CREATE INDEX posts_discover ON posts (id)
    WHERE parent_id IS NULL AND share_of_id IS NULL AND visibility = 'public'
        AND deleted_at IS NULL;
