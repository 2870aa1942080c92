// Streams of `fake-api.mjs` as their owner looks after them: their keys, and what is measured of them.
import { randomUUID } from "node:crypto";

import { invalid, Refusal } from "./fake-refusals.mjs";
import { addStream, shownStream } from "./fake-streams.mjs";
import { now, secret } from "./fake-values.mjs";

/** A key of a stream, and what is secret of it. */
export function addKey(stream, name, more = {}) {
  const key = { id: randomUUID(), name, created_at: now(), expires_at: null, last_used_at: null, ...more };
  stream.keys.unshift(key);
  return { key: secret().replace(/[^a-z0-9]/gi, "0"), stream_key: key };
}

/** What a server measures of a stream that is well; `beat` counts the times. */
export function measure(stream, beat = 0) {
  const wave = Math.sin(beat / 3);
  stream.live_since ??= new Date(Date.now() - 25 * 60_000).toISOString();
  stream.measured = {
    state: "live",
    since: stream.live_since,
    measured_at: new Date(Date.now() - 280_000 + beat * 5_000).toISOString(),
    node: randomUUID(),
    viewers: 12 + Math.round(4 * wave) + beat,
    ingest: {
      since: stream.live_since,
      bit_rate: Math.round(2_628_000 + 300_000 * wave),
      delay: 0.4,
      video: {
        codec: "avc1.64001f",
        width: 1280,
        height: 720,
        bit_rate: 2_500_000,
        frame_rate: 30 - Math.max(0, wave),
        gop_seconds: 2,
        gop_frames: 60,
      },
      audio: { codec: "mp4a.40.2", sample_rate: 48_000, channels: 2, bit_rate: 128_000 },
    },
    worker: { state: "running", engine: "ffmpeg", encoder: "software", restarts: 0 },
    renditions: [
      rendition("source", "running", null, 2_500_000),
      rendition("360p", "shed", "the machine has no time for it", 0),
      rendition("audio", "running", null, 128_000),
    ],
  };
}

function rendition(name, state, reason, bit_rate) {
  const kind = name === "audio" ? "audio" : "video";
  const unknown = { codec: null, width: null, height: null, sample_rate: null, channels: null, target_bit_rate: null };
  return { ...unknown, name, kind, state, since: now(), reason, bit_rate };
}

function own(fake, asked, name) {
  const stream = fake.streams.find((found) => found.name === name);
  if (stream?.owner !== asked.me.name) throw new Refusal(404, "not-found", "No such stream.");
  return stream;
}

function end(fake, stream) {
  Object.assign(stream, { live_since: null, measured: {} });
  fake.live = fake.live.filter(({ name }) => name !== stream.name);
}

function remove(fake, stream) {
  end(fake, stream);
  fake.streams = fake.streams.filter((other) => other !== stream);
}

function set(stream, { name, title, description, visibility, delete_recordings, ...settings }) {
  void name;
  if (settings.ladder !== undefined && !/^(default|economy|standard|quality|(\d+p:\d+k,?)+)$/.test(settings.ladder)) {
    throw invalid("ladder", `there is no ladder "${settings.ladder}": expected steps such as 1080p:5000k,720p:2800k`);
  }
  if (stream.settings.recording && settings.recording === false && !delete_recordings && stream.recordings.length > 0) {
    const why = "The stream has recordings, which go when it does not record: say delete_recordings if that is meant.";
    throw new Refusal(409, "conflict", why);
  }
  if (delete_recordings) stream.recordings = [];
  if (settings.ladder === "default") settings.ladder = null;
  Object.assign(stream.settings, settings);
  if (title !== undefined) stream.settings.title = title;
  if (description !== undefined) stream.description = description;
  if (visibility !== undefined) stream.visibility = visibility;
}

/** What was made under a key of a request is not made again, and no secret is told again. */
function once(fake, asked, make) {
  const under = asked.headers["idempotency-key"];
  const before = fake.made.get(under);
  if (before !== undefined) return { status: 201, json: { ...before, key: null } };
  const json = make();
  fake.made.set(under, json);
  return { status: 201, json };
}

/** What answers, by "METHOD path". */
export const STUDIO_OPERATIONS = [
  [
    "GET users/:name/streams",
    (fake, asked, name) => {
      const owner = fake.person(name, asked.viewer);
      const streams = fake.streams.filter((stream) => stream.owner === owner.name).reverse();
      return asked.page(streams, (stream) => shownStream(stream, asked.viewer));
    },
  ],
  [
    "POST streams",
    (fake, asked) =>
      once(fake, asked, () => {
        const wish = asked.json;
        if (fake.streams.some(({ name }) => name === wish.name)) throw new Refusal(409, "taken", "The stream name is taken.");
        const stream = addStream(fake, asked.me, wish.name);
        try {
          set(stream, wish);
        } catch (error) {
          remove(fake, stream);
          throw error;
        }
        return { stream: shownStream(stream, asked.me), ...addKey(stream, "") };
      }),
  ],
  [
    "PATCH streams/:name",
    (fake, asked, name) => {
      const stream = own(fake, asked, name);
      set(stream, asked.json);
      return { json: shownStream(stream, asked.me) };
    },
  ],
  ["DELETE streams/:name", (fake, asked, name) => void remove(fake, own(fake, asked, name))],
  ...["start", "stop"].map((what) => [
    `PUT streams/:name/${what}`,
    (fake, asked, name) => {
      const stream = own(fake, asked, name);
      stream.settings.is_stopped = what === "stop";
      if (what === "stop") end(fake, stream);
      return { json: shownStream(stream, asked.me) };
    },
  ]),
  ["GET streams/:name/keys", (fake, asked, name) => ({ json: { keys: own(fake, asked, name).keys } })],
  [
    "POST streams/:name/keys",
    (fake, asked, name) => once(fake, asked, () => addKey(own(fake, asked, name), asked.json.name ?? "")),
  ],
  [
    "POST streams/:name/keys/:id/rotate",
    (fake, asked, name, id) =>
      once(fake, asked, () => {
        const stream = own(fake, asked, name);
        const old = stream.keys.find((key) => key.id === id);
        if (old === undefined) throw new Refusal(404, "not-found", "No such key.");
        const { grace_seconds } = asked.json;
        if (grace_seconds === 0) stream.keys = stream.keys.filter((key) => key !== old);
        else old.expires_at = new Date(Date.now() + 1_000 * grace_seconds).toISOString();
        return addKey(stream, old.name);
      }),
  ],
  [
    "DELETE streams/:name/keys/:id",
    (fake, asked, name, id) => {
      const stream = own(fake, asked, name);
      stream.keys = stream.keys.filter((key) => key.id !== id);
    },
  ],
  [
    "GET streams/:name/status",
    (fake, asked, name) => {
      const stream = own(fake, asked, name);
      const nothing = { state: "offline", since: null, measured_at: null, node: null, viewers: 0 };
      const json = { name, ...nothing, ingest: null, worker: null, renditions: [], ...stream.measured };
      return { json };
    },
  ],
  [
    "GET streams/:name/recordings",
    (fake, asked, name) => asked.page(own(fake, asked, name).recordings, (recording) => recording),
  ],
  [
    "GET streams/:name/analytics",
    (fake, asked, name) => {
      const { minutes } = own(fake, asked, name);
      const { from, to } = Object.fromEntries(asked.url.searchParams);
      const within = minutes.filter(({ at }) => at >= from && at < to);
      const peak = within.reduce((most, minute) => (minute.viewers > (most?.viewers ?? -1) ? minute : most), null);
      const sum = within.reduce((all, { viewers }) => all + viewers, 0);
      const live_seconds = 60 * within.length;
      const json = { from, to, minutes: within, peak, watch_seconds: 60 * sum, broadcasts: Math.min(1, within.length), live_seconds };
      return { json };
    },
  ],
];
