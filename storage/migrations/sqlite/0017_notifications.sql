-- What people are told of: docs/NOTIFICATIONS.md. Made by a consumer of the outbox of what happens
-- to posts, follows, accounts and streams.

-- What happened to somebody, grouped: one row for what several did about one thing. No references:
-- a broadcast adds a row for each follower, and each would lock its user. What is left over is not
-- shown, and swept.
CREATE TABLE notifications (
    -- Pages are in its order: a group has its place for good, and takes no more once it was read.
    id           TEXT   NOT NULL PRIMARY KEY,
    recipient_id TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    -- What it is about: a post, a stream, or a user.
    target_id    TEXT   NOT NULL,
    -- When the group was begun: what comes long after is another.
    window_at    BIGINT NOT NULL,
    -- When what was added last happened.
    changed_at   BIGINT NOT NULL,
    -- One more with each that is added.
    revision     BIGINT NOT NULL CHECK (revision > 0),
    -- NULL: unread.
    read_at      BIGINT
) WITHOUT ROWID;

CREATE INDEX notifications_recipient ON notifications (recipient_id, id);
CREATE INDEX notifications_unread ON notifications (recipient_id, kind, target_id, id)
    WHERE read_at IS NULL;

-- Who did it. Whether it is still so, the rows of likes, follows and posts say.
CREATE TABLE notification_actors (
    notification_id TEXT   NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    at              BIGINT NOT NULL,
    -- The nil id: nobody is named.
    actor_id        TEXT   NOT NULL,
    -- The comment, the quote, the mention; of what one can do but once, what it was done to.
    deed_id         TEXT   NOT NULL,
    PRIMARY KEY (notification_id, at, actor_id, deed_id)
) WITHOUT ROWID;

-- A deed is told once, however often it is undone and done again.
CREATE UNIQUE INDEX notification_actors_deed
    ON notification_actors (actor_id, deed_id, notification_id);

-- A broadcast of which followers are being told, and how far that is.
CREATE TABLE live_fan_outs (
    session_id  TEXT   NOT NULL PRIMARY KEY REFERENCES live_sessions (id) ON DELETE CASCADE,
    -- Who followed by then is told.
    began_at    BIGINT NOT NULL,
    -- The last follower who was, in the order of follows.
    reached_at  BIGINT NOT NULL,
    reached_id  TEXT   NOT NULL,
    finished_at BIGINT
) WITHOUT ROWID;

-- Those that are to be forgotten.
CREATE INDEX live_fan_outs_finished ON live_fan_outs (finished_at)
    WHERE finished_at IS NOT NULL;
