-- What is live is listed in pages, the newest first.
CREATE INDEX live_sessions_newest ON live_sessions (id) WHERE ended_at IS NULL;
