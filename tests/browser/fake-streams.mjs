// Streams of `fake-api.mjs`: what their pages ask for.
import { randomUUID } from "node:crypto";

import { Refusal } from "./fake-refusals.mjs";
import { now } from "./fake-values.mjs";

const SETTINGS = {
  title: "",
  takeover: "takeover",
  recording: false,
  ladder: null,
  post_when_live: "as_preferred",
  is_stopped: false,
};

/** A stream that is there; it goes on in `fake.live` once it is live. */
export function addStream(fake, owner, name, { title = "", ...more } = {}) {
  const stream = {
    id: randomUUID(),
    name,
    description: "",
    visibility: "public",
    owner: owner.name,
    live_since: null,
    created_at: now(),
    settings: { ...SETTINGS, title },
    keys: [],
    // What `status` says beyond its name and state.
    measured: {},
    recordings: [],
    minutes: [],
    ...more,
  };
  fake.streams.push(stream);
  return stream;
}

/** A stream, as the API tells it. */
export function shownStream(stream, viewer = null) {
  const { id, name, description, visibility, owner, live_since, created_at, settings } = stream;
  return {
    id,
    name,
    title: settings.title === "" ? name : settings.title,
    description,
    visibility,
    owner,
    is_live: live_since !== null,
    live_since,
    created_at,
    viewers: 0,
    settings: viewer?.name === owner ? settings : null,
  };
}

/** A stream, as posts and searches show it. */
export function foundStream(stream) {
  const { name, title, is_live, owner } = shownStream(stream);
  return { name, title, is_live, owner };
}

/** A broadcast of the stream that is kept. */
export function addRecording(stream, more = {}) {
  const id = randomUUID();
  const started_at = new Date(Date.now() - 3_600_000).toISOString();
  const recording = {
    id,
    title: stream.name,
    state: "ready",
    started_at,
    ended_at: now(),
    duration: 3_598.5,
    size: 1_250_000_000,
    playlist: `/vod/${id}/index.m3u8`,
    manifest: `/vod/${id}/manifest.mpd`,
    poster: `/vod/${id}/poster.jpg`,
    expires_at: null,
    ...more,
  };
  stream.settings.recording = true;
  stream.recordings.unshift(recording);
  return recording;
}

/** A file that was imported for somebody; `more` may say that it is not ready. */
export function addVideo(fake, owner, title, more = {}) {
  const id = randomUUID();
  const video = {
    id,
    title,
    state: "ready",
    stream: null,
    duration: 61.5,
    started_at: null,
    created_at: now(),
    playback: playbackOf({
      playlist: `/vod/${id}/index.m3u8`,
      manifest: `/vod/${id}/manifest.mpd`,
      poster: `/vod/${id}/poster.jpg`,
      expires_at: null,
    }),
    ...more,
  };
  fake.videos.push({ owner, video });
  return video;
}

const playbackOf = ({ playlist, manifest, poster, expires_at }) => ({ playlist, manifest, poster, expires_at });

/** Somebody's videos, the newest first. */
export function ownVideos(fake, owner) {
  const imported = fake.videos.filter((one) => one.owner === owner).map(({ video }) => video);
  const recorded = fake.streams
    .filter((stream) => stream.owner === owner.name)
    .flatMap((stream) => stream.recordings.map((recording) => recordedVideo(stream, recording)));
  const began = ({ started_at, created_at }) => Date.parse(started_at ?? created_at);
  return [...imported, ...recorded].sort((one, other) => began(other) - began(one));
}

function recordedVideo(stream, recording) {
  const { id, title, duration, started_at, ended_at: created_at } = recording;
  const playback = playbackOf(recording);
  return { id, title, state: "ready", stream: stream.name, duration, started_at, created_at, playback };
}

/** A recording of the stream, as a post shows it. */
export function shownRecording(stream, { id, title, playlist, manifest, poster }) {
  return { id, title, duration: null, stream: stream.name, playlist, manifest, poster };
}

/** A stream that is live, as the list of those tells it. */
export function liveStream(name, more = {}) {
  const [playlist, manifest] = ["index.m3u8", "manifest.mpd"].map((file) => `/live/${name}/${file}`);
  return { name, title: name, owner: "bea", started_at: now(), viewers: 0, playlist, manifest, ...more };
}

/** Something is live that no browser can play: its playlist is not there. */
export function goLive(fake, stream, started_at = now()) {
  stream.live_since = started_at;
  const { name, title, owner } = shownStream(stream);
  fake.live = [liveStream(name, { title, owner, started_at }), ...fake.live];
}

/** The stream, if it is for whoever asks. */
export function seenStream(fake, name, viewer) {
  const stream = fake.streams.find((found) => found.name === name);
  const owner = stream === undefined ? undefined : fake.users.get(stream.owner);
  const maySee =
    stream !== undefined &&
    (viewer === owner ||
      stream.visibility === "public" ||
      (stream.visibility === "followers" && viewer?.follows.get(owner) === "yes"));
  if (!maySee) throw new Refusal(404, "not-found", "No such stream.");
  return stream;
}

const session = (fake, id, name) => {
  const viewers = [...fake.viewers.values()].filter((stream) => stream === name).length;
  return { id, beat_seconds: 30, viewers };
};

/** What answers, by "METHOD path". */
export const STREAM_OPERATIONS = [
  ["GET me/videos", (fake, asked) => asked.page(ownVideos(fake, asked.me), (video) => video)],
  [
    "GET streams/:name",
    (fake, { viewer }, name) => ({ json: shownStream(seenStream(fake, name, viewer), viewer) }),
  ],
  [
    "GET streams/:name/playback",
    (fake, { viewer }, name) => {
      const { visibility } = seenStream(fake, name, viewer);
      const token = visibility === "public" ? "" : "~token/";
      const file = (end) => `/live/${token}${name}/${end}`;
      return { json: { playlist: file("index.m3u8"), manifest: file("manifest.mpd"), expires_at: null } };
    },
  ],
  [
    "POST streams/:name/viewers",
    (fake, { viewer }, name) => {
      seenStream(fake, name, viewer);
      const id = randomUUID();
      fake.viewers.set(id, name);
      return { status: 201, json: session(fake, id, name) };
    },
  ],
  [
    "PUT streams/:name/viewers/:id",
    (fake, asked, name, id) => {
      if (!fake.viewers.has(id)) throw new Refusal(404, "not-found", "No such viewer.");
      return { json: session(fake, id, name) };
    },
  ],
  ["DELETE streams/:name/viewers/:id", (fake, asked, name, id) => void fake.viewers.delete(id)],
];
