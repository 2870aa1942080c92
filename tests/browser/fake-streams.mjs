// Streams of `fake-api.mjs`: what their pages ask for.
import { randomUUID } from "node:crypto";

import { Refusal } from "./fake-refusals.mjs";
import { now } from "./fake-values.mjs";

/** A stream that is there; it goes on in `fake.live` once it is live. */
export function addStream(fake, owner, name, more = {}) {
  const stream = {
    id: randomUUID(),
    name,
    title: name,
    description: "",
    visibility: "public",
    owner: owner.name,
    is_live: false,
    live_since: null,
    created_at: now(),
    settings: null,
    ...more,
  };
  fake.streams.push(stream);
  return stream;
}

/** Something is live that no browser can play: its playlist is not there. */
export function goLive(fake, stream, started_at = now()) {
  Object.assign(stream, { is_live: true, live_since: started_at });
  const { name, title, owner } = stream;
  const playlist = `/live/${name}/index.m3u8`;
  fake.live = [{ name, title, owner, started_at, playlist, manifest: `/live/${name}/manifest.mpd` }, ...fake.live];
}

/** The stream, if it is for whoever asks. */
export function seenStream(fake, name, viewer) {
  const stream = fake.streams.find((found) => found.name === name);
  const owner = stream === undefined ? undefined : fake.users.get(stream.owner);
  const isFor =
    stream !== undefined &&
    (viewer === owner ||
      stream.visibility === "public" ||
      (stream.visibility === "followers" && viewer?.follows.get(owner) === "yes"));
  if (!isFor) throw new Refusal(404, "not-found", "No such stream.");
  return stream;
}

const session = (fake, id, name) => {
  const viewers = [...fake.viewers.values()].filter((stream) => stream === name).length;
  return { id, beat_seconds: 30, viewers };
};

/** What answers, by "METHOD path". */
export const STREAM_OPERATIONS = [
  ["GET streams/:name", (fake, { viewer }, name) => ({ json: seenStream(fake, name, viewer) })],
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
