// Opens a watch page in Chromium, watches it, and says what it measured.
//
//   node watch.mjs URL SECONDS SCREENSHOT [--until-stdin-closes] [--start-limit SECONDS]
//                  [--size WIDTHxHEIGHT] [--browser PATH]
//
// Lines of JSON on stdout, each with an "event":
//
//   playing   once, when the picture moves: { startup_ms }
//   sample    from then on, once a second: what the page tells, see `readPage` below
//   result    last: what was measured, see `summary` below
//   failed    last, instead of a result: { reason, ... }
//
// With --until-stdin-closes it watches until its stdin ends, SECONDS at the longest.
// It judges nothing: exit 0 says that there is a result, 1 that there is none.
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { BROWSER, BROWSER_ARGS } from "./chromium.mjs";

const SAMPLE_MS = 250;
/** Of so many samples one is told at once. */
const SAMPLES_PER_EVENT = 4;
/** The picture stalls when it stands still for this long: one lost frame is no stall. */
const STALL_MS = 500;
/** Messages kept of each kind: a broken page can write without end. */
const MESSAGE_LIMIT = 50;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "until-stdin-closes": { type: "boolean", default: false },
      "start-limit": { type: "string", default: "30" },
      size: { type: "string", default: "1280x800" },
      browser: { type: "string", default: BROWSER },
    },
  });
  const [url, seconds, screenshot] = positionals;
  const [width, height] = values.size.split("x").map(Number);
  const options = {
    url,
    watchMs: Number(seconds) * 1000,
    screenshot,
    untilStdinCloses: values["until-stdin-closes"],
    startLimitMs: Number(values["start-limit"]) * 1000,
    viewport: { width, height },
    browser: values.browser,
  };
  const numbers = [options.watchMs, options.startLimitMs, width, height];
  if (screenshot === undefined || numbers.some((number) => !(number > 0))) {
    throw new Error("usage: watch.mjs URL SECONDS SCREENSHOT [--until-stdin-closes] ...");
  }
  return options;
}

function say(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/** Resolves after so many milliseconds, or when `stop` does. */
function pause(milliseconds, stop) {
  let timer;
  const slept = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)));
  return Promise.race([slept, stop]).finally(() => clearTimeout(timer));
}

/** What the page tells about its player now; `null` while there is none. */
function readPage() {
  const { nova } = window;
  if (nova === undefined) return null;
  const stats = nova.stats();
  const playing = nova.hls?.playingDate ?? null;
  return {
    wall_ms: Date.now(),
    state: document.querySelector("[data-part=state]")?.dataset.phase ?? null,
    current_time: stats.currentTime,
    ready_state: nova.video.readyState,
    paused: nova.video.paused,
    level: nova.hls?.currentLevel ?? -1,
    levels: nova.hls?.levels.length ?? 0,
    audio_tracks: nova.hls?.audioTracks.length ?? 0,
    height: nova.video.videoHeight,
    // Seconds behind the live edge of the playlist, and behind this machine's clock.
    edge_latency: stats.edgeLatency,
    date_latency: playing === null ? null : (Date.now() - playing.getTime()) / 1000,
    buffer_ahead: stats.bufferAhead,
    dropped_frames: stats.droppedFrames,
    fatal_errors: stats.fatalErrors,
  };
}

function figures(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return { min: sorted[0], median: at(0.5), p95: at(0.95), max: sorted[sorted.length - 1] };
}

/** Media seconds played; what was jumped over, in either direction, is not. */
function playedSeconds(samples) {
  let played = 0;
  samples.slice(1).forEach((sample, i) => {
    const media = sample.current_time - samples[i].current_time;
    const wall = (sample.wall_ms - samples[i].wall_ms) / 1000;
    if (media > 0 && media < 2 * wall + 0.5) played += media;
  });
  return played;
}

/** The times in milliseconds during which the picture did not move. */
function standstills(samples) {
  const still = [];
  let movedAt = samples[0];
  for (const sample of samples) {
    if (sample.current_time !== movedAt.current_time) {
      movedAt = sample;
      still.push(0);
    }
    still[Math.max(still.length - 1, 0)] = sample.wall_ms - movedAt.wall_ms;
  }
  return still;
}

function summary(samples) {
  const first = samples[0];
  const last = samples[samples.length - 1];
  const still = standstills(samples);
  return {
    watched_ms: last.wall_ms - first.wall_ms,
    /** Media seconds played. */
    advanced: playedSeconds(samples),
    longest_standstill_ms: Math.max(...still),
    stalls: still.filter((milliseconds) => milliseconds >= STALL_MS).length,
    levels: Math.max(...samples.map((sample) => sample.levels)),
    levels_played: [...new Set(samples.map((sample) => sample.level))],
    heights_played: [...new Set(samples.map((sample) => sample.height))],
    audio_tracks: last.audio_tracks,
    states: samples.map(({ state }) => state).filter((state, i, all) => state !== all[i - 1]),
    edge_latency: figures(samples.map((sample) => sample.edge_latency)),
    date_latency: figures(samples.map((sample) => sample.date_latency)),
    dropped_frames: last.dropped_frames,
    fatal_errors: last.fatal_errors,
  };
}

/** Collects what the page complains about. */
function listen(page) {
  const complaints = {
    console_errors: [],
    page_errors: [],
    failed_requests: [],
    // What the page's player did about its faults.
    player: [],
  };
  const keep = (kind, text) => {
    if (complaints[kind].length < MESSAGE_LIMIT) complaints[kind].push(text);
  };
  page.on("console", (message) => {
    if (message.type() === "error") keep("console_errors", message.text());
    if (message.text().startsWith("player: ")) keep("player", message.text());
  });
  page.on("pageerror", (error) => keep("page_errors", String(error)));
  page.on("response", (response) => {
    if (response.status() >= 400) {
      keep("failed_requests", `${response.status()} ${response.url()}`);
    }
  });
  return complaints;
}

async function waitForPlay(page, limitMs, stop) {
  const deadline = Date.now() + limitMs;
  let before = null;
  while (Date.now() < deadline) {
    const now = await page.evaluate(readPage);
    if (before !== null && now !== null && now.current_time > before.current_time) return true;
    before = now;
    await pause(SAMPLE_MS, stop);
  }
  return false;
}

async function watch(options, page, stop) {
  const complaints = listen(page);
  const openedAt = Date.now();
  await page.goto(options.url, { waitUntil: "domcontentloaded" });

  if (!(await waitForPlay(page, options.startLimitMs, stop))) {
    await page.screenshot({ path: options.screenshot });
    const now = await page.evaluate(readPage);
    say("failed", { reason: "the picture never moved", page: now, ...complaints });
    return 1;
  }
  say("playing", { startup_ms: Date.now() - openedAt });

  const samples = [];
  let stopped = false;
  void stop.then(() => (stopped = true));
  const deadline = Date.now() + options.watchMs;
  do {
    const sample = await page.evaluate(readPage);
    if (sample !== null && samples.push(sample) % SAMPLES_PER_EVENT === 0) say("sample", sample);
    await pause(SAMPLE_MS, stop);
  } while (!stopped && Date.now() < deadline);

  await page.screenshot({ path: options.screenshot });
  say("result", { ...summary(samples), ...complaints, samples });
  return 0;
}

async function main() {
  const options = readArguments();
  const stop = options.untilStdinCloses
    ? new Promise((resolve) => process.stdin.on("close", resolve).on("end", resolve).resume())
    : new Promise(() => {});
  const browser = await chromium.launch({
    ...(options.browser && { executablePath: options.browser }),
    headless: true,
    args: BROWSER_ARGS,
  });
  try {
    const page = await browser.newPage({ viewport: options.viewport });
    return await watch(options, page, stop);
  } finally {
    await browser.close();
  }
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say("failed", { reason: String(error) });
    process.exit(1);
  },
);
