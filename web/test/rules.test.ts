import assert from "node:assert/strict";
import test from "node:test";

import { HoleSkipper, type Playhead } from "../src/holes";
import { bitrateLabel, renditionLabel, secondsLabel, sinceLabel } from "../src/labels";
import { hasToken, parseLive, posterOf, renewed } from "../src/live";
import { Outage, OUTAGE_MS } from "../src/outage";
import { Pacer, type Place } from "../src/pace";
import { phaseOf } from "../src/phase";
import { LOAD_POLICIES, shouldRetry } from "../src/policies";
import { Recovery } from "../src/recovery";
import { Standstill } from "../src/standstill";

const MIDDLE = () => 0.5;

type Range = readonly [start: number, end: number];

function playhead(currentTime: number, ...ranges: Range[]): Playhead {
  const buffered = ranges.map(([start, end]) => ({ start, end }));
  return { currentTime, held: false, seeking: false, buffered };
}

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

test("a playhead that stands before a hole is put behind it, once", () => {
  const skipper = new HoleSkipper();
  const head = playhead(27.76, [0, 28], [30, 32]);
  assert.equal(skipper.look(0, head), null);
  assert.equal(skipper.look(300, head), null);
  assert.equal(skipper.look(400, head), 30.05);
  // Something put it back.
  assert.equal(skipper.look(500, playhead(28.5, [0, 28], [30, 33])), null);
  assert.equal(skipper.look(5_000, playhead(28.5, [0, 28], [30, 33])), null);
  assert.equal(skipper.look(6_000, playhead(33.9, [30, 34], [35, 37])), null);
  assert.equal(skipper.look(6_400, playhead(33.9, [30, 34], [35, 37])), 35.05);
});

test("time that moves, and a viewer who holds it, begin the patience anew", () => {
  const skipper = new HoleSkipper();
  const ranges: Range[] = [
    [0, 10],
    [12, 14],
  ];
  assert.equal(skipper.look(0, playhead(9.8, ...ranges)), null);
  assert.equal(skipper.look(390, playhead(9.9, ...ranges)), null);
  assert.equal(skipper.look(780, playhead(9.9, ...ranges)), null);
  assert.equal(skipper.look(800, { ...playhead(9.9, ...ranges), held: true }), null);
  assert.equal(skipper.look(9_000, { ...playhead(9.9, ...ranges), held: true }), null);
  assert.equal(skipper.look(9_390, playhead(9.9, ...ranges)), null);
  assert.equal(skipper.look(9_400, playhead(9.9, ...ranges)), 12.05);
});

test("a seek into a hole gets longer to find what it asked for", () => {
  const skipper = new HoleSkipper();
  const head = { ...playhead(11, [0, 10], [12, 14]), seeking: true };
  assert.equal(skipper.look(0, head), null);
  assert.equal(skipper.look(1_900, head), null);
  assert.equal(skipper.look(2_000, head), 12.05);
});

test("what stands still for another reason is left alone", () => {
  const stands = (head: Playhead) => {
    const skipper = new HoleSkipper();
    skipper.look(0, head);
    return skipper.look(60_000, head);
  };
  assert.equal(stands(playhead(5)), null);
  assert.equal(stands(playhead(5, [0, 5])), null);
  assert.equal(stands(playhead(5, [6, 8])), 6.05);
  assert.equal(stands(playhead(5, [0, 3])), null);
  // Two seconds are left to play here.
  assert.equal(stands(playhead(5, [0, 7], [8, 9])), null);
  // Further ahead than a gap reaches.
  assert.equal(stands(playhead(5, [0, 5.1], [15.1, 18])), null);
  assert.equal(stands(playhead(5, [0, 5.1], [15, 18])), 15.05);
});

function place(behind: number, ahead: number, there = 0): Place {
  return { behind, ahead, there, targetDuration: 2, waited: true };
}

test("whoever fell behind plays faster until it is back", () => {
  const pacer = new Pacer();
  const rates = [0.1, 0.2, 0.1, 0.01, 0, 0.1, 1.5, 0.5].map((behind) => {
    const pace = pacer.look(place(behind, 2));
    return pace.act === "play" ? pace.rate : null;
  });
  assert.deepEqual(rates, [1, 1.05, 1.05, 1.05, 1, 1, 1.1, 1.05]);
});

test("nobody plays faster than what comes", () => {
  const pacer = new Pacer();
  assert.deepEqual(pacer.look(place(5, 1)), { act: "play", rate: 1 });
  assert.deepEqual(pacer.look(place(5, 1.1)), { act: "play", rate: 1.1 });
  assert.deepEqual(pacer.look(place(-0.5, 3)), { act: "play", rate: 1 });
});

test("whoever is far behind jumps once there is something to play where it lands", () => {
  const pacer = new Pacer();
  assert.deepEqual(pacer.look(place(11, 4)), { act: "play", rate: 1.1 });
  assert.deepEqual(pacer.look(place(11, 4, 0.4)), { act: "play", rate: 1.1 });
  assert.deepEqual(pacer.look(place(11, 12, 1)), { act: "jump" });
  assert.deepEqual(pacer.look(place(6, 7, 1)), { act: "play", rate: 1.1 });
});

test("who paused for long is neither taken to the live edge nor hurried", () => {
  const pacer = new Pacer();
  const paused = (behind: number): Place => ({ ...place(behind, 12, 1), waited: false });
  assert.deepEqual(pacer.look(paused(11)), { act: "play", rate: 1 });
  assert.deepEqual(pacer.look(paused(5)), { act: "play", rate: 1.1 });
});

test("a connection that broke is tried again, but not for ever", () => {
  const policy = LOAD_POLICIES.playlistLoadPolicy?.default.errorRetry ?? null;
  const again = (code: number, count: number, usually: boolean) =>
    shouldRetry(policy, count, false, { url: "", code }, usually);
  assert.equal(again(0, 0, false), true);
  assert.equal(again(0, policy?.maxNumRetry ?? 0, false), false);
  assert.equal(again(404, 0, false), false);
  assert.equal(again(503, 0, true), true);
});

test("a server that refuses at once is tried for longer than a cut lasts", () => {
  const lasts: number[] = [];
  for (const policy of [LOAD_POLICIES.playlistLoadPolicy, LOAD_POLICIES.fragLoadPolicy]) {
    const retry = policy?.default.errorRetry;
    assert.ok(retry);
    // Picture and sound, which are counted together.
    for (const count of [1, 2]) {
      const due = Array.from({ length: count }, () => 0);
      for (let failures = 0; failures < retry.maxNumRetry; failures += 1) {
        const next = due.indexOf(Math.min(...due));
        const delay = Math.min(retry.retryDelayMs * 2 ** failures, retry.maxRetryDelayMs);
        due[next] = (due[next] ?? 0) + delay;
      }
      lasts.push(Math.min(...due));
    }
  }
  assert.deepEqual(lasts, [29_500, 14_500, 29_500, 14_500]);
  assert.ok(Math.min(...lasts) > 12_000 && Math.max(...lasts) < OUTAGE_MS);
});

test("an outage is one of pictures or of sound, and is too long once in a while", () => {
  const outage = new Outage();
  assert.equal(outage.lasts, false);
  outage.failed("level", 0);
  outage.failed("level", OUTAGE_MS - 1);
  outage.answered("audio");
  assert.equal(outage.lasts, true);
  assert.equal(outage.isTooLong(OUTAGE_MS - 1), false);
  assert.equal(outage.isTooLong(OUTAGE_MS), true);
  assert.equal(outage.isTooLong(OUTAGE_MS + 1), false);
  assert.equal(outage.lasts, true);
  assert.equal(outage.isTooLong(2 * OUTAGE_MS), true);
  outage.answered("level");
  assert.equal(outage.lasts, false);
  // Of two that take turns none has failed for long.
  for (let at = 0; at < 3 * OUTAGE_MS; at += 1_000) {
    const [fails, comes] = at % 2_000 === 0 ? (["level", "audio"] as const) : (["audio", "level"] as const);
    outage.failed(fails, at);
    outage.answered(comes);
    assert.equal(outage.isTooLong(at), false);
  }
});

/** When a player is stuck that is looked at twice in a second. */
function stuckAt(edge: (ms: number) => number, answered: (ms: number) => boolean): number | null {
  const standstill = new Standstill();
  for (let at = 0; at <= 60_000; at += 500) {
    if (standstill.isStuck(at, edge(at), answered(at))) return at;
  }
  return null;
}

test("who stands still while there is more all the time is stuck", () => {
  const grows = (ms: number) => ms / 1_000;
  assert.equal(stuckAt(grows, () => true), 7_500);
  assert.equal(stuckAt(() => 5, () => true), null);
  assert.equal(stuckAt(grows, () => false), null);
  // What came after an outage was not there to be played in it.
  const cut = (ms: number) => ms > 6_000 && ms < 16_000;
  assert.equal(stuckAt((ms) => (cut(ms) ? 6 : Math.min(grows(ms), 16)), (ms) => !cut(ms) && ms > 3_000), null);
  // One that comes and goes does not put it off for ever.
  assert.equal(stuckAt(grows, (ms) => ms % 2_000 !== 0), 15_000);
});

test("the page says what it waits for", () => {
  assert.equal(phaseOf("idle", false, false), "waiting");
  assert.equal(phaseOf("idle", null, false), "lost");
  assert.equal(phaseOf("idle", false, true), "ended");
  assert.equal(phaseOf("stalled", true, false), "interrupted");
  assert.equal(phaseOf("stalled", null, false), "lost");
  assert.equal(phaseOf("unanswered", true, false), "lost");
  assert.equal(phaseOf("unanswered", false, false), "interrupted");
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
  const streams = [
    {
      name: "demo",
      title: "demo",
      owner: null,
      startedAt: "2025-01-01T12:00:00Z",
      playlist: "/live/demo/index.m3u8",
    },
  ];
  assert.deepEqual(parseLive(body), { streams, next: null });
  assert.deepEqual(parseLive({ ...body, next: "x" }), { streams, next: "x" });
  assert.deepEqual(parseLive({ streams: [], next: null }), { streams: [], next: null });
  for (const bad of [null, [], {}, { streams: [{ name: "demo" }] }, { streams: [3] }]) {
    assert.throws(() => parseLive(bad), /api\/v1\/live/);
  }
});

test("a poster is beside its playlist", () => {
  assert.equal(posterOf("/live/demo/index.m3u8"), "/live/demo/poster.jpg");
  assert.equal(
    posterOf("https://edge.example:8443/live/demo/index.m3u8?token=a/b"),
    "https://edge.example:8443/live/demo/poster.jpg?token=a/b",
  );
});

test("what is asked for has the token that was given last", () => {
  const of = (token: string, file: string) => `https://edge.example/live/~1.${token}/demo/${file}`;
  assert.equal(renewed(of("a.b", "720p/1.m4s"), of("c.d", "index.m3u8")), of("c.d", "720p/1.m4s"));
  const open = "/live/demo/index.m3u8";
  assert.equal(renewed(of("a.b", "x"), open), of("a.b", "x"));
  assert.equal(renewed(open, of("c.d", "index.m3u8")), open);
  assert.deepEqual([hasToken(open), hasToken(of("a.b", "index.m3u8"))], [false, true]);
});
