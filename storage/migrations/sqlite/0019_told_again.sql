-- A stream that goes live again soon is told to those who have begun to follow meanwhile:
-- docs/NOTIFICATIONS.md.

-- Who followed by then was told of another broadcast; NULL: everybody is told.
ALTER TABLE live_fan_outs ADD COLUMN since_at BIGINT;
