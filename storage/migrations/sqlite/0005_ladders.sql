-- Which renditions the stream is encoded to, as the transcoder reads it: a preset's name,
-- or steps. NULL: the installation's default.
ALTER TABLE streams ADD COLUMN ladder TEXT;
