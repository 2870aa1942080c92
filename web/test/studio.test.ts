import assert from "node:assert/strict";
import test from "node:test";

import type { Purge } from "../src/admin/resources";
import {
  actionLabel,
  binaryLabel,
  details,
  progressLabel,
  purgeText,
  shareLabel,
  stretchOf,
  wishOf,
} from "../src/admin/rules";
import { studioPath, studioStream } from "../src/places";
import { sizeLabel } from "../src/size";
import { ladderOf, profileOf } from "../src/studio/fields";
import { advice, audioText, Health, renditionText, stateText, videoText } from "../src/studio/health";
import { serverUrl } from "../src/obs";
import type { StreamStatus } from "../src/studio/resources";
import { slowModeLabel, slowModes, spanLabel } from "../src/studio/rules";
import { columnsPath, linePath, roundTop, Series } from "../src/studio/series";

const BOX = { width: 100, height: 10 };
const SCALE = { from: 0, to: 100, top: 10 };

test("a series keeps what is not too old, and each time once", () => {
  const series = new Series(100);
  for (const [at, value] of [[0, 1], [50, 2], [50, 9], [40, 9], [120, 3]] as const) series.add(at, value);
  assert.deepEqual(series.points, [{ at: 50, value: 2 }, { at: 120, value: 3 }]);
  assert.equal(series.last, 3);
  assert.deepEqual(series.range(), [2, 3]);
  series.add(150, null);
  assert.equal(series.last, null);
  assert.equal(new Series(1).range(), null);
});

test("a line is broken where nothing was measured", () => {
  const points = [
    { at: 0, value: 0 },
    { at: 10, value: 5 },
    { at: 20, value: null },
    { at: 30, value: 10 },
    { at: 40, value: 20 },
    { at: 80, value: 1 },
  ];
  assert.equal(linePath(points, BOX, SCALE, 15), "M0 10L0 10L10 5M30 0L30 0L40 0M80 9L80 9");
  assert.equal(linePath([], BOX, SCALE), "");
});

test("columns stand over their stretches, and none where there is nothing", () => {
  const points = [{ at: 0, value: 5 }, { at: 50, value: 0 }, { at: 90, value: 10 }];
  assert.equal(columnsPath(points, BOX, SCALE, 10), "M0 10V5H9V10ZM90 10V0H99V10Z");
});

test("the top of a graph is a round number", () => {
  const tops = [0, -1, Number.NaN, 0.3, 1, 3, 7, 10, 101, 2_628_000].map(roundTop);
  assert.deepEqual(tops, [1, 1, 1, 0.3, 1, 3, 8, 10, 200, 3_000_000]);
});

const VIDEO = {
  codec: "avc1.64001f",
  width: 1280,
  height: 720,
  bit_rate: 2_500_000,
  frame_rate: 29.97,
  gop_seconds: 2,
  gop_frames: 60,
};
const AUDIO = { codec: "mp4a.40.2", sample_rate: 44_100, channels: 2, bit_rate: 128_000 };
const LIVE: StreamStatus = {
  name: "engines",
  state: "live",
  since: "2027-01-15T08:00:00Z",
  measured_at: "2027-01-15T08:20:00Z",
  viewers: 7,
  ingest: { since: "2027-01-15T08:00:00Z", bit_rate: 2_628_000, delay: 0.4, video: VIDEO, audio: AUDIO },
  worker: { state: "running", engine: "ffmpeg", encoder: "software", restarts: 0 },
  renditions: [],
};
const OFFLINE: StreamStatus = {
  ...LIVE,
  state: "offline",
  since: null,
  measured_at: null,
  viewers: 0,
  ingest: null,
  worker: null,
};

test("what was measured once is one point, however often it is told", () => {
  const health = new Health();
  const now = Date.parse("2027-01-15T08:20:02Z");
  health.take(LIVE, now);
  health.take(LIVE, now + 2_500);
  assert.equal(health.series.bit_rate.points.length, 1);
  health.take({ ...LIVE, measured_at: "2027-01-15T08:20:05Z", viewers: 8 }, now + 5_000);
  assert.deepEqual(health.series.viewers.points.map(({ value }) => value), [7, 8]);
  health.take(OFFLINE, now + 7_500);
  assert.equal(health.series.gop.last, null);
  assert.equal(health.series.viewers.last, 0);
});

test("a clock that is wrong draws the same", () => {
  for (const wrong of [-3_600_000, 0, 3_600_000]) {
    const health = new Health();
    const now = Date.parse("2027-01-15T08:19:58Z") + wrong;
    health.take(OFFLINE, now);
    health.take(LIVE, now + 2_500);
    health.take({ ...LIVE, measured_at: "2027-01-15T08:20:05Z" }, now + 7_500);
    health.take(OFFLINE, now + 10_000);
    assert.deepEqual(health.series.viewers.points.map(({ value }) => value), [7, 7, 0]);
    const [first, , last] = health.series.viewers.points.map(({ at }) => at);
    assert.equal((last ?? 0) - (first ?? 0), 7_500);
  }
});

test("a status reads as words", () => {
  const now = new Date("2027-01-15T08:20:00Z");
  assert.equal(stateText(LIVE, now), "Live for 20 min");
  assert.equal(stateText({ ...LIVE, state: "waiting" }, now), "Waiting for the encoder to come back");
  assert.equal(stateText(OFFLINE, now), "Offline");
  assert.equal(videoText(LIVE), "1280×720, H.264, 29.97 fps");
  assert.equal(audioText(LIVE), "44.1 kHz, stereo, AAC");
  assert.equal(videoText(OFFLINE), "–");
  const rendition = { name: "360p", kind: "video", width: null, height: null, bit_rate: 800_000 } as const;
  assert.equal(renditionText({ ...rendition, state: "running", reason: null }), "running, 800 kbit/s");
  assert.equal(renditionText({ ...rendition, state: "shed", reason: "no time" }), "left out: no time");
});

test("advice is given where something can be done, and else none", () => {
  assert.deepEqual(advice(LIVE), []);
  assert.deepEqual(advice(OFFLINE), []);
  const ingest = { since: "", bit_rate: 0, delay: 9, video: { ...VIDEO, gop_seconds: 8.3 }, audio: null };
  const said = advice({ ...LIVE, ingest }).join(" ");
  for (const word of ["9.0 s late", "Key frames come every 8.3 s", "No sound arrives"]) {
    assert.ok(said.includes(word), said);
  }
});

test("a ladder is one that has a name, or is spelled in steps", () => {
  assert.deepEqual(profileOf(null), { profile: "default", steps: "" });
  assert.deepEqual(profileOf("economy"), { profile: "economy", steps: "" });
  assert.deepEqual(profileOf("720p:2M"), { profile: "own", steps: "720p:2M" });
  for (const ladder of ["default", "quality", "720p:2M"]) {
    const { profile, steps } = profileOf(ladder);
    assert.equal(ladderOf(profile, steps), ladder);
  }
});

test("encoders publish to where the page says, or to where it came from", () => {
  assert.equal(serverUrl("rtmp://{host}", "nova.example"), "rtmp://nova.example/live");
  assert.equal(serverUrl("rtmp://{host}:1936", "[::1]"), "rtmp://[::1]:1936/live");
  assert.equal(serverUrl("rtmps://in.example.org", "nova.example"), "rtmps://in.example.org/live");
});

test("a slow mode that nobody chose here is among those that can be chosen", () => {
  assert.deepEqual(slowModes(7).slice(0, 4), [0, 5, 7, 10]);
  assert.deepEqual([0, 1, 60, 300].map(slowModeLabel), ["Off", "1 second", "60 seconds", "5 minutes"]);
});

test("sizes, times and shares read as people say them", () => {
  assert.deepEqual([0, 999, 1_250_000_000, 84e9].map(sizeLabel), ["0 B", "999 B", "1.3 GB", "84.0 GB"]);
  assert.deepEqual([0, 1_536, 402_653_184].map(binaryLabel), ["0 B", "1.5 KiB", "384 MiB"]);
  assert.deepEqual([12, 90, 12_000].map(spanLabel), ["12 s", "2 min", "3 h 20 min"]);
  assert.deepEqual([shareLabel(0, 0), shareLabel(999, 1_000)], ["–", "99 %"]);
  assert.deepEqual([progressLabel(0, 0), progressLabel(6, 12)], ["nothing is known yet", "6 of 12 (50 %)"]);
  assert.deepEqual([1, 24, 168].map(stretchOf), [60, 3_600, 86_400]);
});

test("an entry of the audit log reads as words, whatever is noted", () => {
  assert.equal(actionLabel("delete-chat-message"), "delete chat message");
  assert.equal(details('{"reason":"spam","old_role":"user","n":1}'), "reason: spam · old role: user · n: 1");
  for (const odd of ["", "3", "null", "{", "<b>"]) assert.equal(details(odd), odd);
});

test("a prewarm asks for what is chosen, and a purge says how far it is", () => {
  assert.deepEqual(wishOf("urls", " /a\n\n/b ", "3"), { urls: ["/a", "/b"] });
  assert.deepEqual(wishOf("playlist", "/a.m3u8", "3"), { playlist: "/a.m3u8", depth: 3 });
  assert.deepEqual(wishOf("video", "x", ""), { video: "x" });
  const purge = { is_complete: false, obeyed: 2, awaited: 1 } as Purge;
  assert.equal(purgeText(purge), "2 of 3 nodes obeyed");
  assert.equal(purgeText({ ...purge, is_complete: true }), "Complete: 2 nodes obeyed");
});

test("a stream's studio has an address", () => {
  assert.equal(studioStream(studioPath("engines")), "engines");
  for (const path of ["/studio", "/studio/", "/studio/a/b", "/studio/%"]) assert.equal(studioStream(path), null);
});
