-- A picture is let go with its post, or when it was posted nowhere for long. From here on
-- nobody is shown it and no post takes it: its objects are deleted, then its row.
ALTER TABLE images ADD COLUMN let_go_at BIGINT CHECK (let_go_at IS NULL OR post_id IS NULL);

-- What of a person's is on no post yet, the oldest first, and what has been so for long.
DROP INDEX images_unattached;
CREATE INDEX images_unposted ON images (created_at, id)
    WHERE post_id IS NULL AND let_go_at IS NULL;
CREATE INDEX images_unposted_of ON images (owner_id, id)
    WHERE post_id IS NULL AND let_go_at IS NULL;
-- What the sweeper goes through.
CREATE INDEX images_let_go ON images (id) WHERE let_go_at IS NOT NULL;

-- A video on a post. It names no object: those are the video's.
CREATE TABLE post_videos (
    post_id  UUID   NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position BIGINT NOT NULL CHECK (position >= 0),
    video_id UUID   NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    PRIMARY KEY (post_id, position)
);

CREATE INDEX post_videos_video ON post_videos (video_id);
