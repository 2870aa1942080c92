import assert from "node:assert/strict";
import test from "node:test";

import { bitrateLabel, renditionLabel, secondsLabel, sinceLabel } from "../src/labels";
import { parseLive } from "../src/live";
import { phaseOf } from "../src/phase";
import { Recovery } from "../src/recovery";

const MIDDLE = () => 0.5;

test("network faults wait longer each time, then begin anew", () => {
  const recovery = new Recovery(MIDDLE);
  const remedies = Array.from({ length: 7 }, () => recovery.fault("network", true, false));
  assert.deepEqual(
    remedies.map((remedy) => remedy.act),
    ["load-again", "load-again", "load-again", "rebuild", "rebuild", "rebuild", "rebuild"],
  );
  assert.deepEqual(
    remedies.map((remedy) => ("delayMs" in remedy ? remedy.delayMs : 0)),
    [500, 1000, 2000, 4000, 8000, 8000, 8000],
  );
});

test("a player that read no playlist cannot load again", () => {
  assert.equal(new Recovery(MIDDLE).fault("network", false, false).act, "rebuild");
});

test("what is buffered is played before the player is thrown away", () => {
  const recovery = new Recovery(MIDDLE);
  const moving = Array.from({ length: 6 }, () => recovery.fault("network", true, true).act);
  assert.deepEqual(new Set(moving), new Set(["load-again"]));
  assert.equal(recovery.fault("network", true, false).act, "rebuild");
});

test("a media fault that returns ends in a new player, after settling in the gentle remedy", () => {
  const recovery = new Recovery(MIDDLE);
  const acts = () => recovery.fault("media", true, true).act;
  assert.deepEqual([acts(), acts(), acts()], ["recover-media", "recover-media", "rebuild"]);
  recovery.settled();
  assert.equal(acts(), "recover-media");
});

test("jitter keeps the viewers of one outage apart", () => {
  const delay = (jitter: number) => {
    const remedy = new Recovery(() => jitter).fault("network", true, false);
    return "delayMs" in remedy ? remedy.delayMs : 0;
  };
  assert.equal(delay(0), 375);
  assert.equal(delay(0.999) > 600, true);
});

test("the page says what it waits for", () => {
  assert.equal(phaseOf("idle", false, false), "waiting");
  assert.equal(phaseOf("idle", null, false), "lost");
  assert.equal(phaseOf("idle", false, true), "ended");
  assert.equal(phaseOf("stalled", true, false), "interrupted");
  assert.equal(phaseOf("stalled", null, false), "lost");
  assert.equal(phaseOf("recovering", true, false), "lost");
  assert.equal(phaseOf("recovering", false, false), "interrupted");
  assert.equal(phaseOf("ended", false, true), "ended");
});

test("labels", () => {
  const figures = { bitrate: 2_800_000, frameRate: 30 };
  assert.equal(renditionLabel({ ...figures, height: 720 }), "720p");
  assert.equal(renditionLabel({ ...figures, height: 1080, frameRate: 59.94 }), "1080p60");
  assert.equal(renditionLabel({ ...figures, height: 0 }), "Sound only");
  assert.equal(bitrateLabel(2_800_000), "2.8 Mbit/s");
  assert.equal(bitrateLabel(639_600), "640 kbit/s");
  assert.equal(secondsLabel(1.84), "1.8 s");
  assert.equal(secondsLabel(null), "–");
  const now = new Date("2025-01-01T12:00:00Z");
  assert.equal(sinceLabel("2025-01-01T11:59:30Z", now), "Just started");
  assert.equal(sinceLabel("2025-01-01T11:15:00Z", now), "Live for 45 min");
  assert.equal(sinceLabel("2025-01-01T09:55:00Z", now), "Live for 2 h 5 min");
  assert.equal(sinceLabel("", now), "");
});

test("the list of live streams is read, and anything else refused", () => {
  const body = {
    streams: [
      {
        name: "demo",
        started_at: "2025-01-01T12:00:00Z",
        playlist: "/live/demo/index.m3u8",
        manifest: "/live/demo/manifest.mpd",
      },
    ],
  };
  assert.deepEqual(parseLive(body), [
    { name: "demo", startedAt: "2025-01-01T12:00:00Z", playlist: "/live/demo/index.m3u8" },
  ]);
  assert.deepEqual(parseLive({ streams: [] }), []);
  for (const bad of [null, [], {}, { streams: [{ name: "demo" }] }, { streams: [3] }]) {
    assert.throws(() => parseLive(bad), /api\/v1\/live/);
  }
});
