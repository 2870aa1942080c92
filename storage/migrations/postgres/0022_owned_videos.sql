-- Somebody's videos are listed in pages, the newest first.
DROP INDEX videos_owner;
CREATE INDEX videos_owner ON videos (owner_id, id);
