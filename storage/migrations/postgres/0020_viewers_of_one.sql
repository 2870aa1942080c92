-- Who watches is counted so often at most, whoever asks: docs/STREAMS.md.

-- A hash of the stream and of who has joined: an account, or a network. NULL: not known.
ALTER TABLE viewer_sessions ADD COLUMN joined_by BIGINT;

CREATE INDEX viewer_sessions_joined_by ON viewer_sessions (joined_by);
