-- What the stream is decoded and encoded with, as the transcoder reads it: an engine's name,
-- and software, auto or a device's name. NULL: the installation's default.
ALTER TABLE streams ADD COLUMN engine TEXT;
ALTER TABLE streams ADD COLUMN encoder TEXT;
