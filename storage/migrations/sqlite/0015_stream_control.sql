-- What people read of a stream, whom it is for, and what its owner lets happen with it.
ALTER TABLE streams ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE streams ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE streams ADD COLUMN visibility TEXT NOT NULL DEFAULT 'public'
    CHECK (visibility IN ('public', 'followers', 'private'));
-- Whether going live makes a post. NULL: as the owner's preference says.
ALTER TABLE streams ADD COLUMN post_when_live BOOLEAN;
-- Since when nobody may publish to it. NULL: whoever has a key may.
ALTER TABLE streams ADD COLUMN stopped_at BIGINT;
-- Since when nobody sees it; the row goes when nothing of it is left. NULL: it is there.
ALTER TABLE streams ADD COLUMN deleted_at BIGINT;

-- An owner's streams are read in pages.
DROP INDEX streams_owner;
CREATE INDEX streams_owner ON streams (owner_id, id);

-- What its owner calls it.
ALTER TABLE stream_keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
-- Until when it is good, once another has taken its place. NULL: it does not expire.
ALTER TABLE stream_keys ADD COLUMN expires_at BIGINT;
-- When somebody last published with it. NULL: nobody has, or that was not noted.
ALTER TABLE stream_keys ADD COLUMN last_used_at BIGINT;

-- Those that are good no more are swept.
CREATE INDEX stream_keys_revoked ON stream_keys (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX stream_keys_expired ON stream_keys (expires_at) WHERE expires_at IS NOT NULL;

-- What signs and verifies playback tokens where no keys are configured: all nodes share it.
CREATE TABLE playback_keys (
    kid        TEXT   NOT NULL PRIMARY KEY,
    -- HMAC-SHA256.
    secret     BLOB   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Tokens that were signed before this instant do not open the owner's streams to the viewer any
-- more; of the nil id, to nobody. No references: tokens outlive accounts.
CREATE TABLE playback_bars (
    owner_id  TEXT   NOT NULL,
    viewer_id TEXT   NOT NULL,
    barred_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, viewer_id)
) WITHOUT ROWID;

CREATE INDEX playback_bars_age ON playback_bars (barred_at, owner_id, viewer_id);
