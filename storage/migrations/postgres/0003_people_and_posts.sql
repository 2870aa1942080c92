-- Accounts, people and posts: docs/DATA_MODEL.md. Times are microseconds since
-- 1970-01-01T00:00:00Z. Ids are UUIDv7: their order is the order of their making, and an
-- index that pages are read from ends in one.
--
-- A reference without ON DELETE stops the deletion of what it names: the referring row
-- goes first, because it names an object or is part of a thread.

-- Empty: the name is shown.
ALTER TABLE users ADD COLUMN display_name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN bio TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Key of an object of its own, which is never written twice. NULL: no picture.
ALTER TABLE users ADD COLUMN avatar_key TEXT COLLATE "C";
ALTER TABLE users ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'user'
    CHECK (role IN ('user', 'moderator', 'admin'));
-- Whether following is asked for, and posts are for followers only.
ALTER TABLE users ADD COLUMN is_private BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;
ALTER TABLE users ADD COLUMN suspended_at BIGINT;
-- From here on nobody sees the account; a job erases what is left of it, its row last.
ALTER TABLE users ADD COLUMN deleted_at BIGINT;

-- `role` replaces `is_admin`: one column says what a user may do.
UPDATE users SET role = 'admin' WHERE is_admin;
ALTER TABLE users DROP COLUMN is_admin;

CREATE TABLE profile_links (
    user_id  UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    position BIGINT           NOT NULL CHECK (position >= 0),
    label    TEXT COLLATE "C" NOT NULL,
    url      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, position)
);

-- One login on one device: the family of its refresh tokens. Access tokens name it.
CREATE TABLE login_sessions (
    id           UUID             NOT NULL PRIMARY KEY,
    user_id      UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As the client last gave them, for the owner's list.
    user_agent   TEXT COLLATE "C" NOT NULL,
    address      TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL,
    refreshed_at BIGINT           NOT NULL,
    -- Moved on by each refresh.
    expires_at   BIGINT           NOT NULL,
    -- Logout, a new password, a suspension, theft.
    ended_at     BIGINT
);

CREATE INDEX login_sessions_user ON login_sessions (user_id, id);
CREATE INDEX login_sessions_expiry ON login_sessions (expires_at);
-- A node that starts asks for those whose access tokens may still be about.
CREATE INDEX login_sessions_ended ON login_sessions (ended_at, id)
    WHERE ended_at IS NOT NULL;

-- A token lives as long as its session. A used one whose later generations are all unused
-- means a lost reply; one of them used means theft, and ends the session.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash BYTEA  NOT NULL PRIMARY KEY,
    session_id UUID   NOT NULL REFERENCES login_sessions (id) ON DELETE CASCADE,
    -- 0 at login, then one more than the token that was given for it.
    generation BIGINT NOT NULL CHECK (generation >= 0),
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    -- When another of its generation took its place.
    revoked_at BIGINT
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id, generation);

CREATE TABLE api_tokens (
    id           UUID             NOT NULL PRIMARY KEY,
    user_id      UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of the token.
    token_hash   BYTEA            NOT NULL UNIQUE,
    -- Separated by spaces (RFC 6749 3.3).
    scopes       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL,
    -- NULL: it does not expire.
    expires_at   BIGINT,
    -- NULL: never. Not written at every use.
    last_used_at BIGINT,
    revoked_at   BIGINT
);

CREATE INDEX api_tokens_user ON api_tokens (user_id, id);

-- What a mail's link proves. The row goes when the link is used: it works once. One of
-- each purpose for a user, the newest.
CREATE TABLE email_tokens (
    -- SHA-256 of the token.
    token_hash BYTEA            NOT NULL PRIMARY KEY,
    user_id    UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('verify', 'change', 'reset')),
    -- The address the mail went to: for a change, the new one.
    email      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    expires_at BIGINT           NOT NULL,
    UNIQUE (user_id, purpose)
);

CREATE INDEX email_tokens_expiry ON email_tokens (expires_at);

-- An answer, kept for whoever asks again under the same key. Written in the transaction
-- that does the work, as its last row: who comes second fails here and has done nothing.
CREATE TABLE idempotency_keys (
    user_id      UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key          TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of what was asked: another request under the same key is refused.
    request_hash BYTEA            NOT NULL,
    -- HTTP status.
    status       BIGINT           NOT NULL,
    response     BYTEA            NOT NULL,
    created_at   BIGINT           NOT NULL,
    expires_at   BIGINT           NOT NULL,
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Only what differs from the defaults.
CREATE TABLE preferences (
    user_id UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name    TEXT COLLATE "C" NOT NULL,
    value   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, name)
);

CREATE TABLE follows (
    follower_id UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    followed_id UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    -- NULL: requested. Who is not private accepts at once.
    accepted_at BIGINT,
    PRIMARY KEY (follower_id, followed_id),
    CHECK (follower_id <> followed_id)
);

CREATE INDEX follows_following ON follows (follower_id, accepted_at, followed_id);
CREATE INDEX follows_followers ON follows (followed_id, accepted_at, follower_id);
CREATE INDEX follows_requests ON follows (followed_id, created_at, follower_id)
    WHERE accepted_at IS NULL;

CREATE TABLE blocks (
    blocker_id UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked_id UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id),
    CHECK (blocker_id <> blocked_id)
);

-- A block works both ways: a page asks from either side.
CREATE INDEX blocks_blocked ON blocks (blocked_id, blocker_id);

CREATE TABLE mutes (
    muter_id   UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    muted_id   UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (muter_id, muted_id),
    CHECK (muter_id <> muted_id)
);

CREATE INDEX mutes_muted ON mutes (muted_id, muter_id);

-- A post, a comment (it has a parent), a share (it has no text of its own) or a quote.
-- What people write is one table: it is read, liked, hidden and deleted in one way.
CREATE TABLE posts (
    id              UUID             NOT NULL PRIMARY KEY,
    -- NULL: the author's account is gone. Only a deleted post can be left without one.
    author_id       UUID             REFERENCES users (id) ON DELETE SET NULL,
    -- What a comment answers, and the post at the top of its thread.
    parent_id       UUID             REFERENCES posts (id),
    root_id         UUID             REFERENCES posts (id),
    share_of_id     UUID             REFERENCES posts (id),
    quote_of_id     UUID             REFERENCES posts (id),
    -- A stream that the post shows.
    stream_id       UUID             REFERENCES streams (id) ON DELETE SET NULL,
    -- The live session whose beginning made this post: one session, one post.
    live_session_id UUID             UNIQUE REFERENCES live_sessions (id) ON DELETE SET NULL,
    -- A comment has its root's.
    visibility      TEXT COLLATE "C" NOT NULL CHECK (visibility IN ('public', 'followers')),
    -- Plain text as it was written; nothing when deleted.
    body            TEXT COLLATE "C" NOT NULL,
    -- How often it has been edited.
    revision        BIGINT           NOT NULL DEFAULT 0 CHECK (revision >= 0),
    created_at      BIGINT           NOT NULL,
    edited_at       BIGINT,
    deleted_at      BIGINT,
    CHECK ((parent_id IS NULL) = (root_id IS NULL)),
    CHECK (share_of_id IS NULL
        OR (parent_id IS NULL AND quote_of_id IS NULL AND stream_id IS NULL AND body = '')),
    CHECK ((revision = 0) = (edited_at IS NULL)),
    CHECK (deleted_at IS NULL OR body = ''),
    CHECK (author_id IS NOT NULL OR deleted_at IS NOT NULL)
);

CREATE INDEX posts_author ON posts (author_id, id);
-- Feeds and profiles leave comments out.
CREATE INDEX posts_author_roots ON posts (author_id, id) WHERE parent_id IS NULL;
CREATE INDEX posts_parent ON posts (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX posts_root ON posts (root_id, id) WHERE root_id IS NOT NULL;
CREATE UNIQUE INDEX posts_share ON posts (share_of_id, author_id)
    WHERE share_of_id IS NOT NULL;
CREATE INDEX posts_quote ON posts (quote_of_id, id) WHERE quote_of_id IS NOT NULL;
CREATE INDEX posts_stream ON posts (stream_id, id) WHERE stream_id IS NOT NULL;
-- What the sweeper goes through.
CREATE INDEX posts_deleted ON posts (id) WHERE deleted_at IS NOT NULL;

-- What a post said before: revision n until edit n + 1.
CREATE TABLE post_revisions (
    post_id    UUID             NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    number     BIGINT           NOT NULL CHECK (number >= 0),
    body       TEXT COLLATE "C" NOT NULL,
    -- When it was written.
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (post_id, number)
);

CREATE TABLE post_mentions (
    post_id UUID NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (post_id, user_id)
);

CREATE INDEX post_mentions_user ON post_mentions (user_id, post_id);

CREATE TABLE post_hashtags (
    -- Without '#', folded: upper and lower case are the same tag.
    hashtag TEXT COLLATE "C" NOT NULL,
    post_id UUID             NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    PRIMARY KEY (hashtag, post_id)
);

CREATE INDEX post_hashtags_post ON post_hashtags (post_id, hashtag);

CREATE TABLE likes (
    post_id    UUID   NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id    UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (post_id, user_id)
);

CREATE INDEX likes_user ON likes (user_id, created_at, post_id);

-- Its objects are named after its id. The sweeper deletes what hangs on no post for long.
CREATE TABLE images (
    id          UUID             NOT NULL PRIMARY KEY,
    owner_id    UUID             NOT NULL REFERENCES users (id),
    -- NULL: uploaded, and not posted yet or no longer.
    post_id     UUID             REFERENCES posts (id),
    position    BIGINT           CHECK (position >= 0),
    media_type  TEXT COLLATE "C" NOT NULL,
    width       BIGINT           NOT NULL CHECK (width > 0),
    height      BIGINT           NOT NULL CHECK (height > 0),
    -- Bytes of all its objects.
    size        BIGINT           NOT NULL CHECK (size > 0),
    -- For those who do not see it.
    description TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT           NOT NULL,
    CHECK ((post_id IS NULL) = (position IS NULL))
);

CREATE INDEX images_owner ON images (owner_id, id);
CREATE UNIQUE INDEX images_post ON images (post_id, position) WHERE post_id IS NOT NULL;
CREATE INDEX images_unattached ON images (id) WHERE post_id IS NULL;

CREATE TABLE reports (
    id          UUID             NOT NULL PRIMARY KEY,
    -- NULL: the reporter's account is gone.
    reporter_id UUID             REFERENCES users (id) ON DELETE SET NULL,
    -- Who is reported, and for which post. NULL: not for a post, or it is gone.
    subject_id  UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    post_id     UUID             REFERENCES posts (id) ON DELETE SET NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    comment     TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT           NOT NULL,
    -- NULL: open. By whom, the audit log says.
    resolved_at BIGINT,
    resolution  TEXT COLLATE "C",
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);

CREATE INDEX reports_open ON reports (id) WHERE resolved_at IS NULL;
CREATE INDEX reports_reporter ON reports (reporter_id, id);
CREATE INDEX reports_subject ON reports (subject_id, id);
CREATE INDEX reports_post ON reports (post_id, id) WHERE post_id IS NOT NULL;

-- Who did what to whom, when it was somebody's duty or right. Rows are only added. Ids
-- without references: the log outlives those it names.
CREATE TABLE audit_log (
    id           UUID             NOT NULL PRIMARY KEY,
    -- NULL: the server itself, or its command line.
    actor_id     UUID,
    action       TEXT COLLATE "C" NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_id   UUID             NOT NULL,
    -- JSON.
    detail       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL
);

CREATE INDEX audit_log_actor ON audit_log (actor_id, id);
CREATE INDEX audit_log_subject ON audit_log (subject_id, id);
